"""WeChat Pay as a way to pay orders: on a page in WeChat, or by a code to scan."""

from __future__ import annotations

from growth_engine.channels.wechat_pay import forms
from growth_engine.context import Parts
from growth_engine.kit.errors import Conflict
from growth_engine.kit.i18n import N_
from growth_engine.orders.models import Order
from growth_engine.orders.providers import Checkout, Payer, RefundAnswer, providers
from growth_engine.paying import checkout, refunding, rules


class WechatPay:
    """The buyer pays in WeChat; refunds go back the same way."""

    name = rules.PROVIDER
    title = N_("WeChat Pay")

    def checkout(self, parts: Parts, workspace_id: str, order: Order, payer: Payer) -> Checkout:
        return checkout.checkout(parts, workspace_id, order.id, payer)

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
        forms.require(forms.REFUND_NUMBER.fullmatch(refund_id), "out_refund_no")
        try:
            row = refunding.request(
                parts,
                workspace_id,
                order.id,
                refund_id=refund_id,
                amount=amount,
                reason=reason,
                by="staff",
                restock=restock,
            )
        except Conflict as error:
            return RefundAnswer("failed", refund_id, str(error))
        return answer_of(row.state, row.id, row.error)


def answer_of(state: str, refund_id: str, error: str) -> RefundAnswer:
    """How a request stands, in the words of the contract. What is done stands in the books already."""
    if state == "done":
        return RefundAnswer("done", refund_id)
    if state in ("failed", "disputed", "surplus"):
        return RefundAnswer("failed", refund_id, error)
    return RefundAnswer("unknown" if state == "asked" and error else "waiting", refund_id, error)


providers.add(WechatPay.name, WechatPay())
