"""A thousand random lives of a shop of five hundred steps each, over two processes, audited at every step."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

pytestmark = pytest.mark.drill

SEEDS = int(os.environ.get("MONEY_SEEDS", "0"))
"""Hours of work: asked for by ``make drills`` only."""
STEPS = int(os.environ.get("MONEY_STEPS", "500"))
FIRST = int(os.environ.get("MONEY_FIRST", "100000"))
PROCESSES = int(os.environ.get("MONEY_PROCESSES", "2"))
#: End after so many minutes, with as many seeds as were done by then; 0: never.
MINUTES = float(os.environ.get("MONEY_MINUTES", "0"))
#: A line on the screen every so many seeds.
SAY_EVERY = max(1, SEEDS // 50)


def _begin(pg_url: str, valkey_url: str, at: int) -> subprocess.Popen[str]:
    mine = len(range(at, SEEDS, PROCESSES))
    numbers = {"first": FIRST + at, "step": PROCESSES, "seeds": mine, "steps": STEPS}
    arguments = [part for name, value in numbers.items() for part in (f"--{name}", str(value))]
    program = [sys.executable, "-m", "tests.engine.money.many", "--database", pg_url, "--redis", valkey_url]
    root = Path(__file__).parents[2]
    return subprocess.Popen([*program, *arguments], cwd=root, stdout=subprocess.PIPE, text=True)


@pytest.mark.skipif(not SEEDS, reason="make drills asks for these: MONEY_SEEDS=1000 MONEY_STEPS=500")
@pytest.mark.timeout(0)
def test_a_thousand_shops_end_with_every_invariant_held(
    pg_url: str, valkey_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    began, finished = time.monotonic(), 0
    done: Counter[str] = Counter()
    failures: list[str] = []
    running = [_begin(pg_url, valkey_url, at) for at in range(PROCESSES)]
    lines = selectors.DefaultSelector()
    for process in running:
        assert process.stdout is not None
        lines.register(process.stdout, selectors.EVENT_READ)
    try:
        while lines.get_map() and not (MINUTES and time.monotonic() - began > 60 * MINUTES):
            for key, _ in lines.select(timeout=5):
                text = key.fileobj.readline()  # type: ignore[union-attr]
                if not text:
                    lines.unregister(key.fileobj)
                    continue
                told = json.loads(text)
                finished += 1
                done.update(told.get("done", {}))
                if "failure" in told:
                    failures.append(f"seed {told['seed']}\n{told['failure']}")
                if finished % SAY_EVERY == 0 or "failure" in told:
                    with capsys.disabled():
                        minutes = (time.monotonic() - began) / 60
                        print(
                            f"  {finished}/{SEEDS} seeds, {minutes:.1f} min, {len(failures)} failed",
                            flush=True,
                        )
                        print(told.get("failure", ""), end="", flush=True)
    finally:
        for process in running:
            process.terminate()
            process.wait(30)
            assert process.stdout is not None
            process.stdout.close()
        lines.close()
    with capsys.disabled():
        summary = ", ".join(f"{name} {count:,}" for name, count in done.most_common())
        print(f"  {finished} seeds of {STEPS} steps in {(time.monotonic() - began) / 60:.1f} min: {summary}")
    assert failures == [], "\n\n".join(failures)
    assert finished == SEEDS or MINUTES
