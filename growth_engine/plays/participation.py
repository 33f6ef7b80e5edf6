"""Commands on participation: join, leave, block, and marks of the funnel; each one an Event in the books."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from growth_engine.context import SYSTEM, Ctx, Parts
from growth_engine.kit.crypto import keyed_digest
from growth_engine.kit.errors import Conflict, Invalid
from growth_engine.kit.i18n import N_
from growth_engine.ledger.contract import Event, Posted, Reason, Receipt
from growth_engine.people import queries as people
from growth_engine.people import rules as identities
from growth_engine.people import service as people_service
from growth_engine.people.rules import Identity, is_virtual_number
from growth_engine.plays import queries
from growth_engine.plays.models import Participant

#: What a registration is consented to.
CONSENT_PURPOSE = "campaign"


@dataclass(frozen=True, slots=True)
class JoinAsk:
    """What somebody who wants to take part tells us; cleaned and normalised already."""

    identities: Sequence[Identity] = ()
    contact_id: str | None = None
    nickname: str = ""
    avatar_key: str | None = None
    locale: str | None = None
    consent: str | None = None
    """Version of the wording agreed to; ``None``: no consent was given."""
    invite_token: str | None = None
    device: str | None = None
    """Something that names the browser or phone; only a keyed hash of it is kept."""
    address: str | None = None
    """Network address; only a keyed hash of it is kept."""


def asked_by(
    person: Mapping[str, Any], field: str, region: str, consent: str | None, invite_token: str | None
) -> JoinAsk:
    """What a person's document in the API (``schemas.Person``, under ``field``) asks for.

    Raises ``Invalid`` for identities that cannot be.
    """
    given = {kind: person[kind] for kind in identities.KINDS if kind in person}
    try:
        named = identities.normalise_all(given, region)
    except Invalid as error:
        raise Invalid(fields={field: error.extra["errors"]}) from None
    return JoinAsk(
        identities=named,
        contact_id=person.get("id"),
        nickname=identities.clean_nickname(person.get("nickname") or person.get("name") or ""),
        locale=person.get("locale"),
        consent=consent,
        invite_token=invite_token or None,
    )


@dataclass(frozen=True, slots=True)
class JoinOutcome:
    """The decision, and the participant when there is one.

    ``accepted`` is false whenever something asked for was refused: also when the person was enrolled but
    the invite does not count. ``participant`` tells the two apart.
    """

    accepted: bool
    reasons: Sequence[Reason]
    participant: Mapping[str, Any] | None
    """id, campaign_id, contact_id, member_no, invite_token, inviter_id, state, joined_at, valid_invites."""
    created: bool
    pending: bool = False
    """Stored durably but not decided yet."""


class CannotJoin(Conflict):
    """The campaign takes nobody now; ``extra["decision"]`` holds the reasons."""

    code = "cannot_join"
    message = N_("This campaign takes nobody right now.")


@dataclass(frozen=True, slots=True)
class Registration:
    """One registration in a published campaign, asked for by ``source`` under ``key``."""

    campaign_id: str
    ask: JoinAsk
    source: str
    key: str


def join(
    parts: Parts, workspace_id: str, campaign_id: str, ask: JoinAsk, *, source: str, key: str
) -> JoinOutcome:
    """Register somebody in a published campaign of this workspace; the caller has checked that it is one.

    (source, key) names the request: the same again gives the same answer.
    """
    return join_many(parts, workspace_id, [Registration(campaign_id, ask, source, key)])[0]


def join_many(parts: Parts, workspace_id: str, asked: Sequence[Registration]) -> list[JoinOutcome]:
    """Register several at once: decided in the order given, each as by ``join``.

    Raises what ``join`` would have raised for any of them; the others may be registered all the same.
    """
    events = [_join_event(parts, workspace_id, one) for one in asked]
    receipts = parts.ledger.submit_many(events)
    for number, (one, event) in enumerate(zip(asked, events, strict=True)):
        if _conflicts(receipts[number]):
            _merge_owners(parts, workspace_id, one.ask)
            receipts[number] = parts.ledger.submit(replace(event, key=f"{one.key}:merged"))
    return [_welcomed(parts, workspace_id, receipt) for receipt in receipts]


def _welcomed(parts: Parts, workspace_id: str, receipt: Receipt) -> JoinOutcome:
    outcome = _outcome(parts, workspace_id, receipt)
    if outcome.participant and any(reason.code == "came_back" for reason in outcome.reasons):
        with parts.open(workspace_id) as ctx:
            people_service.mark_back(ctx, outcome.participant["contact_id"])
    return outcome


def _join_event(parts: Parts, workspace_id: str, asked: Registration) -> Event:
    secret = parts.settings.secret_key
    ask = asked.ask
    facts: dict[str, Any] = {}
    if ask.contact_id:
        facts["contact_id"] = ask.contact_id
    if ask.invite_token:
        facts["invite_token"] = ask.invite_token
    if ask.device:
        facts["device"] = keyed_digest(secret, f"{workspace_id}:device:{ask.device}")
    if ask.address:
        facts["address"] = keyed_digest(secret, f"{workspace_id}:address:{ask.address}")
    if any(identity.kind == "phone" and is_virtual_number(identity.value) for identity in ask.identities):
        facts["virtual_number"] = True
    person: dict[str, Any] = {
        "identities": [[identity.kind, identity.value] for identity in ask.identities],
        "nickname": ask.nickname,
        "avatar_key": ask.avatar_key,
        "locale": ask.locale,
    }
    if ask.consent:
        person["consent"] = {"purpose": CONSENT_PURPOSE, "wording_version": ask.consent}
    now = parts.clock.now()
    return Event(workspace_id, asked.campaign_id, "join", asked.source, asked.key, now, facts, person)


def _conflicts(receipt: Receipt) -> bool:
    return isinstance(receipt, Posted) and any(r.code == "identity_conflict" for r in receipt.reasons)


def _merge_owners(parts: Parts, workspace_id: str, ask: JoinAsk) -> None:
    """The identities come from one trusted statement, so their owners are one person."""
    with parts.open(workspace_id) as ctx:
        owners = sorted(set(people.owners(ctx, ask.identities).values()))
        if ask.contact_id:
            owners = [ask.contact_id, *(one for one in owners if one != ask.contact_id)]
        for other in owners[1:]:
            people_service.merge(ctx, owners[0], other)


def _outcome(parts: Parts, workspace_id: str, receipt: Receipt) -> JoinOutcome:
    if not isinstance(receipt, Posted):
        return JoinOutcome(False, (), None, created=False, pending=True)
    participant: Mapping[str, Any] | None = receipt.answer or None
    if participant is None and "participant_id" in receipt.result:
        with parts.open(workspace_id) as ctx:
            participant = participant_record(ctx, receipt.result["participant_id"])
    fresh = receipt.result.get("enrolled", False) and not receipt.duplicate
    return JoinOutcome(receipt.accepted, receipt.reasons, participant, created=bool(fresh))


def participant_record(ctx: Ctx, participant_id: str) -> dict[str, Any]:
    """A participant as callers of ``join`` see it, from SQL."""
    row = queries.participant(ctx, participant_id)
    inviter = queries.by_numbers(ctx, row.campaign_id, [row.inviter_number]).get(row.inviter_number)
    return record_of(row, inviter[0] if inviter else None)


def record_of(row: Participant, inviter: Participant | None) -> dict[str, Any]:
    """What ``participant_record`` says, from rows at hand."""
    return {
        "id": row.id,
        "campaign_id": row.campaign_id,
        "contact_id": row.contact_id,
        "member_no": row.number,
        "invite_token": row.invite_token,
        "inviter_id": inviter.id if inviter else None,
        "state": row.state,
        "joined_at": row.joined_at,
        "valid_invites": row.valid_invites,
    }


def leave(
    parts: Parts,
    workspace_id: str,
    contact_id: str,
    *,
    source: str,
    key: str,
    only: Sequence[str] | None = None,
) -> list[Posted]:
    """A contact leaves everything (unfollow, removal, own wish): every participation is told.

    ``only``: they are still here otherwise, and leave no more than these campaigns.
    """
    with parts.open(workspace_id) as ctx:
        family = people.contact_family(ctx, contact_id)
        concerned = queries.participations(ctx, family)
        if only is None:
            people_service.mark_left(ctx, family[0])
        else:
            concerned = [one for one in concerned if one.campaign_id in only]
    facts = [(one.campaign_id, {"contact_id": one.contact_id}) for one in concerned if one.state == "active"]
    return _submit(parts, workspace_id, "leave", facts, source, key)


def block(
    parts: Parts, workspace_id: str, contact_id: str, *, key: str, reason: str = "by_hand"
) -> list[Posted]:
    """Void a contact's part in every campaign: off the leaderboard, the helps they gave stop counting."""
    with parts.open(workspace_id, SYSTEM) as ctx:
        # A registration decided before the block, and not committed yet, is theirs too.
        people.hold_books(ctx)
    with parts.open(workspace_id, SYSTEM) as ctx:
        concerned = queries.participations(ctx, people.contact_family(ctx, contact_id))
    facts = [(one.campaign_id, {"contact_id": one.contact_id, "reason": reason}) for one in concerned]
    return _submit(parts, workspace_id, "block", facts, "people", key)


