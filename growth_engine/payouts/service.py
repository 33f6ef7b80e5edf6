"""Commands on wallets: withdraw, approve, reject, cancel, let debts go, set the rules, follow merges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from marshmallow import ValidationError
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert

from growth_engine.context import Actor, Ctx, Parts
from growth_engine.kit.errors import Conflict, Forbidden, Invalid
from growth_engine.kit.i18n import N_
from growth_engine.ledger.contract import Event, Posted, Reason
from growth_engine.ledger.money import wallet_book
from growth_engine.payouts import identity, providers, queries, rules, wallets
from growth_engine.payouts.models import PayoutApproval, WalletPolicy
from growth_engine.payouts.reasons import in_words
from growth_engine.payouts.rules import Policy
from growth_engine.people import queries as people

#: Name of these Events' source.
SOURCE = "payouts"
#: A withdrawal above this is a typing error; it keeps amounts far inside 64 bits.
MOST = 10**12
LONGEST_NOTE = 200


class PayoutRefused(Conflict):
    """``extra["decision"]`` holds the reasons."""

    code = "payout_refused"
    message = N_("This cannot be done with the wallet right now.")

    def __init__(self, reasons: Sequence[Reason]) -> None:
        super().__init__(extra={"decision": {"accepted": False, "reasons": in_words(reasons)}})
        self.reasons = tuple(reasons)


class NotAnApprover(Forbidden):
    code = "not_an_approver"
    message = N_("Withdrawals are decided by administrators.")


class DecidedBefore(Conflict):
    code = "decided_before"
    message = N_("You have decided about this withdrawal already; the second word must be another person's.")


class NotRequested(Conflict):
    code = "payout_not_requested"
    message = N_("This withdrawal does not wait for approval any more.")


class PolicyCollided(Conflict):
    code = "policy_collided"
    message = N_("Somebody else has changed these rules at the same moment. Look at them again.")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a command: the decision of the books, or that it is stored and will be decided soon."""

    payout_id: str | None
    accepted: bool = True
    reasons: Sequence[Reason] = ()
    pending: bool = False
    duplicate: bool = False


# -- asking for money --------------------------------------------------------------------------------


def request(
    parts: Parts,
    workspace_id: str,
    contact_id: str,
    *,
    amount: int,
    currency: str,
    told: Mapping[str, Any] | None = None,
    source: str,
    key: str,
) -> Outcome:
    """Ask for ``amount`` minor units for a contact; ``told`` is what the identity check's form collected.

    (source, key) names the request: the same again gives the same answer. Raises ``Invalid`` and
    ``UnknownContact``; what the policy or the balance refuses comes back in the outcome.
    """
    if not 1 <= amount <= MOST:
        raise Invalid(fields={"amount": [N_("Give an amount above zero.")]})
    with parts.open(workspace_id) as ctx:
        contact_id = people.contact(ctx, contact_id).id
        check = identity.registry[queries.policy(ctx).identity_check]
        try:
            loaded = check.form().load(dict(told or {}))
        except ValidationError as error:
            raise Invalid(fields={"recipient": error.messages}) from None
        recipient = check.recipient(ctx, contact_id, loaded)
        wallets.open_book(ctx)
    facts = {"contact_id": contact_id, "amount": amount, "currency": currency}
    return _submit(
        parts, workspace_id, "payout_reserve", facts, key, source=source, person={"recipient": recipient}
    )


def cancel(parts: Parts, workspace_id: str, payout_id: str, *, by: Actor, key: str) -> Outcome:
    """The owner thinks better of it; possible until somebody has approved.

    Raises ``UnknownPayout``, also when ``by`` is a contact and the payout is somebody else's.
    """
    with parts.open(workspace_id) as ctx:
        payout = queries.payout(ctx, payout_id)
        if by.kind == "contact" and payout.contact_id not in people.contact_family(ctx, by.id):
            raise queries.UnknownPayout
    facts = {"payout_id": payout_id, "state": "cancelled", "by": by.id}
    return _submit(parts, workspace_id, "payout_void", facts, f"cancel:{payout_id}:{key}")


# -- deciding about it -------------------------------------------------------------------------------


def approver(ctx: Ctx) -> str:
    """Who decides about withdrawals in this request: an administrator, or the command line.

    An API token speaks for the administrator who made it, so that nobody is two people by having a token.
    Raises ``NotAnApprover``.
    """
    actor = ctx.actor
    staff_id = queries.maker_of(ctx, actor.id) if actor.kind == "token" else actor.id
    if actor.kind == "system" or (actor.kind == "token" and staff_id == "system"):
        return "system"
    if actor.kind not in ("staff", "token") or not queries.is_administrator(ctx, staff_id):
        raise NotAnApprover
    return staff_id


def approve(ctx: Ctx, payout_id: str, note: str = "") -> int:
    """Say yes; returns how many more people must. With the last one the payout is sent.

    Raises ``UnknownPayout``, ``NotAnApprover``, ``NotRequested``, ``DecidedBefore``.
    """
    staff_id = approver(ctx)
    payout = queries.payout_locked(ctx, payout_id)
    if payout.state != "requested":
        raise NotRequested
    said = insert(PayoutApproval).values(
        payout_id=payout_id,
        workspace_id=ctx.workspace_id,
        staff_id=staff_id,
        verdict="approve",
        note=clean_note(note),
        at=ctx.now(),
    )
    if ctx.session.execute(said.on_conflict_do_nothing().returning(PayoutApproval.at)).first() is None:
        raise DecidedBefore
    missing = payout.approvals_needed - len(queries.verdicts_of(ctx, [payout_id])[payout_id])
    if missing <= 0:
        payout.state, payout.decided_at, payout.next_at = "approved", ctx.now(), ctx.now()
        ctx.ring("payouts.send")
    return max(missing, 0)


