"""The buyer pays the merchant however they agreed, and the merchant marks the order paid."""

from __future__ import annotations

from growth_engine.context import Parts
from growth_engine.kit.i18n import N_
from growth_engine.orders.models import Order
from growth_engine.orders.providers import Checkout, Payer, RefundAnswer, providers


class Manual:
    """The buyer pays the merchant however they agreed; the merchant marks the order paid."""

    name = "manual"
    title = N_("Marked paid by you")

    def checkout(self, parts: Parts, workspace_id: str, order: Order, payer: Payer) -> Checkout:
        del parts, workspace_id, order, payer
        return Checkout(
            self.name,
            "instructions",
            N_(
                "Pay the merchant as agreed with them. The order is confirmed as soon as they have the money."
            ),
        )

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
        del parts, workspace_id, order, amount, reason, restock
        return RefundAnswer("done", refund_id)


providers.add(Manual.name, Manual())
