"""Selects of the inbox."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, text

from growth_engine.context import Ctx
from growth_engine.inbox.contract import Inbound, PassiveReply, reply_from_json
from growth_engine.inbox.models import InboxMessage
from growth_engine.inbox.providers import provider
from growth_engine.kit.errors import GrowthError, NotFound
from growth_engine.kit.i18n import N_

STATES = ("received", "done", "unknown", "failed", "refused")
_CODE = re.compile(r"[a-z0-9_]+")


class UnknownMessage(NotFound):
    code = "unknown_inbox_message"
    message = N_("There is no such message in the inbox.")


@dataclass(frozen=True, slots=True)
class Standing:
    """How the callbacks of an account are doing."""

    last_at: datetime | None
    """When the last genuine one came."""
    last_error: str
    last_error_at: datetime | None
    """The last one that was refused or could not be interpreted."""


def message(ctx: Ctx, message_id: str, *, lock: bool = False) -> InboxMessage:
    wanted = select(InboxMessage).where(
        InboxMessage.workspace_id == ctx.workspace_id, InboxMessage.id == message_id
    )
    found = ctx.session.scalars(wanted.with_for_update() if lock else wanted).one_or_none()
    if found is None:
        raise UnknownMessage
    return found


def page(
    ctx: Ctx, *, state: str = "", account_id: str = "", after: str = "", limit: int = 20
) -> Sequence[InboxMessage]:
    """One row more than ``limit``, the newest first."""
    wanted = select(InboxMessage).where(InboxMessage.workspace_id == ctx.workspace_id)
    if state:
        wanted = wanted.where(InboxMessage.state == state)
    if account_id:
        wanted = wanted.where(InboxMessage.account_id == account_id)
    if after:
        wanted = wanted.where(InboxMessage.id < after)
    return ctx.session.scalars(wanted.order_by(InboxMessage.id.desc()).limit(limit + 1)).all()


def trouble(ctx: Ctx) -> Mapping[str, int]:
    """How many messages are in each state somebody should look at."""
    rows = ctx.session.execute(
        select(InboxMessage.state, func.count().label("found"))
        .where(
            InboxMessage.workspace_id == ctx.workspace_id,
            InboxMessage.state.in_(["refused", "failed", "unknown"]),
        )
        .group_by(InboxMessage.state)
    )
    return {row.state: row.found for row in rows}


def failed(ctx: Ctx) -> Sequence[InboxMessage]:
    """What was given up, for ``growth-engine jobs stuck``."""
    return page(ctx, state="failed", limit=499)


def inbounds(of: InboxMessage) -> list[Inbound]:
    """What a stored message says, read again from its content; none when that is gone."""
    return _said(of.provider, of.account_id, of.identity, of.content)


def readable(ctx: Ctx, message_ids: Sequence[str], *, untried: bool = False) -> Mapping[str, Inbound]:
    """What stored messages say, by their ids; those that cannot be read, or say nothing any more, are left
    out. ``untried``: those only whose first attempt is still to be made."""
    wanted = select(
        InboxMessage.id,
        InboxMessage.provider,
        InboxMessage.account_id,
        InboxMessage.identity,
        InboxMessage.content,
    ).where(
        # Not the workspace, which the fence compares: before there are statistics, an index that begins with
        # it then looks better than the key.
        InboxMessage.id.in_(message_ids)
    )
    if untried:
        wanted = wanted.where(InboxMessage.state == "received", InboxMessage.attempts == 1)
    said: dict[str, Inbound] = {}
    for row in ctx.session.execute(wanted):
        with contextlib.suppress(GrowthError, ValueError):  # the job tries it alone, and writes that down
            found = _said(row.provider, row.account_id, row.identity, row.content)
            said.update((row.id, one) for one in found[:1])
    return said


def reply_kept(ctx: Ctx, message_id: str) -> PassiveReply | None:
    """The passive reply a message was given, as its row keeps it."""
    kept = ctx.session.scalar(
        select(InboxMessage.reply).where(
            InboxMessage.workspace_id == ctx.workspace_id, InboxMessage.id == message_id
        )
    )
    return reply_from_json(kept) if kept else None


def _said(of: str, account_id: str, identity: str, content: bytes | None) -> list[Inbound]:
    if not content:
        return []
    return [one for one in provider(of).parse(content, account_id) if one.identity == identity]


def reason_in(error: str | None) -> str:
    """The message id in a stored error of a refused callback (``code: message``); others as they are."""
    code, found, message = (error or "").partition(": ")
    return message if found and _CODE.fullmatch(code) else error or ""


def standing(ctx: Ctx, account_ids: Sequence[str]) -> Mapping[str, Standing]:
    """How each account's callbacks are doing."""
    rows = ctx.session.execute(_STANDING, {"ids": list(account_ids)})
    return {row.account: Standing(row.last_at, row.error or "", row.error_at) for row in rows}


_STANDING = text(
    "SELECT a.account, good.received_at AS last_at, bad.error, bad.last_delivery_at AS error_at"
    " FROM unnest(CAST(:ids AS text[])) AS a (account)"
    " LEFT JOIN LATERAL (SELECT received_at FROM inbox_messages m"
    "   WHERE m.account_id = a.account AND m.state <> 'refused' ORDER BY m.id DESC LIMIT 1) AS good ON true"
    " LEFT JOIN LATERAL (SELECT error, last_delivery_at FROM inbox_messages m"
    "   WHERE m.account_id = a.account AND m.state IN ('refused', 'failed')"
    "   ORDER BY m.id DESC LIMIT 1) AS bad ON true"
)
