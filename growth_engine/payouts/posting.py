"""Wallet Events on their way through the poster: load what decisions need, decide, save books and rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import orjson

from growth_engine.kit.ids import Ids
from growth_engine.ledger.contract import Connected, EntryDraft, Event
from growth_engine.ledger.money import AVAILABLE, RESERVED, AccountKey, Balances, wallet_book
from growth_engine.payouts import decisions, rules
from growth_engine.payouts.decisions import Case
from growth_engine.payouts.facts import Facts, Owner, PayoutRow
from growth_engine.payouts.rules import Policy


def is_wallet(event: Event) -> bool:
    """Whether an Event is about the workspace's wallets and not about a campaign."""
    return event.book_id == wallet_book(event.workspace_id)


_PLACE = """
SELECT w.timezone, w.currency, p.version, p.minimum, p.daily_amount, p.daily_count, p.approve_above,
       p.second_above, p.tax_bp, p.fee_bp, p.fee_fixed, p.identity_check, p.provider
FROM workspaces w
LEFT JOIN LATERAL (
  SELECT * FROM wallet_policies WHERE workspace_id = w.id ORDER BY version DESC LIMIT 1) AS p ON true
WHERE w.id = current_setting('ge.workspace_id')
"""

#: Locked: the payout job and the people who approve change states too, without the book's lock.
_PAYOUTS = """
SELECT id, contact_id, currency, amount, tax, fee, net, state, requested_at, provider_ref
FROM payouts WHERE id = ANY(%s) ORDER BY id FOR UPDATE
"""

_OWNERS = """
SELECT one.name, kept.id, kept.blocked_at IS NOT NULL, kept.erased_at IS NOT NULL, today.amount, today.count
FROM unnest(%s::text[]) AS one (name)
CROSS JOIN LATERAL (SELECT coalesce(merged_into, id) AS id FROM contacts WHERE id = one.name OFFSET 0) AS c
CROSS JOIN LATERAL (SELECT * FROM contacts WHERE id = c.id OFFSET 0) AS kept
CROSS JOIN LATERAL (
  SELECT coalesce(sum(p.amount), 0)::bigint AS amount, count(p.id) AS count
  FROM (SELECT kept.id AS id UNION ALL SELECT m.id FROM contacts m WHERE m.merged_into = kept.id) AS family
  JOIN payouts p ON p.contact_id = family.id
  WHERE p.requested_at >= %s AND p.requested_at < %s AND p.state <> ALL(%s)) AS today
"""

_SAVE = """
WITH doc AS MATERIALIZED (
  SELECT %(doc)s::json AS d, current_setting('ge.workspace_id') AS ws, %(now)s::timestamptz AS now
), added_ AS (
  INSERT INTO payouts (id, workspace_id, contact_id, currency, amount, tax, fee, net, state, provider,
    policy_version, approvals_needed, recipient, provider_ref, error, next_at, requested_at, decided_at,
    finished_at)
  SELECT r.id, doc.ws, r.contact_id, r.currency, r.amount, r.tax, r.fee, r.net, r.state, r.provider,
    r.policy_version, r.approvals_needed, r.recipient, r.provider_ref, r.error, r.next_at, r.requested_at,
    r.decided_at, r.finished_at
  FROM doc, json_to_recordset(doc.d -> 'added')
    AS r (id text, contact_id text, currency text, amount bigint, tax bigint, fee bigint, net bigint,
          state text, provider text, policy_version int, approvals_needed int, recipient jsonb,
          provider_ref text, error text, next_at timestamptz, requested_at timestamptz,
          decided_at timestamptz, finished_at timestamptz)
), changed_ AS (
  UPDATE payouts SET state = r.state, provider_ref = r.provider_ref, error = r.error, next_at = NULL,
    decided_at = coalesce(payouts.decided_at, doc.now), finished_at = r.finished_at,
    recipient = CASE WHEN r.forget THEN '{}' ELSE payouts.recipient END
  FROM doc, json_to_recordset(doc.d -> 'changed')
    AS r (id text, state text, provider_ref text, error text, finished_at timestamptz, forget boolean)
  WHERE payouts.id = r.id AND payouts.id = ANY(%(changed)s)
), rejected_ AS (
  INSERT INTO payout_approvals (payout_id, workspace_id, staff_id, verdict, note, at)
  SELECT r.payout, doc.ws, r.staff, 'reject', r.note, doc.now
  FROM doc, json_to_recordset(doc.d -> 'rejections') AS r (payout text, staff text, note text)
  -- Whoever approved before and thinks better of it has their first word there already.
  ON CONFLICT (payout_id, staff_id) DO NOTHING
), messages_ AS (
  INSERT INTO messages (id, workspace_id, contact_id, template, params, key, created_at)
  SELECT r.id, doc.ws, r.contact, r.template, r.params, r.key, doc.now
  FROM doc, json_to_recordset(doc.d -> 'messages')
    AS r (id text, contact text, template text, params jsonb, key text)
  ON CONFLICT (workspace_id, key) DO NOTHING
)
SELECT 1
"""

_MOVE = "UPDATE payouts SET contact_id = %s WHERE contact_id = %s AND currency = %s"


