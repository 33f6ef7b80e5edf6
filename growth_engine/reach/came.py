"""Somebody at an account, as a callback or a list of the platform's tells it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from growth_engine.inbox.contract import Inbound
from growth_engine.people.rules import Identity
from growth_engine.reach import rules

#: How each provider names people (``people.rules.KINDS``).
KIND_OF = {"wechat_oa": "openid", "wecom": "external_userid"}


@dataclass(frozen=True, slots=True)
class Came:
    """One person, one account, one moment."""

    provider: str
    account_id: str
    person: str
    at: datetime
    key: str
    """Names what told us: the same again is the same."""
    scene: str = ""
    """What the code carried: an invite token of ours, or anything else."""
    tie: str = rules.FOLLOWS
    unionid: str = ""
    asked: bool = False
    """The platform told who they are: no need to ask again."""
    listed: bool = False
    """Found in a list of the platform's: perhaps here since long ago, so no newcomer to greet or enrol."""

    @property
    def identities(self) -> list[Identity]:
        named = [Identity(KIND_OF[self.provider], self.person)]
        return [*named, Identity("unionid", self.unionid)] if self.unionid else named

    @classmethod
    def of(cls, inbound: Inbound, *, scene: str = "", tie: str = rules.FOLLOWS) -> Came:
        return cls(
            inbound.provider,
            inbound.account,
            inbound.sender,
            inbound.occurred_at,
            f"{inbound.account}:{inbound.identity}",
            scene,
            tie,
        )
