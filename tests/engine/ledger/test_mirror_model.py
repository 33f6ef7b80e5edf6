"""Random journals: the mirror equals an independent model after every step, whatever goes wrong."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import count

import pytest

from growth_engine.ledger.fold import Fold
from growth_engine.ledger.mirror import BookKey, Mirror, OpRefused
from tests.engine.ledger.mirror_model import DATES, Model, Op, Traffic, assert_equal

SEEDS = 40
_books = count(1)


@pytest.fixture
def mirror(valkey: str) -> Iterator[Mirror]:
    mirror = Mirror.connect(valkey)
    mirror.load_functions()
    yield mirror
    mirror.close()


@pytest.fixture
def book() -> BookKey:
    return BookKey("wsp_model", f"cmp_{next(_books)}")


def lose(mirror: Mirror, book: BookKey) -> None:
    """The server loses the book, all at once, as with FLUSHALL (which would hit other tests' books)."""
    client = mirror._redis
    prefix = book.redis_key.split("}")[0] + "}*"
    if keys := list(client.scan_iter(prefix, count=1000)):
        client.delete(*keys)


def folded(journal: list[tuple[int, list[Op]]]) -> Fold:
    fold = Fold()
    for seq, ops in journal:
        fold.apply(seq, ops)
    return fold


@pytest.mark.parametrize("seed", range(SEEDS))
def test_duplicates_gaps_losses_and_rebuilds_end_in_the_same_book(
    mirror: Mirror, book: BookKey, seed: int
) -> None:
    rng = random.Random(seed)
    model = Model()
    traffic = Traffic(seed, model, joins=rng.choice([0.3, 0.6, 0.9]), hot=rng.random())
    journal: list[tuple[int, list[Op]]] = []
    for _ in range(12):
        journal += traffic.entries(rng.randint(1, 60))
        roll = rng.random()
        if roll < 0.2 and mirror.last_seq(book):
            lose(mirror, book)
        elif roll < 0.3:
            mirror.begin_rebuild(book)
        elif roll < 0.5:
            impossible = (len(journal) + 1, [["l", len(model.people) + 1]])
            with pytest.raises(OpRefused):
                mirror.apply(book, [*journal, impossible])
        last = mirror.last_seq(book)
        if roll > 0.7 and last + 2 <= len(journal):
            assert mirror.apply(book, journal[last + 1 :]).gap
            assert mirror.last_seq(book) == last
        if roll > 0.8:
            epoch = mirror.begin_rebuild(book)
            mirror.apply(book, journal, epoch=epoch)
            assert mirror.finish_rebuild(book, epoch)
        again = rng.randint(0, last)
        assert mirror.apply(book, journal[again:]).last_seq == len(journal)
        assert_equal(mirror, book, model)
        assert folded(journal).digest() == model.digest()


@pytest.mark.parametrize("seed", range(3))
def test_the_first_hundred_stay_exact_when_the_best_keep_falling(
    mirror: Mirror, book: BookKey, seed: int
) -> None:
    """More people with a score than the board holds, and then nothing but bad luck for those on it."""
    rng = random.Random(seed)
    model = Model()
    journal: list[tuple[int, list[Op]]] = []

    def add(ops: list[Op]) -> None:
        model.apply(ops)
        journal.append((model.seq, ops))

    people = 3200
    for number in range(1, people + 1):
        add([["m", number, rng.randint(0, number - 1), rng.choice(DATES)]])
        add([["s", number, rng.randint(0, 30) if rng.random() < 0.9 else 200, model.person(number).cohort]])
    mirror.apply(book, journal)
    assert_equal(mirror, book, model)
    sizes = set()
    for step in range(60):
        before = len(journal)
        for person in rng.sample(model.order()[: 150 + step * 10], 40):
            if rng.random() < 0.3:
                add([["b", person.number]])
            else:
                add([["s", person.number, -rng.randint(1, person.score), person.cohort]])
        for _ in range(10):  # and some good luck for anybody, newcomers included
            person = rng.choice(model.people)
            add([["s", person.number, rng.randint(0, 25), person.cohort]])
            if person.blocked and rng.random() < 0.5:
                add([["u", person.number]])
        newcomer = len(model.people) + 1
        add([["m", newcomer, rng.randint(0, newcomer - 1), DATES[0]], ["s", newcomer, 40, DATES[0]]])
        mirror.apply(book, journal[before:])
        board = mirror.leaderboard(book, 1000)
        order = [(p.number, p.score) for p in model.order()]
        assert board == order[: len(board)]
        assert len(board) >= min(len(order), 200)
        sizes.add(len(board))
    assert_equal(mirror, book, model)
    assert min(sizes) < 700, "the board was never gathered anew: this test tested nothing"


def test_a_board_that_everybody_leaves_is_complete_again(mirror: Mirror, book: BookKey) -> None:
    model = Model()
    journal = []
    people = 1500
    changes: list[list[Op]] = [
        [["m", n, 0, DATES[0]], ["s", n, 1 + n % 7, DATES[0]]] for n in range(1, people + 1)
    ]
    changes += [[["b", n]] for n in range(people, 0, -1)]
    changes += [[["u", n]] for n in range(1, people, 3)]
    for ops in changes:
        model.apply(ops)
        journal.append((model.seq, ops))
    for end in (people, people + 600, people + 1200, 2 * people, len(journal)):
        mirror.apply(book, journal[mirror.last_seq(book) : end])
        partial = Model()
        for _, ops in journal[:end]:
            partial.apply(ops)
        assert_equal(mirror, book, partial)
