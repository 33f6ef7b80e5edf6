"""Commands on memberships: plans, days given, paused, resumed, taken back; and what follows a merge."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from growth_engine.context import Ctx
from growth_engine.events import MembershipGranted
from growth_engine.kit.errors import Conflict, Invalid
from growth_engine.kit.i18n import N_
from growth_engine.membership import journal, queries, texts
from growth_engine.membership.journal import Told
from growth_engine.membership.models import Grant, MembershipMove, MembershipPlan
from growth_engine.membership.queries import Pair
from growth_engine.membership.rules import NOTHING, Standing, calendar, unbegun
from growth_engine.people import queries as people
from growth_engine.people.rules import clean_nickname

DEFAULT_PLAN = "default"
_DEFAULT_NAMES: Mapping[str, str] = {"zh": "会员", "en": "Membership"}
#: The cron query of the notice job (``ge_due_work``) looks 32 days ahead.
MOST_NOTICE_DAYS = 30
#: By hand, ten years at once; more is a typing error.
MOST_AT_ONCE = 3650
_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
_LONGEST_REASON = 200


class PlanExists(Conflict):
    code = "plan_exists"
    message = N_("There is a membership plan with this short name already.")


class AlreadyReversed(Conflict):
    code = "already_reversed"
    message = N_("This grant was taken back before.")


class NotRunning(Conflict):
    code = "membership_not_running"
    message = N_("There are no coming days to pause.")


def create_plan(ctx: Ctx, *, slug: str, name: str, notice_days: int = 3) -> MembershipPlan:
    """A new plan; ``notice_days`` before the last day people are told. Raises ``Invalid``, ``PlanExists``."""
    wrong = {}
    if not _SLUG.fullmatch(slug):
        wrong["slug"] = [N_("Use small letters, digits and hyphens, at most 64.")]
    if not (cleaned := clean_nickname(name)):
        wrong["name"] = [N_("Give it a name.")]
    if not 0 <= notice_days <= MOST_NOTICE_DAYS:
        wrong["notice_days"] = [N_("Choose 0 to 30 days.")]
    if wrong:
        raise Invalid(fields=wrong)
    plan = MembershipPlan(
        id=ctx.new_id("pln"),
        workspace_id=ctx.workspace_id,
        slug=slug,
        name=cleaned,
        notice_days=notice_days,
        created_at=ctx.now(),
    )
    try:
        with ctx.session.begin_nested():
            ctx.session.add(plan)
    except IntegrityError:
        raise PlanExists from None
    return plan


def ensure_default_plan(ctx: Ctx, *, locale: str = "zh") -> str:
    """The id of the plan campaigns grant days of unless told otherwise; made when missing."""
    found = queries.plan_by_slug(ctx, DEFAULT_PLAN)
    if found is not None:
        return found.id
    try:
        return create_plan(ctx, slug=DEFAULT_PLAN, name=_DEFAULT_NAMES.get(locale, "Membership")).id
    except PlanExists:
        found = queries.plan_by_slug(ctx, DEFAULT_PLAN)
        assert found is not None
        return found.id


def grant(ctx: Ctx, contact_id: str, plan_id: str, days: int, *, reason: str, key: str = "") -> str:
    """Give days by hand; returns the grant's id. With a ``key`` the same call again gives nothing more."""
    if not 1 <= days <= MOST_AT_ONCE:
        raise Invalid(fields={"days": [N_("Choose 1 to 3650 days.")]})
    plan = queries.plan(ctx, plan_id)
    contact_id = people.contact(ctx, contact_id).id
    pair = (contact_id, plan.id)
    journal.open_rows(ctx, [pair])
    move = journal.new_move(
        ctx,
        pair,
        "grant",
        queries.today(ctx),
        days=days,
        reason=_one_line(reason),
        key=f"hand:{key}" if key else "",
    )
    given = journal.append(ctx, [move])
    if not given:
        found = queries.move_by_key(ctx, move.key)
        assert found is not None
        return found.grant_id or found.id
    standing = journal.refresh(ctx, [pair])[pair]
    journal.tell(ctx, [journal.told_of_grant(pair, days, plan.name, standing, f"grant:{move.id}", None)])
    ctx.publish(MembershipGranted(contact_id, plan.id, move.id, days))
    return move.id


def pause(ctx: Ctx, contact_id: str, plan_id: str, *, reason: str = "") -> Standing:
    """Hold the coming days from tomorrow on; today stays used. Pausing twice changes nothing."""
    pair, standing = _present(ctx, contact_id, plan_id)
    if standing.state == "paused":
        return standing
    if standing.state != "active" or standing.days_left < 2:
        raise NotRunning
    return _append(ctx, pair, "pause", reason)


