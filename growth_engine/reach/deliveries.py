"""The queue of what is to be sent: added with its cause, woken by the person, claimed, settled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import select, text, update

from growth_engine.context import Ctx
from growth_engine.reach import queries
from growth_engine.reach.models import Delivery
from growth_engine.reach.rules import Next

JOB = "reach.deliver"
#: A worker that has not settled its deliveries by then is thought dead. What it may have sent is then sent
#: again: a picture twice is better than none, and processes die seldom.
LEASE = timedelta(seconds=120)


@dataclass(frozen=True, slots=True)
class To:
    """Whom something is sent to, and through which account."""

    account_id: str
    person: str
    contact_id: str | None
    happened_at: datetime
    """When what it answers happened."""


@dataclass(frozen=True, slots=True)
class Draft:
    """Something to be sent as soon as it is allowed; once for each ``key``. ``refused``: why it cannot ever
    be."""

    to: To
    kind: str
    key: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    campaign_id: str | None = None
    participant_id: str | None = None
    message_id: str | None = None
    refused: str = ""


def add(
    ctx: Ctx,
    to: To,
    kind: str,
    key: str,
    payload: Mapping[str, Any],
    *,
    campaign_id: str | None = None,
    participant_id: str | None = None,
    message_id: str | None = None,
    refused: str = "",
) -> None:
    """Send something as soon as it is allowed; once for each ``key``. ``refused``: why it cannot ever be."""
    add_many(ctx, [Draft(to, kind, key, payload, campaign_id, participant_id, message_id, refused)])


def add_many(ctx: Ctx, several: Sequence[Draft]) -> None:
    """The same for several at once."""
    if not several:
        return
    now = ctx.now()
    rows = [_row(ctx.new_id("dlv"), one) for one in several]
    values = {"rows": orjson.dumps(rows).decode(), "workspace_id": ctx.workspace_id, "now": now}
    ctx.session.execute(_ADD, values)
    if not all(one.refused for one in several):
        ctx.ring(JOB)


def _row(delivery_id: str, of: Draft) -> dict[str, Any]:
    return {
        "id": delivery_id,
        "account_id": of.to.account_id,
        "person": of.to.person,
        "contact_id": of.to.contact_id,
        "campaign_id": of.campaign_id,
        "participant_id": of.participant_id,
        "message_id": of.message_id,
        "kind": of.kind,
        "payload": of.payload,
        "key": of.key,
        "state": "refused" if of.refused else "waiting",
        "reason": of.refused,
        "happened_at": of.to.happened_at,
    }


def add_poster(ctx: Ctx, to: To, key: str, campaign_id: str, participant_id: str) -> None:
    """Send a participant their poster. One that waits already is tried again instead of sent twice."""
    waiting = queries.waiting_poster(ctx, participant_id, to.account_id)
    if waiting is None:
        add(ctx, to, "poster", key, {}, campaign_id=campaign_id, participant_id=participant_id)
    else:
        ctx.session.execute(_WAKE_ONE, {"id": waiting.id, "now": ctx.now()})
        ctx.ring(JOB)


def wake(ctx: Ctx, account_id: str, person: str) -> int:
    """The person did something: what waited for that may go now; how many."""
    found = ctx.session.execute(_WAKE, {"account_id": account_id, "person": person, "now": ctx.now()}).all()
    if found:
        ctx.ring(JOB)
    return len(found)


def wake_posters(ctx: Ctx, participant_id: str) -> None:
    """The participant's poster is drawn, or was given up."""
    found = ctx.session.execute(_WAKE_POSTERS, {"participant_id": participant_id, "now": ctx.now()}).all()
    if found:
        ctx.ring(JOB)


def wake_account(ctx: Ctx, account_id: str) -> int:
    """Staff corrected the connection: everything that waited for that is tried now; how many."""
    found = ctx.session.execute(_WAKE_ACCOUNT, {"account_id": account_id, "now": ctx.now()}).all()
    if found:
        ctx.ring(JOB)
    return len(found)


def give_up(ctx: Ctx, account_id: str, person: str, reason: str) -> int:
    """Nothing more is sent to somebody who left; how many there were."""
    values = {"account_id": account_id, "person": person, "reason": reason, "now": ctx.now()}
    return len(ctx.session.execute(_GIVE_UP, values).all())


