"""What goes into the books and what comes back: Events, Entries, Receipts, and the rules that decide."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import orjson
from psycopg import Connection
from psycopg.rows import TupleRow

from growth_engine.kit.errors import Conflict
from growth_engine.kit.i18n import N_
from growth_engine.ledger.money import Balances, Leg

Connected = Connection[TupleRow]


@dataclass(frozen=True, slots=True)
class Event:
    """A fact handed to the ledger. (source, key) names it: the same pair is the same Event, always.

    ``facts`` hold nothing personal and stay for good; ``person`` (names, identities) is kept only until
    the Event is posted. Both are plain JSON.
    """

    workspace_id: str
    book_id: str
    kind: str
    source: str
    key: str
    occurred_at: datetime
    facts: Mapping[str, Any]
    person: Mapping[str, Any] | None = None

    def payload(self) -> bytes:
        return orjson.dumps(
            {"kind": self.kind, "book": self.book_id, "facts": self.facts, "person": self.person},
            option=orjson.OPT_SORT_KEYS,
        )

    def payload_hash(self) -> bytes:
        """SHA-256 of the payload: a second delivery with another payload is refused.

        Salted with the Event's own name, so that equal phone numbers do not hash alike.
        """
        return hashlib.sha256(self.payload()).digest()


@dataclass(frozen=True, slots=True)
class Reason:
    """Why: a code (``plays/reasons.py`` has the words) and its parameters."""

    code: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {"code": self.code, **({"params": dict(self.params)} if self.params else {})}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Reason:
        return cls(value["code"], value.get("params", {}))


@dataclass(slots=True)
class EntryDraft:
    """What the rules decided about one Event; the poster adds sequence number, time and hash."""

    accepted: bool
    rule_version: int = 0
    member: int | None = None
    """Number of the participant the Entry is about."""
    other: int | None = None
    """Number of the participant on the other side (the inviter)."""
    reasons: list[Reason] = field(default_factory=list)
    ops: list[list[Any]] = field(default_factory=list)
    """Changes for the mirror (``ledger/functions``)."""
    result: dict[str, Any] = field(default_factory=dict)
    """Ids a later duplicate is answered with; stored."""
    answer: dict[str, Any] = field(default_factory=dict)
    """What only the caller who waits gets, to save it a query; not stored."""
    currency: str = ""
    """Of the legs; ISO 4217."""
    legs: list[Leg] = field(default_factory=list)
    """What moves between accounts of this book; sums to zero."""
    elsewhere: dict[str, EntryDraft] = field(default_factory=dict)
    """Entries of the same Event in other books, by book id: money that crosses a border."""


@dataclass(frozen=True, slots=True)
class Posted:
    """The decision about an Event, as it stands in the journal."""

    event_id: str
    book_id: str
    seq: int
    accepted: bool
    reasons: tuple[Reason, ...]
    result: Mapping[str, Any]
    answer: Mapping[str, Any] = field(default_factory=dict)
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Received:
    """The Event is stored durably but not decided yet; a sweep will post it."""

    event_id: str
    parked: bool = False


Receipt = Posted | Received


class PayloadMismatch(Conflict):
    code = "payload_mismatch"
    status = 422
    message = N_("This key was used before with other content. Use a new key for a new request.")


class BatchRules(Protocol):
    """The rules for one batch of one workspace: load what they need, decide in order, save.

    Built anew for every batch, inside the poster's transaction, with the books locked.
    """

    def load(self, events: Sequence[Event]) -> None:
        """A few set-based queries for everything the batch will ask."""
        ...

    def decide(self, event: Event, seq: int) -> EntryDraft:
        """Pure: reads and changes only what ``load`` brought into memory."""
        ...

    def save(self) -> None:
        """Array inserts of everything the decisions changed since the last time.

        Called once for a batch, or once for each piece of a batch of Events that ``in_pieces`` allows.
        """
        ...

    def after_commit(self) -> Sequence[str]:
        """Names of the jobs whose doorbell should ring."""
        ...


class RulesFactory(Protocol):
    def __call__(self, conn: Connected, now: datetime, balances: Balances) -> BatchRules: ...

    def books(self, event: Event) -> Sequence[str]:
        """Every book the decision about this Event may write to, its own among them."""
        ...

    def alone(self, event: Event) -> bool:
        """Whether this Event shares a batch with no other: its facts are searched for by what they say, so
        a decision before it in the same batch would go unseen."""
        ...

    def in_pieces(self, event: Event) -> bool:
        """Whether a batch of such Events may be saved in pieces, each while the next is decided."""
        ...
