"""A person has messages tried again that were refused, may not have arrived, or wait for staff."""

from __future__ import annotations

from typing import Final

from sqlalchemy import update

from growth_engine.channels.contract import Reason
from growth_engine.context import Ctx
from growth_engine.kit.errors import Conflict
from growth_engine.kit.i18n import N_
from growth_engine.reach import console_queries, deliveries
from growth_engine.reach.models import Delivery

#: Refusals that no further try changes: the person is not there, or the moment is over.
HOPELESS: Final = frozenset(
    {
        Reason.NOT_FOLLOWING.value,
        Reason.BLOCKED.value,
        Reason.UNKNOWN_PERSON.value,
        Reason.TOO_LATE.value,
        Reason.ALREADY_DONE.value,
    }
)


class CannotRetry(Conflict):
    code = "cannot_retry"
    message = N_("Trying this message again would change nothing.")


def may_retry(row: Delivery) -> bool:
    """Whether another try by hand makes sense. A welcome is only taken in its first 20 seconds."""
    if row.kind == "welcome":
        return False
    if row.state == "waiting":
        return row.waits_for in ("staff", "time")
    return row.state == "unknown" or (row.state == "refused" and row.reason not in HOPELESS)


def again(ctx: Ctx, delivery_id: str) -> None:
    """Try a message again now. One whose answer was lost may arrive twice; staff were told.

    Raises ``UnknownDelivery``, ``CannotRetry``.
    """
    row = console_queries.delivery(ctx, delivery_id, lock=True)
    if not may_retry(row):
        raise CannotRetry
    row.state, row.waits_for, row.attempts = "waiting", "", 0
    row.next_at, row.settled_at = ctx.now(), None
    ctx.session.flush()
    ctx.ring(deliveries.JOB)


def again_for_staff(ctx: Ctx) -> int:
    """Try everything again that waits for staff; how many."""
    waiting = (
        update(Delivery)
        .where(
            Delivery.workspace_id == ctx.workspace_id,
            Delivery.state == "waiting",
            Delivery.waits_for == "staff",
        )
        .values(waits_for="", next_at=ctx.now())
        .returning(Delivery.id)
    )
    found = ctx.session.execute(waiting, execution_options={"synchronize_session": False}).all()
    if found:
        ctx.ring(deliveries.JOB)
    return len(found)