def claim(ctx: Ctx, limit: int) -> Sequence[Delivery]:
    """Take due deliveries, oldest first; with a person's first one all that are due for them."""
    values = {"now": ctx.now(), "lease": ctx.now() + LEASE, "limit": limit}
    ids = ctx.session.scalars(_CLAIM, values).all()
    rows = select(Delivery).where(Delivery.id.in_(ids)).order_by(Delivery.id)
    return ctx.session.scalars(rows, execution_options={"populate_existing": True}).all()


def settle(ctx: Ctx, row: Delivery, **values: Any) -> bool:
    """Write down what became of a claimed delivery; False when it was taken over or given up meanwhile."""
    mine = (
        update(Delivery)
        .where(Delivery.id == row.id, Delivery.state == "waiting", Delivery.attempts == row.attempts)
        .values(**values)
        .returning(Delivery.id)
    )
    return ctx.session.execute(mine, execution_options={"synchronize_session": False}).first() is not None


def move_on(row: Delivery, after: Next, now: datetime) -> dict[str, Any]:
    """The columns of a delivery that was not sent."""
    final = after.state != "waiting"
    return {
        "state": after.state,
        "waits_for": after.waits_for,
        "next_at": after.at,
        "settled_at": now if final else None,
        # What the person brings about is no failed try.
        "attempts": row.attempts - (1 if after.waits_for in ("person", "poster") else 0),
    }


_ADD = text(
    "INSERT INTO deliveries (id, workspace_id, account_id, person, contact_id, campaign_id, participant_id,"
    "  message_id, kind, payload, key, state, reason, next_at, happened_at, created_at, settled_at)"
    " SELECT r.id, :workspace_id, r.account_id, r.person, r.contact_id, r.campaign_id, r.participant_id,"
    "  r.message_id, r.kind, r.payload, r.key, r.state, r.reason, CASE r.state WHEN 'waiting' THEN :now END,"
    "  r.happened_at, :now, CASE r.state WHEN 'refused' THEN :now END"
    " FROM json_to_recordset(CAST(:rows AS json)) AS r (id text, account_id text, person text,"
    "  contact_id text, campaign_id text, participant_id text, message_id text, kind text, payload jsonb,"
    "  key text, state text, reason text, happened_at timestamptz)"
    " ON CONFLICT (workspace_id, key) DO NOTHING"
)
_WAKE_ONE = text(
    "UPDATE deliveries SET next_at = :now, waits_for = '' WHERE id = :id AND state = 'waiting'"
    " AND waits_for <> 'staff' AND (next_at IS NULL OR waits_for = 'time')"
)
_WAKE = text(
    "UPDATE deliveries SET next_at = :now, waits_for = '' WHERE account_id = :account_id"
    " AND person = :person AND state = 'waiting' AND waits_for = 'person' RETURNING id"
)
_WAKE_POSTERS = text(
    "UPDATE deliveries SET next_at = :now WHERE participant_id = :participant_id"
    " AND state = 'waiting' AND waits_for = 'poster' RETURNING id"
)
_WAKE_ACCOUNT = text(
    "UPDATE deliveries SET next_at = :now, waits_for = '' WHERE account_id = :account_id"
    " AND state = 'waiting' AND waits_for = 'staff' RETURNING id"
)
_GIVE_UP = text(
    "UPDATE deliveries SET state = 'refused', waits_for = '', reason = :reason, next_at = NULL,"
    "  settled_at = :now WHERE account_id = :account_id AND person = :person AND state = 'waiting'"
    " RETURNING id"
)
_CLAIM = text(
    "WITH first AS ("
    "  SELECT id, account_id, person FROM deliveries WHERE state = 'waiting' AND next_at <= :now"
    # A welcome has 20 s, however much waits before it (rule 14).
    "  ORDER BY kind <> 'welcome', next_at, id LIMIT :limit FOR UPDATE SKIP LOCKED),"
    " all_of_them AS ("
    "  SELECT d.id FROM deliveries d WHERE d.state = 'waiting' AND d.next_at <= :now"
    "  AND (d.account_id, d.person) IN (SELECT account_id, person FROM first)"
    "  FOR UPDATE SKIP LOCKED)"
    " UPDATE deliveries SET attempts = attempts + 1, next_at = :lease, waits_for = ''"
    " WHERE id IN (SELECT id FROM all_of_them) RETURNING id"
)