class WalletRules:
    """One batch of wallet Events of one workspace; see ``ledger.contract.BatchRules``.

    The rows of ``payouts`` are written here, in the transaction of the books, so that the two can never
    disagree about money: a payout holds money exactly as long as ``reserved`` does.
    """

    def __init__(self, conn: Connected, now: datetime, ids: Ids, balances: Balances) -> None:
        self._conn = conn
        self._now = now
        self._new_id = ids.new
        self._balances = balances
        self.facts = Facts()

    # -- load ----------------------------------------------------------------------------------------

    def load(self, events: Sequence[Event]) -> None:
        place = self._conn.execute(_PLACE).fetchone()
        assert place is not None, "there is no such workspace"
        self.facts.zone, self.facts.currency = place[0], place[1]
        if place[2] is not None:
            self.facts.policy = Policy(*place[2:])
        self._load_payouts({event.facts["payout_id"] for event in events if "payout_id" in event.facts})
        self._load_owners(set(_named(events)) | {one.contact_id for one in self.facts.payouts.values()})
        self._balances.load(self._conn, self._accounts(events))

    def _load_payouts(self, ids: set[str]) -> None:
        if not ids:
            return
        for row in self._conn.execute(_PAYOUTS, (sorted(ids),)).fetchall():
            self.facts.payouts[row[0]] = PayoutRow(*row)

    def _load_owners(self, names: set[str]) -> None:
        begins, ends = rules.day_of(self._now, self.facts.zone)
        asked = (sorted(names), begins, ends, sorted(rules.RETURNED))
        known: dict[str, Owner] = {}
        for name, *columns in self._conn.execute(_OWNERS, asked).fetchall():
            # One object for one person, whichever of their ids an Event names.
            self.facts.owners[name] = known.setdefault(columns[0], Owner(*columns))
        for owner in known.values():
            self.facts.owners[owner.id] = owner

    def _accounts(self, events: Iterable[Event]) -> set[AccountKey]:
        """The accounts these decisions ask about."""
        keys = set()
        for event in events:
            currency = event.facts.get("currency")
            if currency is None:
                continue  # ends of payouts ask for no balance: what is reserved is there
            for name in _named([event]):
                owner = self.facts.owners.get(name)
                for contact_id in {name, owner.id if owner else name}:
                    for account in (AVAILABLE, RESERVED):
                        keys.add((event.book_id, account, contact_id, currency))
        return keys

    # -- decide --------------------------------------------------------------------------------------

    def decide(self, event: Event, seq: int) -> EntryDraft:  # noqa: ARG002 - the contract's
        draft = EntryDraft(accepted=True, rule_version=self.facts.policy.version)
        decisions.KINDS[event.kind](Case(self.facts, self._balances, event, self._now, self._new_id, draft))
        return draft

    # -- save ----------------------------------------------------------------------------------------

    def save(self) -> None:
        document = {name: rows for name, rows in self._document().items() if rows}
        if document:
            changed = [row["id"] for row in document.get("changed", ())]
            asked = {"doc": orjson.dumps(document).decode(), "now": self._now, "changed": changed}
            self._conn.execute(_SAVE, asked)
        for move in self.facts.moves:
            self._conn.execute(_MOVE, (move.kept_id, move.merged_id, move.currency))

    def _document(self) -> dict[str, list[dict[str, Any]]]:
        facts = self.facts
        payouts = facts.payouts.values()
        return {
            "added": [_new_row(one) for one in payouts if one.is_new],
            "changed": [
                {"id": one.id, "state": one.state, "provider_ref": one.provider_ref, "error": one.error,
                 "finished_at": one.finished_at, "forget": self._is_erased(one)}
                for one in payouts
                if one.changed and not one.is_new
            ],
            "rejections": [
                {"payout": one.payout_id, "staff": one.staff_id, "note": one.note} for one in facts.rejections
            ],
            "messages": [
                {"id": self._new_id("msg"), "contact": one.contact_id, "template": one.template,
                 "params": one.params, "key": one.key}
                for one in facts.messages
            ],
        }  # fmt: skip

    def _is_erased(self, payout: PayoutRow) -> bool:
        """Recipients of people erased meanwhile are kept no longer than the provider might need them
        (docs/decisions/0011)."""
        owner = self.facts.owners.get(payout.contact_id)
        return owner is None or owner.erased

    def after_commit(self) -> Sequence[str]:
        due = any(one.is_new and one.state == "approved" for one in self.facts.payouts.values())
        return ("payouts.send",) if due else ()


def _named(events: Iterable[Event]) -> Iterable[str]:
    """Contacts the Events name themselves."""
    for event in events:
        for field in ("contact_id", "merged_id"):
            if field in event.facts:
                yield event.facts[field]


def _new_row(one: PayoutRow) -> dict[str, Any]:
    return {
        "id": one.id, "contact_id": one.contact_id, "currency": one.currency, "amount": one.amount,
        "tax": one.tax, "fee": one.fee, "net": one.net, "state": one.state, "provider": one.provider,
        "policy_version": one.policy_version, "approvals_needed": one.approvals_needed,
        "recipient": one.recipient, "provider_ref": one.provider_ref, "error": one.error,
        "next_at": one.next_at, "requested_at": one.requested_at, "decided_at": one.decided_at,
        "finished_at": one.finished_at,
    }  # fmt: skip
