"""Pure decisions of reach: what ties a person to a channel, what a refusal means, which texts go together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from growth_engine.channels.contract import WAITS_FOR_PERSON, WAITS_FOR_STAFF, WAITS_FOR_TIME, Reason, Refused

# ── Ties ────────────────────────────────────────────────────────────────────────────────────────────────

#: What holds somebody to an account, by name: ``""`` that they follow (Official Account), an employee's id,
#: ``group:<chat>``. Each with the second of the last word on it and whether it holds.
Ties = Mapping[str, Sequence[Any]]
FOLLOWS: Final = ""
GROUP: Final = "group:"


def tied(ties: Ties, name: str, at: datetime, holds: bool) -> dict[str, list[Any]]:
    """The ties after an event of ``at``. One that comes late changes nothing; of one second, the last."""
    second = int(at.timestamp())
    known = ties.get(name)
    kept = {one: list(said) for one, said in ties.items()}
    if known is None or second >= int(known[0]):
        kept[name] = [second, holds]
    return kept


def holds(ties: Ties) -> bool:
    """Whether the person is still here in any way."""
    return any(said[1] for said in ties.values())


def staff_of(ties: Ties) -> list[str]:
    """The employees who have the customer."""
    return sorted(name for name, said in ties.items() if said[1] and name and not name.startswith(GROUP))


# ── What a person asks for ──────────────────────────────────────────────────────────────────────────────

#: Words people write, and keys of menu entries a merchant may set, that ask for the poster again.
_POSTER: Final = frozenset({"poster", "海报", "我的海报", "邀请海报", "生成海报", "my poster"})


def wants_poster(said: str) -> bool:
    return said.strip().casefold() in _POSTER


# ── What follows from a refusal ─────────────────────────────────────────────────────────────────────────

#: Tries of what time may help; the waits double from five seconds to an hour, most of a day in all.
ATTEMPTS: Final = 30
FIRST_WAIT: Final = timedelta(seconds=5)
LONGEST_WAIT: Final = timedelta(hours=1)
#: Somebody has to correct the connection: looked at again so often, should nobody say that they have.
STAFF_WAIT: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Next:
    """What becomes of a delivery that was refused. ``at`` None: until something happens."""

    state: str
    waits_for: str = ""
    at: datetime | None = None


def after_refusal(refused: Refused, attempts: int, now: datetime) -> Next:
    """Whether to wait (for time, for the person, for staff), or that it is final."""
    reason = refused.reason
    if reason in WAITS_FOR_PERSON:
        return Next("waiting", "person")
    if reason in WAITS_FOR_STAFF:
        return Next("waiting", "staff", now + STAFF_WAIT)
    if (reason in WAITS_FOR_TIME or reason is Reason.MEDIA) and attempts < ATTEMPTS:
        return Next("waiting", "time", max(refused.retry_at or now, now + backoff(attempts)))
    return Next("refused")


def backoff(attempts: int) -> timedelta:
    """The wait after the so-manieth attempt."""
    doublings = min(max(attempts - 1, 0), 16)
    return min(FIRST_WAIT * (1 << doublings), LONGEST_WAIT)


# ── Texts ───────────────────────────────────────────────────────────────────────────────────────────────

#: Official Account: 2048 bytes of text (sheet §2.13, 45002); a little less, to be safe.
LONGEST_TEXT_BYTES: Final = 2000


def together(texts: Sequence[str]) -> list[list[int]]:
    """Which texts go out as one message: a window holds few messages, and news come in numbers.

    Lists of positions, in order; each list's texts, joined by newlines, fit into one message.
    """
    bundles: list[list[int]] = []
    room = -1
    for number, text in enumerate(texts):
        size = len(text.encode()) + 1
        if size > room:
            bundles.append([])
            room = LONGEST_TEXT_BYTES + 1
        bundles[-1].append(number)
        room -= size
    return bundles


def cut(text: str, most: int = LONGEST_TEXT_BYTES) -> str:
    """The beginning of a text in so many bytes of UTF-8."""
    return text.encode()[:most].decode(errors="ignore")
