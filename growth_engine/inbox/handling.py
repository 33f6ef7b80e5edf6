"""One attempt at understanding a stored message: what it causes and the mark that it is done, together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import structlog

from growth_engine.context import Ctx, Parts
from growth_engine.inbox import queries, service
from growth_engine.inbox.contract import Inbound, PassiveReply
from growth_engine.inbox.interpreting import (
    ByThemselves,
    InterpretTogether,
    interpreters_of,
    late_registry,
    understand,
)
from growth_engine.inbox.service import Settled
from growth_engine.kit.errors import GrowthError

log = structlog.get_logger(__name__)

Together = Callable[[str, Settled], None]
"""Marks a message of a workspace as done, with others at once (``Intake.settle``)."""


class TakenOver(GrowthError):
    """This attempt took longer than its lease and another one began: what this one did is rolled back."""

    code = "taken_over"
    message = "Another attempt took this message over."


class Asker:
    """The request that waits for a message's reply, and may stop waiting."""

    here: ClassVar[bool] = True
    """It waits in this process, and nobody else answers it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._gone = False
        self._promised = False

    def promise(self) -> bool:
        """Whether the asker is still there; if so it waits for the commit that follows."""
        with self._lock:
            self._promised = not self._gone
            return self._promised

    def release(self) -> None:
        """Nothing came of the promise."""
        with self._lock:
            self._promised = False

    def leave(self) -> bool:
        """Stop waiting; False when a reply has just been promised."""
        with self._lock:
            self._gone = not self._promised
            return self._gone

    def leave_for_good(self) -> None:
        """Stop waiting for a promise, too: should nothing come of it, the next one is told."""
        with self._lock:
            self._gone = True


@dataclass(frozen=True, slots=True)
class Attempt:
    """The so-manieth try at a stored message of a workspace, and who waits for its reply."""

    message_id: str
    number: int
    inbound: Inbound
    asker: Asker | None = None


def interpret(
    parts: Parts,
    workspace_id: str,
    message_id: str,
    attempt: int,
    *,
    inbound: Inbound | None = None,
    asker: Asker | None = None,
    together: Together | None = None,
) -> PassiveReply | None:
    """Understand one message; the reply when ``asker`` is there to take it.

    Never raises for what an interpreter does: the failure is written down and tried again by the job.
    An interpreter that only hands Events to the ledger writes nothing in this transaction: then
    ``together`` takes the mark that the message is done. Should that be lost, the job does it again, which
    the ledger answers as before. Whoever did it instead may have promised a reply that never came back:
    then it is found in the row.
    """
    with structlog.contextvars.bound_contextvars(inbox_message=message_id, attempt=attempt):
        try:
            return _tried(parts, workspace_id, message_id, attempt, inbound, asker, together)
        except TakenOver:
            log.warning("inbox.taken_over")
            if inbound is not None and asker is not None and asker.here:
                return _given_elsewhere(parts, workspace_id, message_id, inbound, asker)
        except Exception as error:
            # Whatever it is: the message stays, shows the error, and does not hold up the others.
            log.exception("inbox.failed")
            with parts.open(workspace_id) as ctx:
                service.note_failure(ctx, message_id, attempt, f"{type(error).__name__}: {error}")
        return None


def _tried(
    parts: Parts,
    workspace_id: str,
    message_id: str,
    attempt: int,
    inbound: Inbound | None,
    asker: Asker | None,
    together: Together | None,
) -> PassiveReply | None:
    """One transaction around everything; it does not even begin when nothing is written in it."""
    with parts.open(workspace_id, lazily=together is not None) as ctx:
        done = _attempt(ctx, message_id, attempt, inbound, asker)
        if done is None:
            return None
        touched = together is None or ctx.session.in_transaction()
        if touched and not service.settle(ctx, [done]):
            raise TakenOver
    if not touched and together is not None:
        together(workspace_id, done)
    return done.reply


def _attempt(
    ctx: Ctx, message_id: str, attempt: int, inbound: Inbound | None, asker: Asker | None
) -> Settled | None:
    """What is to be written down of it; None when nobody understands it."""
    inbound = inbound or next(iter(queries.inbounds(queries.message(ctx, message_id))), None)
    if inbound is None or not interpreters_of(inbound.provider, inbound.kind):
        service.nobody_understands(ctx, message_id, attempt)
        return None
    return _settled(ctx, message_id, attempt, inbound, asker, understand(ctx, inbound))


def _settled(
    ctx: Ctx,
    message_id: str,
    attempt: int,
    inbound: Inbound,
    asker: Asker | None,
    reply: PassiveReply | None,
) -> Settled:
    """The reply goes to whoever waits for it, or another way."""
    in_time = reply is not None and asker is not None and asker.promise()
    error = None if reply is None or in_time else _deliver_late(ctx, inbound, reply)
    return Settled(message_id, attempt, reply if in_time else None, error)


def _given_elsewhere(
    parts: Parts, workspace_id: str, message_id: str, inbound: Inbound, asker: Asker
) -> PassiveReply | None:
    """The reply another attempt promised to the request that waits here; another way when it has gone."""
    if not asker.promise():
        send_late(parts, workspace_id, message_id, inbound)
        return None
    with parts.open(workspace_id) as ctx:
        return queries.reply_kept(ctx, message_id)


def send_late(parts: Parts, workspace_id: str, message_id: str, inbound: Inbound) -> None:
    """Send the reply a message was promised another way, once: its request had gone when it came. Does not
    raise: then the row keeps it for the platform's next delivery."""
    try:
        with parts.open(workspace_id) as ctx:
            reply = service.take_reply(ctx, message_id)
            if reply is not None and (error := _deliver_late(ctx, inbound, reply)):
                service.note_error(ctx, message_id, error)
    except Exception:
        log.exception("inbox.reply_lost", inbox_message=message_id)


