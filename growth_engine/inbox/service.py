"""Write down what came, what became of it, and try it again."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import text

from growth_engine.channels.protocol.documents import Unreadable
from growth_engine.connections import queries as connections
from growth_engine.context import Ctx
from growth_engine.inbox import accounts, payloads, queries
from growth_engine.inbox.contract import (
    Account,
    Inbound,
    PassiveReply,
    Provider,
    Refused,
    Request,
    Verified,
    reply_from_json,
    reply_to_json,
)
from growth_engine.inbox.interpreting import interpreters_of
from growth_engine.inbox.models import InboxMessage
from growth_engine.inbox.providers import provider
from growth_engine.kit.errors import Conflict
from growth_engine.kit.i18n import N_
from growth_engine.kit.ids import Ids
from growth_engine.kit.log import scrub

#: A process that has not finished interpreting by then is thought dead, and the message tried again.
LEASE = timedelta(seconds=30)
#: Tries before a message counts as failed; the waits double from 5 s to about twenty minutes in all.
ATTEMPTS = 8
FIRST_WAIT = timedelta(seconds=5)

#: Of what is refused, little is kept, and not for long: anybody may send us anything.
REFUSED_BYTES = 16 * 1024
REFUSED_PER_DAY = 500
_REFUSED_WINDOW = timedelta(days=1)
_QUERY = ("signature", "msg_signature", "timestamp", "nonce", "encrypt_type", "echostr")
_LONGEST_VALUE = 2048

UNANSWERED = N_("The answer came too late to be given, and there is no other way to send it.")


class NothingToReplay(Conflict):
    code = "nothing_to_replay"
    message = N_("There is nothing left of this message to try again.")


class StillRefused(Conflict):
    code = "still_refused"
    message = N_("It is refused again: %(why)s")


@dataclass(frozen=True, slots=True)
class Draft:
    """A genuine message that is to be written down."""

    id: str
    account_id: str
    inbound: Inbound
    request: str
    """What verifying it again takes, as JSON."""
    raw: bytes
    content: bytes
    content_hash: bytes
    state: str
    """``received`` when somebody understands it, else ``unknown``."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A message as it lies in the inbox now."""

    id: str
    inbound: Inbound
    state: str
    fresh: bool
    """It was not there before: whoever wrote it down makes the first attempt."""
    reply: PassiveReply | None
    """The reply it was given before."""


def read(of: Provider, content: bytes, account_id: str, now: datetime) -> list[Inbound]:
    """Everything a genuine document says. One that cannot be read is kept as ``unreadable``."""
    try:
        return of.parse(content, account_id)
    except Unreadable:
        digest = hashlib.sha256(content).hexdigest()[:32]
        nothing = payloads.Unreadable()
        return [Inbound(of.slug, account_id, f"raw:{digest}", "unreadable", now, "", "", nothing)]


def drafts(
    ids: Ids, account: Account, request: Request, verified: Verified, inbounds: Sequence[Inbound]
) -> list[Draft]:
    """What to write down of a genuine callback. A message nobody understands waits to be looked at."""
    needed = _needed(request, provider(account.provider))
    digest = hashlib.sha256(verified.content).digest()
    return [
        Draft(
            id=ids.new("inb"),
            account_id=account.id,
            inbound=inbound,
            request=needed,
            raw=request.body,
            content=verified.content,
            content_hash=digest,
            state="received" if interpreters_of(inbound.provider, inbound.kind) else "unknown",
        )
        for inbound in inbounds
    ]


def store(ctx: Ctx, messages: Sequence[Draft]) -> list[Stored]:
    """Write messages down, each once; a repetition is counted. Fresh ones that are ``received`` are
    leased to the caller as their first attempt."""
    statement, values = storing(ctx.workspace_id, messages, ctx.now())
    return as_stored(messages, ctx.session.connection().exec_driver_sql(statement, values).all())


def storing(workspace_id: str, messages: Sequence[Draft], now: datetime) -> tuple[str, dict[str, Any]]:
    """The statement of ``store`` in psycopg's style: rows as arrays, one for each column."""
    first: dict[tuple[str, str], Draft] = {}
    others: dict[tuple[str, str], list[bool]] = {}
    for one in messages:
        key = (one.account_id, one.inbound.identity)
        kept = first.setdefault(key, one)
        others.setdefault(key, []).append(one.content_hash != kept.content_hash)
    # In one order everywhere: two processes that write the same messages must not wait for each other.
    keys = sorted(first)
    rows = [first[key] for key in keys]
    return _STORE, {
        "workspace_id": workspace_id,
        "now": now,
        "next_at": now + LEASE,
        "ids": [one.id for one in rows],
        "account_ids": [one.account_id for one in rows],
        "providers": [one.inbound.provider for one in rows],
        "identities": [one.inbound.identity for one in rows],
        "kinds": [one.inbound.kind for one in rows],
        "senders": [one.inbound.sender for one in rows],
        "states": [one.state for one in rows],
        "requests": [one.request for one in rows],
        "raws": [one.raw for one in rows],
        "contents": [one.content for one in rows],
        "hashes": [one.content_hash for one in rows],
        "occurred": [one.inbound.occurred_at for one in rows],
        "sent": [len(others[key]) for key in keys],
        "altered": [sum(others[key]) for key in keys],
    }


