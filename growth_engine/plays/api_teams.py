"""REST: whom a participant brought, who brought them, and every decision about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from growth_engine.context import Ctx
from growth_engine.kit import rest
from growth_engine.kit.pages import Page
from growth_engine.ledger import queries as ledger
from growth_engine.ledger.contract import Reason
from growth_engine.ledger.models import JournalEntry
from growth_engine.plays import figures, queries, team_queries
from growth_engine.plays.models import Participant
from growth_engine.plays.schemas import EntryShape, TeamMember, TeamQuery
from growth_engine.plays.words import in_words

blp = rest.Blueprint("participants", __name__)


@blp.get("/participants/<participant_id>/team")
@rest.scope("participants:read")
@rest.asks(TeamQuery)
@rest.answers(200, rest.page_of(TeamMember))
@rest.refuses(503)
def list_team(ctx: Ctx, participant_id: str, query: Mapping[str, Any]) -> Page[Any]:
    """Whom the person brought (`level=1`) or whom those brought (`level=2`), newest first."""
    of = queries.participant(ctx, participant_id)
    (before,) = rest.after(query["cursor"], int) or (None,)
    look = team_queries.directly if query["level"] == 1 else team_queries.through_them
    rows = look(ctx, of, before=before, limit=query["limit"] + 1)
    shown = rows[: query["limit"]]
    last = shown[-1][0].number if len(rows) > query["limit"] else None
    return rest.page(_members(ctx, of.campaign_id, shown), last)


@blp.get("/participants/<participant_id>/ancestors")
@rest.scope("participants:read")
@rest.asks(rest.PageQuery)
@rest.answers(200, rest.page_of(TeamMember))
@rest.refuses(503)
def list_ancestors(ctx: Ctx, participant_id: str, query: Mapping[str, Any]) -> Page[Any]:
    """Who brought the person, who brought that one, and so on up."""
    of = queries.participant(ctx, participant_id)
    (number,) = rest.after(query["cursor"], int) or (of.number,)
    if number > of.number:
        raise rest.ForeignCursor
    numbers = figures.ancestors(ctx, of.campaign_id, number, query["limit"] + 1)
    shown = numbers[: query["limit"]]
    dressed = queries.by_numbers(ctx, of.campaign_id, shown)
    last = shown[-1] if len(numbers) > query["limit"] else None
    return rest.page(_members(ctx, of.campaign_id, [dressed[one] for one in shown]), last)


def _members(ctx: Ctx, campaign_id: str, rows: Sequence[tuple[Participant, str]]) -> list[dict[str, Any]]:
    views, _ = figures.of_members(ctx, campaign_id, [row.number for row, _ in rows])
    return [
        {
            "participant_id": row.id,
            "contact_id": row.contact_id,
            "member_no": row.number,
            "inviter_no": row.inviter_number,
            "nickname": nickname,
            "state": row.state,
            "joined_at": row.joined_at,
            "team": {"level1": views[row.number].level1, "level2": views[row.number].level2},
            "score": views[row.number].score,
        }
        for row, nickname in rows
    ]


@blp.get("/participants/<participant_id>/entries")
@rest.scope("participants:read")
@rest.asks(rest.PageQuery)
@rest.answers(200, rest.page_of(EntryShape))
def list_entries(ctx: Ctx, participant_id: str, query: Mapping[str, Any]) -> Page[Any]:
    """Every decision about the person or about those they brought, newest first, with its reasons."""
    of = queries.participant(ctx, participant_id)
    (before,) = rest.after(query["cursor"], int) or (None,)
    limit = query["limit"]
    rows = ledger.entries_page(ctx, of.campaign_id, member=of.number, before=before, limit=limit + 1)
    shown = rows[:limit]
    others = [number for number in (_other(row, of.number) for row in shown) if number is not None]
    dressed = queries.by_numbers(ctx, of.campaign_id, others)
    last = shown[-1].seq if len(rows) > limit else None
    return rest.page([_entry(row, of.number, dressed) for row in shown], last)


def _other(row: JournalEntry, number: int) -> int | None:
    return row.other if row.member == number else row.member


def _entry(row: JournalEntry, number: int, dressed: Mapping[int, tuple[Participant, str]]) -> dict[str, Any]:
    other = dressed.get(_other(row, number) or 0)
    return {
        "seq": row.seq,
        "kind": row.kind,
        "at": row.at,
        "accepted": row.accepted,
        "rule_version": row.rule_version,
        "role": "member" if row.member == number else "inviter",
        "other": other
        and {"participant_id": other[0].id, "member_no": other[0].number, "nickname": other[1]},
        "reasons": in_words(Reason.from_json(reason) for reason in row.body.get("reasons", ())),
    }
