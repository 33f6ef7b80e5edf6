"""For machines that watch the product: ``/healthz`` and ``/metrics`` (Prometheus)."""

from __future__ import annotations

import time
from typing import Any

from flask import Blueprint, Response, g, request
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram, generate_latest
from rq import Queue

from growth_engine.kit import health, jobs
from growth_engine.kit.web import parts
from growth_engine.ledger import alerts

bp = Blueprint("ops", __name__)

REQUESTS = Counter("ge_http_requests", "Requests answered.", ["endpoint", "method", "status"])
SECONDS = Histogram(
    "ge_http_request_seconds",
    "Time to answer a request.",
    ["endpoint"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
UP = Gauge("ge_part_up", "1 when a part of the product does its work.", ["part"])
WAITING = Gauge("ge_doorbells_waiting", "Rings no worker has answered yet.", ["queue"])
FAILING = Gauge("ge_jobs_failing", "Jobs (by workspace) whose last run failed.")
ALERTS = Gauge("ge_alerts_open", "Alerts open in all workspaces: something that must not be, and is.")


@bp.get("/healthz")
def healthz() -> tuple[dict[str, Any], int, dict[str, str]]:
    """200 when every part is up, else 503; the state of each part in both cases."""
    states = health.check(parts())
    up = health.is_up(states)
    body = {"status": health.UP if up else "down", "parts": states}
    return body, 200 if up else 503, {"Cache-Control": "no-store"}


@bp.get("/metrics")
def metrics() -> Response:
    """Figures of this process and of the shared queue; keep it from the public in the proxy."""
    states = health.check(parts())
    for name, state in states.items():
        UP.labels(name).set(state == health.UP)
    if states["queue"] == health.UP:
        queue = parts().queue
        for name in jobs.queues():
            WAITING.labels(name).set(Queue(name, connection=queue).count)
        FAILING.set(int(queue.hlen(jobs.ERRORS_KEY)))
        ALERTS.set(alerts.open_in_all(queue))
    return Response(generate_latest(), content_type=CONTENT_TYPE_LATEST)


@bp.before_app_request
def _begin() -> None:
    g.began = time.perf_counter()


@bp.after_app_request
def _count(response: Response) -> Response:
    began = g.get("began")
    seconds = None if began is None else time.perf_counter() - began
    count(request.endpoint or "none", request.method, response.status_code, seconds)
    return response


def count(endpoint: str, method: str, status: int, seconds: float | None) -> None:
    """Count an answered request, and how long it took where that is known."""
    REQUESTS.labels(endpoint, method, status).inc()
    if seconds is not None:
        SECONDS.labels(endpoint).observe(seconds)
