"""WeCom: qyapi.weixin.qq.com on a port of its own."""

from __future__ import annotations

from growth_engine.sandbox.wecom import contacts, groups, handover, mass, seed, tags, ways
from growth_engine.sandbox.wecom import service as _service
from growth_engine.sandbox.world import World

__all__ = ["seed", "service"]


def service(world: World) -> _service.WeCom:
    modules = (_service, contacts, ways, groups, tags, handover, mass)
    return _service.WeCom(world, *(module.routes for module in modules))
