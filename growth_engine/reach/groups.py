"""Customer groups of WeCom: read anew when they change; members' states say who brought them."""

from __future__ import annotations

from datetime import timedelta

import structlog
from sqlalchemy import text

from growth_engine.channels.errors import ChannelError, GoneForGood
from growth_engine.channels.wecom import Group, GroupMember, Groups, Wecom
from growth_engine.connections import credentials
from growth_engine.connections import queries as connections
from growth_engine.context import Ctx, Parts
from growth_engine.inbox.payloads import GroupChanged
from growth_engine.kit.errors import GrowthError
from growth_engine.reach import arrivals, parting, queries, rules
from growth_engine.reach.came import Came

log = structlog.get_logger(__name__)

JOB = "reach.groups"
BATCH = 10
LEASE = timedelta(minutes=5)
#: What a group says may lag so long behind its event (sheet §3.3).
LAG = timedelta(seconds=2)
#: Events are not guaranteed (rule 15): every group is read again so often.
READ_AGAIN = timedelta(hours=6)


def changed(ctx: Ctx, account_id: str, said: GroupChanged, *, dismissed: bool) -> None:
    """Have the group read, soon enough and not too soon. Nobody is left in one that was dismissed."""
    values = {
        "workspace_id": ctx.workspace_id,
        "account_id": account_id,
        "chat_id": said.chat_id,
        "dismissed": dismissed,
        "next_at": ctx.now() + LAG,
    }
    ctx.session.execute(_CHANGED, values)
    ctx.ring(JOB)


def read(parts: Parts, workspace_id: str) -> int:
    """Read a batch of groups; how many were claimed."""
    with parts.open(workspace_id) as ctx:
        values = {"now": ctx.now(), "lease": ctx.now() + LEASE, "batch": BATCH}
        claimed = ctx.session.execute(_CLAIM, values).all()
    for account_id, chat_id, attempts, dismissed in claimed:
        try:
            if dismissed:
                _compare(parts, workspace_id, account_id, Group(chat_id, "", "", (), ""))
                error, next_at = None, None
            else:
                _compare(parts, workspace_id, account_id, _asked(parts, workspace_id, account_id, chat_id))
                error, next_at = None, parts.clock.now() + READ_AGAIN
        except GoneForGood as gone:
            error, next_at = str(gone), None
        except (ChannelError, GrowthError) as failed:
            log.warning("reach.group_not_read", account=account_id, code=failed.code)
            error, next_at = str(failed), parts.clock.now() + rules.backoff(attempts)
        with parts.open(workspace_id) as ctx:
            mine = {"account_id": account_id, "chat_id": chat_id, "attempts": attempts}
            ctx.session.execute(_SETTLE, {**mine, "error": error, "next_at": next_at})
    return len(claimed)


def _asked(parts: Parts, workspace_id: str, account_id: str, chat_id: str) -> Group:
    with parts.open(workspace_id) as ctx:
        connection = connections.connection(ctx, account_id)
    return Groups(Wecom(credentials.wecom(connection), parts.gear)).get(chat_id)


def _compare(parts: Parts, workspace_id: str, account_id: str, group: Group) -> None:
    """Whoever is in it and was not has come; whoever was and is not has gone. One transaction each."""
    tie = rules.GROUP + group.chat_id
    inside = {one.id: one for one in group.members if not one.is_employee}
    with parts.open(workspace_id) as ctx:
        before = set(queries.people_tied(ctx, account_id, tie))
        ctx.session.execute(_READ, {**_described(account_id, group), "now": ctx.now()})
    for member in inside.values():
        if member.id not in before:
            with parts.open(workspace_id) as ctx:
                arrivals.arrive(ctx, _came(ctx, account_id, tie, member))
    for person in sorted(before - inside.keys()):
        with parts.open(workspace_id) as ctx:
            gone = Came("wecom", account_id, person, ctx.now(), ctx.new_id("grp"), tie=tie)
            parting.part(ctx, gone)


def _came(ctx: Ctx, account_id: str, tie: str, member: GroupMember) -> Came:
    at = member.joined_at or ctx.now()
    key = f"{account_id}:{tie}:{member.id}:{int(at.timestamp())}"
    return Came("wecom", account_id, member.id, at, key, member.state, tie, member.unionid)


def _described(account_id: str, group: Group) -> dict[str, object]:
    return {
        "account_id": account_id,
        "chat_id": group.chat_id,
        "name": group.name,
        "owner": group.owner,
        "members": len(group.members),
        "version": group.member_version,
    }


_CHANGED = text(
    "INSERT INTO chat_groups AS g (workspace_id, account_id, chat_id, dismissed, next_at)"
    " VALUES (:workspace_id, :account_id, :chat_id, :dismissed, :next_at)"
    " ON CONFLICT (account_id, chat_id) DO UPDATE SET next_at = excluded.next_at, attempts = 0,"
    "  dismissed = g.dismissed OR excluded.dismissed"
)
_CLAIM = text(
    "UPDATE chat_groups SET attempts = attempts + 1, next_at = :lease"
    " WHERE (account_id, chat_id) IN (SELECT account_id, chat_id FROM chat_groups"
    "   WHERE next_at <= :now ORDER BY next_at LIMIT :batch FOR UPDATE SKIP LOCKED)"
    " RETURNING account_id, chat_id, attempts, dismissed"
)
_READ = text(
    "UPDATE chat_groups SET name = CASE WHEN :name = '' THEN name ELSE :name END,"
    "  owner = CASE WHEN :owner = '' THEN owner ELSE :owner END, members = :members,"
    "  version = :version, read_at = :now WHERE account_id = :account_id AND chat_id = :chat_id"
)
_SETTLE = text(
    "UPDATE chat_groups SET next_at = :next_at, error = :error,"
    "  attempts = CASE WHEN CAST(:error AS text) IS NULL THEN 0 ELSE attempts END"
    " WHERE account_id = :account_id AND chat_id = :chat_id AND attempts = :attempts"
)
