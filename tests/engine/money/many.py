"""Runs many seeds of the property test in one process: ``python -m tests.engine.money.many --help``."""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
import time
import traceback
from pathlib import Path

import psycopg
import structlog

from growth_engine.app import build_parts
from growth_engine.kit.clock import FixedClock
from growth_engine.kit.tx import libpq_url
from growth_engine.settings import Settings
from tests.conftest import SECRET, START
from tests.engine.money.runner import Machine, run_seed


def main() -> None:
    """One JSON line a seed: seed, seconds, what was done; ``failure`` when something did not hold."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--database", required=True)
    asked.add_argument("--redis", required=True)
    asked.add_argument("--first", type=int, default=0)
    asked.add_argument("--step", type=int, default=1, help="every so many-th seed")
    asked.add_argument("--seeds", type=int, default=10)
    asked.add_argument("--steps", type=int, default=500)
    told = asked.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    settings = Settings(
        database_url=told.database,
        ledger_redis_url=told.redis,
        queue_redis_url=told.redis,
        secret_key=SECRET,
        data_dir=Path(tempfile.mkdtemp(prefix="ge-money-")),
    )
    with psycopg.connect(libpq_url(told.database), autocommit=True) as conn:
        for seed in range(told.first, told.first + told.seeds * told.step, told.step):
            parts = build_parts(settings, clock=FixedClock(START))
            machine = Machine(parts)
            began = time.monotonic()
            line: dict[str, object] = {"seed": seed}
            try:
                line["done"] = dict(run_seed(machine, conn, seed, told.steps))
            except Exception:
                line["failure"] = traceback.format_exc()[-3000:]
                conn.rollback()
            finally:
                machine.close()
                parts.close()
            line["seconds"] = round(time.monotonic() - began, 1)
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