def reject(parts: Parts, workspace_id: str, payout_id: str, *, by: Actor, note: str, key: str) -> Outcome:
    """Say no: the money goes back to the wallet. Possible until it is sent.

    Raises ``UnknownPayout`` and ``NotAnApprover``.
    """
    if not (reason := clean_note(note)):
        raise Invalid(fields={"note": [N_("Say why, in a few words.")]})
    with parts.open(workspace_id, by) as ctx:
        staff_id = approver(ctx)
        queries.payout(ctx, payout_id)
    facts = {"payout_id": payout_id, "state": "rejected", "by": staff_id, "note": reason}
    return _submit(parts, workspace_id, "payout_void", facts, f"reject:{payout_id}:{key}")


def write_off(
    parts: Parts,
    workspace_id: str,
    contact_id: str,
    *,
    amount: int,
    currency: str,
    by: Actor,
    note: str,
    key: str,
) -> Outcome:
    """Let go of a person's debt, or of a part of it. Raises ``UnknownContact`` and ``NotAnApprover``."""
    if not 1 <= amount <= MOST:
        raise Invalid(fields={"amount": [N_("Give an amount above zero.")]})
    if not (reason := clean_note(note)):
        raise Invalid(fields={"note": [N_("Say why, in a few words.")]})
    with parts.open(workspace_id, by) as ctx:
        staff_id = approver(ctx)
        contact_id = people.contact_family(ctx, contact_id)[0]
        wallets.open_book(ctx)
    facts = {
        "contact_id": contact_id,
        "amount": amount,
        "currency": currency,
        "by": staff_id,
        "note": reason,
    }
    return _submit(parts, workspace_id, "write_off", facts, f"write_off:{contact_id}:{key}")


def clean_note(note: str) -> str:
    """A note on one line, at most ``LONGEST_NOTE`` characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in note).split())[:LONGEST_NOTE]


# -- the rules ---------------------------------------------------------------------------------------


def set_policy(ctx: Ctx, policy: Policy) -> Policy:
    """Put new rules in force, as the next version; payouts asked for before keep theirs.

    ``policy.version`` is ignored. The same rules again change nothing. Raises ``Invalid`` and
    ``NotAnApprover``.
    """
    staff_id = approver(ctx)
    wrong = rules.policy_problems(policy)
    if policy.provider not in providers.registry:
        wrong["provider"] = [N_("Choose one from the list.")]
    if policy.identity_check not in identity.registry:
        wrong["identity_check"] = [N_("Choose one from the list.")]
    if wrong:
        raise Invalid(fields=wrong)
    before = queries.policy(ctx)
    values = {**asdict(policy), "version": before.version + 1}
    if before.version and {**values, "version": before.version} == asdict(before):
        return before
    row = insert(WalletPolicy).values(
        **values, workspace_id=ctx.workspace_id, created_by=staff_id, created_at=ctx.now()
    )
    made = ctx.session.execute(row.on_conflict_do_nothing().returning(WalletPolicy.version)).first()
    if made is None:
        raise PolicyCollided
    return Policy(**values)


# -- people ------------------------------------------------------------------------------------------

_CURRENCIES = text("SELECT DISTINCT currency FROM accounts WHERE book_id = :book AND owner = :owner")
_FORGET = text(
    "UPDATE payouts SET recipient = '{}' WHERE contact_id = ANY(:family) AND state = ANY(:final)"
    " AND recipient <> '{}'"
)


def merge_wallets(parts: Parts, workspace_id: str, merged_id: str) -> list[Outcome]:
    """After a merge: what the merged contact had or was being paid goes over to the kept one."""
    with parts.open(workspace_id) as ctx:
        # What was decided for the merged contact a moment ago is theirs too.
        wallets.hold_book(ctx)
        asked = {"book": wallet_book(workspace_id), "owner": merged_id}
        currencies = sorted(ctx.session.scalars(_CURRENCIES, asked))
    return [
        _submit(
            parts,
            workspace_id,
            "wallet_merge",
            {"merged_id": merged_id, "currency": currency},
            f"merge:{merged_id}:{currency}",
        )
        for currency in currencies
    ]


def forget_recipients(ctx: Ctx, contact_id: str) -> None:
    """After an erasure: of payouts that ended while it went on, nothing personal stays."""
    wallets.hold_book(ctx)
    family = people.contact_family(ctx, contact_id)
    ctx.session.execute(_FORGET, {"family": family, "final": sorted(rules.FINAL)})


# -- the books ---------------------------------------------------------------------------------------


def _submit(
    parts: Parts,
    workspace_id: str,
    kind: str,
    facts: Mapping[str, Any],
    key: str,
    *,
    source: str = SOURCE,
    person: Mapping[str, Any] | None = None,
) -> Outcome:
    book = wallet_book(workspace_id)
    event = Event(workspace_id, book, kind, source, key, parts.clock.now(), facts, person)
    receipt = parts.ledger.submit(event)
    if not isinstance(receipt, Posted):
        return Outcome(None, pending=True)
    payout_id = receipt.result.get("payout_id")
    return Outcome(payout_id, receipt.accepted, receipt.reasons, duplicate=receipt.duplicate)
