"""The Official Account: api.weixin.qq.com, mp.weixin.qq.com and open.weixin.qq.com on one port."""

from __future__ import annotations

from growth_engine.sandbox.oa import codes, followers, jssdk, media, menus, messages, oauth, templates, tokens
from growth_engine.sandbox.oa.service import OfficialAccounts
from growth_engine.sandbox.world import World


def service(world: World) -> OfficialAccounts:
    modules = (tokens, codes, followers, jssdk, media, menus, messages, oauth, templates)
    return OfficialAccounts(world, *(module.routes for module in modules))
