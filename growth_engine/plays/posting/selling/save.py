"""Saving what a batch decided about orders and commissions: one statement, a JSON list for each table."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from growth_engine.ledger.contract import Connected
from growth_engine.ledger.journal import as_json
from growth_engine.plays.posting.selling.facts import Binding, Commission, Order, Promoter, Sales, Transfer

_SAVE = """
WITH doc AS MATERIALIZED (
  SELECT current_setting('ge.workspace_id') AS ws, %(now)s::timestamptz AS now
), orders_ AS (
  INSERT INTO orders (id, workspace_id, campaign_id, external_id, contact_id, buyer, promoter, currency,
    total, paid, refunded, state, fee_bp, fee, rule_version, seq, source, placed_at, expires_at, paid_at,
    closed_at)
  SELECT r.id, doc.ws, r.campaign, r.external, r.contact, r.buyer, r.promoter, r.currency, r.total, r.paid,
    r.refunded, r.state, r.fee_bp, r.fee, r.rule, r.seq, r.source, doc.now, r.expires_at, r.paid_at,
    r.closed_at
  FROM doc, json_to_recordset(%(orders)s::json)
    AS r (id text, campaign text, external text, contact text, buyer bigint, promoter bigint, currency text,
          total bigint, paid bigint, refunded bigint, state text, fee_bp int, fee bigint, rule int,
          seq bigint, source text, expires_at timestamptz, paid_at timestamptz, closed_at timestamptz)
), lines_ AS (
  INSERT INTO order_lines (workspace_id, order_id, line, product_id, sku, name, quantity, amount)
  SELECT doc.ws, r.order, r.line, r.product, r.sku, r.name, r.quantity, r.amount
  FROM doc, json_to_recordset(%(lines)s::json)
    AS r ("order" text, line int, product text, sku text, name text, quantity int, amount bigint)
), moved_ AS (
  UPDATE orders SET paid = r.paid, refunded = r.refunded, state = r.state, fee = r.fee, paid_at = r.paid_at,
    closed_at = r.closed_at, restocked = r.restocked
  FROM doc, json_to_recordset(%(moved)s::json)
    AS r (id text, paid bigint, refunded bigint, state text, fee bigint, paid_at timestamptz,
          closed_at timestamptz, restocked boolean)
  CROSS JOIN LATERAL (SELECT ctid FROM orders WHERE id = r.id OFFSET 0) AS kept
  WHERE orders.ctid = kept.ctid
), payments_ AS (
  INSERT INTO payments (id, workspace_id, order_id, provider, external_id, amount, seq, at)
  SELECT r.id, doc.ws, r.order, r.provider, r.external, r.amount, r.seq, doc.now
  FROM doc, json_to_recordset(%(payments)s::json)
    AS r (id text, "order" text, provider text, external text, amount bigint, seq bigint)
), refunds_ AS (
  INSERT INTO refunds (id, workspace_id, order_id, provider, external_id, amount, reason, seq, at)
  SELECT r.id, doc.ws, r.order, r.provider, r.external, r.amount, r.reason, r.seq, doc.now
  FROM doc, json_to_recordset(%(refunds)s::json)
    AS r (id text, "order" text, provider text, external text, amount bigint, reason text, seq bigint)
), commissions_ AS (
  INSERT INTO commissions (id, workspace_id, campaign_id, order_id, level, member, contact_id, currency,
    rule_version, terms, target, pending, matured, state, reason, hold_until, seq, created_at, updated_at)
  SELECT r.id, doc.ws, r.campaign, r.order, r.level, r.member, r.contact, r.currency, r.rule, r.terms,
    r.target, r.pending, r.matured, r.state, r.reason, r.hold_until, r.seq, doc.now, doc.now
  FROM doc, json_to_recordset(%(commissions)s::json)
    AS r (id text, campaign text, "order" text, level int, member bigint, contact text, currency text,
          rule int, terms jsonb, target bigint, pending bigint, matured bigint, state text, reason text,
          hold_until timestamptz, seq bigint)
), settled_ AS (
  UPDATE commissions SET terms = r.terms, target = r.target, pending = r.pending, matured = r.matured,
    state = r.state, reason = r.reason, hold_until = r.hold_until, seq = r.seq, updated_at = doc.now
  FROM doc, json_to_recordset(%(settled)s::json)
    AS r (id text, terms jsonb, target bigint, pending bigint, matured bigint, state text, reason text,
          hold_until timestamptz, seq bigint)
  CROSS JOIN LATERAL (SELECT ctid FROM commissions WHERE id = r.id OFFSET 0) AS kept
  WHERE commissions.ctid = kept.ctid
), promoters_ AS (
  INSERT INTO promoters (workspace_id, campaign_id, number, contact_id, state, tier, spent, orders, sales,
    earned, usage, note, applied_at, decided_at, decided_by)
  SELECT doc.ws, r.campaign, r.number, r.contact, r.state, r.tier, r.spent, r.orders, r.sales, r.earned,
    r.usage, r.note, r.applied_at, r.decided_at, r.decided_by
  FROM doc, json_to_recordset(%(promoters)s::json)
    AS r (campaign text, number bigint, contact text, state text, tier text, spent bigint, orders bigint,
          sales bigint, earned bigint, usage jsonb, note text, applied_at timestamptz, decided_at timestamptz,
          decided_by text)
  ON CONFLICT (campaign_id, number) DO UPDATE SET
    state = excluded.state, tier = excluded.tier, spent = excluded.spent, orders = excluded.orders,
    sales = excluded.sales, earned = excluded.earned, usage = excluded.usage, note = excluded.note,
    applied_at = excluded.applied_at, decided_at = excluded.decided_at, decided_by = excluded.decided_by
), bindings_ AS (
  INSERT INTO bindings (workspace_id, campaign_id, buyer, promoter, bound_at, protected_until, valid_until,
    seq)
  SELECT doc.ws, r.campaign, r.buyer, r.promoter, r.bound_at, r.protected_until, r.valid_until, r.seq
  FROM doc, json_to_recordset(%(bindings)s::json)
    AS r (campaign text, buyer bigint, promoter bigint, bound_at timestamptz, protected_until timestamptz,
          valid_until timestamptz, seq bigint)
  ON CONFLICT (campaign_id, buyer) DO UPDATE SET
    promoter = excluded.promoter, bound_at = excluded.bound_at, protected_until = excluded.protected_until,
    valid_until = excluded.valid_until, seq = excluded.seq
)
SELECT 1
"""


def save(conn: Connected, now: datetime, new_id: Callable[[str], str], sales: Sales) -> None:
    """Write one batch's changed rows."""
    changed = _changed(new_id, sales)
    if any(changed.values()):
        conn.execute(_SAVE, {"now": now, **as_json(changed)})


