"""REST: wallets, withdrawals, and the rules for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from flask import g

from growth_engine.context import Ctx
from growth_engine.kit import rest, web
from growth_engine.kit.errors import Invalid
from growth_engine.kit.i18n import N_
from growth_engine.kit.pages import Page
from growth_engine.payouts import queries, service, sheets, statement
from growth_engine.payouts.models import Payout
from growth_engine.payouts.rules import STATES, Policy
from growth_engine.payouts.schemas import (
    Approval,
    ExportQuery,
    ImportedShape,
    LineShape,
    PayoutAsk,
    PayoutDetail,
    PayoutQuery,
    PayoutReceived,
    PayoutRejection,
    PayoutShape,
    PolicyRules,
    PolicyShape,
    ResultsFile,
    WalletShape,
)
from growth_engine.payouts.service import Outcome, PayoutRefused
from growth_engine.people import queries as people

blp = rest.Blueprint("payouts", __name__, description="Wallets and withdrawals.")


# -- wallets -----------------------------------------------------------------------------------------


@blp.get("/contacts/<reference:ref>/wallet", merge_slashes=False)
@rest.scope("payouts:read")
@rest.answers(200, WalletShape)
def get_wallet(ctx: Ctx, ref: str) -> dict[str, Any]:
    """What a person has on hold, available, on its way, paid, and owes, by currency."""
    contact_id = people.resolve(ctx, ref)
    return {"contact_id": contact_id, "balances": statement.wallet(ctx, contact_id)}


@blp.get("/contacts/<reference:ref>/wallet/entries", merge_slashes=False)
@rest.scope("payouts:read")
@rest.asks(rest.PageQuery)
@rest.answers(200, rest.page_of(LineShape))
def list_wallet_entries(ctx: Ctx, ref: str, query: Mapping[str, Any]) -> Page[Any]:
    """Every movement in a person's wallet, explained, newest first."""
    before = rest.after(query["cursor"], int, int)
    contact_id = people.resolve(ctx, ref)
    lines, last = statement.lines(
        ctx, contact_id, before=(before[0], before[1]) if before else None, limit=query["limit"]
    )
    return rest.page(lines, *(last or (None,)))


