"""Jobs of the books: post what waits, keep the mirror up to date, prove everything, export the heads."""

from __future__ import annotations

from growth_engine.context import Parts
from growth_engine.kit.jobs import job
from growth_engine.ledger import heads, proofs, service

#: Proofs read a lot: they have a queue of their own, which workers turn to when nothing else waits.
_QUEUE = "proofs"


@job("ledger.sweep", every=5)
def sweep(parts: Parts, workspace_id: str) -> int:
    return service.sweep(parts, workspace_id)


@job("ledger.mirror", every=5)
def mirror(parts: Parts, workspace_id: str) -> int:
    return service.catch_up_all(parts, workspace_id)


@job("ledger.checks", every=300, queue=_QUEUE, scope="every_workspace")
def checks(parts: Parts, workspace_id: str) -> int:
    """Ask what is cheap to ask."""
    proofs.check_often(parts, workspace_id)
    return 0  # that was all: anything else would have it called again


@job("ledger.verify", every=3600, queue=_QUEUE, scope="every_workspace")
def verify(parts: Parts, workspace_id: str) -> int:
    """Prove a book whole; called again for the next."""
    return proofs.prove_next(parts, workspace_id)


@job("ledger.heads", every=3600, queue=_QUEUE, scope="every_workspace")
def export_heads(parts: Parts, workspace_id: str) -> int:
    """Write down where the books stand today."""
    heads.export(parts, workspace_id)
    return 0
