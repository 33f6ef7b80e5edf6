"""How buyers pay: the contract of payment providers, found by file name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from growth_engine.context import Parts
from growth_engine.kit import discovery
from growth_engine.kit.errors import NotFound
from growth_engine.kit.i18n import N_
from growth_engine.orders.models import Order


@dataclass(frozen=True, slots=True)
class Payer:
    """Who pays, as far as a provider needs to know."""

    contact_id: str
    openid: str | None = None
    """In the account the provider's app id belongs to."""


@dataclass(frozen=True, slots=True)
class Checkout:
    """What the phone page does next: show ``message``, or hand ``data`` to the provider's own sheet."""

    provider: str
    kind: str
    """instructions, jsapi or native."""
    message: str = ""
    """Message id, for instructions."""
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RefundAnswer:
    """What a provider said to a refund: ``done`` (post it), ``waiting`` (it will tell us), ``failed`` or
    ``unknown`` (asked, no answer: ask again under the same id)."""

    state: str
    external_id: str
    detail: str = ""


class PaymentProvider(Protocol):
    """A way to pay. Calls go out with no transaction open; whatever a provider tells later comes in as
    ``orders.service.take_payment`` and ``give_refund`` under the provider's own ids."""

    name: str
    title: str
    """Message id."""

    def checkout(self, parts: Parts, workspace_id: str, order: Order, payer: Payer) -> Checkout: ...

    def refund(
        self,
        parts: Parts,
        workspace_id: str,
        order: Order,
        refund_id: str,
        amount: int,
        reason: str,
        *,
        restock: bool,
    ) -> RefundAnswer:
        """``restock``: what ``give_refund`` is told when a provider posts it itself, later."""
        ...


class UnknownProvider(NotFound):
    code = "payment_provider_not_found"
    message = N_("There is no such way to pay.")


#: Every way to pay there is: modules named ``payment_provider_<name>`` of any slice register themselves.
providers: discovery.Registry[PaymentProvider] = discovery.Registry(
    "payment provider", lambda: discovery.find("payment_provider_*")
)


def provider(name: str) -> PaymentProvider:
    """Raises ``UnknownProvider``."""
    try:
        return providers[name]
    except KeyError:
        raise UnknownProvider from None
