"""A process that posts Events and stops at a named point, to be killed there or to see others killed.

``python -m tests.drills.money_process '<json>'``: ``settings``, ``workspace``, ``at`` (its clock), ``point``
and what to do: ``events`` (each the fields of an Event), ``sweep`` or ``catch_up`` (a book's id). Prints
``at <point>`` when it stops, goes on when it is sent a line, and prints what came of it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from growth_engine.app import build_parts
from growth_engine.context import Parts
from growth_engine.kit.clock import FixedClock
from growth_engine.kit.errors import GrowthError
from growth_engine.ledger import journal, service
from growth_engine.ledger.contract import Event, Posted
from growth_engine.ledger.mirror import Mirror
from growth_engine.ledger.poster import Poster
from growth_engine.plays.posting.batch import CampaignRules
from growth_engine.settings import Settings

#: Of posting: Events sent to be stored, facts loaded, decided and written, committed and the mirror not told,
#: told of the first book, told of everything and nobody answered.
POSTING = ("stored", "loaded", "written", "committed", "mirrored", "answering")
#: Of bringing the mirror up: some of the Entries are applied.
MIRRORING = ("applied",)


def set_trap(point: str) -> None:
    """Stop the first time the named point is reached, and wait for a line."""
    stopped: list[str] = []

    def reach(here: str) -> None:
        if here == point and not stopped:
            stopped.append(here)
            print(f"at {here}", flush=True)
            sys.stdin.readline()

    def trap(owner: Any, name: str, here: str, *, after: bool) -> None:
        whole: Callable[..., Any] = getattr(owner, name)

        def trapped(*arguments: Any, **more: Any) -> Any:
            if not after:
                reach(here)
            done = whole(*arguments, **more)
            if after:
                reach(here)
            return done

        setattr(owner, name, trapped)

    trap(journal, "ask_insert_events", "stored", after=True)
    trap(CampaignRules, "load", "loaded", after=True)
    trap(CampaignRules, "save", "written", after=True)
    trap(Mirror, "apply", "committed", after=False)
    trap(Mirror, "apply", "mirrored", after=True)
    trap(Mirror, "apply", "applied", after=True)
    trap(Poster, "_answer", "answering", after=False)


def _do(parts: Parts, told: dict[str, Any]) -> Any:
    if "sweep" in told:
        return service.sweep(parts, told["workspace"])
    if "catch_up" in told:
        service.PAGE = 3
        return service.catch_up(parts, told["workspace"], told["catch_up"])
    events = [
        Event(**{**one, "occurred_at": datetime.fromisoformat(one["occurred_at"])}) for one in told["events"]
    ]
    return [
        [one.seq, one.accepted, one.duplicate] if isinstance(one, Posted) else None
        for one in parts.ledger.submit_many(events, timeout=60)
    ]


def main() -> None:
    told = json.loads(sys.argv[1])
    given = {**told["settings"], "data_dir": Path(told["settings"]["data_dir"])}
    parts = build_parts(Settings(**given), clock=FixedClock(datetime.fromisoformat(told["at"])))
    set_trap(told["point"])
    try:
        print(json.dumps(_do(parts, told)), flush=True)
    except GrowthError as error:
        print(json.dumps({"code": error.code}), flush=True)
    parts.close()


if __name__ == "__main__":
    main()