def unblock(parts: Parts, workspace_id: str, contact_id: str, *, key: str) -> list[Posted]:
    """Let a contact in again; second participations, void since a merge (``void_second``), stay void."""
    with parts.open(workspace_id, SYSTEM) as ctx:
        family = people.contact_family(ctx, contact_id)
        concerned = queries.participations(ctx, family)
    first = {one.campaign_id for one in concerned if one.contact_id == family[0]}
    facts = [
        (one.campaign_id, {"contact_id": one.contact_id})
        for one in concerned
        if one.contact_id == family[0] or one.campaign_id not in first
    ]
    return _submit(parts, workspace_id, "unblock", facts, "people", key)


def void_second(parts: Parts, workspace_id: str, kept_id: str, merged_id: str) -> list[Posted]:
    """After a merge: where both took part, the merged contact's participation is void."""
    with parts.open(workspace_id) as ctx:
        both = {one.campaign_id for one in queries.participations(ctx, [kept_id])}
        second = [one for one in queries.participations(ctx, [merged_id]) if one.campaign_id in both]
    facts = [(one.campaign_id, {"contact_id": merged_id, "reason": "merged"}) for one in second]
    return _submit(parts, workspace_id, "block", facts, "people", f"merged:{merged_id}")


def known_before(parts: Parts, workspace_id: str, contact_id: str, key: str) -> list[Posted]:
    """After a merge: whoever was known under another name before they took part was no newcomer."""
    with parts.open(workspace_id) as ctx:
        known_since = people.contact(ctx, contact_id).first_seen_at
        facts = [
            (one.campaign_id, {"contact_id": one.contact_id})
            for one in queries.participations(ctx, [contact_id])
            if known_since < one.joined_at
            and any(
                edge.state in ("valid", "left")
                for edge in queries.edges_of_invitee(ctx, one.campaign_id, one.number)
            )
        ]
    return _submit(parts, workspace_id, "known", facts, "people", key)


def _submit(
    parts: Parts,
    workspace_id: str,
    kind: str,
    facts: Sequence[tuple[str, Mapping[str, Any]]],
    source: str,
    key: str,
) -> list[Posted]:
    now = parts.clock.now()
    events = [
        Event(
            workspace_id,
            campaign_id,
            kind,
            source,
            f"{kind}:{key}:{campaign_id}:{one['contact_id']}",
            now,
            one,
        )
        for campaign_id, one in facts
    ]
    return [receipt for receipt in parts.ledger.submit_many(events) if isinstance(receipt, Posted)]


def mark(parts: Parts, workspace_id: str, campaign_id: str, step: str, key: str) -> None:
    """Count a step of the funnel once per key, without waiting for it."""
    event = Event(
        workspace_id,
        campaign_id,
        "mark",
        "funnel",
        f"{campaign_id}:{step}:{key}",
        parts.clock.now(),
        {"step": step},
    )
    parts.ledger.enqueue([event])
