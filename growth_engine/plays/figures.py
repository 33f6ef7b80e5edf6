"""Figures of a campaign from the mirror, with the Entry they hold up to; none rather than a wrong one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from growth_engine.context import Ctx
from growth_engine.kit.errors import Unavailable
from growth_engine.kit.i18n import N_
from growth_engine.ledger import queries as ledger
from growth_engine.ledger.mirror import BookKey, MemberView, Mirror, MirrorBroken, Totals

_TRIES = 3


class FiguresUnavailable(Unavailable):
    code = "figures_unavailable"
    message = N_("The figures are being brought up to date. Nothing is lost; please try again in a moment.")


@dataclass(frozen=True, slots=True)
class CampaignFigures:
    """Sums over a campaign, all of one moment."""

    totals: Totals
    funnel: Mapping[str, int]
    cohorts: Sequence[tuple[str, int, int]]
    """(day of joining, members, valid invites they brought)."""
    journal_seq: int
    """The last Entry of the books; the figures hold up to ``totals.last_seq``."""


def of_campaign(ctx: Ctx, campaign_id: str) -> CampaignFigures:
    """Totals, funnel and cohorts. Raises FiguresUnavailable and MirrorUnavailable."""
    key = BookKey(ctx.workspace_id, campaign_id)
    mirror: Mirror = ctx.parts.mirror
    journal_seq = _journal_seq(ctx, campaign_id)
    try:
        totals = mirror.totals(key)
        for _ in range(_TRIES):
            funnel, cohorts, before = mirror.funnel(key), mirror.cohorts(key), totals
            totals = mirror.totals(key)
            if totals.last_seq == before.last_seq:
                break  # nobody joined in between: the three answers belong together
    except MirrorBroken:
        raise _unavailable(ctx) from None
    _require_held(ctx, totals, journal_seq)
    return CampaignFigures(totals, funnel, cohorts, journal_seq)


def totals(ctx: Ctx, campaign_id: str) -> Totals:
    """Sums over a campaign. Raises FiguresUnavailable and MirrorUnavailable."""
    mirror: Mirror = ctx.parts.mirror
    try:
        found = mirror.totals(BookKey(ctx.workspace_id, campaign_id))
    except MirrorBroken:
        raise _unavailable(ctx) from None
    if found.epoch == 0:
        _require_held(ctx, found, _journal_seq(ctx, campaign_id))
    return found


def of_members(ctx: Ctx, campaign_id: str, numbers: Sequence[int]) -> tuple[Mapping[int, MemberView], int]:
    """What the mirror says of each of ``numbers``, and the Entry it holds up to.

    Raises FiguresUnavailable when it does not know one of them (yet), and MirrorUnavailable.
    """
    key = BookKey(ctx.workspace_id, campaign_id)
    mirror: Mirror = ctx.parts.mirror
    try:
        seq = mirror.last_seq(key)
        views = {view.number: view for view in mirror.members(key, numbers)} if numbers else {}
    except MirrorBroken:
        raise _unavailable(ctx) from None
    if len(views) != len(set(numbers)):
        raise _unavailable(ctx)
    return views, seq


def leaderboard(ctx: Ctx, campaign_id: str, limit: int) -> tuple[list[tuple[int, int]], int]:
    """(number, score) of the first places, and the Entry they hold up to."""
    key = BookKey(ctx.workspace_id, campaign_id)
    try:
        totals = ctx.parts.mirror.totals(key)
        places = ctx.parts.mirror.leaderboard(key, limit)
    except MirrorBroken:
        raise _unavailable(ctx) from None
    _require_held(ctx, totals, _journal_seq(ctx, campaign_id))
    return places, totals.last_seq


def ancestors(ctx: Ctx, campaign_id: str, number: int, limit: int) -> list[int]:
    """The inviter, the inviter's inviter, and so on up."""
    of_members(ctx, campaign_id, [number])
    found: list[int] = ctx.parts.mirror.ancestors(BookKey(ctx.workspace_id, campaign_id), number, limit)
    return found


def _journal_seq(ctx: Ctx, campaign_id: str) -> int:
    book = ledger.book(ctx, campaign_id)
    return book.last_seq if book else 0


def _require_held(ctx: Ctx, totals: Totals, journal_seq: int) -> None:
    """A book the mirror does not hold reads as empty, which it is not."""
    if totals.epoch == 0 and journal_seq > 0:
        raise _unavailable(ctx)


def _unavailable(ctx: Ctx) -> FiguresUnavailable:
    ctx.parts.bell.ring("ledger.mirror", ctx.workspace_id)
    return FiguresUnavailable(extra={"retry_after": 2})
