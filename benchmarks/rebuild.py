"""Rebuild and verification of one book with a million members: `python benchmarks/rebuild.py [members]`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TypeVar

import _house as house
from mirror import journal

from growth_engine.ledger.mirror import BookKey
from growth_engine.ledger.service import catch_up, rebuild
from growth_engine.ledger.verify import verify

T = TypeVar("T")


def timed(what: str, work: Callable[[], T]) -> T:
    began = time.perf_counter()
    result = work()
    print(f"  {what:<46} {time.perf_counter() - began:7.1f} s", flush=True)
    return result


def main() -> None:
    members = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with house.servers() as settings, house.parts_of(settings) as parts:
        workspace_id, campaign_id, _ = house.live_campaign(parts)
        key = BookKey(workspace_id, campaign_id)
        ids = (workspace_id, campaign_id)
        timed(f"COPY of {members:,} members", lambda: house.fill(settings, *ids, members, journal))
        timed("first fold into the mirror", lambda: catch_up(parts, workspace_id, campaign_id))
        before = timed("digest of the mirror", lambda: parts.mirror.digest(key))
        entries = timed("rebuild under a new epoch", lambda: rebuild(parts, workspace_id, campaign_id))
        after = parts.mirror.digest(key)
        print(f"  {entries:,} entries; the digest is {'the same' if before == after else 'ANOTHER'}")
        report = timed("ledger verify", lambda: verify(parts, workspace_id, campaign_id))
        print(f"  faults: {report.faults or 'none'}")
        sys.exit(0 if before == after and report.clean else 1)


if __name__ == "__main__":
    main()
