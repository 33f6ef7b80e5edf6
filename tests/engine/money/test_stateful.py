"""Random lives of a shop: answers, tables and mirror are what the auditor says, after every step."""

from __future__ import annotations

import os
from collections.abc import Iterator

import psycopg
import pytest

from growth_engine.context import Parts
from growth_engine.kit.tx import libpq_url
from growth_engine.ledger.contract import Connected
from tests.engine.money.runner import Machine, run_seed

SEEDS = 300
BLOCK = 20
"""Seeds to a test case, so that workers can share them."""
STEPS = 8


@pytest.fixture
def conn(pg_url: str) -> Iterator[Connected]:
    with psycopg.connect(libpq_url(pg_url), autocommit=True) as opened:
        yield opened


@pytest.fixture
def machine(parts: Parts) -> Iterator[Machine]:
    made = Machine(parts)
    yield made
    made.close()


@pytest.mark.parametrize("block", range(SEEDS // BLOCK))
def test_tables_mirror_and_auditor_agree_after_every_step(
    machine: Machine, conn: Connected, block: int
) -> None:
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        run_seed(machine, conn, seed, STEPS)


@pytest.mark.parametrize("seed", [9001, 9002])
def test_long_lives_hold_as_well(machine: Machine, conn: Connected, seed: int) -> None:
    run_seed(machine, conn, seed, 150)


@pytest.mark.skipif("MONEY_SEED" not in os.environ, reason="for one seed: MONEY_SEED=7 MONEY_STEPS=500")
def test_one_seed(machine: Machine, conn: Connected) -> None:
    run_seed(machine, conn, int(os.environ["MONEY_SEED"]), int(os.environ.get("MONEY_STEPS", "500")))
