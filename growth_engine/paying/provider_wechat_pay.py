"""Withdrawals paid through WeChat Pay: transfers to people, which they confirm on their phone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from growth_engine.kit.i18n import N_
from growth_engine.paying import rules, transfers
from growth_engine.payouts import providers
from growth_engine.payouts.providers import Ask, Found, Sent

if TYPE_CHECKING:
    from growth_engine.context import Parts


class WechatPay:
    """Transfers to people (商家转账)."""

    name = rules.PROVIDER
    title = N_("WeChat Pay: the recipient confirms on the phone")
    by_hand = False

    def send(self, parts: Parts, ask: Ask) -> Sent:
        return transfers.send(parts, ask)

    def query(self, parts: Parts, ask: Ask) -> Found:
        return transfers.query(parts, ask)


providers.add(WechatPay())
