"""The front desk: believe or refuse a callback, write it down, understand it, answer in time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet

import structlog

from growth_engine.connections import service as connections
from growth_engine.context import Parts
from growth_engine.inbox import handling, service
from growth_engine.inbox.accounts import LOOK_AGAIN_SECONDS, REMEMBER_SECONDS, Accounts, Known
from growth_engine.inbox.contract import (
    Inbound,
    PassiveReply,
    Provider,
    Refused,
    Reply,
    Request,
    Verified,
)
from growth_engine.inbox.gathering import Gathering, Replied
from growth_engine.inbox.handling import Asker, Attempt
from growth_engine.inbox.intake import Intake
from growth_engine.inbox.interpreting import together_of
from growth_engine.inbox.providers import providers
from growth_engine.inbox.service import Stored
from growth_engine.kit.errors import NotFound
from growth_engine.kit.i18n import N_
from growth_engine.kit.ratelimit import RateLimiter

log = structlog.get_logger(__name__)

#: Left of the platform's patience for the network and for a busy machine.
RESERVE_SECONDS = 2.0
#: How long a request looks for a free place to interpret in; without one the job does it.
PLACE_SECONDS = 0.2
#: Request threads that never wait for an interpretation: they answer everybody else.
FREE_THREADS = 4
#: A commit that is under way when the time is over gets this much more.
COMMIT_SECONDS = 1.0
#: Refused callbacks of one account that are written down in a minute.
REFUSED_PER_MINUTE = 30


class UnknownAddress(NotFound):
    code = "unknown_webhook"
    message = N_("No channel is connected at this address.")


def _too_large() -> Refused:
    return Refused(N_("The callback is larger than any the platform sends."), code="too_large", status=413)


class Desk:
    """Takes callbacks for one process. At most ``places`` of them are interpreted at a time while their
    requests wait: the rest of the request threads stay free to answer."""

    def __init__(
        self, parts: Parts, places: int | None = None, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._parts = parts
        self._seconds = seconds
        self._number = places or max(4, parts.settings.web_threads - FREE_THREADS)
        self._places = threading.BoundedSemaphore(self._number)
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        self._intake = Intake(parts)
        self._gathering = Gathering(parts, self._alone)
        self._limit = RateLimiter(parts.queue, REFUSED_PER_MINUTE)
        self.accounts = Accounts(parts, seconds)

    def receive(self, slug: str, account_id: str, request: Request, *, cut_off: bool = False) -> Reply:
        """Answer one callback; raises UnknownAddress. What else goes wrong is ours: the platform gets a
        5xx and sends it again. ``cut_off``: the body was too large to be read."""
        started = self._seconds()
        provider = providers().get(slug)
        if provider is None:
            raise UnknownAddress
        if cut_off:
            return self._refuse(provider, account_id, request, _too_large())
        try:
            return self._believed(provider, account_id, request, started, REMEMBER_SECONDS)
        except Refused:
            # Perhaps a key was changed a moment ago, and another process answered that request.
            try:
                return self._believed(provider, account_id, request, started, LOOK_AGAIN_SECONDS)
            except Refused as error:
                return self._refuse(provider, account_id, request, error)

    def close(self) -> None:
        self._gathering.close()
        if self._pool is not None:
            self._pool.shutdown(wait=True)
        self._intake.close()

    # -- believing ---------------------------------------------------------------------------------------

    def _known(self, provider: Provider, account_id: str, within: float) -> Known:
        known = self.accounts.find(account_id, within=within)
        if known is None or known.account.provider != provider.slug:
            raise UnknownAddress
        return known

    def _believed(
        self, provider: Provider, account_id: str, request: Request, started: float, within: float
    ) -> Reply:
        known = self._known(provider, account_id, within)
        if request.method != "POST":
            reply = provider.challenge(request, known.account)
            self._note_first_call(known)
            return reply
        verified = provider.verify(request, known.account)
        inbounds = service.read(provider, verified.content, account_id, request.received_at)
        drafts = service.drafts(self._parts.ids, known.account, request, verified, inbounds)
        stored = self._intake.put(known.workspace_id, drafts)
        self._note_first_call(known)
        return self._answer(provider, known, verified, stored, started)

    def _note_first_call(self, known: Known) -> None:
        if known.state != "waiting":
            return
        with self._parts.open(known.workspace_id) as ctx:
            connections.note_call(ctx, known.account.id)
        self.accounts.forget(known.account.id)

    def _refuse(self, provider: Provider, account_id: str, request: Request, error: Refused) -> Reply:
        known = self._known(provider, account_id, REMEMBER_SECONDS)
        log.warning("inbox.refused", provider=provider.slug, account=account_id, code=error.code)
        if not self._limit.count(f"inbox:{account_id}", request.received_at.timestamp()).exceeded:
            with self._parts.open(known.workspace_id) as ctx:
                service.keep_refused(ctx, known.account, request, error)
        return provider.refuse(error)

    # -- answering ---------------------------------------------------------------------------------------

    def _answer(
        self, provider: Provider, known: Known, verified: Verified, stored: list[Stored], started: float
    ) -> Reply:
        until = started + provider.answer_seconds - RESERVE_SECONDS
        answer: tuple[Inbound, PassiveReply] | None = None
        for one in stored:
            reply = one.reply
            if one.fresh and one.state == "received":
                reply = self._interpret(known.workspace_id, one, until)
            if reply is not None:
                answer = answer or (one.inbound, reply)
        ids = self._parts.ids
        return provider.acknowledge(
            known.account, verified, answer, now=self._parts.clock.now(), random=ids.token(16).encode()
        )

    def _interpret(self, workspace_id: str, one: Stored, until: float) -> PassiveReply | None:
        """Understand a message while its request waits, as long as there is a place and time."""
        if not self._places.acquire(timeout=max(0.0, min(PLACE_SECONDS, until - self._seconds()))):
            self._leave_to_the_job(workspace_id, one.id)
            return None
        asker = Asker()
        try:
            task = self._begun(workspace_id, one, asker)
        except BaseException:
            self._places.release()
            raise
        task.add_done_callback(lambda _: self._places.release())
        return self._reply_of(task, asker, until)

    def _begun(self, workspace_id: str, one: Stored, asker: Asker) -> Replied:
        together = together_of(one.inbound.provider, one.inbound.kind)
        attempt = Attempt(one.id, 1, one.inbound, asker)
        if together is not None:
            return self._gathering.put(workspace_id, together, attempt)
        return self._by_itself(workspace_id, attempt)

    def _by_itself(self, workspace_id: str, attempt: Attempt) -> Replied:
        return self._threads().submit(
            handling.interpret,
            self._parts,
            workspace_id,
            attempt.message_id,
            attempt.number,
            inbound=attempt.inbound,
            asker=attempt.asker,
            together=self._intake.settle,
        )

    def _alone(self, workspace_id: str, attempt: Attempt, replied: Replied) -> None:
        """One that did not go with the others."""

        def hand_on(task: Replied) -> None:
            error = task.exception()
            if error is not None:
                replied.set_exception(error)
            else:
                replied.set_result(task.result())

        self._by_itself(workspace_id, attempt).add_done_callback(hand_on)

    def _reply_of(self, task: Replied, asker: Asker, until: float) -> PassiveReply | None:
        try:
            return task.result(timeout=max(0.0, until - self._seconds()))
        except NotYet:
            if asker.leave():
                return None  # it goes on; a reply takes another way
        try:
            return task.result(timeout=COMMIT_SECONDS)
        except NotYet:
            asker.leave_for_good()
            log.warning("inbox.reply_lost")  # kept in the row: the platform's next delivery gets it
            return None

    def _leave_to_the_job(self, workspace_id: str, message_id: str) -> None:
        with self._parts.open(workspace_id) as ctx:
            service.hand_over(ctx, message_id)

    def _threads(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._number, thread_name_prefix="inbox")
            return self._pool
