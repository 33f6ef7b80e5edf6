"""Payouts by hand: somebody pays from an exported list and brings the results back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from growth_engine.kit.i18n import N_
from growth_engine.payouts import providers
from growth_engine.payouts.providers import Ask, Waiting

if TYPE_CHECKING:
    from growth_engine.context import Parts


class Manual:
    """Puts payouts on the list of those waiting; ``payouts.sheets`` writes the list and reads results."""

    name = "manual"
    title = N_("By hand: export a list, import the results")
    by_hand = True

    def send(self, parts: Parts, ask: Ask) -> Waiting:  # noqa: ARG002 - the contract's
        return Waiting(ask.ref or "")

    def query(self, parts: Parts, ask: Ask) -> Waiting:  # noqa: ARG002 - the contract's
        return Waiting(ask.ref or "")


providers.add(Manual())