def as_stored(messages: Sequence[Draft], rows: Sequence[Any]) -> list[Stored]:
    """What the statement of ``storing`` answered, message by message."""
    found = {(row.account_id, row.identity): row for row in rows}
    answers = []
    for one in messages:
        row = found[one.account_id, one.inbound.identity]
        given = reply_from_json(row.reply) if row.reply else None
        answers.append(Stored(row.id, one.inbound, row.state, row.id == one.id, given))
    return answers


def keep_refused(ctx: Ctx, account: Account, request: Request, error: Refused) -> None:
    """Write down what was refused and why; the same again is counted, and a flood is cut off."""
    now = ctx.now()
    needed = _needed(request, provider(account.provider))
    digest = hashlib.sha256(needed.encode() + request.body).digest()
    ctx.session.execute(
        _REFUSE,
        {
            "id": ctx.new_id("inb"),
            "workspace_id": ctx.workspace_id,
            "account_id": account.id,
            "provider": account.provider,
            "identity": f"ref:{digest.hex()[:32]}",
            "request": needed,
            "raw": request.body[:REFUSED_BYTES],
            "content_hash": digest,
            "error": f"{error.code}: {error}",
            "now": now,
            "since": now - _REFUSED_WINDOW,
            "most": REFUSED_PER_DAY,
        },
    )


def _needed(request: Request, of: Provider) -> str:
    """What verifying it again takes. Not ``openid``: the signatures do without it."""
    query = {name: request.query[name][:_LONGEST_VALUE] for name in _QUERY if name in request.query}
    kept = {name: request.headers[name][:_LONGEST_VALUE] for name in of.headers if name in request.headers}
    return orjson.dumps({"method": request.method, "query": query, "headers": kept}).decode()


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of an attempt that came to its end."""

    id: str
    attempt: int
    reply: PassiveReply | None
    error: str | None


def settle(ctx: Ctx, several: Sequence[Settled]) -> bool:
    """Mark attempts as done, in the transaction of what they did; False when any was taken over."""
    statement, values = settling(several, ctx.now())
    return ctx.session.connection().exec_driver_sql(statement, values).rowcount == len(several)


def settling(several: Sequence[Settled], now: datetime) -> tuple[str, dict[str, Any]]:
    """The statement that marks attempts as done, in psycopg's style."""
    rows = sorted(several, key=lambda one: one.id)
    return _DONE, {
        "now": now,
        "ids": [one.id for one in rows],
        "attempts": [one.attempt for one in rows],
        "replies": [orjson.dumps(reply_to_json(one.reply)).decode() if one.reply else None for one in rows],
        "errors": [one.error for one in rows],
    }


def take_reply(ctx: Ctx, message_id: str) -> PassiveReply | None:
    """Take the reply out of the row of a message: whoever gets it sends it. None when there is none."""
    taken = ctx.session.scalar(_TAKE_REPLY, {"id": message_id})
    return reply_from_json(taken) if taken else None


def note_error(ctx: Ctx, message_id: str, error: str) -> None:
    """Say what is wrong with a message that is done."""
    ctx.session.execute(_NOTE_ERROR, {"id": message_id, "error": error})


def nobody_understands(ctx: Ctx, message_id: str, attempt: int) -> None:
    ctx.session.execute(_UNKNOWN, {"id": message_id, "attempt": attempt})


def note_failure(ctx: Ctx, message_id: str, attempt: int, error: str) -> None:
    """An attempt failed: try again later, or give up."""
    values = {
        "id": message_id,
        "attempt": attempt,
        "state": "failed" if attempt >= ATTEMPTS else "received",
        "next_at": ctx.now() + FIRST_WAIT * 2 ** (attempt - 1),
        "error": scrub(error)[:2000],
    }
    ctx.session.execute(_FAILED, values)


def hand_over(ctx: Ctx, message_id: str) -> None:
    """Give up the lease of the first attempt before it began: the job may take the message at once."""
    ctx.session.execute(_HAND_OVER, {"id": message_id, "now": ctx.now()})
    ctx.ring("inbox.interpret")


def replay(ctx: Ctx, message_id: str) -> None:
    """Try a message again, from the start. One that was refused is verified again, with the keys of
    today and the time of then: a key entered wrongly costs no message.

    Raises UnknownMessage, NothingToReplay or StillRefused.
    """
    message = queries.message(ctx, message_id, lock=True)
    if message.state == "refused":
        _replay_refused(ctx, message)
    elif not message.content:
        raise NothingToReplay
    else:
        message.state, message.error, message.attempts = "received", None, 0
        message.next_at, message.handled_at = ctx.now(), None
    ctx.ring("inbox.interpret")