def _changed(new_id: Callable[[str], str], sales: Sales) -> dict[str, list[dict[str, Any]]]:
    orders, commissions = sales.orders.values(), sales.commissions.values()
    return {
        "orders": [_new_order(order) for order in orders if order.is_new],
        "lines": [
            {
                "order": order.id, "line": line.line, "product": line.product_id, "sku": line.sku,
                "name": line.name, "quantity": line.quantity, "amount": line.amount,
            }
            for order in orders if order.is_new for line in order.lines
        ],
        "moved": [_order_money(order) for order in orders if order.changed and not order.is_new],
        "payments": [_transfer(new_id("pay"), one) for one in sales.transfers if one.kind == "payment"],
        "refunds": [
            {**_transfer(new_id("rfd"), one), "reason": one.reason}
            for one in sales.transfers if one.kind == "refund"
        ],
        "commissions": [_new_commission(one) for one in commissions if one.is_new],
        "settled": [_settled(one) for one in commissions if one.changed and not one.is_new],
        "promoters": [_promoter(one) for _, one in sorted(sales.promoters.items()) if one.changed],
        "bindings": [_binding(one) for _, one in sorted(sales.bindings.items()) if one.changed],
    }  # fmt: skip


def _order_money(order: Order) -> dict[str, Any]:
    return {
        "id": order.id, "paid": order.paid, "refunded": order.refunded, "state": order.state,
        "fee": order.fee, "paid_at": order.paid_at, "closed_at": order.closed_at,
        "restocked": order.restocked,
    }  # fmt: skip


def _new_order(order: Order) -> dict[str, Any]:
    return {
        **_order_money(order), "campaign": order.campaign_id, "external": order.external_id,
        "contact": order.contact_id, "buyer": order.buyer, "promoter": order.promoter,
        "currency": order.currency, "total": order.total, "fee_bp": order.fee_bp, "rule": order.rule_version,
        "seq": order.seq, "source": order.source, "expires_at": order.expires_at,
    }  # fmt: skip


def _transfer(id_: str, one: Transfer) -> dict[str, Any]:
    return {
        "id": id_, "order": one.order_id, "provider": one.provider, "external": one.external_id,
        "amount": one.amount, "seq": one.seq,
    }  # fmt: skip


def _settled(one: Commission) -> dict[str, Any]:
    return {
        "id": one.id, "terms": one.terms, "target": one.target, "pending": one.pending,
        "matured": one.matured, "state": one.state, "reason": one.reason, "hold_until": one.hold_until,
        "seq": one.seq,
    }  # fmt: skip


def _new_commission(one: Commission) -> dict[str, Any]:
    return {
        **_settled(one), "campaign": one.campaign_id, "order": one.order_id, "level": one.level,
        "member": one.member, "contact": one.contact_id, "currency": one.currency, "rule": one.rule_version,
    }  # fmt: skip


def _promoter(one: Promoter) -> dict[str, Any]:
    return {
        "campaign": one.campaign_id, "number": one.number, "contact": one.contact_id, "state": one.state,
        "tier": one.tier, "spent": one.spent, "orders": one.orders, "sales": one.sales,
        "earned": one.earned, "usage": one.usage, "note": one.note, "applied_at": one.applied_at,
        "decided_at": one.decided_at, "decided_by": one.decided_by,
    }  # fmt: skip


def _binding(one: Binding) -> dict[str, Any]:
    return {
        "campaign": one.campaign_id, "buyer": one.buyer, "promoter": one.promoter, "bound_at": one.bound_at,
        "protected_until": one.protected_until, "valid_until": one.valid_until, "seq": one.seq,
    }  # fmt: skip
