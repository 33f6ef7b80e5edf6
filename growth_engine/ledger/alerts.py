"""Alerts: something that must not be is raised once, seen again while it lasts, cleared when it is over."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import structlog
from redis import Redis
from sqlalchemy import CursorResult, func, select, text, update

from growth_engine.context import Ctx, Parts
from growth_engine.ledger.models import Alert

log = structlog.get_logger(__name__)

#: Hash in the queue Redis: workspace -> open alerts, for /metrics, which sees no workspace's rows.
COUNT_KEY = "ge:alerts"
#: A detail is read on a screen; the rest of a long one is in the log.
DETAIL = 4000

_RAISE = text(
    "INSERT INTO alerts (id, workspace_id, topic, subject, detail, raised_at, seen_at)"
    " VALUES (:id, :workspace_id, :topic, :subject, :detail, :now, :now)"
    " ON CONFLICT (workspace_id, topic, subject) WHERE cleared_at IS NULL"
    " DO UPDATE SET detail = excluded.detail, seen_at = excluded.seen_at"
    " RETURNING raised_at = seen_at"
)


def raise_alert(ctx: Ctx, topic: str, subject: str, detail: str) -> bool:
    """Say that ``topic`` fails for ``subject``; True when it did not fail before."""
    values = {
        "id": ctx.new_id("alr"),
        "workspace_id": ctx.workspace_id,
        "topic": topic,
        "subject": subject,
        "detail": detail[:DETAIL],
        "now": ctx.now(),
    }
    new = bool(ctx.session.execute(_RAISE, values).scalar_one())
    log.error("alert", topic=topic, subject=subject, detail=detail, new=new)
    return new


def clear(ctx: Ctx, topic: str, subject: str) -> bool:
    """Say that ``topic`` is well again for ``subject``; False when nothing was open."""
    return bool(_clear(ctx, [topic], subject, ()))


def settle(ctx: Ctx, subject: str, failing: Mapping[str, str], looked_at: Collection[str]) -> int:
    """After a look at ``subject``: raise what fails (topic -> detail), clear the other topics looked at.

    How many alerts were raised that had not been open.
    """
    new = sum(raise_alert(ctx, topic, subject, detail) for topic, detail in failing.items())
    _clear(ctx, looked_at, subject, failing)
    return new


def _clear(ctx: Ctx, topics: Collection[str], subject: str, but: Collection[str]) -> int:
    over = sorted(set(topics) - set(but))
    found: CursorResult[Any] = ctx.session.execute(  # type: ignore[assignment]
        update(Alert)
        .where(
            Alert.workspace_id == ctx.workspace_id,
            Alert.subject == subject,
            Alert.topic.in_(over),
            Alert.cleared_at.is_(None),
        )
        .values(cleared_at=ctx.now())
    )
    if found.rowcount:
        log.info("alerts cleared", subject=subject, alerts=found.rowcount)
    return found.rowcount


def publish_count(parts: Parts, workspace_id: str) -> int:
    """Tell /metrics how many alerts are open in a workspace."""
    with parts.open(workspace_id) as ctx:
        query = select(func.count()).select_from(Alert).where(Alert.cleared_at.is_(None))
        count = ctx.session.scalar(query) or 0
    parts.queue.hset(COUNT_KEY, workspace_id, count)
    return count


def open_in_all(queue: Redis) -> int:
    """Open alerts of all workspaces, as last told."""
    counts: Any = queue.hvals(COUNT_KEY)
    return sum(map(int, counts))
