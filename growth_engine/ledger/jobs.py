"""Jobs of the books: post what waits, keep the mirror up to date."""

from __future__ import annotations

from growth_engine.context import Parts
from growth_engine.kit.jobs import job
from growth_engine.ledger import service


@job("ledger.sweep", every=5)
def sweep(parts: Parts, workspace_id: str) -> int:
    return service.sweep(parts, workspace_id)


@job("ledger.mirror", every=5)
def mirror(parts: Parts, workspace_id: str) -> int:
    return service.catch_up_all(parts, workspace_id)
