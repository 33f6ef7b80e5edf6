"""REST: people take part in a campaign, and what they are in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import g

from growth_engine.kit import rest, web
from growth_engine.kit.errors import Conflict, Invalid
from growth_engine.kit.i18n import N_, translate
from growth_engine.ledger.contract import Reason
from growth_engine.people import rules as people
from growth_engine.plays import participation, queries
from growth_engine.plays.invites import invite_url
from growth_engine.plays.participation import CannotJoin, JoinAsk, JoinOutcome
from growth_engine.plays.reasons import REASONS
from growth_engine.plays.schemas import Join, JoinedShape, ReceivedShape
from growth_engine.settings import Settings

blp = rest.Blueprint("participants", __name__, description="People in campaigns.")

#: Campaigns known to be published; one never becomes a draft again, so nothing here grows old.
_published: set[tuple[str, str]] = set()
_MOST_PUBLISHED = 10_000


class NotPublished(Conflict):
    code = "campaign_not_published"
    message = N_("This campaign is a draft. Publish it first.")


@blp.post("/campaigns/<campaign_id>/participants")
@rest.scope("participants:write")
@rest.takes(Join)
@rest.answers(201, JoinedShape, "Takes part from now on.", as_is=True)
@rest.answers(200, JoinedShape, "Took part already; the same participant, with the reason.")
@rest.answers(202, ReceivedShape)
@rest.refuses(503)
@rest.outside_transaction
def join_campaign(campaign_id: str, body: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """Let a person take part.

    Joining again is no error. Refused with 409 `cannot_join` and the `decision` when nobody can join now.
    """
    parts = web.parts()
    _require_published(campaign_id)
    ask = _ask(body, parts.settings.phone_region)
    key = rest.event_key(campaign_id)
    outcome = participation.join(parts, g.workspace_id, campaign_id, ask, source="api", key=key)
    return _joined(outcome, parts.settings)


def _require_published(campaign_id: str) -> None:
    name = (g.workspace_id, campaign_id)
    if name in _published:
        return
    with web.ctx() as ctx:
        if not queries.campaign(ctx, campaign_id).rule_version:
            raise NotPublished
    if len(_published) >= _MOST_PUBLISHED:
        _published.clear()
    _published.add(name)


def _ask(body: Mapping[str, Any], region: str) -> JoinAsk:
    person = body["contact"]
    given = {kind: person[kind] for kind in people.KINDS if kind in person}
    try:
        identities = people.normalise_all(given, region)
    except Invalid as error:
        raise Invalid(fields={"contact": error.extra["errors"]}) from None
    return JoinAsk(
        identities=identities,
        contact_id=person.get("id"),
        nickname=people.clean_nickname(person.get("nickname") or person.get("name") or ""),
        locale=person.get("locale"),
        consent=body["consent"],
        invite_token=body.get("invite_token") or None,
    )


def _joined(outcome: JoinOutcome, settings: Settings) -> tuple[dict[str, Any], int]:
    if outcome.pending:
        return {"status": "received"}, 202
    decision = {"accepted": outcome.accepted, "reasons": in_words(outcome.reasons)}
    participant = outcome.participant
    if participant is None:
        if any(reason.code == "unknown_contact" for reason in outcome.reasons):
            raise Invalid(fields={"contact.id": [REASONS["unknown_contact"]]})
        raise CannotJoin(extra={"decision": decision})
    url = invite_url(settings, participant["invite_token"])
    return {**participant, "invite_url": url, "decision": decision}, 201 if outcome.created else 200


def in_words(reasons: Sequence[Reason]) -> list[dict[str, Any]]:
    """Reasons with their message in the language of the request."""
    return [
        {
            "code": reason.code,
            "message": translate(REASONS[reason.code], reason.params),
            "params": dict(reason.params),
        }
        for reason in reasons
    ]
