"""The front desk: believe or refuse a callback, write it down, understand it, answer in time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass, field

import structlog

from growth_engine.connections import service as connections
from growth_engine.context import Parts
from growth_engine.inbox import service
from growth_engine.inbox.accounts import LOOK_AGAIN_SECONDS, REMEMBER_SECONDS, Accounts, Known
from growth_engine.inbox.beside import Beside
from growth_engine.inbox.contract import (
    Inbound,
    PassiveReply,
    Provider,
    Refused,
    Reply,
    Request,
    Verified,
)
from growth_engine.inbox.gathering import Replied
from growth_engine.inbox.handling import Asker, Attempt
from growth_engine.inbox.intake import Intake
from growth_engine.inbox.interpreting import registry, together_of
from growth_engine.inbox.providers import providers
from growth_engine.inbox.service import Draft, Stored
from growth_engine.inbox.understanding import Understanding
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
#: Larger bodies are read by their own request: nobody else waits for that.
SMALL_BYTES = 16 * 1024


class UnknownAddress(NotFound):
    code = "unknown_webhook"
    message = N_("No channel is connected at this address.")


def _too_large() -> Refused:
    return Refused(N_("The callback is larger than any the platform sends."), code="too_large", status=413)


@dataclass(slots=True)
class _Case:
    """A callback on its way."""

    provider: Provider
    known: Known
    request: Request
    until: float
    """When the request stops waiting for a reply."""
    verified: Verified | None = None
    begun: dict[str, tuple[Asker, Replied]] = field(default_factory=dict)
    """Those of its messages that are being understood."""


def _is_ours(one: Stored) -> bool:
    """Whether the first attempt at a message is ours to make."""
    return one.fresh and one.state == "received"


class Desk:
    """Takes callbacks for one process. At most ``places`` of them are interpreted at a time while their
    requests wait: the rest of the request threads stay free to answer."""

    def __init__(
        self, parts: Parts, places: int | None = None, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        # Found now, not while the first callback waits.
        providers()
        registry.values()
        self._parts = parts
        self._seconds = seconds
        self._number = places or max(4, parts.settings.web_threads - FREE_THREADS)
        self._places = threading.BoundedSemaphore(self._number)
        self._intake = Intake(parts, after=lambda: self._beside.flush())
        self._here = Understanding(parts, self._number, self._intake.settle)
        self._beside = Beside(parts, self._here)
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
        known = self._known(provider, account_id, REMEMBER_SECONDS)
        try:
            return self._believed(provider, known, request, started)
        except Refused as error:
            # Perhaps a key was changed a moment ago, and another process answered that request.
            again = self._known(provider, account_id, LOOK_AGAIN_SECONDS)
            if again is known:
                return self._refuse(provider, account_id, request, error)
        try:
            return self._believed(provider, again, request, started)
        except Refused as error:
            return self._refuse(provider, account_id, request, error)

    def close(self) -> None:
        self._beside.close()
        self._here.close()
        self._intake.close()

    # -- believing ---------------------------------------------------------------------------------------

    def _known(self, provider: Provider, account_id: str, within: float) -> Known:
        known = self.accounts.find(account_id, within=within)
        if known is None or known.account.provider != provider.slug:
            raise UnknownAddress
        return known

    def _believed(self, provider: Provider, known: Known, request: Request, started: float) -> Reply:
        if request.method != "POST":
            reply = provider.challenge(request, known.account)
            self._note_first_call(known)
            return reply
        until = started + provider.answer_seconds - RESERVE_SECONDS
        case = _Case(provider, known, request, until)
        stored = self._written(case)
        self._note_first_call(known)
        return self._answer(case, stored)

    def _written(self, case: _Case) -> list[Stored]:
        """Written down, and understood too when that can begin at once."""

        def read() -> list[Draft]:
            provider, account, request = case.provider, case.known.account, case.request
            case.verified = provider.verify(request, account)
            inbounds = service.read(provider, case.verified.content, account.id, request.received_at)
            return service.drafts(self._parts.ids, account, request, case.verified, inbounds)

        if len(case.request.body) > SMALL_BYTES:
            drafts = read()
            return self._intake.put(case.known.workspace_id, lambda: drafts)
        seconds = max(0.0, case.until - self._seconds())
        return self._intake.put(case.known.workspace_id, read, lambda rows: self._begin(case, rows), seconds)

    def _begin(self, case: _Case, stored: Sequence[Stored]) -> Replied | None:
        """Called by the intake: the one message of a callback that is understood together with others."""
        if len(stored) != 1 or self._seconds() >= case.until:
            return None
        (one,) = stored
        if together_of(one.inbound.provider, one.inbound.kind) is None or not _is_ours(one):
            return None
        return self._begun(case, one, together=True) if self._places.acquire(blocking=False) else None

    def _begun(self, case: _Case, one: Stored, *, together: bool) -> Replied:
        """Have a message understood, in the place that was taken for it; ``together``: it may go with others,
        in another process where there is one."""
        workspace_id, asker = case.known.workspace_id, Asker()
        attempt = Attempt(one.id, 1, one.inbound, asker)
        task: Replied | None = None
        try:
            if together:
                task = self._beside.begin(workspace_id, attempt, case.until - self._seconds())
            task = task or self._here.begin(workspace_id, attempt)
        except BaseException:
            self._places.release()
            raise
        task.add_done_callback(lambda _: self._places.release())
        case.begun[one.id] = asker, task
        return task

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

    def _answer(self, case: _Case, stored: Sequence[Stored]) -> Reply:
        assert case.verified is not None
        answer: tuple[Inbound, PassiveReply] | None = None
        for one in stored:
            reply = one.reply
            if _is_ours(one):
                reply = self._interpret(case, one)
            if reply is not None:
                answer = answer or (one.inbound, reply)
        return case.provider.acknowledge(
            case.known.account,
            case.verified,
            answer,
            now=self._parts.clock.now(),
            random=self._parts.ids.token(16).encode(),
        )

    def _interpret(self, case: _Case, one: Stored) -> PassiveReply | None:
        """Understand a message while its request waits, as long as there is a place and time."""
        if one.id not in case.begun:
            seconds = max(0.0, min(PLACE_SECONDS, case.until - self._seconds()))
            if not self._places.acquire(timeout=seconds):
                self._leave_to_the_job(case.known.workspace_id, one.id)
                return None
            together = together_of(one.inbound.provider, one.inbound.kind) is not None
            self._begun(case, one, together=together)
            self._beside.flush()
        asker, task = case.begun[one.id]
        try:
            return task.result(timeout=max(0.0, case.until - self._seconds()))
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
