"""The Official Account (公众号 / 服务号) as we call it: codes, messages, media, people, pages."""

from growth_engine.channels.wechat_oa.client import OfficialAccount
from growth_engine.channels.wechat_oa.messages import OfficialAccountMessenger
from growth_engine.channels.wechat_oa.oauth import OAuth, Person, Visitor
from growth_engine.channels.wechat_oa.shapes import Follower, PageConfig, QrTicket

__all__ = [
    "Follower",
    "OAuth",
    "OfficialAccount",
    "OfficialAccountMessenger",
    "PageConfig",
    "Person",
    "QrTicket",
    "Visitor",
]
