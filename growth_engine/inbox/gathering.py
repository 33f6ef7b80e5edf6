"""Messages of one moment are understood together: in a storm one transaction serves many requests."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TypeVar

import structlog

from growth_engine.context import Parts
from growth_engine.inbox import handling
from growth_engine.inbox.contract import PassiveReply
from growth_engine.inbox.handling import Attempt
from growth_engine.inbox.interpreting import InterpretTogether, together_of

log = structlog.get_logger(__name__)

#: Messages understood in one transaction at most.
MOST = 200

T = TypeVar("T")
Replied = Future[PassiveReply | None]
Alone = Callable[[str, Attempt, Replied], None]
"""Understands one message of a workspace by itself, elsewhere, and fulfils its future."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    workspace_id: str
    together: InterpretTogether
    attempt: Attempt
    replied: Replied = field(default_factory=Future)


class Gathering:
    """A thread of its own, started when first needed and ended by ``close``. Whatever waits is taken, there
    is no artificial wait.

    One: two would take half as many each, and half of what a small batch costs does not depend on its size.
    """

    def __init__(self, parts: Parts, alone: Alone) -> None:
        self._parts = parts
        self._alone = alone
        self._waiting: deque[_Waiting] = deque()
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def put(self, workspace_id: str, together: InterpretTogether, attempt: Attempt) -> Replied:
        """Have a message understood with whatever else there is; its reply, as soon as that is done."""
        waiting = _Waiting(workspace_id, together, attempt)
        with self._wake:
            self._waiting.append(waiting)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="inbox-gathering", daemon=True)
                self._thread.start()
            self._wake.notify()
        return waiting.replied

    def close(self) -> None:
        """Understand what waits, then stop."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while batch := self._next():
            try:
                self._understand(batch)
            except BaseException as error:
                # The thread must outlive every failure, and nobody may wait for ever.
                log.exception("inbox.gathering_failed", messages=len(batch))
                for one in batch:
                    if not one.replied.done():
                        one.replied.set_exception(error)

    def _next(self) -> list[_Waiting]:
        """Everything that waits and goes together with the first; nothing at the end."""
        with self._wake:
            while not self._waiting and not self._closed:
                self._wake.wait()
            batch, left = _first_round(
                self._waiting, lambda one: (one.workspace_id, one.together), lambda one: one.attempt
            )
            self._waiting = deque(left)
            return batch

    def _understand(self, batch: list[_Waiting]) -> None:
        workspace_id = batch[0].workspace_id
        attempts = [one.attempt for one in batch]
        replies, alone = handling.interpret_together(self._parts, workspace_id, batch[0].together, attempts)
        by_themselves = {one.message_id for one in alone}
        for one in batch:
            if one.attempt.message_id in by_themselves:
                self._alone(workspace_id, one.attempt, one.replied)
            else:
                one.replied.set_result(replies[one.attempt.message_id])


def rounds(attempts: Sequence[Attempt]) -> Iterator[tuple[InterpretTogether | None, list[Attempt]]]:
    """Attempts of one workspace as they may go together: one of each sender at a time, in the order they
    came; with None those of a kind that is understood alone."""
    left = [(together_of(one.inbound.provider, one.inbound.kind), one) for one in attempts]
    while left:
        batch, left = _first_round(left, itemgetter(0), itemgetter(1))
        yield batch[0][0], [one for _, one in batch]


def _first_round(
    waiting: Iterable[T], kind: Callable[[T], object], attempt: Callable[[T], Attempt]
) -> tuple[list[T], list[T]]:
    """(those that go with the first, those left): of its kind, one of each sender, ``MOST`` at most. Whoever
    comes after one of the same sender waits for that."""
    batch: list[T] = []
    left: list[T] = []
    senders: set[tuple[str, str]] = set()
    for one in waiting:
        said = attempt(one).inbound
        sender = said.account, said.sender
        fits = len(batch) < MOST and sender not in senders and (not batch or kind(one) == kind(batch[0]))
        (batch if fits else left).append(one)
        senders.add(sender)
    return batch, left
