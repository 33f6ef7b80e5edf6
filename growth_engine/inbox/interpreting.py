"""Who understands what came in: functions found in every slice's ``interpreters.py``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from growth_engine.context import Ctx
from growth_engine.inbox.contract import Inbound, PassiveReply
from growth_engine.inbox.payloads import KINDS
from growth_engine.kit import discovery
from growth_engine.kit.errors import GrowthError, Misconfigured
from growth_engine.kit.i18n import N_

Understood = PassiveReply | GrowthError | None
"""Of one message among others: its reply, or why it was not understood and nothing was written of it."""
Interpret = Callable[[Ctx, Inbound], PassiveReply | None]
InterpretTogether = Callable[[Ctx, Sequence[Inbound]], Sequence[Understood]]
DeliverLate = Callable[[Ctx, Inbound, PassiveReply], None]


class TwoReplies(GrowthError):
    """A message has one passive reply: two functions that both answer a kind are a mistake of ours."""

    code = "two_replies"
    message = N_("Two parts of the program want to answer this message.")


class ByThemselves(GrowthError):
    """In the place of a message that has to be understood alone, after those it came with."""

    code = "by_itself"
    message = "This message is understood by itself."


@dataclass(frozen=True, slots=True)
class Interpreter:
    name: str
    provider: str
    kind: str
    run: Interpret
    together: InterpretTogether | None = None


def _load() -> None:
    discovery.find("interpreters")


registry: discovery.Registry[Interpreter] = discovery.Registry("interpreter", _load)
late_registry: discovery.Registry[DeliverLate] = discovery.Registry("late deliverer", _load)

F = TypeVar("F", bound=Interpret)
T = TypeVar("T", bound=InterpretTogether)
G = TypeVar("G", bound=DeliverLate)


def interprets(provider: str, *kinds: str) -> Callable[[F], F]:
    """Declare ``(ctx, inbound) -> reply or None`` for these kinds of a provider's messages.

    Runs in one transaction with the mark that the message is done; what it does must bear repetition,
    for a message can be replayed by hand. Several functions may understand one kind, one may answer it.
    """

    def declare(run: F) -> F:
        _add(run, run, None, provider, kinds)
        return run

    return declare


def interprets_together(provider: str, *kinds: str) -> Callable[[T], T]:
    """Declare ``(ctx, [inbound, …]) -> [Understood, …]``: what comes at one moment is understood at once.

    All in one transaction with the marks that they are done; no two are of one sender. What is raised fails
    them all, and each is tried alone; what concerns one only is returned in its place. Alone, a message must
    not come back as ByThemselves.
    """

    def declare(together: T) -> T:
        def run(ctx: Ctx, inbound: Inbound) -> PassiveReply | None:
            (understood,) = together(ctx, [inbound])
            if isinstance(understood, GrowthError):
                raise understood
            return understood

        _add(run, together, together, provider, kinds)
        return together

    return declare


def _add(
    run: Interpret,
    declared: Callable[..., object],
    together: InterpretTogether | None,
    provider: str,
    kinds: Sequence[str],
) -> None:
    for kind in kinds:
        if kind not in KINDS:
            raise Misconfigured(f"{declared.__module__} interprets {kind!r}, which no payload is called.")
        where = f"{declared.__module__.removeprefix('growth_engine.')}.{declared.__qualname__}"
        name = f"{provider} {kind} {where}"
        registry.add(name, Interpreter(name, provider, kind, run, together))


def delivers_late(provider: str) -> Callable[[G], G]:
    """Declare ``(ctx, inbound, reply)``: sends in another way a reply that came too late to be passive."""

    def declare(run: G) -> G:
        late_registry.add(provider, run)
        return run

    return declare


def interpreters_of(provider: str, kind: str) -> Sequence[Interpreter]:
    return [one for one in registry.values() if one.provider == provider and one.kind == kind]


def together_of(provider: str, kind: str) -> InterpretTogether | None:
    """How messages of a kind are understood together, when they are, and by nobody else besides."""
    found = interpreters_of(provider, kind)
    return found[0].together if len(found) == 1 else None


def understand(ctx: Ctx, inbound: Inbound) -> PassiveReply | None:
    """Let everybody who understands the message do so; the reply, when somebody has one."""
    replies = [one.run(ctx, inbound) for one in interpreters_of(inbound.provider, inbound.kind)]
    given = [reply for reply in replies if reply is not None]
    if len(given) > 1:
        raise TwoReplies
    return given[0] if given else None
