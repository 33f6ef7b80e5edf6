"""Many at once: threads of one process, posters of several, and processes of their own."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime
from typing import Any

from growth_engine.context import Parts
from growth_engine.kit.clock import FixedClock
from growth_engine.kit.ids import Ids
from growth_engine.kit.tx import libpq_url
from growth_engine.ledger.contract import Event, Posted, Receipt
from growth_engine.ledger.poster import BATCH_LIMIT, PIECE, Poster
from growth_engine.plays.posting.batch import Rules

FEES = {"free": 100}


def make_poster(parts: Parts, batch_limit: int = BATCH_LIMIT, piece: int = PIECE) -> Poster:
    """A poster of its own, as another process of the product has, without a mirror."""
    return Poster(
        libpq_url(parts.db.url),
        clock=parts.clock,
        ids=parts.ids,
        rules=Rules(parts.ids, fees=FEES),
        mirrored=lambda *_: None,
        ring=lambda *_: None,
        batch_limit=batch_limit,
        piece=piece,
        beside=1,
    )


def at_once(runs: Sequence[Callable[[], Any]]) -> list[Any]:
    """Run all of these at the same moment, each in a thread; what they returned, in order."""
    gate = threading.Barrier(len(runs))
    found: list[Any] = [None] * len(runs)
    errors: list[BaseException] = []

    def run(at: int) -> None:
        try:
            gate.wait(30)
            found[at] = runs[at]()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(at,)) for at in range(len(runs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    return found


def submit_from_threads(posters: Sequence[Poster], events: Sequence[Event], threads: int) -> list[Posted]:
    """Receipts in the order of ``events``, which the threads share between them."""

    def share(at: int) -> list[Receipt]:
        return posters[at % len(posters)].submit_many(events[at::threads], timeout=60)

    shares = at_once([lambda at=at: share(at) for at in range(threads)])  # type: ignore[misc]
    receipts: list[Any] = [None] * len(events)
    for at, part in enumerate(shares):
        receipts[at::threads] = part
    assert all(isinstance(one, Posted) for one in receipts)
    return receipts


def submit_from_processes(parts: Parts, shares: Sequence[Sequence[Event]]) -> list[Posted]:
    """Each share of the Events is posted by a process of its own, in small batches."""
    now = parts.clock.now()
    with ProcessPoolExecutor(len(shares), multiprocessing.get_context("spawn")) as pool:
        url = libpq_url(parts.db.url)
        running = [pool.submit(_post, url, now, list(share)) for share in shares]
        receipts = [receipt for one in running for receipt in one.result(120)]
    assert all(isinstance(one, Posted) for one in receipts)
    return receipts  # type: ignore[return-value]


def _post(url: str, now: datetime, events: list[Event]) -> list[Receipt]:
    clock = FixedClock(now)
    ids = Ids(clock)
    poster = Poster(
        url,
        clock=clock,
        ids=ids,
        rules=Rules(ids, fees=FEES),
        mirrored=lambda *_: None,
        ring=lambda *_: None,
        batch_limit=5,
    )
    try:
        return poster.submit_many(events, timeout=60)
    finally:
        poster.close()
