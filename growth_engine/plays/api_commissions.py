"""REST: commissions and promoters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import g

from growth_engine.commissions import queries, service
from growth_engine.commissions.models import Promoter
from growth_engine.context import Ctx
from growth_engine.kit import rest, web
from growth_engine.kit.pages import Page
from growth_engine.ledger.contract import Posted
from growth_engine.people import queries as people
from growth_engine.plays import ordering, shares
from growth_engine.plays import queries as campaigns
from growth_engine.plays.order_schemas import (
    ActedShape,
    CommissionAction,
    CommissionQuery,
    PromoterDecided,
    PromoterDecision,
    PromoterQuery,
    PromoterShape,
    ShareDetail,
    ShareShape,
)
from growth_engine.plays.words import in_words

blp = rest.Blueprint("commissions", __name__, description="Who earns what, and who may.")


@blp.get("/commissions")
@rest.scope("orders:read")
@rest.asks(CommissionQuery)
@rest.answers(200, rest.page_of(ShareShape))
def list_commissions(ctx: Ctx, query: Mapping[str, Any]) -> Page[Any]:
    """Commissions, newest first."""
    (before,) = rest.after(query["cursor"], str) or (None,)
    limit = query["limit"]
    family = people.contact_family(ctx, people.resolve(ctx, query["contact"])) if "contact" in query else []
    rows = queries.commissions_page(
        ctx,
        campaign_id=query.get("campaign_id"),
        contact_ids=family,
        order_id=query.get("order_id"),
        states=[query["state"]] if "state" in query else [],
        before=before,
        limit=limit + 1,
    )
    last = rows[limit - 1].id if len(rows) > limit else None
    return rest.page([shares.as_record(row) for row in rows[:limit]], last)


@blp.get("/commissions/<commission_id>")
@rest.scope("orders:read")
@rest.answers(200, ShareDetail)
def get_commission(ctx: Ctx, commission_id: str) -> dict[str, Any]:
    """A commission with how its amount came about."""
    row = queries.commission(ctx, commission_id)
    return {**shares.as_record(row), "because": shares.because(ctx, row)}


@blp.post("/commissions/act")
@rest.scope("orders:write")
@rest.takes(CommissionAction)
@rest.answers(200, ActedShape)
@rest.refuses(503)
@rest.outside_transaction
def act_on_commissions(body: Mapping[str, Any]) -> dict[str, Any]:
    """Hold, release, void or pay out commissions before their time."""
    with web.ctx() as ctx:
        ordering.selling_config(ctx, body["campaign_id"])
    outcome = service.act(
        web.parts(),
        g.workspace_id,
        body["campaign_id"],
        body["ids"],
        body["action"],
        body["reason"],
        g.actor,
        key=rest.event_key(body["campaign_id"]),
    )
    return {
        "done": outcome.done,
        "decision": {"accepted": outcome.accepted, "reasons": in_words(outcome.reasons)},
    }


@blp.get("/campaigns/<campaign_id>/promoters")
@rest.scope("orders:read")
@rest.asks(PromoterQuery)
@rest.answers(200, rest.page_of(PromoterShape))
def list_promoters(ctx: Ctx, campaign_id: str, query: Mapping[str, Any]) -> Page[Any]:
    """Promoters, best first; while somebody earns, a place may move between two pages."""
    campaigns.campaign(ctx, campaign_id)
    (offset,) = rest.after(query["cursor"], int) or (0,)
    limit = query["limit"]
    states = [query["state"]] if "state" in query else []
    rows = queries.promoters_page(ctx, campaign_id, states=states, offset=offset, limit=limit + 1)
    last = offset + limit if len(rows) > limit else None
    return rest.page([_promoter(row) for row in rows[:limit]], last)


@blp.post("/participants/<participant_id>/promoter")
@rest.scope("orders:write")
@rest.takes(PromoterDecision)
@rest.answers(200, PromoterDecided)
@rest.refuses(503)
@rest.outside_transaction
def decide_promoter(participant_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Approve, reject, group, block or unblock a promoter."""
    with web.ctx() as ctx:
        row = campaigns.participant(ctx, participant_id)
        ordering.check_tier(ctx, row.campaign_id, body.get("tier"))
    posted: Posted = service.decide_promoter(
        web.parts(),
        g.workspace_id,
        row.campaign_id,
        row.contact_id,
        body["action"],
        g.actor,
        tier=body.get("tier"),
        note=body.get("note"),
        key=rest.event_key(participant_id),
    )
    with web.ctx() as ctx:
        promoter = queries.promoter(ctx, row.campaign_id, row.number)
        assert promoter is not None
        return {
            "decision": {"accepted": posted.accepted, "reasons": in_words(posted.reasons)},
            "promoter": _promoter(promoter),
        }


def _promoter(row: Promoter) -> dict[str, Any]:
    names = (
        "contact_id",
        "state",
        "tier",
        "spent",
        "orders",
        "sales",
        "earned",
        "note",
        "applied_at",
    )
    return {"member_no": row.number, **{name: getattr(row, name) for name in names}}