@blp.post("/contacts/<reference:ref>/payouts", merge_slashes=False)
@rest.scope("payouts:write")
@rest.takes(PayoutAsk)
@rest.answers(201, PayoutDetail, "The money is set aside.")
@rest.answers(202, PayoutReceived)
@rest.refuses(503)
@rest.outside_transaction
def request_payout(ref: str, body: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """Ask for a withdrawal in a person's name.

    Refused with 409 `payout_refused` and the `decision` when limits or the balance do not allow it.
    """
    with web.ctx() as ctx:
        contact_id = people.resolve(ctx, ref)
        currency = body.get("currency") or queries.place(ctx)[1]
    outcome = service.request(
        web.parts(),
        g.workspace_id,
        contact_id,
        amount=body["amount"],
        currency=currency,
        told=body["recipient"],
        source="api",
        key=rest.event_key("payout", contact_id),
    )
    return _decided(outcome, 201)


# -- withdrawals -------------------------------------------------------------------------------------


@blp.get("/payouts")
@rest.scope("payouts:read")
@rest.asks(PayoutQuery)
@rest.answers(200, rest.page_of(PayoutShape))
def list_payouts(ctx: Ctx, query: Mapping[str, Any]) -> Page[Any]:
    """Withdrawals, newest first."""
    (before,) = rest.after(query["cursor"], str) or ("",)
    family = people.contact_family(ctx, people.resolve(ctx, query["contact"])) if query["contact"] else []
    rows, last = queries.payouts_page(
        ctx, states=_states(query["state"]), contact_ids=family, before=before, limit=query["limit"]
    )
    return rest.page(rows, last)


@blp.get("/payouts/<payout_id>")
@rest.scope("payouts:read")
@rest.answers(200, PayoutDetail)
def get_payout(ctx: Ctx, payout_id: str) -> dict[str, Any]:
    """A withdrawal, where it goes and what was said about it."""
    return _detail(ctx, payout_id)


@blp.post("/payouts/<payout_id>/approve")
@rest.scope("payouts:write")
@rest.takes(Approval, needed=False)
@rest.answers(200, PayoutDetail)
def approve_payout(ctx: Ctx, payout_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Say yes. The token speaks for the administrator who made it: two tokens of one are one person."""
    service.approve(ctx, payout_id, body["note"])
    return _detail(ctx, payout_id)


@blp.post("/payouts/<payout_id>/reject")
@rest.scope("payouts:write")
@rest.takes(PayoutRejection)
@rest.answers(200, PayoutDetail, "The money is back in the wallet.")
@rest.answers(202, PayoutReceived)
@rest.refuses(503)
@rest.outside_transaction
def reject_payout(payout_id: str, body: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """Say no, with the reason; possible until the withdrawal is sent."""
    outcome = service.reject(
        web.parts(), g.workspace_id, payout_id, by=g.actor, note=body["note"], key=rest.event_key("reject")
    )
    return _decided(outcome, 200)


@blp.post("/payouts/<payout_id>/cancel")
@rest.scope("payouts:write")
@rest.answers(200, PayoutDetail, "The money is back in the wallet.")
@rest.answers(202, PayoutReceived)
@rest.refuses(503)
@rest.outside_transaction
def cancel_payout(payout_id: str) -> tuple[dict[str, Any], int]:
    """Cancel for its owner; possible while it waits for approval."""
    outcome = service.cancel(web.parts(), g.workspace_id, payout_id, by=g.actor, key=rest.event_key("cancel"))
    return _decided(outcome, 200)


# -- by hand -----------------------------------------------------------------------------------------


@blp.get("/payouts/export.csv")
@rest.scope("payouts:read")
@rest.asks(ExportQuery)
@rest.gives("text/csv", "A list to pay from: `net` as a decimal, recipients, columns for the results.")
def export_payouts(ctx: Ctx, query: Mapping[str, Any]) -> str:
    """Withdrawals as CSV, oldest first, at most 5,000."""
    return sheets.export(ctx, _states(query["state"]) or ["waiting"])


@blp.post("/payouts/import")
@rest.scope("payouts:write")
@rest.takes(ResultsFile)
@rest.answers(200, ImportedShape)
@rest.refuses(503)
@rest.outside_transaction
def import_payouts(body: Mapping[str, Any]) -> dict[str, Any]:
    """Take over the results of payouts made by hand: all lines, or none when one is wrong.

    Sending a file again does nothing twice.
    """
    return asdict(sheets.take_results(web.parts(), g.workspace_id, body["csv"].encode(), by=g.actor))


# -- the rules ---------------------------------------------------------------------------------------


@blp.get("/wallet-policy")
@rest.scope("payouts:read")
@rest.answers(200, PolicyShape)
def get_wallet_policy(ctx: Ctx) -> Policy:
    """The rules for withdrawals in force."""
    return queries.policy(ctx)


@blp.put("/wallet-policy")
@rest.scope("payouts:write")
@rest.takes(PolicyRules)
@rest.answers(200, PolicyShape)
def put_wallet_policy(ctx: Ctx, body: Mapping[str, Any]) -> Policy:
    """Put new rules in force; withdrawals asked for before keep theirs."""
    return service.set_policy(ctx, Policy(**body))


def _states(text: str) -> list[str]:
    """The states a query string names."""
    wanted = [one for one in text.split(",") if one]
    if unknown := [one for one in wanted if one not in STATES]:
        raise Invalid(
            N_("There is no state %(state)s."),
            params={"state": unknown[0]},
            fields={"state": [N_("Choose from the list.")]},
        )
    return wanted


def _decided(outcome: Outcome, status: int) -> tuple[dict[str, Any], int]:
    if outcome.pending:
        rest.not_final()
        return {"status": "received"}, 202
    if not outcome.accepted:
        raise PayoutRefused(outcome.reasons)
    assert outcome.payout_id is not None
    with web.ctx() as ctx:
        return _detail(ctx, outcome.payout_id), status


def _detail(ctx: Ctx, payout_id: str) -> dict[str, Any]:
    row = queries.payout(ctx, payout_id)
    shown = {name: getattr(row, name) for name in Payout.__mapper__.columns.keys()}  # noqa: SIM118
    return {**shown, "verdicts": queries.verdicts_of(ctx, [payout_id])[payout_id]}
