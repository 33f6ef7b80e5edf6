"""A process of the product that stops at a named point and waits there to be killed; see the drill beside it.

``python -m tests.drills.payout_process '<json>'``: ``settings``, ``workspace``, ``at`` (its clock), ``point``
(where to stop, or empty), ``bank`` (a folder), and either ``ask`` (arguments of a request) or nothing: a
worker that sends what is due. Prints ``at <point>`` when it stops.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from growth_engine.app import build_parts
from growth_engine.context import Parts
from growth_engine.kit.clock import FixedClock
from growth_engine.ledger.poster import Poster
from growth_engine.payouts import providers, sending, service
from growth_engine.payouts.posting import WalletRules
from growth_engine.payouts.providers import Ask, Found, Paid, Unseen
from growth_engine.settings import Settings

NAME = "drill_bank"
POINTS = ("deciding", "decided", "claimed", "calling", "called", "answered")


class FolderBank:
    """A bank that outlives us: a file for each number it has paid, a line for each time it was told."""

    name = NAME
    title = "Bank"
    by_hand = False

    def __init__(self, folder: Path, reach: Callable[[str], None]) -> None:
        self._folder = folder
        self._reach = reach

    def send(self, parts: Parts, ask: Ask) -> Found:
        self._reach("calling")
        with (self._folder / "told.log").open("a") as log:
            log.write(f"{ask.id}\n")
        paid = self._folder / ask.id
        if paid.exists():
            assert int(paid.read_text()) == ask.amount, "the same number, another amount"
        else:
            paid.write_text(str(ask.amount))
        self._reach("called")
        return Paid(f"T-{ask.id}")

    def query(self, parts: Parts, ask: Ask) -> Found:
        return Paid(f"T-{ask.id}") if (self._folder / ask.id).exists() else Unseen()


def _stop(point: str) -> NoReturn:
    print(f"at {point}", flush=True)
    time.sleep(600)
    raise SystemExit("nobody came")


def _set_traps(point: str) -> Callable[[str], None]:
    """Stop in the middle of posting, right after it, or on the way to the bank and back."""

    def reach(here: str) -> None:
        if here == point:
            _stop(here)

    def after(cls: Any, name: str, here: str) -> None:
        whole = getattr(cls, name)

        def trapped(*arguments: Any, **more: Any) -> Any:
            done = whole(*arguments, **more)
            reach(here)
            return done

        setattr(cls, name, trapped)

    def before(cls: Any, name: str, here: str) -> None:
        whole = getattr(cls, name)

        def trapped(*arguments: Any, **more: Any) -> Any:
            reach(here)
            return whole(*arguments, **more)

        setattr(cls, name, trapped)

    after(WalletRules, "save", "deciding")  # written, not committed
    before(Poster, "_answer", "decided")  # committed, nobody told
    after(sending, "claim", "claimed")
    after(sending, "_call", "answered")
    return reach


def main() -> None:
    told = json.loads(sys.argv[1])
    given = {**told["settings"], "data_dir": Path(told["settings"]["data_dir"])}
    parts = build_parts(Settings(**given), clock=FixedClock(datetime.fromisoformat(told["at"])))
    providers.add(FolderBank(Path(told["bank"]), _set_traps(told["point"])))
    if "ask" in told:
        service.request(parts, told["workspace"], **told["ask"])
    else:
        sending.send_due(parts, told["workspace"])
    parts.close()


if __name__ == "__main__":
    main()
