"""Somebody left a channel: their campaigns are told, their window closes, their profile is deleted."""

from __future__ import annotations

import structlog

from growth_engine.channels.errors import ChannelError
from growth_engine.channels.windows import Windows
from growth_engine.context import Ctx
from growth_engine.people import profiles
from growth_engine.people import queries as people
from growth_engine.plays import participation
from growth_engine.posters import service as posters
from growth_engine.reach import deliveries, followers, queries, rules
from growth_engine.reach.came import Came

log = structlog.get_logger(__name__)

#: Why what waited for somebody who left was never sent (stored; ``channels.contract.Reason``).
LEFT = "not_following"


def part(ctx: Ctx, came: Came) -> None:
    """The tie ``came.tie`` ended at ``came.at``. Whoever has none left has gone."""
    known = followers.hold(ctx, came.account_id, came.person)
    ties = rules.tied(known.ties if known else {}, came.tie, came.at, holds=False)
    here = rules.holds(ties)
    contact_id = known.contact_id if known else _known_as(ctx, came)
    gone = not here and (known is None or known.here)
    if gone and contact_id is not None:
        leave(ctx, came.account_id, contact_id, key=came.key, source=came.provider)
    followers.keep(ctx, came.account_id, came.person, ties, contact_id)
    if gone:
        deliveries.give_up(ctx, came.account_id, came.person, LEFT)
        followers.forget(ctx, came.account_id, came.person)
        _close(ctx, came)
        if contact_id is not None:
            _forget(ctx, contact_id)


def leave(ctx: Ctx, account_id: str, contact_id: str, *, key: str, source: str) -> None:
    """Tell the campaigns. Somebody who is still at another account leaves those of this one only."""
    family = people.contact_family(ctx, contact_id)
    elsewhere = any(row.here and row.account_id != account_id for row in queries.followers_of(ctx, family))
    only = queries.campaigns_of(ctx, account_id) if elsewhere else None
    participation.leave(ctx.parts, ctx.workspace_id, contact_id, source=source, key=key, only=only)


def _known_as(ctx: Ctx, came: Came) -> str | None:
    """Somebody we never saw coming: perhaps we know them all the same."""
    owners = people.owners(ctx, came.identities)
    return next(iter(owners.values()), None)


def _close(ctx: Ctx, came: Came) -> None:
    try:
        Windows(ctx.parts.queue, ctx.parts.clock).close(came.account_id, came.person)
    except ChannelError as error:
        # The platform refuses what is sent to them anyway (45015).
        log.warning("reach.window_not_closed", account=came.account_id, why=error.number)


def _forget(ctx: Ctx, contact_id: str) -> None:
    """The platform's instruction (sheet §2.3, rule 7): delete what is known of somebody who unfollowed."""
    family = people.contact_family(ctx, contact_id)
    if any(row.here for row in queries.followers_of(ctx, family)):
        return
    if profiles.forget_profile(ctx, contact_id):
        posters.forget(ctx, contact_id)  # they show the name
