"""What a draft will look like: the real phone page and the real poster, made from what is typed so far."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from flask import Blueprint, Response, g, render_template, request, url_for

from growth_engine.context import Ctx
from growth_engine.kit import web
from growth_engine.kit.errors import Invalid, NotFound
from growth_engine.kit.i18n import LOCALES, translate
from growth_engine.plays.content import fill
from growth_engine.plays.registry import play
from growth_engine.posters import gallery, queries, service
from growth_engine.posters.rules import Personal
from growth_engine.web.h5 import visit
from growth_engine.web.h5.landing_view import Visitor, landing_view, selling_view
from growth_engine.web.marketer import campaign_forms

bp = Blueprint("campaign_preview", __name__, url_prefix="/console/campaigns/preview")

SAMPLE_NAMES: Mapping[str, str] = {"zh": "林小满", "en": "Mia Lin"}
READY = "gallery:"
_SCRIPTS = re.compile(r"<script\b[^>]*></script>")


@bp.post("/<slug>")
@web.require_staff("marketer")
def live(slug: str) -> str:
    """The two previews of the editor, for htmx."""
    of = play(slug)
    locale = request.form.get("locale", "")
    locale = locale if locale in LOCALES else "zh"
    draft = campaign_forms.read(of, request.form, web.zone())
    campaign, promise = campaign_forms.shown(of, draft, locale)
    page = phone_page(campaign, promise)
    with web.ctx() as ctx:
        words = fill(campaign.content, promise, locale=locale, brand=brand())
        try:
            picture = poster_picture(ctx, draft.poster, words, locale)
        except (Invalid, NotFound) as error:
            return render_template(
                "marketer/_campaign_preview.html", page=page, picture="", problem=translate(error.message)
            )
    return render_template("marketer/_campaign_preview.html", page=page, picture=as_data(picture), problem="")


def phone_page(campaign: Any, promise: Mapping[str, Any]) -> str:
    """The landing page as an invited friend sees it, in the campaign's language; leads nowhere."""
    view = landing_view(
        campaign,
        promise,
        now=web.parts().clock.now(),
        brand=brand(),
        visitor=Visitor(invited=True, inviter=SAMPLE_NAMES[campaign.locale]),
        # Time on hold is what only plays that sell promise; a draft's products are not known here.
        selling=selling_view(promise, campaign.locale) if "hold_days" in promise else None,
    )
    with speaking(campaign.locale):
        page = render_template("h5/landing.html", campaign_id="", **visit.landing_values(view))
    # The frame runs no scripts; without their tags the browser does not complain about each of them.
    return _SCRIPTS.sub("", page)


def poster_picture(ctx: Ctx, choice: str, words: Mapping[str, Any], locale: str) -> bytes:
    """A JPEG of the chosen poster with the draft's words; raises Invalid or NotFound."""
    personal = Personal(
        qr_content=sample_link(),
        nickname=SAMPLE_NAMES[locale],
        headline=words.get("poster_headline", ""),
        reward_text=words.get("poster_reward", ""),
        footnote=words.get("poster_footnote", ""),
        locale="zh" if locale == "zh" else "en",
    )
    return service.preview(ctx, document_of(ctx, choice), personal)


def document_of(ctx: Ctx, choice: str) -> Mapping[str, Any]:
    """The poster document behind a choice of the form; the default one when nothing is chosen."""
    if choice.startswith(READY):
        return gallery.document(choice.removeprefix(READY))
    if not choice:
        return gallery.document(service.DEFAULT_TEMPLATE)
    template = queries.template(ctx, choice)
    return queries.version(ctx, template.id, template.current_version or 1).spec


def brand() -> str:
    here = web.place()
    return here.name if here else ""


def sample_link() -> str:
    """As long as a real invite link, so that the code is as dense as it will be."""
    return web.parts().settings.public_url.rstrip("/") + "/i/" + "x" * 12


def as_data(picture: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(picture).decode()


def as_picture(picture: bytes) -> Response:
    """A preview may change any time; it is private to the staff."""
    response = Response(picture, mimetype="image/jpeg")
    response.headers["Cache-Control"] = "private, max-age=300"
    return response


@contextmanager
def speaking(locale: str) -> Iterator[None]:
    """The words of pages inside another page, in another language."""
    before = g.locale
    web.speak(locale)
    try:
        yield
    finally:
        web.speak(before)


def address(slug: str) -> str:
    return url_for("campaign_preview.live", slug=slug)
