"""Who looks at a phone page inside WeChat: the account it belongs to, and the openid this browser proved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from flask import Response, g, request

from growth_engine.connections import queries as connections
from growth_engine.connections.models import ChannelAccount
from growth_engine.context import Ctx
from growth_engine.kit import web
from growth_engine.kit.crypto import Signer
from growth_engine.people import queries as people
from growth_engine.people import service as people_service
from growth_engine.people.rules import Identity
from growth_engine.plays import queries

#: Where people authorise an account of the real platform (sheet §0.1); anything else is the sandbox.
REAL_OPEN: Final = "https://open.weixin.qq.com"
#: Who holds the sandbox's phone in this browser: its cookie, seen here because cookies know no ports.
_HOLDER_COOKIE = "sandbox_person"
_COOKIE = "ge_wx"
#: An openid does not change; signing in again now and then notices when an account was given up.
_KEPT_SECONDS = 30 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Here:
    """The campaign a page inside WeChat is about, and the Official Account its people are people of."""

    workspace_id: str
    campaign_id: str
    account_id: str
    app_id: str


@dataclass(frozen=True, slots=True)
class Proven:
    """What WeChat said about the person behind this browser."""

    account_id: str
    openid: str = field(repr=False)
    unionid: str = field(repr=False)
    holder: str = ""
    """In the sandbox: who held its phone; handing it to somebody else ends what was proven."""

    @property
    def identities(self) -> list[Identity]:
        pairs = (("openid", self.openid), ("unionid", self.unionid))
        return [Identity(kind, value) for kind, value in pairs if value]


def inside() -> bool:
    """Whether WeChat's own browser shows this page. WeCom's says so too, and signs in another way."""
    agent = request.headers.get("User-Agent", "")
    if "wxwork" in agent.lower():
        return False
    return "MicroMessenger" in agent or bool(holder())


def sandboxed() -> bool:
    return web.parts().settings.wx_open_base.rstrip("/") != REAL_OPEN


def holder() -> str:
    """Who holds the sandbox's phone in this browser; empty with the real platform."""
    return request.cookies.get(_HOLDER_COOKIE, "")[:64] if sandboxed() else ""


def account_of(ctx: Ctx, campaign_id: str) -> ChannelAccount | None:
    """The Official Account of a campaign: the one that carries it, else the workspace's only one."""
    rows = connections.accounts(ctx, "wechat_oa")
    bound = queries.campaign(ctx, campaign_id).channel_account_id
    named = [row for row in rows if row.id == bound]
    usable = [row for row in named or rows if row.state != "disabled"]
    return usable[0] if len(usable) == 1 else None


def here() -> Here | None:
    """Set for pages of a campaign that are looked at inside WeChat."""
    found: Here | None = g.get("wechat")
    return found


# -- what was proven ---------------------------------------------------------------------------------


def proven(workspace_id: str, account_id: str = "") -> Proven | None:
    """What this browser proved in ``account_id`` (empty: in whichever it was)."""
    value = _signer().unsign(request.cookies.get(_cookie_name(workspace_id), ""), max_age=_KEPT_SECONDS)
    if not isinstance(value, list) or len(value) != 5 or value[0] != workspace_id:
        return None
    found = Proven(*(str(one) for one in value[1:]))
    if found.holder != holder() or (account_id and found.account_id != account_id):
        return None
    return found


def proven_before(workspace_id: str) -> bool:
    """Whether somebody proved anything in this browser, be it another person or in another account."""
    return _cookie_name(workspace_id) in request.cookies


def keep(response: Response, workspace_id: str, found: Proven) -> None:
    value = [workspace_id, found.account_id, found.openid, found.unionid, found.holder]
    web.set_cookie(response, _cookie_name(workspace_id), _signer().sign(value), max_age=_KEPT_SECONDS)


def bind(ctx: Ctx, contact_id: str) -> str:
    """Note the proven openid of this browser for a contact who has none, unless it is somebody else's.

    Two people are never made one here: a phone lent to a friend proves nothing about its owner.
    Returns the id of the contact.
    """
    found = proven(ctx.workspace_id)
    if found is None or _has_openid(ctx, people.contact_family(ctx, contact_id)):
        return contact_id
    if people.owners(ctx, found.identities):
        return contact_id
    return add(ctx, contact_id, found.identities)


def add(ctx: Ctx, contact_id: str, identities: Sequence[Identity]) -> str:
    """Write down as proven what WeChat vouches for; the id of the contact that is kept."""
    for one in identities:
        contact_id = people_service.prove(ctx, contact_id, one.kind, one.value)
    return contact_id


def whose(ctx: Ctx, found: Proven, family: Sequence[str], campaign_id: str) -> str | None:
    """Whose browser this is, now that WeChat has said who holds it; ``None``: somebody we do not know.

    ``family``: the contact this browser belonged to so far, if any. They stay it when nothing speaks
    against it: they registered here by number and never showed another openid.
    """
    owners = people.owners(ctx, found.identities)
    may_stay = bool(family) and not proven_before(ctx.workspace_id) and not _has_openid(ctx, family)
    if not owners:
        return add(ctx, family[0], found.identities) if may_stay else None
    if may_stay and queries.participation(ctx, campaign_id, list(family)) is not None:
        theirs = [one for owner in owners.values() for one in people.contact_family(ctx, owner)]
        if queries.participation(ctx, campaign_id, theirs) is None:
            return family[0]
    pairs = [(one.kind, one.value) for one in found.identities]
    return people_service.create_or_update(ctx, pairs, source="wechat_oa", proven=True).contact_id


def _has_openid(ctx: Ctx, family: Sequence[str]) -> bool:
    known = people.identities_of(ctx, list(family)).values()
    return any(one.kind == "openid" for rows in known for one in rows)


def _cookie_name(workspace_id: str) -> str:
    return f"{_COOKIE}_{workspace_id[-10:]}"


def _signer() -> Signer:
    return Signer(web.parts().settings.secret_key, "phone wechat")
