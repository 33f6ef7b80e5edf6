"""WeCom's list of customers against ours: callbacks are not guaranteed (sheet §3.2, rule 15)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import text

from growth_engine.channels.errors import ChannelError
from growth_engine.channels.wecom import Customer, Customers, Groups, Wecom
from growth_engine.connections import credentials
from growth_engine.connections import queries as connections
from growth_engine.connections.queries import Connection
from growth_engine.context import Parts
from growth_engine.kit.errors import GrowthError
from growth_engine.reach import arrivals, followers, queries, rules
from growth_engine.reach.came import Came

log = structlog.get_logger(__name__)

#: A customer who was handed over is no newcomer (sheet §3.8): their relation says so.
ASSIGNED = 202
FEW = 50
#: What was told while the list was read, or shortly before, the list may not know yet.
SETTLED = timedelta(minutes=10)


def reconcile(parts: Parts, workspace_id: str) -> int:
    """Look for customers and groups whose event was lost, at every WeCom of the workspace; how many."""
    with parts.open(workspace_id) as ctx:
        corps = connections.connections(ctx, "wecom")
    return sum(_of(parts, workspace_id, one) for one in corps)


def _of(parts: Parts, workspace_id: str, connection: Connection) -> int:
    wecom = Wecom(credentials.wecom(connection), parts.gear)
    try:
        found = _missed_customers(parts, workspace_id, connection.id, Customers(wecom))
        return found + _missed_groups(parts, workspace_id, connection.id, Groups(wecom))
    except ChannelError as error:
        # The next round begins anew; what stops the connection is shown with it by whoever sends.
        log.warning("reach.not_reconciled", account=connection.id, number=error.number)
        return 0


def _missed_customers(parts: Parts, workspace_id: str, account_id: str, customers: Customers) -> int:
    began = parts.clock.now()
    listed: dict[str, set[str]] = {}
    for user in customers.employees():
        for person in customers.of(user):
            listed.setdefault(person, set()).add(user)
    with parts.open(workspace_id) as ctx:
        known = {person: set(rules.staff_of(row.ties)) for person, row in
                 queries.people_here(ctx, account_id).items()}  # fmt: skip
        gone = queries.people_gone(ctx, account_id, sorted(listed))
    _note_handed_over(parts, workspace_id, account_id, known, listed, began)
    # The list keeps customers who removed the employee: of those our own record is the better one.
    missing = {person: users - known.get(person, set()) - gone.get(person, set()) for person, users in
               listed.items()}  # fmt: skip
    missing = {person: users for person, users in missing.items() if users}
    return sum(
        _catch_up(parts, workspace_id, account_id, customer, missing[customer.external_userid])
        for customer in _looked_up(customers, missing)
    )


def _note_handed_over(
    parts: Parts,
    workspace_id: str,
    account_id: str,
    known: Mapping[str, set[str]],
    listed: Mapping[str, set[str]],
    began: datetime,
) -> None:
    """Whoever is in another employee's list now was handed over: what the API does fires no event (rule 16).

    It costs nobody a help; but only the new employee holds them, and losing that one is leaving.
    """
    for person, users in known.items():
        before = users - listed.get(person, users)
        if not before:
            continue
        with parts.open(workspace_id) as ctx:
            row = followers.hold(ctx, account_id, person)
            ties: rules.Ties = row.ties if row is not None else {}
            for user in before & set(rules.staff_of(ties)):
                said = datetime.fromtimestamp(int(ties[user][0]), UTC)
                if said < began - SETTLED:
                    ties = rules.tied(ties, user, said, holds=False)
            if row is not None and ties != row.ties:
                followers.keep(ctx, account_id, person, ties, row.contact_id)


def _looked_up(customers: Customers, missing: Mapping[str, set[str]]) -> Iterator[Customer]:
    """One by one when they are few; by the hundred when a corp has just been connected."""
    if len(missing) <= FEW:
        yield from (customers.get(person) for person in sorted(missing))
    else:
        users = sorted(set().union(*missing.values()))
        yield from (one for one in customers.of_all(users) if one.external_userid in missing)


def _catch_up(parts: Parts, workspace_id: str, account_id: str, customer: Customer, users: set[str]) -> int:
    """What the lost events would have done; nobody is greeted, for that it is too late."""
    found = 0
    for one in customer.relations:
        if one.user not in users:
            continue
        state = "" if one.add_way == ASSIGNED else one.state
        try:
            with parts.open(workspace_id) as ctx:
                at = one.added_at or ctx.now()
                key = f"{account_id}:list:{customer.external_userid}:{one.user}:{int(at.timestamp())}"
                came = Came(
                    "wecom", account_id, customer.external_userid, at, key, state, one.user,
                    customer.unionid, asked=True, listed=True,
                )  # fmt: skip
                arrivals.arrive(ctx, came)
                found += 1
        except GrowthError as error:
            log.warning("reach.customer_not_caught_up", account=account_id, code=error.code)
    return found


def _missed_groups(parts: Parts, workspace_id: str, account_id: str, groups: Groups) -> int:
    chats = list(groups.ids())
    with parts.open(workspace_id) as ctx:
        values: Mapping[str, object] = {
            "workspace_id": workspace_id, "account_id": account_id, "chats": chats, "now": ctx.now(),
        }  # fmt: skip
        found = len(ctx.session.execute(_NEW_GROUPS, values).all())
        if found:
            ctx.ring("reach.groups")
    return found


_NEW_GROUPS = text(
    "INSERT INTO chat_groups (workspace_id, account_id, chat_id, next_at)"
    " SELECT :workspace_id, :account_id, one, :now FROM unnest(CAST(:chats AS text[])) AS one"
    " ON CONFLICT DO NOTHING RETURNING chat_id"
)