def _deliver_late(ctx: Ctx, inbound: Inbound, reply: PassiveReply) -> str | None:
    """Send the reply in another way; what to write down when there is none."""
    deliver = late_registry.get(inbound.provider)
    if deliver is None:
        log.warning("inbox.reply_too_late", provider=inbound.provider, kind=inbound.kind)
        return service.UNANSWERED
    deliver(ctx, inbound, reply)
    return None


# ── Several at once ─────────────────────────────────────────────────────────────────────────────────────


def interpret_together(
    parts: Parts, workspace_id: str, together: InterpretTogether, several: Sequence[Attempt]
) -> tuple[dict[str, PassiveReply | None], list[Attempt]]:
    """Understand messages of different senders in one transaction: (reply by message, those that have to be
    tried alone). Never raises for what an interpreter does.
    """
    try:
        done, failed = _tried_together(parts, workspace_id, together, several)
    except Exception as error:
        # One of them, or the database: tried alone, each shows which. What was decided stays decided.
        log.warning(
            "inbox.batch_failed", messages=len(several), error=f"{type(error).__name__}: {error}"[:500]
        )
        for one in several:
            if one.asker is not None:
                one.asker.release()
        return {}, list(several)
    replies: dict[str, PassiveReply | None] = {settled.id: settled.reply for settled in done}
    alone: list[Attempt] = []
    for attempt, why in failed:
        if isinstance(why, ByThemselves):
            alone.append(attempt)
            continue
        log.warning("inbox.failed", inbox_message=attempt.message_id, attempt=attempt.number, code=why.code)
        with parts.open(workspace_id) as ctx:
            service.note_failure(ctx, attempt.message_id, attempt.number, f"{type(why).__name__}: {why}")
        replies[attempt.message_id] = None
    return replies, alone


def _tried_together(
    parts: Parts, workspace_id: str, together: InterpretTogether, several: Sequence[Attempt]
) -> tuple[list[Settled], list[tuple[Attempt, GrowthError]]]:
    done: list[Settled] = []
    failed: list[tuple[Attempt, GrowthError]] = []
    with parts.open(workspace_id) as ctx:
        understood = together(ctx, [one.inbound for one in several])
        for one, result in zip(several, understood, strict=True):
            if isinstance(result, GrowthError):
                failed.append((one, result))
            else:
                done.append(_settled(ctx, one.message_id, one.number, one.inbound, one.asker, result))
        if done and not service.settle(ctx, done):
            raise TakenOver
    return done, failed
