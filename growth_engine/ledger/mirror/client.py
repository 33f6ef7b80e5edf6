"""The mirror's client: applies journal entries, answers pages, and rebuilds under a new epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Self

import orjson
from redis.cluster import RedisCluster

from growth_engine.kit.redis import ledger_client
from growth_engine.ledger.digest import Digest
from growth_engine.ledger.mirror import content, library
from growth_engine.ledger.mirror.views import (
    AccountName,
    Applied,
    BookKey,
    Earned,
    Entry,
    MemberView,
    Totals,
    counters_in,
    earned_in,
    earners_in,
    members_in,
    numbers_in,
    places_in,
)

CHUNK_OPS = 1000
"""Ops sent in one call: a call holds up every reader of its server while it runs (about 3 µs an op)."""
BULK = 1000
"""Members asked for in one call."""
MOST = 1000
"""The longest list one call returns."""
_WITH_AMOUNT = ("a", "v")
"""Ops that end with an amount of 64 bits."""


class Mirror:
    """All books of all campaigns and wallets on one ledger server or cluster.

    Every method is one round trip, except where a list is long. A book the mirror does not hold reads as
    empty. Every method may raise ``MirrorUnavailable``.
    """

    def __init__(self, client: library.Client) -> None:
        """``client`` must not decode responses; it may retry, for every function is safe to repeat."""
        if not isinstance(client, RedisCluster) and client.get_connection_kwargs().get("decode_responses"):
            raise ValueError("the mirror needs a client with decode_responses=False")
        self._redis = client

    @classmethod
    def connect(cls, url: str) -> Self:
        """``url`` as in LEDGER_REDIS_URL."""
        return cls(ledger_client(url))

    def close(self) -> None:
        if isinstance(self._redis, RedisCluster):
            cluster: Any = self._redis
            cluster.disconnect_connection_pools()  # its close() leaves the nodes' sockets open
        self._redis.close()

    def check_server(self) -> None:
        """Raises Misconfigured on a server that may evict keys or is too old."""
        library.check(self._redis)

    def load_functions(self) -> None:
        """Put this release's function library on the server; harmless to repeat."""
        library.load(self._redis)

    def ping(self) -> None:
        """The server answers and has the functions (it gets them again when it lost them)."""
        self.last_seq(BookKey("ping", "ping"))

    # Writing

    def apply(self, book: BookKey, entries: Sequence[Entry], epoch: int | None = None) -> Applied:
        """Fold ``entries`` (ascending) into the book: those already applied are skipped, a gap stops it.

        ``epoch``: the one ``begin_rebuild`` gave, instead of the live one. Entries go in chunks; a chunk is
        applied wholly or, when an op cannot be, not at all (OpRefused; the chunks before it stay).
        Raises StaleEpoch when the epoch is not this book's any more.
        """
        target = "" if epoch is None else epoch
        last, gap = 0, 0
        for chunk in _chunks(entries):
            payload = orjson.dumps(_flat(chunk))
            last, gap = library.call(self._redis, "apply", book, target, payload, write=True)
            if gap:
                break
        return Applied(last, bool(gap))

    def begin_rebuild(self, book: BookKey) -> int:
        """A fresh epoch to apply the journal to, from 1 on; a rebuild still under way is given up."""
        epoch: int = library.call(self._redis, "begin", book, write=True)
        self._sweep(book)
        return epoch

    def finish_rebuild(self, book: BookKey, epoch: int, *, force: bool = False) -> bool:
        """Switch readers to ``epoch`` and delete the old one.

        False, and no switch, when it is behind the live one: catch up, then try again.
        ``force`` switches although it is behind: only for a live epoch ahead of the journal itself
        (a database restored from a backup).
        """
        switched, _, _ = library.call(self._redis, "finish", book, epoch, int(force), write=True)
        if switched:
            self._sweep(book)
        return bool(switched)

    def abandon_rebuild(self, book: BookKey, epoch: int) -> None:
        """Delete what a rebuild has built; nothing happens if it is finished or already given up."""
        library.call(self._redis, "abandon", book, epoch, write=True)
        self._sweep(book)

    def forget(self, book: BookKey) -> None:
        """Delete the book from the mirror; applying the journal brings it back."""
        library.call(self._redis, "forget", book, write=True)
        self._sweep(book)

    def _sweep(self, book: BookKey) -> None:
        while library.call(self._redis, "sweep", book, write=True):
            pass

    # Reading

    def totals(self, book: BookKey) -> Totals:
        return Totals(*library.call(self._redis, "totals", book))

    def last_seq(self, book: BookKey) -> int:
        """Sequence number of the last entry applied; 0 for none."""
        return self.totals(book).last_seq

    def member(self, book: BookKey, number: int) -> MemberView | None:
        """None for a number the mirror has not seen (yet)."""
        return next(members_in(library.call(self._redis, "members", book, number)), None)

    def members(self, book: BookKey, numbers: Sequence[int]) -> list[MemberView]:
        """Those of ``numbers`` that exist, in the order asked."""
        found: list[MemberView] = []
        for start in range(0, len(numbers), BULK):
            packed = library.call(self._redis, "members", book, *numbers[start : start + BULK])
            found += members_in(packed)
        return found

    def rank(self, book: BookKey, number: int) -> int | None:
        """See ``MemberView.rank``."""
        view = self.member(book, number)
        return view.rank if view else None

    def children(self, book: BookKey, number: int, after: int = 0, limit: int = 50) -> list[int]:
        """Everybody ``number`` invited, those who left included, newest first; at most 1000 a call.

        For the next page ``after`` is the last number of this one. Raises Invalid for an ``after`` that is
        not one of them.
        """
        return numbers_in(library.call(self._redis, "children", book, number, after, _limit(limit)))

    def ancestors(self, book: BookKey, number: int, limit: int = 50) -> list[int]:
        """The inviter, the inviter's inviter, and so on up; at most 1000."""
        return numbers_in(library.call(self._redis, "ancestors", book, number, _limit(limit)))

    def leaderboard(self, book: BookKey, limit: int = 100) -> list[tuple[int, int]]:
        """(number, score), best first; of equals the one who joined first. Blocked people are not on it.

        Exact however long; up to 100 places it is only shorter than asked if nobody else has a score.
        """
        return places_in(library.call(self._redis, "leaderboard", book, _limit(limit)))

    def funnel(self, book: BookKey) -> dict[str, int]:
        """Counts by step; a step at zero is absent."""
        return counters_in(library.call(self._redis, "funnel", book))

    def cohorts(self, book: BookKey) -> list[tuple[str, int, int]]:
        """(date of joining, members, valid invites they have brought), by date; K = invites / members."""
        members, invites = map(counters_in, library.call(self._redis, "cohorts", book))
        return [(date, members.get(date, 0), invites.get(date, 0)) for date in sorted(members | invites)]

    def balances(self, book: BookKey, accounts: Sequence[AccountName]) -> dict[AccountName, int]:
        """Balance of each of the accounts in minor units; 0 for one nothing has moved."""
        found: dict[AccountName, int] = {}
        for start in range(0, len(accounts), BULK):
            asked = accounts[start : start + BULK]
            parts = [part for account in asked for part in account]
            amounts = library.call(self._redis, "balances", book, *parts)
            found |= zip(asked, map(int, amounts), strict=True)
        return found

    def balance(self, book: BookKey, account: str, owner: str, currency: str) -> int:
        """See ``balances``."""
        key = (account, owner, currency)
        return self.balances(book, [key])[key]

    def earned(self, book: BookKey, limit: int = 100, first: int = 0) -> list[tuple[int, int]]:
        """(number, net commission in minor units), best first, from place ``first`` (0 is the best).

        Of equals the one who joined first; who earned nothing is not on it, the blocked are.
        """
        return earners_in(library.call(self._redis, "earned", book, first, _limit(limit)))

    def earned_of(self, book: BookKey, numbers: Sequence[int]) -> list[Earned]:
        """What each of ``numbers`` has earned, in the order asked."""
        found: list[Earned] = []
        for start in range(0, len(numbers), BULK):
            asked = numbers[start : start + BULK]
            found += earned_in(asked, library.call(self._redis, "earned_of", book, *asked))
        return found

    def branch(self, book: BookKey, numbers: Sequence[int]) -> dict[int, int]:
        """Net sales in minor units to the two levels below each of ``numbers``."""
        found: dict[int, int] = {}
        for start in range(0, len(numbers), BULK):
            asked = numbers[start : start + BULK]
            found |= zip(asked, map(int, library.call(self._redis, "branch", book, *asked)), strict=True)
        return found

    def digest(self, book: BookKey) -> Digest:
        """Equal to ``ledger.digest.digest_rows`` over the same prefix of the journal.

        Reads the whole content (28 bytes a member), which must hold still. Raises BookMoved when entries
        keep arriving: hold the book's lock to be sure.
        """

        def read(name: str, *arguments: int | str) -> Any:
            return library.call(self._redis, name, book, *arguments)

        return content.digest(read)


def _flat(chunk: Sequence[Entry]) -> list[Any]:
    """As ``functions/apply.lua`` reads them: seq, number of ops, then length and parts of each.

    Amounts of 64 bits go as strings, because Lua's numbers have 53.
    """
    flat: list[Any] = []
    for seq, ops in chunk:
        flat += (seq, len(ops))
        for op in ops:
            flat.append(len(op))
            flat += op
            if op and op[0] in _WITH_AMOUNT:
                flat[-1] = str(flat[-1])
    return flat


def _limit(limit: int) -> int:
    return max(1, min(limit, MOST))


def _chunks(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Runs of about ``CHUNK_OPS`` ops; one empty run for no entries, to ask where the book stands."""
    chunk: list[Entry] = []
    ops = 0
    for entry in entries:
        if chunk and ops + len(entry[1]) >= CHUNK_OPS:
            yield chunk
            chunk, ops = [], 0
        chunk.append(entry)
        ops += len(entry[1]) + 1
    if chunk or not entries:
        yield chunk
