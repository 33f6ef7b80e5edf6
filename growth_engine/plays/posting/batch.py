"""The rules of campaigns as the ledger's poster wants them: load, decide, save."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from growth_engine.kit.ids import Ids
from growth_engine.ledger.contract import BatchRules, Connected, EntryDraft, Event
from growth_engine.ledger.money import Balances, wallet_book
from growth_engine.payouts.posting import WalletRules, is_wallet
from growth_engine.plays.posting.decide import Decider
from growth_engine.plays.posting.load import Loader
from growth_engine.plays.posting.save import Saver


class CampaignRules:
    """One batch of campaign Events of one workspace; see ``ledger.contract.BatchRules``."""

    def __init__(
        self, conn: Connected, now: datetime, ids: Ids, balances: Balances, fees: Mapping[str, int]
    ) -> None:
        self._loader = Loader(conn, now, balances)
        self._saver = Saver(conn, now, ids.new)
        self._decider = Decider(self._loader.facts, now, ids, balances, fees)

    def load(self, events: Sequence[Event]) -> None:
        self._loader.load(events)

    def decide(self, event: Event, seq: int) -> EntryDraft:
        return self._decider.decide(event, seq)

    def save(self) -> None:
        self._saver.save(self._loader.facts)

    def after_commit(self) -> Sequence[str]:
        return ("grants.drain",) if self._saver.granted else ()


class WorkspaceRules:
    """One batch of one workspace: each Event is decided by the rules of its kind of book."""

    def __init__(self, campaigns: BatchRules, wallets: BatchRules) -> None:
        self._campaigns = campaigns
        self._wallets = wallets
        self._used: list[BatchRules] = []

    def load(self, events: Sequence[Event]) -> None:
        for rules, wanted in ((self._campaigns, False), (self._wallets, True)):
            if mine := [event for event in events if is_wallet(event) is wanted]:
                rules.load(mine)
                self._used.append(rules)

    def decide(self, event: Event, seq: int) -> EntryDraft:
        return (self._wallets if is_wallet(event) else self._campaigns).decide(event, seq)

    def save(self) -> None:
        for rules in self._used:
            rules.save()

    def after_commit(self) -> Sequence[str]:
        return [job for rules in self._used for job in rules.after_commit()]


#: Events that change what there is already and add to it, so that a batch can be saved in pieces.
_IN_PIECES = frozenset({"payment", "refund", "cancel"})
#: Events of a campaign that may move money in the wallet book as well.
_REACH_WALLET = frozenset({"refund", "mature", "commission"})


class Rules:
    """Makes the rules of each batch; see ``ledger.contract.RulesFactory``.

    ``fees``: the platform's fee by the merchant's tier, in basis points.
    """

    def __init__(
        self,
        ids: Ids,
        campaign: type[CampaignRules] | None = None,
        fees: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self._ids = ids
        self._fees = fees
        self._campaign = campaign or CampaignRules

    def __call__(self, conn: Connected, now: datetime, balances: Balances) -> BatchRules:
        return WorkspaceRules(
            self._campaign(conn, now, self._ids, balances, self._fees),
            WalletRules(conn, now, self._ids, balances),
        )

    def books(self, event: Event) -> Sequence[str]:
        if event.kind in _REACH_WALLET:
            return (event.book_id, wallet_book(event.workspace_id))
        return (event.book_id,)

    def alone(self, event: Event) -> bool:
        return event.kind == "mature"

    def in_pieces(self, event: Event) -> bool:
        return event.kind in _IN_PIECES
