"""Telling after commits: in order whatever the size, and answered whatever becomes of the mirror."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from growth_engine.ledger.telling import Teller

Rows = Sequence[tuple[int, list[Any]]]


def test_a_small_batch_does_not_overtake_a_large_one_on_its_way_to_the_mirror() -> None:
    told: list[int] = []
    gate = threading.Event()

    def mirrored(_workspace: str, _book: str, entries: Rows) -> None:
        if entries[0][0] == 1:
            assert gate.wait(10)
        told.append(entries[0][0])

    teller = Teller(mirrored, lambda *_: None, beside=5)
    teller.tell("wsp", 5, {"book": [(1, [])]}, (), lambda: told.append(-1))
    teller.tell("wsp", 9, {"book": [(2, [])]}, (), lambda: told.append(-2))
    assert told == [], "large batches are told beside the next"
    threading.Timer(0.05, gate.set).start()
    teller.tell("wsp", 1, {"book": [(3, [])]}, (), lambda: told.append(-3))
    assert told == [1, -1, 2, -2, 3, -3]
    teller.close()


def test_closing_tells_what_waits() -> None:
    told: list[int] = []
    teller = Teller(lambda _w, _b, entries: told.append(entries[0][0]), lambda *_: None, beside=1)
    for seq in (1, 2, 3):
        teller.tell("wsp", 1, {"book": [(seq, [])]}, (), lambda: None)
    teller.close()
    assert told == [1, 2, 3]


def test_what_is_committed_is_answered_whatever_the_mirror_does() -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("the mirror broke")

    rung: list[str] = []
    answered: list[int] = []
    for size in (1, 5):
        teller = Teller(broken, lambda job, _: rung.append(job), beside=5)
        teller.tell("wsp", size, {"book": [(1, [])]}, ("job",), lambda size=size: answered.append(size))  # type: ignore[misc]
        teller.close()
    assert answered == [1, 5]
    assert rung == ["job", "job"]
