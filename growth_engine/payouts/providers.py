"""Those who carry money to people: what a provider does and answers; providers are found by file name.

A provider lives in ``provider_<name>.py`` of any slice and registers itself with ``add``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from growth_engine.kit import discovery

if TYPE_CHECKING:
    from growth_engine.context import Parts


@dataclass(frozen=True, slots=True)
class Ask:
    """What a provider is asked to pay."""

    id: str
    """The payout's id: its number with the provider. It never changes, so a repeated request is the same."""
    workspace_id: str
    contact_id: str
    amount: int
    """What the recipient gets, minor units of ``currency``: tax and fee are taken off already."""
    currency: str
    recipient: Mapping[str, Any]
    """What the identity check collected; empty once the person was erased and the payout is final."""
    ref: str | None
    """The provider's own reference, as far as it has given one."""
    sent_at: datetime | None
    """When it was first sent."""


@dataclass(frozen=True, slots=True)
class Paid:
    """Final: the recipient has the money."""

    ref: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """Final: the recipient will never get this payment; the money goes back to the wallet.

    A transfer the recipient had to confirm and did not in time is ``Failed("expired")``.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """The provider has it, and it is not final."""

    ref: str = ""
    again_after: timedelta | None = None
    """When to ask again; ``None``: nobody asks, a person brings the result."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """No answer, or none that can be understood: the money stays reserved and the provider is asked again."""

    detail: str


@dataclass(frozen=True, slots=True)
class Unseen:
    """Only from ``query``: the provider is certain that it never got this number. It is sent again."""


Sent = Paid | Failed | Waiting | Unknown
Found = Paid | Failed | Waiting | Unknown | Unseen


class Provider(Protocol):
    """Carries payouts. Both methods may be called again with the same ``Ask`` at any time, from several
    processes at once; the number makes it one payment. A call must end within a minute. What they raise
    is taken for ``Unknown``."""

    name: str
    title: str
    """Message id."""
    by_hand: bool
    """Whether people bring the results (export and import)."""

    def send(self, parts: Parts, ask: Ask) -> Sent: ...

    def query(self, parts: Parts, ask: Ask) -> Found: ...


def _load() -> None:
    discovery.find("provider_*")


registry: discovery.Registry[Provider] = discovery.Registry("payout provider", _load)


def add(provider: Provider) -> None:
    registry.add(provider.name, provider)
