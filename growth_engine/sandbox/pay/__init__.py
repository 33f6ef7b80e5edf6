"""WeChat Pay APIv3: api.mch.weixin.qq.com on a port of its own."""

from __future__ import annotations

from growth_engine.sandbox.pay import bills, orders, platform, refunds, transfers
from growth_engine.sandbox.pay.service import Pay
from growth_engine.sandbox.world import World


def service(world: World) -> Pay:
    modules = (orders, refunds, transfers, platform, bills)
    return Pay(world, *(module.routes for module in modules))
