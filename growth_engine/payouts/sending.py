"""Handing payouts to their provider and learning what became of them, whatever dies in between.

A payout is marked ``sending`` and that is committed before the provider is called; its outcome reaches the
books as an Event named by the payout's id. Whoever finds one that was left in ``sending`` asks the provider
first and sends again, under the same number, only what the provider is certain never to have seen.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from sqlalchemy import text

from growth_engine.context import Parts
from growth_engine.kit.errors import GrowthError
from growth_engine.ledger.contract import Event, PayloadMismatch, Posted
from growth_engine.ledger.money import wallet_book
from growth_engine.payouts import providers, rules
from growth_engine.payouts.providers import Ask, Failed, Found, Paid, Provider, Unknown, Unseen, Waiting

log = structlog.get_logger(__name__)

#: Payouts of one round.
BATCH = 20
_LONGEST_ERROR = 200
#: How long an import waits for the books; what is late by then is posted all the same.
PATIENCE_SECONDS = 30.0

#: A payout is claimed by moving ``next_at`` beyond what a call can take: others pass it by, and a worker
#: that dies leaves it to be found then.
_CLAIM = text(
    # Materialized: as a mere sub-select the planner may look again for each row and claim them all.
    "WITH claimed AS MATERIALIZED (SELECT id AS due, state AS was FROM payouts"
    "  WHERE workspace_id = :workspace_id AND next_at <= :now"
    "   AND state IN ('approved', 'sending', 'unknown', 'waiting')"
    # Whoever is blocked after asking gets nothing more until a person has looked; what is under way is asked
    # about all the same.
    "   AND (state <> 'approved' OR NOT EXISTS (SELECT FROM contacts"
    "    WHERE contacts.id = payouts.contact_id AND contacts.blocked_at IS NOT NULL))"
    "  ORDER BY next_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)"
    " UPDATE payouts SET state = CASE state WHEN 'approved' THEN 'sending' ELSE state END,"
    "  sent_at = coalesce(payouts.sent_at, :now), next_at = :until"
    " FROM claimed WHERE payouts.id = claimed.due"
    " RETURNING claimed.was, payouts.provider, payouts.id, payouts.contact_id, payouts.net,"
    "  payouts.currency, payouts.recipient, payouts.provider_ref, payouts.sent_at, payouts.attempts"
)
_NOTE = text(
    "UPDATE payouts SET state = :state, provider_ref = coalesce(:ref, provider_ref), error = :error,"
    " attempts = :attempts, next_at = :next_at"
    " WHERE id = :id AND state IN ('sending', 'unknown', 'waiting')"
)


class Claimed:
    """A payout in this worker's hands until the lease is over."""

    __slots__ = ("ask", "attempts", "provider", "was")

    def __init__(self, was: str, provider: str, attempts: int, ask: Ask) -> None:
        self.was = was
        self.provider = provider
        self.attempts = attempts
        self.ask = ask


def send_due(parts: Parts, workspace_id: str) -> int:
    """Send what is approved and ask about what is under way, a batch of it; how many."""
    for done in range(BATCH):
        claimed = claim(parts, workspace_id)
        if claimed is None:
            return done
        settle(parts, workspace_id, claimed, _call(parts, claimed))
    return BATCH


def claim(parts: Parts, workspace_id: str) -> Claimed | None:
    """Take the payout that is due longest, and say so in the database before anybody is called."""
    now = parts.clock.now()
    with parts.db.transaction(workspace_id) as session:
        names = {"workspace_id": workspace_id, "now": now, "until": now + rules.LEASE}
        row = session.execute(_CLAIM, names).first()
    if row is None:
        return None
    ask = Ask(
        id=row.id,
        workspace_id=workspace_id,
        contact_id=row.contact_id,
        amount=row.net,
        currency=row.currency,
        recipient=row.recipient,
        ref=row.provider_ref,
        sent_at=row.sent_at,
    )
    return Claimed(row.was, row.provider, row.attempts, ask)


def _call(parts: Parts, claimed: Claimed) -> Found:
    """What the provider says; whatever it raises leaves open whether the money went."""
    ask = claimed.ask
    try:
        provider: Provider = providers.registry[claimed.provider]
        if claimed.was == "approved":
            return provider.send(parts, ask)
        found = provider.query(parts, ask)
        if not isinstance(found, Unseen):
            return found
        log.info("payout.sent_again", payout_id=ask.id)
        return provider.send(parts, ask)
    except GrowthError as error:
        log.warning("payout.unanswered", payout_id=ask.id, code=error.code)
        return Unknown(error.code)
    except Exception as error:
        log.exception("payout.provider_failed", payout_id=ask.id, provider=claimed.provider)
        return Unknown(f"{type(error).__name__}: {error}")


def settle(parts: Parts, workspace_id: str, claimed: Claimed, found: Found) -> None:
    """Write down what the provider said: an end goes into the books, anything else beside the payout."""
    ask, now = claimed.ask, parts.clock.now()
    match found:
        case Paid(ref):
            finish(parts, workspace_id, ask.id, paid=True, detail=ref)
        case Failed(reason):
            finish(parts, workspace_id, ask.id, paid=False, detail=reason)
        case Waiting(ref, again_after):
            due = now + max(again_after, timedelta(seconds=1)) if again_after is not None else None
            _note(parts, workspace_id, ask.id, "waiting", ref=ref or None, attempts=0, due=due)
        case Unknown(detail):
            due = now + rules.next_wait(claimed.attempts)
            attempts = claimed.attempts + 1
            _note(parts, workspace_id, ask.id, "unknown", error=detail, attempts=attempts, due=due)
        case _:
            raise TypeError(f"{claimed.provider} answered {found!r}")


def _note(
    parts: Parts,
    workspace_id: str,
    payout_id: str,
    state: str,
    *,
    ref: str | None = None,
    error: str = "",
    attempts: int,
    due: datetime | None,
) -> None:
    names = {
        "id": payout_id,
        "state": state,
        "ref": ref,
        "error": error[:_LONGEST_ERROR],
        "attempts": attempts,
        "next_at": due,
    }
    with parts.db.transaction(workspace_id) as session:
        session.execute(_NOTE, names)


def outcome_event(
    workspace_id: str, payout_id: str, now: datetime, *, paid: bool, detail: str, by: str = ""
) -> Event:
    """The Event of a payout's end; named by the payout, so it is told once however often it is learnt.

    ``by``: the member of staff who brought the result, where the provider did not say so itself.
    """
    facts = {"payout_id": payout_id, **({"by": by} if by else {})}
    facts |= {"ref": detail} if paid else {"state": "failed", "note": detail[:_LONGEST_ERROR]}
    kind, book = "payout_confirm" if paid else "payout_void", wallet_book(workspace_id)
    return Event(workspace_id, book, kind, "payouts", f"outcome:{payout_id}", now, facts)


def finish(parts: Parts, workspace_id: str, payout_id: str, *, paid: bool, detail: str) -> bool:
    """Tell the books how a payout ended; whether they knew nothing else already.

    The same end in other words (another reference) changes nothing: the first word stands.
    """
    event = outcome_event(workspace_id, payout_id, parts.clock.now(), paid=paid, detail=detail)
    try:
        receipt = parts.ledger.submit(event)
    except PayloadMismatch:
        log.warning("payout.told_otherwise", payout_id=payout_id, paid=paid)
        return False
    return isinstance(receipt, Posted) and receipt.accepted
