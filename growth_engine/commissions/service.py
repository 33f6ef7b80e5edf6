"""Commands on commissions and promoters; each one an Event in the campaign's book."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from growth_engine.context import Actor, Parts
from growth_engine.kit.errors import Invalid, Unavailable
from growth_engine.kit.i18n import N_
from growth_engine.ledger.contract import Event, Posted, Reason

#: What a person may do to commissions.
ACTIONS = ("void", "hold", "release", "mature")
#: What may be decided about a promoter; ``apply`` is the promoter's own.
DECISIONS = ("approve", "reject", "tier", "block", "unblock")
#: Most commissions of one bulk action.
MOST_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the books decided: which commissions were changed, and why not the others."""

    accepted: bool
    done: tuple[str, ...]
    reasons: tuple[Reason, ...]


def act(
    parts: Parts,
    workspace_id: str,
    campaign_id: str,
    ids: Sequence[str],
    action: str,
    reason: str,
    actor: Actor,
    *,
    key: str | None = None,
) -> Outcome:
    """Hold, release, void or pay out commissions before their time; those it does not fit are left alone.

    ``reason`` is shown to the promoter. Raises ``Invalid`` without one, or for more than ``MOST_AT_ONCE``.
    """
    fields: dict[str, list[str]] = {}
    if action not in ACTIONS:
        fields["action"] = [N_("Choose void, hold, release or mature.")]
    if not reason.strip() or len(reason) > 200:
        fields["reason"] = [N_("Say why, in at most 200 characters: the promoter reads it.")]
    if not 1 <= len(ids) <= MOST_AT_ONCE:
        fields["ids"] = [N_("Choose 1 to 500 commissions.")]
    if fields:
        raise Invalid(fields=fields)
    facts = {"ids": list(ids), "action": action, "reason": reason.strip(), "by": actor.id}
    posted = _submit(parts, workspace_id, campaign_id, "commission", key, facts)
    return Outcome(posted.accepted, tuple(posted.result.get("done", ())), posted.reasons)


def apply_to_promote(
    parts: Parts, workspace_id: str, campaign_id: str, contact_id: str, *, note: str = ""
) -> Posted:
    """A participant asks to become a promoter."""
    facts = {"contact_id": contact_id, "action": "apply", "note": note[:500], "by": contact_id}
    return _submit(parts, workspace_id, campaign_id, "promoter", None, facts)


def decide_promoter(
    parts: Parts,
    workspace_id: str,
    campaign_id: str,
    contact_id: str,
    action: str,
    actor: Actor,
    *,
    tier: str | None = None,
    note: str | None = None,
    key: str | None = None,
) -> Posted:
    """Approve, reject, group, block or unblock a promoter. The caller has checked the tier's name."""
    if action not in DECISIONS or (action == "tier" and tier is None):
        raise Invalid(fields={"action": [N_("Choose approve, reject, tier, block or unblock.")]})
    facts: dict[str, Any] = {"contact_id": contact_id, "action": action, "by": actor.id}
    if tier is not None:
        facts["tier"] = tier
    if note is not None:
        facts["note"] = note[:500]
    return _submit(parts, workspace_id, campaign_id, "promoter", key, facts)


def _submit(
    parts: Parts, workspace_id: str, campaign_id: str, kind: str, key: str | None, facts: Mapping[str, Any]
) -> Posted:
    name = f"{campaign_id}:{key or parts.ids.new('key')}"
    receipt = parts.ledger.submit(
        Event(workspace_id, campaign_id, kind, kind, name, parts.clock.now(), facts)
    )
    if not isinstance(receipt, Posted):
        raise Unavailable(N_("The books are busy. Please send the same request again."))
    return receipt
