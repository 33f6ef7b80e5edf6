"""Background work: jobs found by file name, rung by a doorbell, drained in batches; rows are the queue."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import structlog
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue
from rq.serializers import JSONSerializer

from growth_engine.kit import discovery
from growth_engine.kit.errors import GrowthError
from growth_engine.kit.log import scrub

if TYPE_CHECKING:
    from growth_engine.context import Parts

log = structlog.get_logger(__name__)

Scope = Literal["workspace", "every_workspace", "system"]

#: A ring is remembered this long: rings in between wake nobody twice. The worker forgets it before it
#: starts to drain, so a row written while it drains rings anew; the limit only bounds the harm of a
#: worker that died in between.
BELL_SECONDS = 10
#: One RQ job drains for about so long, then rings again, so that workspaces and jobs take turns.
BUDGET_SECONDS = 5.0
#: RQ stops a single round that hangs longer than this.
TIMEOUT_SECONDS = 300
#: RQ keeps a failed doorbell so long for `rq info`; the rows themselves keep their own failures.
FAILURE_SECONDS = 600
#: Hash in the queue Redis: "<job> <workspace>" -> the last error, until the job runs clean again.
ERRORS_KEY = "ge:job-errors"

PERFORM = "growth_engine.kit.jobs.perform"


class UnknownJob(GrowthError):
    code = "unknown_job"
    status = 500
    message = "There is no job named %(name)s: see growth-engine jobs list."


@dataclass(frozen=True, slots=True)
class Job:
    """One kind of background work. ``run`` does one batch and returns how many rows it did."""

    name: str
    run: Callable[..., int]
    every: float | None
    """Seconds between two rings by cron; ``None``: rung by the program only."""
    queue: str
    scope: Scope
    """``workspace``: called with a workspace that has due work (``ge_due_work``); ``every_workspace``:
    with each workspace there is; ``system``: once, without a workspace."""


def _load() -> None:
    from growth_engine.kit import idempotency, outbox  # register the house's own jobs

    assert idempotency
    assert outbox
    discovery.find("jobs")


registry: discovery.Registry[Job] = discovery.Registry("job", _load)

F = TypeVar("F", bound=Callable[..., int])


def job(
    name: str, *, every: float | None = None, queue: str = "default", scope: Scope = "workspace"
) -> Callable[[F], F]:
    """Declare ``(parts, workspace_id) -> rows done`` (``scope="system"``: ``(parts) -> rows``) as a job."""

    def declare(run: F) -> F:
        registry.add(name, Job(name, run, every, queue, scope))
        return run

    return declare


def queues() -> list[str]:
    """The queues workers listen on, the quick one first."""
    return sorted({"default", *(one.queue for one in registry.values())}, key=lambda q: (q != "default", q))


class RqBell:
    """The doorbell on RQ: an RQ job carries the name of the job and the workspace, never the work itself."""

    def __init__(self, queue: Redis) -> None:
        self._redis = queue
        self._queues: dict[str, Queue] = {}

    def ring(self, job: str, workspace_id: str) -> None:
        self.ring_all([job], workspace_id)

    def ring_all(self, jobs: Sequence[str], workspace_id: str) -> None:
        """Several doorbells with one way to Redis and back."""
        try:
            with self._redis.pipeline(transaction=False) as pipe:
                for job in jobs:
                    pipe.set(bell_key(job, workspace_id), "1", nx=True, ex=BELL_SECONDS)
                unrung = [job for job, set_now in zip(jobs, pipe.execute(), strict=True) if set_now]
            for job in unrung:
                self._enqueue(job, workspace_id)
        except (RedisError, OSError) as error:
            # The rows are committed; cron rings for them when Redis is back.
            log.warning("doorbell not rung", jobs=list(jobs), workspace=workspace_id, error=str(error))

    def _enqueue(self, job: str, workspace_id: str) -> None:
        declared = registry.get(job)
        name = declared.queue if declared else "default"
        if name not in self._queues:
            self._queues[name] = Queue(name, connection=self._redis, serializer=JSONSerializer)
        self._queues[name].enqueue_call(
            PERFORM,
            args=(job, workspace_id),
            timeout=TIMEOUT_SECONDS,
            result_ttl=0,
            failure_ttl=FAILURE_SECONDS,
            description=f"{job} {workspace_id}",
        )


def bell_key(job: str, workspace_id: str) -> str:
    return f"ge:bell:{job}:{workspace_id}"


def drain(
    parts: Parts,
    name: str,
    workspace_id: str,
    *,
    budget: float = BUDGET_SECONDS,
    seconds: Callable[[], float] = time.monotonic,
) -> tuple[int, bool]:
    """Call a job until it has nothing more to do or ``budget`` seconds are over: (rows done, finished)."""
    found = registry.get(name)
    if found is None:
        raise UnknownJob(params={"name": name})
    arguments: tuple[Any, ...] = (parts,) if found.scope == "system" else (parts, workspace_id)
    until = seconds() + budget
    total = 0
    while True:
        done = found.run(*arguments)
        total += done
        if done <= 0:
            return total, True
        if seconds() >= until:
            return total, False


def failing(queue: Redis) -> dict[str, str]:
    """Jobs whose last run failed: "<job> <workspace>" -> "<when> <error>"."""
    found: Any = queue.hgetall(ERRORS_KEY)
    return {name.decode(): error.decode() for name, error in found.items()}


_parts: Parts | None = None


def bind(parts: Parts) -> None:
    """Give this worker process its parts; RQ calls ``perform`` by name and can pass none."""
    global _parts
    _parts = parts


def perform(name: str, workspace_id: str) -> None:
    """What RQ runs: answer one ring of the doorbell."""
    assert _parts is not None, "bind() comes first"
    parts = _parts
    with structlog.contextvars.bound_contextvars(job=name, workspace=workspace_id):
        parts.queue.delete(bell_key(name, workspace_id))
        field = f"{name} {workspace_id}".strip()
        try:
            rows, finished = drain(parts, name, workspace_id)
        except Exception as error:
            message = scrub(f"{type(error).__name__}: {error}")
            parts.queue.hset(ERRORS_KEY, field, f"{parts.clock.now():%Y-%m-%dT%H:%M:%SZ} {message}"[:2000])
            log.exception("job failed")
            raise
        parts.queue.hdel(ERRORS_KEY, field)
        if rows:
            log.info("job done", rows=rows, finished=finished)
        if not finished:
            parts.bell.ring(name, workspace_id)
