"""Selects of the console's list of messages: what was sent to whom by which way, what waits and for what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Select, func, select

from growth_engine.context import Ctx
from growth_engine.kit.errors import NotFound
from growth_engine.kit.i18n import N_
from growth_engine.people import queries as people
from growth_engine.people.models import Contact
from growth_engine.reach.models import Delivery

#: Groups of the list: (state, what it waits for); ``None`` for whatever it waits for.
GROUPS: Final[Mapping[str, tuple[str, Sequence[str] | None]]] = {
    "waiting": ("waiting", ("", "time", "poster")),
    "person": ("waiting", ("person",)),
    "staff": ("waiting", ("staff",)),
    "sent": ("sent", None),
    "refused": ("refused", None),
    "unknown": ("unknown", None),
}


class UnknownDelivery(NotFound):
    code = "delivery_not_found"
    message = N_("There is no such message.")


def delivery(ctx: Ctx, delivery_id: str, *, lock: bool = False) -> Delivery:
    """Raises ``UnknownDelivery``."""
    query = select(Delivery).where(Delivery.workspace_id == ctx.workspace_id, Delivery.id == delivery_id)
    found = ctx.session.scalar(
        query.with_for_update() if lock else query, execution_options={"populate_existing": True}
    )
    if found is None:
        raise UnknownDelivery
    return found


def page(
    ctx: Ctx,
    *,
    group: str = "",
    contact_id: str = "",
    account_id: str = "",
    before: str = "",
    limit: int = 50,
) -> Sequence[Delivery]:
    """Newest first; ``contact_id`` takes what went to merged contacts as well. Raises ``UnknownContact``."""
    query = _in(select(Delivery).where(Delivery.workspace_id == ctx.workspace_id), group)
    if contact_id:
        query = query.where(Delivery.contact_id.in_(people.contact_family(ctx, contact_id)))
    if account_id:
        query = query.where(Delivery.account_id == account_id)
    if before:
        query = query.where(Delivery.id < before)
    return ctx.session.scalars(query.order_by(Delivery.id.desc()).limit(limit)).all()


def _in(query: Select[Any], group: str) -> Select[Any]:
    if not group:
        return query
    state, waits_for = GROUPS[group]
    query = query.where(Delivery.state == state)
    return query.where(Delivery.waits_for.in_(waits_for)) if waits_for is not None else query


def counts(ctx: Ctx) -> Mapping[str, int]:
    """How many messages are in each group that needs a look, or waits; of those sent nobody asks."""
    rows = ctx.session.execute(
        select(Delivery.state, Delivery.waits_for, func.count())
        .where(Delivery.workspace_id == ctx.workspace_id, Delivery.state != "sent")
        .group_by(Delivery.state, Delivery.waits_for)
    )
    found: dict[str, int] = {}
    for state, waits_for, count in rows:
        for name, (of, waits) in GROUPS.items():
            if state == of and (waits is None or waits_for in waits):
                found[name] = found.get(name, 0) + count
    return found


def names(ctx: Ctx, rows: Sequence[Delivery]) -> Mapping[str, str]:
    """Nicknames by contact id; the erased have none."""
    wanted = {row.contact_id for row in rows if row.contact_id}
    query = select(Contact.id, Contact.nickname).where(
        Contact.workspace_id == ctx.workspace_id, Contact.id.in_(wanted)
    )
    return dict(ctx.session.execute(query).all())
