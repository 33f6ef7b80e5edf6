"""Understands stored messages in this process: those of one moment together, others on a few threads."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from growth_engine.context import Parts
from growth_engine.inbox import handling
from growth_engine.inbox.gathering import Gathering, Replied
from growth_engine.inbox.handling import Attempt, Together
from growth_engine.inbox.interpreting import together_of


class Understanding:
    """At most ``places`` threads, started when first needed and ended by ``close``. ``settle`` marks a
    message as done, with others at once."""

    def __init__(self, parts: Parts, places: int, settle: Together | None = None) -> None:
        self._parts = parts
        self._places = places
        self._settle = settle
        self._gathering = Gathering(parts, self._alone)
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()

    def begin(self, workspace_id: str, attempt: Attempt) -> Replied:
        """Have a message understood; its reply, as soon as that is done."""
        together = together_of(attempt.inbound.provider, attempt.inbound.kind)
        if together is not None:
            return self._gathering.put(workspace_id, together, attempt)
        return self.by_itself(workspace_id, attempt)

    def by_itself(self, workspace_id: str, attempt: Attempt) -> Replied:
        """The same, alone."""
        return self._threads().submit(
            handling.interpret,
            self._parts,
            workspace_id,
            attempt.message_id,
            attempt.number,
            inbound=attempt.inbound,
            asker=attempt.asker,
            together=self._settle,
        )

    def send_late(self, workspace_id: str, attempt: Attempt) -> None:
        """Have the reply of a message that was understood elsewhere sent another way: it came too late."""
        self._threads().submit(
            handling.send_late, self._parts, workspace_id, attempt.message_id, attempt.inbound
        )

    def close(self) -> None:
        """Understand what was begun, then stop."""
        self._gathering.close()
        if self._pool is not None:
            self._pool.shutdown(wait=True)

    def _alone(self, workspace_id: str, attempt: Attempt, replied: Replied) -> None:
        """One that did not go with the others."""
        hand_on(self.by_itself(workspace_id, attempt), replied)

    def _threads(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._places, thread_name_prefix="inbox")
            return self._pool


def hand_on(task: Replied, replied: Replied) -> None:
    """Let ``replied`` come to the end ``task`` comes to."""

    def give(done: Replied) -> None:
        error = done.exception()
        if error is not None:
            replied.set_exception(error)
        else:
            replied.set_result(done.result())

    task.add_done_callback(give)
