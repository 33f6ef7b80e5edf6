"""What plays told people (their ``messages``) is taken over and sent through the channel they are at."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import text

from growth_engine.access import queries as access
from growth_engine.context import Ctx, Parts
from growth_engine.plays import queries as plays
from growth_engine.reach import deliveries, queries
from growth_engine.reach.deliveries import To

BATCH = 200
#: Older news stand on the phone page only: an account may be connected long after they were told.
FRESH = timedelta(hours=48)
#: Whoever just came is told something in the same moment in which we learn where they are to be found.
SETTLED = timedelta(seconds=30)
#: Why some news are on the phone page only (stored, shown in the console).
NO_WAY = "no_way"


def pick(parts: Parts, workspace_id: str) -> int:
    """Take over a batch of messages; how many."""
    with parts.open(workspace_id) as ctx:
        values = {"now": ctx.now(), "settled": ctx.now() - SETTLED, "batch": BATCH}
        rows = ctx.session.execute(_PICK, values).mappings().all()
        fresh = [row for row in rows if ctx.now() - row["created_at"] < FRESH]
        ways = queries.contacts_followers(ctx, sorted({row["contact_id"] for row in fresh}))
        locales = _locales(ctx, {row["campaign_id"] for row in fresh})
        for row in sorted(fresh, key=lambda row: row["id"]):
            here = ways.get(row["contact_id"], ())
            if here:
                _hand_over(ctx, row, here, locales[row["campaign_id"]])
    return len(rows)


def _hand_over(ctx: Ctx, row: Any, here: Sequence[tuple[str, str, str]], locale: str) -> None:
    """Through the Official Account; in WeCom only an employee may write without being asked (sheet §3.10)."""
    provider, account_id, person = next((one for one in here if one[0] == "wechat_oa"), here[0])
    deliveries.add(
        ctx,
        To(account_id, person, row["contact_id"], row["created_at"]),
        "message",
        f"message:{row['id']}",
        {"template": row["template"], "params": row["params"], "locale": locale},
        campaign_id=row["campaign_id"],
        message_id=row["id"],
        refused="" if provider == "wechat_oa" else NO_WAY,
    )


def _locales(ctx: Ctx, campaign_ids: set[str | None]) -> dict[str | None, str]:
    """The language of each campaign's news; of those of none the workspace's."""
    workspace = access.workspace(ctx.session, ctx.workspace_id)
    assert workspace is not None
    return {one: plays.campaign(ctx, one).locale if one else workspace.locale for one in campaign_ids}


_PICK = text(
    "UPDATE messages SET picked_at = :now WHERE id IN (SELECT m.id FROM messages m WHERE m.picked_at IS NULL"
    "  AND (m.created_at < :settled OR EXISTS ("
    "   SELECT FROM followers f WHERE f.workspace_id = m.workspace_id AND f.contact_id = m.contact_id))"
    "  ORDER BY m.id LIMIT :batch FOR UPDATE SKIP LOCKED)"
    " RETURNING id, contact_id, campaign_id, template, params, created_at"
)
