"""Published campaigns for tests of the books, written straight into their tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import text

from growth_engine.context import Parts
from growth_engine.ledger.contract import Event, Posted
from growth_engine.ledger.journal import GENESIS
from growth_engine.ledger.models import Book
from growth_engine.plays.models import Campaign, CampaignVersion, StockItem
from growth_engine.plays.registry import play


def make_campaign(
    parts: Parts,
    workspace_id: str,
    config: Mapping[str, Any] | None = None,
    *,
    slug: str = "referral",
    state: str = "live",
    **columns: Any,
) -> str:
    """A campaign of any state with its first rule version, book and stock; returns its id."""
    loaded = dict(play(slug).Config().load(dict(config or {})))
    with parts.open(workspace_id) as ctx:
        now, campaign_id, plan_id = ctx.now(), ctx.new_id("cmp"), ctx.new_id("pln")
        ctx.session.execute(
            text(
                "INSERT INTO membership_plans (id, workspace_id, slug, name, created_at)"
                " VALUES (:id, :workspace_id, :id, 'Plan', :now)"
            ),
            {"id": plan_id, "workspace_id": workspace_id, "now": now},
        )
        base = {"workspace_id": workspace_id, "created_by": "test", "created_at": now}
        dates = {"starts_at": columns.pop("starts_at", None), "ends_at": columns.pop("ends_at", None)}
        ctx.session.add(
            Campaign(
                id=campaign_id,
                play=slug,
                template="",
                title="Test",
                locale="en",
                state=state,
                config=loaded,
                content={},
                rule_version=1,
                plan_id=plan_id,
                updated_at=now,
                **base,
                **dates,
                **columns,
            )
        )
        ctx.session.flush()
        ctx.session.add(
            CampaignVersion(campaign_id=campaign_id, version=1, config=loaded, content={}, **base, **dates)
        )
        ctx.session.add(
            Book(
                id=campaign_id,
                workspace_id=workspace_id,
                kind="campaign",
                last_seq=0,
                head=GENESIS,
                members=0,
                created_at=now,
            )
        )
        for item, total in play(slug).stock(loaded).items():
            ctx.session.add(
                StockItem(workspace_id=workspace_id, campaign_id=campaign_id, item=item, total=total, taken=0)
            )
    return campaign_id


def join_event(
    parts: Parts,
    workspace_id: str,
    campaign_id: str,
    who: str,
    token: str | None = None,
    *,
    key: str | None = None,
    **facts: Any,
) -> Event:
    """A registration of the person with external id ``who``, through ``token`` if given."""
    if token:
        facts["invite_token"] = token
    person = {"identities": [["external_id", who]], "nickname": who}
    name = key or parts.ids.new("key")
    return Event(workspace_id, campaign_id, "join", "test", name, parts.clock.now(), facts, person)


def contact_event(
    parts: Parts, workspace_id: str, campaign_id: str, kind: str, contact_id: str, **facts: Any
) -> Event:
    """leave, block or unblock of a contact."""
    now = parts.clock.now()
    body = {"contact_id": contact_id, **facts}
    return Event(workspace_id, campaign_id, kind, "test", parts.ids.new("key"), now, body)


class Actors:
    """Registers people by name in one campaign and remembers their tokens."""

    def __init__(self, parts: Parts, workspace_id: str, campaign_id: str) -> None:
        self.parts = parts
        self.workspace_id = workspace_id
        self.campaign_id = campaign_id
        self.tokens: dict[str, str] = {}
        self.contacts: dict[str, str] = {}
        self.numbers: dict[str, int] = {}

    def join(self, who: str, inviter: str | None = None, **facts: Any) -> Posted:
        token = self.tokens[inviter] if inviter else None
        event = join_event(self.parts, self.workspace_id, self.campaign_id, who, token, **facts)
        posted: Posted = self.parts.ledger.submit(event)
        self._note(who, posted)
        return posted

    def _note(self, who: str, posted: Posted) -> None:
        if posted.answer:
            self.tokens[who] = posted.answer["invite_token"]
            self.contacts[who] = posted.answer["contact_id"]
            self.numbers[who] = posted.answer["member_no"]

    def do(self, kind: str, who: str, **facts: Any) -> Posted:
        event = contact_event(
            self.parts, self.workspace_id, self.campaign_id, kind, self.contacts[who], **facts
        )
        posted: Posted = self.parts.ledger.submit(event)
        return posted

    def score(self, who: str) -> int:
        from growth_engine.ledger.mirror import BookKey

        view = self.parts.mirror.member(BookKey(self.workspace_id, self.campaign_id), self.numbers[who])
        assert view is not None
        return int(view.score)

    def grants(self) -> list[tuple[str, str, int]]:
        """(side, who, days) of every promise."""
        names = {contact_id: who for who, contact_id in self.contacts.items()}
        with self.parts.open(self.workspace_id) as ctx:
            rows = ctx.session.execute(
                text("SELECT side, contact_id, days FROM grants WHERE campaign_id = :id ORDER BY id"),
                {"id": self.campaign_id},
            )
            return sorted((side, names[contact_id], days) for side, contact_id, days in rows)
