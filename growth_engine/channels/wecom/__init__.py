"""WeCom (企业微信) as we call it: ways to be added, customers, groups, tasks that employees confirm."""

from growth_engine.channels.wecom.client import Wecom
from growth_engine.channels.wecom.customers import Customer, Customers, Relation, TagGroup, Transfer
from growth_engine.channels.wecom.groups import Group, GroupMember, Groups, JoinWay
from growth_engine.channels.wecom.messages import WecomMessenger
from growth_engine.channels.wecom.tasks import MassSend, Tasks
from growth_engine.channels.wecom.ways import ContactWay, ContactWays

__all__ = [
    "ContactWay",
    "ContactWays",
    "Customer",
    "Customers",
    "Group",
    "GroupMember",
    "Groups",
    "JoinWay",
    "MassSend",
    "Relation",
    "TagGroup",
    "Tasks",
    "Transfer",
    "Wecom",
    "WecomMessenger",
]
