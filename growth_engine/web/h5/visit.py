"""One look at a phone page: which published campaign it is about, and which participant looks at it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import g, request, url_for
from werkzeug.wrappers import Response

from growth_engine.access import queries as access
from growth_engine.context import SYSTEM, Actor, Ctx
from growth_engine.kit import web
from growth_engine.kit.crypto import Signer
from growth_engine.kit.errors import NotFound
from growth_engine.kit.i18n import N_
from growth_engine.ledger import queries as books
from growth_engine.ledger.contract import Reason
from growth_engine.ledger.mirror import BookKey
from growth_engine.people import queries as people
from growth_engine.people.models import Contact
from growth_engine.plays import queries, rules
from growth_engine.plays.content import ContentSchema, fill
from growth_engine.plays.contract import Play, Viewer
from growth_engine.plays.models import Participant
from growth_engine.plays.posting import facts
from growth_engine.plays.registry import play
from growth_engine.plays.selling import sells
from growth_engine.web.h5.colours import palette
from growth_engine.web.h5.landing_view import LandingView

#: Who this browser belongs to, one cookie a workspace: people take part in several shops' campaigns.
_COOKIE = "ge_me"
#: Every field of the copy, empty.
_NO_COPY: Mapping[str, Any] = ContentSchema().load({})

Answer = str | Response | tuple[str, int]
"""What a page's view returns."""


class UnknownInvite(NotFound):
    code = "invite_not_found"
    message = N_("This invite link is not complete. Ask your friend to send it again.")


@dataclass(frozen=True, slots=True)
class Shown:
    """A campaign as published; pages never show a draft."""

    id: str
    workspace_id: str
    play: Play
    title: str
    locale: str
    """Language of the copy."""
    state: str
    version: int
    config: Mapping[str, Any]
    content: Mapping[str, Any]
    copy: Mapping[str, Any]
    """``content`` with the numbers of the rules filled in."""
    promise: Mapping[str, Any]
    starts_at: datetime | None
    ends_at: datetime | None
    ended_at: datetime | None
    """When it did end: sooner than planned, perhaps."""
    plan_id: str | None
    has_poster: bool
    members: int
    closed: Reason | None
    """Why nobody can register now."""

    @property
    def book(self) -> BookKey:
        return BookKey(self.workspace_id, self.id)

    @property
    def brand(self) -> str:
        return str(self.copy["brand"])

    @property
    def sells(self) -> bool:
        return sells(self.play)


@dataclass(frozen=True, slots=True)
class Visit:
    """The open transaction, the campaign, and the person if this browser is known."""

    ctx: Ctx
    campaign: Shown
    contact: Contact | None
    family: list[str]
    """Ids of the person's contacts (merged ones too), the kept one first; empty for strangers."""
    me: Participant | None
    erased: bool
    """This browser belongs to somebody who had themselves erased."""


@contextmanager
def visiting(campaign_id: str) -> Iterator[Visit]:
    """One transaction in the campaign's workspace, for whoever looks; raises UnknownCampaign."""
    workspace_id = queries.workspace_of_campaign(web.parts().db, campaign_id)
    if workspace_id is None:
        raise queries.UnknownCampaign
    contact_id = _known_contact(workspace_id)
    web.act_as(workspace_id, Actor("contact", contact_id) if contact_id else SYSTEM)
    with web.ctx() as ctx:
        _set_place(ctx)
        campaign = _shown(ctx, campaign_id)
        contact, family, erased = _person(ctx, contact_id)
        me = queries.participation(ctx, campaign_id, family) if family else None
        yield Visit(ctx, campaign, contact, family, me, erased)


def _set_place(ctx: Ctx) -> None:
    found = access.workspace(ctx.session, ctx.workspace_id)
    assert found is not None, "a campaign belongs to a workspace"
    g.place = web.Place(found.id, found.slug, found.name, found.timezone, found.locale)


def _shown(ctx: Ctx, campaign_id: str) -> Shown:
    campaign = queries.campaign(ctx, campaign_id)
    version = queries.version(ctx, campaign_id, campaign.rule_version)
    if version is None:  # a draft nobody has published
        raise queries.UnknownCampaign
    of = play(campaign.play)
    promise = of.promise(version.config)
    here = web.place()
    copy = fill(
        {**_NO_COPY, **version.content}, promise, locale=campaign.locale, brand=here.name if here else ""
    )
    book = books.book(ctx, campaign_id)
    members = book.members if book else 0
    return Shown(
        id=campaign.id,
        workspace_id=ctx.workspace_id,
        play=of,
        title=campaign.title,
        locale=campaign.locale,
        state=campaign.state,
        version=version.version,
        config=version.config,
        content=version.content,
        copy=copy,
        promise=promise,
        starts_at=version.starts_at,
        ends_at=version.ends_at,
        ended_at=campaign.ended_at,
        plan_id=campaign.plan_id,
        has_poster=campaign.poster_template_id is not None,
        members=members,
        closed=_closed(ctx, of, campaign.state, version, members),
    )