def _replay_refused(ctx: Ctx, message: InboxMessage) -> None:
    stored = message.request
    whole = 0 < len(message.raw) < REFUSED_BYTES
    if stored["method"] != "POST" or not whole:
        raise NothingToReplay
    account = accounts.account_of(connections.connection(ctx, message.account_id), ctx.now())
    of = provider(message.provider)
    request = Request(
        "POST", stored["query"], stored["headers"], message.raw, received_at=message.received_at
    )
    try:
        verified = of.verify(request, account)
    except Refused as error:
        raise StillRefused(params={"why": str(error)}) from None
    inbounds = read(of, verified.content, account.id, ctx.now())
    for one in store(ctx, drafts(ctx.parts.ids, account, request, verified, inbounds)):
        if one.fresh and one.state == "received":
            hand_over(ctx, one.id)
    ctx.session.delete(message)


def retry_failed(ctx: Ctx) -> int:
    """Try everything again that was given up; how many."""
    count = len(ctx.session.execute(_RETRY, {"now": ctx.now()}).all())
    ctx.ring("inbox.interpret")
    return count


_COLUMNS = (
    "id, workspace_id, account_id, provider, identity, kind, sender, state, request, raw, content,"
    " content_hash, attempts, next_at, error, occurred_at, received_at, last_delivery_at"
)
_STORE = (
    f"INSERT INTO inbox_messages AS m ({_COLUMNS}, deliveries, altered)"  # noqa: S608 - names of this file
    " SELECT n.id, %(workspace_id)s, n.account_id, n.provider, n.identity, n.kind, n.sender, n.state,"
    "  n.request::jsonb, n.raw, n.content, n.hash, (n.state = 'received')::int, %(next_at)s, NULL,"
    "  n.occurred, %(now)s, %(now)s, n.sent, n.altered"
    " FROM unnest(%(ids)s::text[], %(account_ids)s::text[], %(providers)s::text[],"
    "  %(identities)s::text[], %(kinds)s::text[], %(senders)s::text[], %(states)s::text[],"
    "  %(requests)s::text[], %(raws)s::bytea[], %(contents)s::bytea[], %(hashes)s::bytea[],"
    "  %(occurred)s::timestamptz[], %(sent)s::int[], %(altered)s::int[])"
    "  AS n (id, account_id, provider, identity, kind, sender, state, request, raw, content, hash,"
    "   occurred, sent, altered)"
    " ON CONFLICT (account_id, identity) DO UPDATE SET deliveries = m.deliveries + excluded.deliveries,"
    "  last_delivery_at = excluded.last_delivery_at,"
    "  altered = m.altered + CASE WHEN m.content_hash = excluded.content_hash THEN excluded.altered"
    "   ELSE excluded.deliveries END"
    " RETURNING m.id, m.account_id, m.identity, m.state, m.reply"
)
_REFUSE = text(
    f"INSERT INTO inbox_messages AS m ({_COLUMNS})"  # noqa: S608 - names of this file
    " SELECT :id, :workspace_id, :account_id, :provider, :identity, '', '', 'refused',"
    "  CAST(:request AS jsonb), :raw, NULL, :content_hash, 0, :now, :error, :now, :now, :now"
    " WHERE (SELECT count(*) FROM (SELECT FROM inbox_messages o WHERE o.workspace_id = :workspace_id"
    "   AND o.state = 'refused' AND o.account_id = :account_id AND o.received_at > :since"
    "   LIMIT :most) AS kept) < :most"
    " ON CONFLICT (account_id, identity) DO UPDATE SET deliveries = m.deliveries + 1,"
    "  last_delivery_at = excluded.last_delivery_at"
)
_MINE = " WHERE id = :id AND state = 'received' AND attempts = :attempt"
_DONE = (
    "UPDATE inbox_messages m SET state = 'done', handled_at = %(now)s, error = n.error,"
    "  reply = n.reply::jsonb"
    " FROM unnest(%(ids)s::text[], %(attempts)s::int[], %(replies)s::text[], %(errors)s::text[])"
    "  AS n (id, attempt, reply, error)"
    " WHERE m.id = n.id AND m.state = 'received' AND m.attempts = n.attempt"
)
_TAKE_REPLY = text(
    "UPDATE inbox_messages SET reply = NULL WHERE id = :id AND state = 'done' AND reply IS NOT NULL"
    " RETURNING old.reply"
)
_NOTE_ERROR = text("UPDATE inbox_messages SET error = :error WHERE id = :id AND state = 'done'")
_UNKNOWN = text(f"UPDATE inbox_messages SET state = 'unknown', error = NULL{_MINE}")  # noqa: S608
_FAILED = text(
    f"UPDATE inbox_messages SET state = :state, next_at = :next_at, error = :error{_MINE}"  # noqa: S608
)
_HAND_OVER = text(
    "UPDATE inbox_messages SET attempts = 0, next_at = :now"
    " WHERE id = :id AND state = 'received' AND attempts = 1"
)
_RETRY = text(
    "UPDATE inbox_messages SET state = 'received', attempts = 0, next_at = :now, error = NULL"
    " WHERE state = 'failed' AND content IS NOT NULL RETURNING id"
)
