"""RQ workers, which answer the doorbell, and cron, which rings it for whatever is due."""

from __future__ import annotations

import threading
from collections import defaultdict

import structlog
from redis.exceptions import RedisError
from rq import SimpleWorker
from rq.serializers import JSONSerializer
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from growth_engine.context import Parts
from growth_engine.kit import alive, jobs
from growth_engine.kit.jobs import Job
from growth_engine.kit.redis import queue_client

log = structlog.get_logger(__name__)

#: RQ forgets a worker that has not shown itself for so long; it waits 15 s less for each job.
WORKER_TTL = 30
TICK_SECONDS = 0.5


class QuickWorker(SimpleWorker):
    """RQ's simple worker: runs jobs in this one process, so nothing is imported or connected twice."""

    max_connection_wait_time = 2.0
    log_result_lifespan = False


def work(parts: Parts, *, burst: bool = False) -> None:
    """Answer the doorbell until SIGTERM or SIGINT (the job at hand is finished); ``burst``: until idle."""
    # Its own connection, without a time limit for answers: the worker waits for work in Redis.
    connection = queue_client(parts.settings.queue_redis_url, socket_timeout=None)
    jobs.bind(parts)
    worker = QuickWorker(
        jobs.queues(),
        connection=connection,
        serializer=JSONSerializer,
        worker_ttl=WORKER_TTL,
        log_job_description=False,
    )
    heart = alive.Heart(parts.queue, "worker")
    heart.start()
    try:
        worker.work(burst=burst, logging_level="WARNING")
    finally:
        heart.stop()
        connection.close()


class Cron:
    """Rings the doorbell for due work: sweeps, timetables, and every ring that was lost on the way."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def run(self, stop: threading.Event) -> None:
        """Tick until told to stop; a database or Redis that is away is waited for."""
        down = False
        while not stop.is_set():
            try:
                alive.beat(self._parts.queue, "cron")
                self.tick()
                down = False
            except (RedisError, SQLAlchemyError, OSError) as error:
                if not down:
                    log.warning("cron waits for database and Redis", error=str(error).splitlines()[0])
                down = True
            stop.wait(TICK_SECONDS)
        try:
            alive.leave(self._parts.queue, "cron")
        except (RedisError, OSError) as error:
            log.warning("no goodbye could be said", error=str(error))

    def tick(self) -> int:
        """Ring for everything whose turn it is; how many rings."""
        due = {job.name: job for job in jobs.registry.values() if job.every and self._turn(job)}
        if not due:
            return 0
        rings = 0
        for name, workspaces in self._where(due).items():
            for workspace_id in workspaces:
                self._parts.bell.ring(name, workspace_id)
                rings += 1
        return rings

    def _turn(self, job: Job) -> bool:
        """Has the job's interval passed? Kept in Redis, so restarts and a second cron change nothing."""
        assert job.every is not None
        key = f"ge:cron:{job.name}"
        return bool(self._parts.queue.set(key, "1", nx=True, px=int(job.every * 1000)))

    def _where(self, due: dict[str, Job]) -> dict[str, list[str]]:
        scopes = {job.scope for job in due.values()}
        places: dict[str, list[str]] = defaultdict(list)
        with self._parts.db.transaction(None) as session:
            everyone = session.execute(_WORKSPACES).scalars().all() if "every_workspace" in scopes else []
            for name, workspace_id in session.execute(_DUE).all() if "workspace" in scopes else ():
                if name in due:
                    places[name].append(workspace_id)
        for job in due.values():
            if job.scope == "system":
                places[job.name] = [""]
            elif job.scope == "every_workspace":
                places[job.name] = list(everyone)
        return places


def cron(parts: Parts) -> None:
    """Run cron until SIGTERM or SIGINT."""
    Cron(parts).run(alive.told_to_stop())


_WORKSPACES = text("SELECT ge_workspaces()")
_DUE = text("SELECT job, workspace_id FROM ge_due_work()")