def _closed(ctx: Ctx, of: Play, state: str, version: Any, members: int) -> Reason | None:
    """The same judgement the books will come to."""
    as_posted = facts.Campaign(
        id=version.campaign_id,
        play=of,
        config=version.config,
        version=version.version,
        state=state,
        starts_at=version.starts_at,
        ends_at=version.ends_at,
        plan_id="",
        zone=ZoneInfo("UTC"),
        members=members,
        locale="",
    )
    return rules.closed(as_posted, ctx.now()) or rules.full(as_posted)


def viewer(ctx: Ctx, campaign_id: str, member: int, valid_invites: int) -> Viewer:
    """A participant (0: a stranger) before the rewards as they stand: what is left, what is sold out."""
    left = {
        name: max(0, item.total - item.taken) for name, item in queries.stock_of(ctx, campaign_id).items()
    }
    return Viewer(member, valid_invites, frozenset(name for name, count in left.items() if not count), left)


def _person(ctx: Ctx, contact_id: str | None) -> tuple[Contact | None, list[str], bool]:
    if contact_id is None:
        return None, [], False
    try:
        contact = people.contact(ctx, contact_id)
    except people.UnknownContact:
        return None, [], True
    return contact, people.contact_family(ctx, contact.id), False


def invite_token(campaign: Shown) -> str:
    """The invite the visitor came by (``?i=``), or empty; one of nobody here raises UnknownInvite."""
    token = request.args.get("i", "")
    if not token:
        return ""
    found = queries.invite(web.parts().db, token)
    if found is None or found.campaign_id != campaign.id:
        raise UnknownInvite
    return token


# -- the cookie --------------------------------------------------------------------------------------


def remember(response: Response, workspace_id: str, contact_id: str) -> None:
    """This browser belongs to the contact from now on."""
    signed = _signer().sign([workspace_id, contact_id])
    web.set_cookie(response, _cookie_name(workspace_id), signed, max_age=web.LONG_COOKIE_SECONDS)


def forget(response: Response, workspace_id: str) -> None:
    """This browser is in somebody else's hands now."""
    response.delete_cookie(_cookie_name(workspace_id), path="/", samesite="Lax", httponly=True)


def _known_contact(workspace_id: str) -> str | None:
    value = _signer().unsign(request.cookies.get(_cookie_name(workspace_id), ""))
    if not isinstance(value, list) or len(value) != 2 or value[0] != workspace_id:
        return None
    return str(value[1])


def _cookie_name(workspace_id: str) -> str:
    return f"{_COOKIE}_{workspace_id[-10:]}"


def _signer() -> Signer:
    return Signer(web.parts().settings.secret_key, "phone contact")


# -- addresses ---------------------------------------------------------------------------------------


def absolute(path: str) -> str:
    """A path of ours as the world sees it: shared cards and QR codes need whole addresses."""
    return web.parts().settings.public_url.rstrip("/") + path


def theme_url(colour: str) -> str:
    return url_for("h5_pictures.theme", colour=palette(colour).accent[1:])


def landing_values(view: LandingView) -> dict[str, Any]:
    """What ``h5/landing.html`` is rendered with, for a published campaign and for a draft's preview."""
    return {
        "view": view,
        "brand": view.brand,
        "colour": palette(view.colour).accent,
        "theme": theme_url(view.colour),
        "copy_lang": copy_language(view.locale),
        "nonce": web.parts().ids.token(24),
    }


def copy_language(locale: str) -> str:
    """The language of a campaign's copy, as HTML names it."""
    return "zh-CN" if locale == "zh" else locale


def campaign_values(campaign: Shown) -> dict[str, Any]:
    """What every page of a campaign hands to ``h5/_page.html``."""
    colour = str(campaign.content.get("colour", ""))
    return {
        "campaign_id": campaign.id,
        "brand": campaign.brand,
        "colour": palette(colour).accent,
        "theme": theme_url(colour),
        "copy_lang": copy_language(campaign.locale),
        "selling": campaign.sells,
    }


def share_values(campaign: Shown, link: str) -> dict[str, str]:
    """What a chat shows when the page is shared; ``link`` is its path."""
    copy = campaign.copy
    colour = palette(str(campaign.content.get("colour", ""))).accent[1:]
    return {
        "share_title": copy.get("share_title") or copy.get("title") or campaign.title,
        "share_text": copy.get("share_text") or copy.get("subtitle", ""),
        "share_link": absolute(link),
        "share_image": absolute(url_for("h5_pictures.share_card", colour=colour)),
    }
