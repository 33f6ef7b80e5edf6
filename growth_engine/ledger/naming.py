"""Facts that other systems name: one name stands for one fact, unless what was told first was refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from growth_engine.context import Parts
from growth_engine.kit.errors import Unavailable
from growth_engine.kit.i18n import N_
from growth_engine.ledger import queries
from growth_engine.ledger.contract import Event, PayloadMismatch, Posted, Receipt

#: Tries under one name; whoever needs more has a program that repeats what will never be taken.
MOST_TRIES = 500


class AlreadyRecorded(PayloadMismatch):
    """The name stands for something else in the books; ``facts`` are the ones recorded."""

    code = "already_recorded"
    status = 409
    message = N_("This id is in the books already, with other content. Use a new id for something else.")

    def __init__(self, facts: Mapping[str, Any]) -> None:
        super().__init__()
        self.facts = facts


def submit(parts: Parts, event: Event, *, anew: bool = False) -> Receipt:
    """Hand in a fact under the name its teller gave it (``event.key``, which must not begin with a digit).

    The same content again gives the same decision. Other content corrects what was refused, as an Event of
    its own beside the refused one; raises ``AlreadyRecorded`` when what was told before stands, and
    ``Unavailable`` while that is not decided. With ``anew`` content that was refused is decided once more:
    its reasons (nothing left, not open yet) may be gone by now.
    """
    turn = 1
    while True:
        receipt = _submit_turn(parts, _of(event, turn))
        if receipt is not None:
            refused = isinstance(receipt, Posted) and receipt.duplicate and not receipt.accepted
            if not (anew and refused and turn < MOST_TRIES):
                return receipt
        turn = max(turn + 1, _tries(parts, event) if anew else 0)


def _submit_turn(parts: Parts, event: Event) -> Receipt | None:
    """The decision about this very content; ``None``: other content had the turn, and was refused."""
    try:
        receipt: Receipt = parts.ledger.submit(event)
    except PayloadMismatch:
        with parts.open(event.workspace_id) as ctx:
            told = queries.decision_named(ctx, event.source, event.key)
        if told is None or told.accepted is None:
            raise Unavailable(N_("The books are busy. Please send the same request again.")) from None
        if told.accepted:
            raise AlreadyRecorded(told.facts) from None
        return None
    return receipt


def _of(event: Event, turn: int) -> Event:
    return replace(event, key=_name(event.key, turn))


def _name(key: str, turn: int) -> str:
    return key if turn == 1 else f"{turn}/{key}"


def _tries(parts: Parts, event: Event) -> int:
    """The last turn there was; turns follow one another without a gap."""
    names = [_name(event.key, turn) for turn in range(1, MOST_TRIES + 1)]
    with parts.open(event.workspace_id) as ctx:
        return queries.events_named(ctx, event.source, names)
