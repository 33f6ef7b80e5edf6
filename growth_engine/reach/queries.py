"""Every select of reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson
from sqlalchemy import func, or_, select, text

from growth_engine.connections.models import ChannelAccount
from growth_engine.context import Ctx
from growth_engine.people import queries as people
from growth_engine.plays.models import Campaign, InviteCode
from growth_engine.reach.models import ChatGroup, Delivery, Follower

MOST_PER_PAGE = 100


# -- followers ---------------------------------------------------------------------------------------


def follower(ctx: Ctx, account_id: str, person: str) -> Follower | None:
    return ctx.session.get(Follower, (account_id, person), populate_existing=True)


def followers(ctx: Ctx, people: Sequence[tuple[str, str]]) -> Sequence[Follower]:
    """Those of (account, person) who are known."""
    if not people:
        return []
    asked = [{"account_id": account_id, "person": person} for account_id, person in people]
    wanted = select(Follower).from_statement(_FOLLOWERS)
    values = {"asked": orjson.dumps(asked).decode()}
    return ctx.session.scalars(wanted, values, execution_options={"populate_existing": True}).all()


#: An index probe for each: see ``ledger.poster.Poster._connected``.
_FOLLOWERS = text(
    "SELECT f.* FROM json_to_recordset(CAST(:asked AS json)) AS asked (account_id text, person text)"
    " CROSS JOIN LATERAL (SELECT * FROM followers WHERE account_id = asked.account_id"
    "  AND person = asked.person OFFSET 0) AS f"
)


def followed(ctx: Ctx, app_id: str, openid: str) -> Sequence[str]:
    """The connected Official Accounts of this appid the person follows now: one, or none."""
    return ctx.session.scalars(
        select(Follower.account_id)
        .join(ChannelAccount, ChannelAccount.id == Follower.account_id)
        .where(
            Follower.workspace_id == ctx.workspace_id,
            Follower.person == openid,
            Follower.here,
            ChannelAccount.provider == "wechat_oa",
            ChannelAccount.ids["appid"].as_string() == app_id,
        )
    ).all()


def followers_of(ctx: Ctx, contact_ids: Sequence[str]) -> Sequence[Follower]:
    """Where a person is or was, the latest account first."""
    wanted = select(Follower).where(
        Follower.workspace_id == ctx.workspace_id, Follower.contact_id.in_(contact_ids)
    )
    ordered = wanted.order_by(Follower.here.desc(), Follower.first_seen_at.desc())
    return ctx.session.scalars(ordered, execution_options={"populate_existing": True}).all()


def contacts_followers(ctx: Ctx, contact_ids: Sequence[str]) -> Mapping[str, Sequence[tuple[str, str, str]]]:
    """By contact, the (provider, account, person) through which they could be written to, latest first."""
    rows = ctx.session.execute(
        select(Follower.contact_id, ChannelAccount.provider, Follower.account_id, Follower.person)
        .join(ChannelAccount, ChannelAccount.id == Follower.account_id)
        .where(
            Follower.workspace_id == ctx.workspace_id,
            Follower.contact_id.in_(contact_ids),
            Follower.here,
            ChannelAccount.state != "disabled",
        )
        .order_by(Follower.first_seen_at.desc(), Follower.account_id)
    )
    found: dict[str, list[tuple[str, str, str]]] = {}
    for contact_id, provider, account_id, person in rows:
        if contact_id is not None:
            found.setdefault(contact_id, []).append((provider, account_id, person))
    return found


def people_here(ctx: Ctx, account_id: str) -> Mapping[str, Follower]:
    """Everybody who is at an account, by their name there."""
    wanted = select(Follower).where(Follower.account_id == account_id, Follower.here)
    return {row.person: row for row in ctx.session.scalars(wanted)}


def people_gone(ctx: Ctx, account_id: str, persons: Sequence[str]) -> Mapping[str, set[str]]:
    """Of these people, by whom each was had once and is no more."""
    wanted = select(Follower).where(Follower.account_id == account_id, Follower.person.in_(persons))
    return {
        row.person: {name for name, said in row.ties.items() if not said[1]}
        for row in ctx.session.scalars(wanted)
    }


def people_tied(ctx: Ctx, account_id: str, tie: str) -> Sequence[str]:
    """Who holds to an account by this tie."""
    return ctx.session.scalars(
        select(Follower.person)
        .where(Follower.account_id == account_id, Follower.ties[tie][1].as_boolean())
        .order_by(Follower.person)
    ).all()


# -- deliveries --------------------------------------------------------------------------------------


def deliveries_page(
    ctx: Ctx,
    *,
    contact_id: str | None = None,
    state: str | None = None,
    before: str = "",
    limit: int = 50,
) -> tuple[Sequence[Delivery], str | None]:
    """What was or is to be sent, newest first, and the cursor of the next page.

    Of one person (merged contacts included), in one state, or everything.
    """
    query = select(Delivery).where(Delivery.workspace_id == ctx.workspace_id)
    if contact_id is not None:
        query = query.where(Delivery.contact_id.in_(people.contact_family(ctx, contact_id)))
    if state:
        query = query.where(Delivery.state == state)
    if before:
        query = query.where(Delivery.id < before)
    limit = max(1, min(limit, MOST_PER_PAGE))
    rows = ctx.session.scalars(query.order_by(Delivery.id.desc()).limit(limit + 1)).all()
    return rows[:limit], rows[limit - 1].id if len(rows) > limit else None


def trouble(ctx: Ctx) -> Mapping[str, int]:
    """How many deliveries need a look: refused, unknown, and those that wait for staff."""
    rows = ctx.session.execute(
        select(Delivery.state, func.count())
        .where(
            Delivery.workspace_id == ctx.workspace_id,
            or_(
                Delivery.state.in_(("refused", "unknown")),
                (Delivery.state == "waiting") & (Delivery.waits_for == "staff"),
            ),
        )
        .group_by(Delivery.state)
    )
    return {"staff" if state == "waiting" else state: count for state, count in rows}


def waiting_poster(ctx: Ctx, participant_id: str, account_id: str) -> Delivery | None:
    """A participant's poster that is on its way through an account."""
    return ctx.session.scalar(
        select(Delivery)
        .where(
            Delivery.participant_id == participant_id,
            Delivery.account_id == account_id,
            Delivery.kind == "poster",
            Delivery.state == "waiting",
        )
        .limit(1)
    )


