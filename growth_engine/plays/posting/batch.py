"""The rules of campaigns as the ledger's poster wants them: load, decide, save."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from growth_engine.kit.ids import Ids
from growth_engine.ledger.contract import Connected, EntryDraft, Event
from growth_engine.plays.posting.decide import Decider
from growth_engine.plays.posting.load import Loader
from growth_engine.plays.posting.save import Saver


class CampaignRules:
    """One batch of campaign Events of one workspace; see ``ledger.contract.BatchRules``."""

    def __init__(self, conn: Connected, now: datetime, ids: Ids) -> None:
        self._loader = Loader(conn, now)
        self._saver = Saver(conn, now, ids.new)
        self._decider = Decider(self._loader.facts, now, ids.new, ids.token)

    def load(self, events: Sequence[Event]) -> None:
        self._loader.load(events)

    def decide(self, event: Event, seq: int) -> EntryDraft:
        return self._decider.decide(event, seq)

    def save(self) -> None:
        self._saver.save(self._loader.facts)

    def after_commit(self) -> Sequence[str]:
        return ("grants.drain",) if self._loader.facts.grants else ()
