"""Who a newcomer is: the platform tells the unionid, and by whose code they came should that be lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import select, text

from growth_engine.channels.errors import ChannelError, GoneForGood
from growth_engine.channels.wechat_oa import OfficialAccount
from growth_engine.channels.wecom import Customers, Wecom
from growth_engine.connections import credentials
from growth_engine.connections import queries as connections
from growth_engine.connections.queries import Connection
from growth_engine.connections.sealing import SecretsUnreadable
from growth_engine.context import Ctx, Parts
from growth_engine.kit.errors import GrowthError
from growth_engine.people import queries as contacts
from growth_engine.people import service as people
from growth_engine.reach import arrivals, deliveries, rules
from growth_engine.reach.came import KIND_OF, Came
from growth_engine.reach.deliveries import To
from growth_engine.reach.models import Follower

log = structlog.get_logger(__name__)

#: Official Account: 100 in one call (sheet §2.10). WeCom is asked for one after the other.
BATCH = 100
LEASE = timedelta(minutes=5)
ATTEMPTS = 12


@dataclass(frozen=True, slots=True)
class Told:
    """What the platform says about a person."""

    unionid: str = ""
    here: bool = True
    scene: str = ""
    """Of the code they followed through (sheet §2.10)."""
    since: datetime | None = None


def ask(parts: Parts, workspace_id: str) -> int:
    """Ask who a batch of followers are; how many were claimed."""
    with parts.open(workspace_id) as ctx:
        claimed = _claim(ctx)
        accounts = {one: _account(ctx, one) for one in {row.account_id for row in claimed}}
    for account_id, connection in accounts.items():
        rows = [row for row in claimed if row.account_id == account_id]
        found = _asked(parts, connection, rows) if connection else {}
        for row in rows:
            _learn(parts, workspace_id, connection, row, found.get(row.person))
    return len(claimed)


def _claim(ctx: Ctx) -> Sequence[Follower]:
    values = {"now": ctx.now(), "lease": ctx.now() + LEASE, "batch": BATCH}
    keys = {(row.account_id, row.person) for row in ctx.session.execute(_CLAIM, values)}
    rows = ctx.session.scalars(select(Follower).where(Follower.person.in_([one for _, one in keys])))
    return [row for row in rows if (row.account_id, row.person) in keys]


def _account(ctx: Ctx, account_id: str) -> Connection | None:
    try:
        found = connections.connection(ctx, account_id)
    except (connections.UnknownAccount, SecretsUnreadable) as error:
        log.warning("reach.no_account", account=account_id, code=error.code)
        return None
    return found if found.state != "disabled" else None


def _asked(parts: Parts, connection: Connection, rows: Sequence[Follower]) -> Mapping[str, Told]:
    try:
        if connection.provider == "wechat_oa":
            account = OfficialAccount(credentials.official_account(connection), parts.gear)
            return {
                one.openid: Told(one.unionid, one.following, one.qr_scene, one.followed_at)
                for one in account.followers(row.person for row in rows)
            }
        customers = Customers(Wecom(credentials.wecom(connection), parts.gear))
        return dict(_customer(customers, row.person) for row in rows)
    except ChannelError as error:
        log.warning("reach.not_told", account=connection.id, number=error.number)
        return {}


def _customer(customers: Customers, person: str) -> tuple[str, Told]:
    try:
        return person, Told(customers.get(person).unionid)
    except GoneForGood:  # nobody has them any more
        return person, Told(here=False)


def _learn(
    parts: Parts, workspace_id: str, connection: Connection | None, row: Follower, told: Told | None
) -> None:
    """One person in one transaction: a merge that collides is tried again, and stops nobody else."""
    try:
        with parts.open(workspace_id) as ctx:
            if told is None or connection is None:
                _again(ctx, row)
            elif row.contact_id is None:
                _meet(ctx, connection, row, told)
                _done(ctx, row)
            else:
                _name(ctx, connection, row.contact_id, row.person, told)
                _done(ctx, row)
    except GrowthError as error:
        log.warning("reach.not_learned", account=row.account_id, code=error.code)
        with parts.open(workspace_id) as ctx:
            _again(ctx, row)


def _meet(ctx: Ctx, connection: Connection, row: Follower, told: Told) -> None:
    """Somebody whose coming was not told: their follow was lost, or older than the connection."""
    if not told.here:
        return
    at = told.since or row.first_seen_at
    key = f"{row.account_id}:info:{row.person}:{int(at.timestamp())}"
    came = Came(
        connection.provider, row.account_id, row.person, at, key, told.scene, unionid=told.unionid, asked=True
    )
    arrival = arrivals.arrive(ctx, came)
    if arrival.text and not arrival.late:
        to = To(row.account_id, row.person, arrival.contact_id, at)
        deliveries.add(ctx, to, "text", f"reply:{key}", {"text": rules.cut(arrival.text)})
        arrivals.send_poster(ctx, came, arrival)


def _name(ctx: Ctx, connection: Connection, contact_id: str, person: str, told: Told) -> None:
    """The platform vouches that both ids are one person's: whoever was known by either is kept as one."""
    if not told.unionid:
        return
    try:
        contacts.contact(ctx, contact_id)
    except contacts.UnknownContact:  # erased since: they are not made known again behind their back
        return
    pairs = [(KIND_OF[connection.provider], person), ("unionid", told.unionid)]
    people.create_or_update(ctx, pairs, source=connection.provider, proven=True)


def _done(ctx: Ctx, row: Follower) -> None:
    ctx.session.execute(_DONE, _of(ctx, row, None))


def _again(ctx: Ctx, row: Follower) -> None:
    """Given up after a while: attribution does without, and the next arrival asks anew."""
    later = ctx.now() + rules.backoff(row.profile_attempts) if row.profile_attempts < ATTEMPTS else None
    ctx.session.execute(_AGAIN, _of(ctx, row, later))


def _of(ctx: Ctx, row: Follower, next_at: object) -> dict[str, object]:
    return {
        "account_id": row.account_id,
        "person": row.person,
        "attempts": row.profile_attempts,
        "next_at": next_at,
        "now": ctx.now(),
    }


_CLAIM = text(
    "UPDATE followers SET profile_attempts = profile_attempts + 1, profile_next_at = :lease"
    " WHERE (account_id, person) IN (SELECT account_id, person FROM followers"
    "   WHERE profile_next_at <= :now ORDER BY profile_next_at LIMIT :batch FOR UPDATE SKIP LOCKED)"
    " RETURNING account_id, person"
)
_MINE = " WHERE account_id = :account_id AND person = :person AND profile_attempts = :attempts"
_DONE = text(
    f"UPDATE followers SET profile_next_at = NULL, profile_at = :now, profile_attempts = 0{_MINE}"  # noqa: S608
)
_AGAIN = text(f"UPDATE followers SET profile_next_at = :next_at{_MINE}")  # noqa: S608
