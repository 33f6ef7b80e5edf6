"""Two engines, one journal: batches of many sizes and threads, and one Event at a time in plain dicts."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest

from growth_engine.context import Parts
from growth_engine.kit.tx import libpq_url
from growth_engine.ledger.contract import Connected, Posted
from tests.engine.money.arithmetic import spread
from tests.engine.money.auditor import Auditor
from tests.engine.money.racing import make_poster, submit_from_threads
from tests.engine.money.runner import BURST
from tests.engine.money.streams import Follower, Stream, open_shop, publish, random_config, send_payouts
from tests.factories.workspaces import make_workspace


@pytest.fixture
def conn(pg_url: str) -> Iterator[Connected]:
    with psycopg.connect(libpq_url(pg_url), autocommit=True) as opened:
        yield opened


@pytest.mark.parametrize("own", [True, False], ids=["own arithmetic", "the play's word"])
@pytest.mark.parametrize(
    ("batch", "threads", "processes"), [(1, 1, 1), (2, 1, 1), (7, 3, 1), (40, 4, 1), (500, 1, 1), (9, 4, 2)]
)
@pytest.mark.parametrize("seed", range(2))
def test_both_engines_write_the_same_journal_byte_for_byte(
    parts: Parts, conn: Connected, own: bool, batch: int, threads: int, processes: int, seed: int
) -> None:
    pick = random.Random(f"{seed} {batch} {threads}")
    shop = open_shop(parts, make_workspace(parts), pick)
    follower = Follower(shop, conn, own=own)
    stream = Stream(shop, follower, pick)
    posters = [make_poster(parts, batch) for _ in range(processes)]
    try:
        for turn in range(6):
            events = [stream.next() for _ in range(30)]
            submit_from_threads(posters, events, threads)
            follower.follow()
            send_payouts(shop, follower.engine, pick)
            parts.clock.advance(timedelta(hours=pick.choice([0, 1, 30, 24 * 8])))  # type: ignore[attr-defined]
            if turn == 3:
                publish(shop, follower.engine, random_config(pick))
    finally:
        for poster in posters:
            poster.close()
    assert follower.seen >= 180
    assert shop.unbalanced() == []


@pytest.mark.parametrize("piece", [1, 3, 20])
def test_a_batch_written_in_pieces_leaves_the_same_journal(parts: Parts, conn: Connected, piece: int) -> None:
    pick = random.Random(f"pieces of {piece}")
    shop = open_shop(parts, make_workspace(parts), pick)
    follower = Follower(shop, conn, own=True)
    auditor = Auditor(follower.engine, conn)
    stream = Stream(shop, follower, pick)
    poster = make_poster(parts, piece=piece)
    lives = [({"join": 1}, 15), ({"order": 1}, 40), (BURST, 60), ({"order": 1}, 20), (BURST, 60)]
    try:
        for mix, count in lives:
            events = [stream.next(mix) for _ in range(count)]
            # Some are told twice in one batch.
            receipts = poster.submit_many([*events, *events[:3]], timeout=60)
            assert all(isinstance(one, Posted) and one.duplicate for one in receipts[count:])
            follower.follow()
            auditor.check_tables()
            auditor.check_invariants()
            parts.clock.advance(timedelta(hours=30))  # type: ignore[attr-defined]
    finally:
        poster.close()
    assert shop.unbalanced() == []


def test_the_second_way_of_spreading_an_amount_agrees_with_allocating_it_unit_by_unit() -> None:
    pick = random.Random(5)
    for _ in range(200):
        weights = [pick.randrange(1, 60) for _ in range(pick.randrange(1, 5))]
        parts = [0 for _ in weights]
        for net in range(sum(weights) + 1):
            assert spread(net, weights) == parts
            parts[max(range(len(weights)), key=lambda at: (weights[at] / (2 * parts[at] + 1), -at))] += 1