def resume(ctx: Ctx, contact_id: str, plan_id: str, *, reason: str = "") -> Standing:
    """Let held days run again, today included. Resuming what is not paused changes nothing."""
    pair, standing = _present(ctx, contact_id, plan_id)
    return standing if standing.state != "paused" else _append(ctx, pair, "resume", reason)


def reverse_grant(ctx: Ctx, grant_id: str, *, reason: str) -> int:
    """Take back the days of a grant that have not begun; returns how many those were.

    A grant that was not delivered yet (or is stuck) never will be: 0 days. Raises ``UnknownGrant``,
    ``AlreadyReversed``.
    """
    promised = queries.grant_locked(ctx, grant_id)
    if promised is not None:
        if promised.state == "reversed":
            raise AlreadyReversed
        delivered = promised.state == "granted"
        promised.state, promised.error = "reversed", None
        ctx.session.flush()
        if not delivered:
            return 0
    given = queries.granting_move(ctx, grant_id)
    if given is None:
        raise queries.UnknownGrant
    pair = (people.contact_family(ctx, given.contact_id)[0], given.plan_id)
    journal.open_rows(ctx, [pair])
    on = queries.today(ctx)
    days = unbegun(
        queries.as_moves(queries.moves_of(ctx, people.contact_family(ctx, pair[0]))[pair[1]]), grant_id, on
    )
    move = journal.new_move(
        ctx,
        pair,
        "reverse",
        on,
        days=days,
        grant_id=grant_id,
        reason=_one_line(reason),
        key=f"reverse:{grant_id}",
    )
    if not journal.append(ctx, [move]):
        raise AlreadyReversed
    journal.refresh(ctx, [pair])
    if days:
        params = {"days": days, "plan": queries.plan(ctx, pair[1]).name}
        journal.tell(ctx, [Told(pair[0], None, texts.TAKEN_BACK, params, move.key)])
    return days


def retry_stuck(ctx: Ctx, grant_ids: Collection[str] | None = None) -> int:
    """Let stuck grants (all, unless named) be tried again now; how many."""
    rows = update(Grant).where(Grant.workspace_id == ctx.workspace_id, Grant.state == "stuck")
    if grant_ids is not None:
        rows = rows.where(Grant.id.in_(grant_ids))
    done = ctx.session.scalars(
        rows.values(state="pending", attempts=0, next_at=ctx.now(), error=None).returning(Grant.id),
        execution_options={"synchronize_session": "fetch"},
    ).all()
    if done:
        ctx.ring("grants.drain")
    return len(done)


def combine(ctx: Ctx, kept_id: str, merged_id: str) -> None:
    """After a merge the days of both stand in one line, as if one person had been given them all.

    Days both used at the same time come back that way. A pause of one of the two must not shut out
    somebody who was a member as the other: the pause ends then.
    """
    family = people.contact_family(ctx, kept_id)
    moves = queries.moves_of(ctx, family)
    pairs = [(family[0], plan_id) for plan_id in sorted(moves)]
    journal.drop_rows(ctx, family[1:])
    journal.open_rows(ctx, pairs)
    on = queries.today(ctx)
    together = journal.refresh(ctx, pairs)
    resumes = [
        journal.new_move(ctx, pair, "resume", on, reason="merged", key=f"merge:{merged_id}:{pair[1]}")
        for pair in pairs
        if together[pair].state == "paused" and "active" in _apart(moves[pair[1]], merged_id, ctx)
    ]
    if journal.append(ctx, resumes):
        journal.refresh(ctx, pairs)


def _apart(moves: Sequence[MembershipMove], merged_id: str, ctx: Ctx) -> set[str]:
    """The states of both sides, had they not been merged."""
    on = queries.today(ctx)
    sides = (
        [move for move in moves if move.contact_id == merged_id],
        [move for move in moves if move.contact_id != merged_id],
    )
    return {calendar(queries.as_moves(side), on).state for side in sides}


def _present(ctx: Ctx, contact_id: str, plan_id: str) -> tuple[Pair, Standing]:
    """The membership, locked, and where it stands today."""
    pair = (people.contact(ctx, contact_id).id, queries.plan(ctx, plan_id).id)
    journal.open_rows(ctx, [pair])
    return pair, queries.standings(ctx, [pair], queries.today(ctx)).get(pair, NOTHING)


def _append(ctx: Ctx, pair: Pair, kind: str, reason: str) -> Standing:
    journal.append(ctx, [journal.new_move(ctx, pair, kind, queries.today(ctx), reason=_one_line(reason))])
    return journal.refresh(ctx, [pair])[pair]


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text[:_LONGEST_REASON]).strip()