def poster_was_sent(ctx: Ctx, participant_id: str) -> Delivery | None:
    """The last poster a participant got into the chat."""
    return ctx.session.scalar(
        select(Delivery)
        .where(Delivery.participant_id == participant_id, Delivery.kind == "poster", Delivery.state == "sent")
        .order_by(Delivery.id.desc())
        .limit(1)
    )


def campaigns_of(ctx: Ctx, account_id: str) -> Sequence[str]:
    """The campaigns an account carries."""
    return ctx.session.scalars(select(Campaign.id).where(Campaign.channel_account_id == account_id)).all()


# -- codes and groups --------------------------------------------------------------------------------


def codes_with_campaigns(ctx: Ctx, keys: Sequence[tuple[str, str]]) -> Sequence[tuple[InviteCode, Campaign]]:
    """Codes by (participant, account), each with its campaign."""
    wanted = [participant_id for participant_id, _ in keys]
    rows = ctx.session.execute(
        select(InviteCode, Campaign)
        .join(Campaign, Campaign.id == InviteCode.campaign_id)
        .where(InviteCode.participant_id.in_(wanted)),
        execution_options={"populate_existing": True},
    )
    return [(code, of) for code, of in rows if (code.participant_id, code.account_id) in set(keys)]


def group(ctx: Ctx, account_id: str, chat_id: str) -> ChatGroup | None:
    return ctx.session.get(ChatGroup, (account_id, chat_id), populate_existing=True)
