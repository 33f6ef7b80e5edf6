"""Background work on memberships: deliver promised days, tell people whose days run out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import structlog
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from growth_engine.context import Ctx, Parts
from growth_engine.events import MembershipEnding
from growth_engine.kit.errors import GrowthError
from growth_engine.kit.jobs import job
from growth_engine.membership import delivery, journal, queries, texts
from growth_engine.membership.journal import Told
from growth_engine.membership.queries import DueGrant, DueNotice, Pair
from growth_engine.membership.rules import Standing

log = structlog.get_logger(__name__)

#: Grants of one transaction.
BATCH = 500


@job("grants.drain", every=15)
def drain(parts: Parts, workspace_id: str) -> int:
    """Deliver a batch of waiting grants, each exactly once; one that fails waits or gets stuck alone."""
    with parts.open(workspace_id) as ctx:
        # In the order memberships are locked, so that halves of a batch lock in that order too.
        grants = sorted(queries.due_grants(ctx, BATCH), key=lambda one: (one.contact_id, one.plan_id, one.id))
        delivery.cancel(ctx, [one for one in grants if one.erased])
        _deliver(ctx, [one for one in grants if not one.erased])
    return len(grants)


def _deliver(ctx: Ctx, grants: Sequence[DueGrant]) -> None:
    """All at once; when that fails, each half by itself, down to the one at fault."""
    if not grants:
        return
    try:
        with ctx.session.begin_nested():
            delivery.deliver(ctx, grants)
    except (OperationalError, InterfaceError):
        raise  # the database's trouble (a deadlock, a lost connection), not the grant's: all is tried again
    except (GrowthError, ArithmeticError, DBAPIError) as error:
        if len(grants) == 1:
            log.warning("grant not delivered", grant_id=grants[0].id, attempts=grants[0].attempts + 1)
            delivery.note_failure(ctx, grants[0], error)
            return
        middle = len(grants) // 2
        _deliver(ctx, grants[:middle])
        _deliver(ctx, grants[middle:])


@job("membership.notice", every=3600)
def notice(parts: Parts, workspace_id: str) -> int:
    """Tell people once whose membership ends soon, and note those that have ended."""
    with parts.open(workspace_id) as ctx:
        strays = _follow_merges(ctx)
    with parts.open(workspace_id) as ctx:
        on = queries.today(ctx)
        due = queries.due_notices(ctx, on, BATCH)
        standings = journal.refresh(ctx, [(one.contact_id, one.plan_id) for one in due])
        ending = [(one, found) for one in due if (found := _ends_soon(one, standings, on))]
        _tell_ending(ctx, ending)
    return strays + len(due)


def _follow_merges(ctx: Ctx) -> int:
    """A grant delivered while its person was being merged leaves its standing with the merged contact."""
    strays = queries.strays(ctx)
    kept = sorted({(kept_id, plan_id) for _, plan_id, kept_id in strays})
    journal.drop_rows(ctx, sorted({contact_id for contact_id, _, _ in strays}))
    journal.open_rows(ctx, kept)
    journal.refresh(ctx, kept)
    return len(strays)


def _ends_soon(one: DueNotice, standings: Mapping[Pair, Standing], on: date) -> date | None:
    """The last day to tell of; the cached standing that brought us here may have been too old."""
    standing = standings[one.contact_id, one.plan_id]
    if standing.state != "active" or standing.ends_on is None or standing.ends_on == one.noticed_for:
        return None
    return standing.ends_on if (standing.ends_on - on).days <= one.notice_days else None


def _tell_ending(ctx: Ctx, ending: Sequence[tuple[DueNotice, date]]) -> None:
    journal.note_told(ctx, {(one.contact_id, one.plan_id): last for one, last in ending})
    names = {plan.id: plan.name for plan in queries.plans(ctx, archived=True)}
    journal.tell(
        ctx,
        [
            Told(
                one.contact_id,
                None,
                texts.ENDING,
                {"plan": names[one.plan_id], "ends_on": last.isoformat()},
                f"ending:{one.contact_id}:{one.plan_id}:{last.isoformat()}",
            )
            for one, last in ending
        ],
    )
    ctx.publish(*(MembershipEnding(one.contact_id, one.plan_id, last.isoformat()) for one, last in ending))
