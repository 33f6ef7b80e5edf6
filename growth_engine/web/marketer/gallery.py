"""The gallery of ready campaigns: pick one, look at its phone page and poster, use it."""

from __future__ import annotations

from types import SimpleNamespace

from flask import Blueprint, Response, render_template, request

from growth_engine.kit import web
from growth_engine.kit.i18n import LOCALES, current_locale
from growth_engine.plays.registry import play
from growth_engine.plays.templates import CATEGORIES, Template, template, templates
from growth_engine.web.marketer import campaign_preview

bp = Blueprint("gallery", __name__, url_prefix="/console/gallery")


@bp.get("")
@web.require_staff("marketer")
def listing() -> str:
    category = request.args.get("category", "")
    shown = [one for one in templates().values() if category in ("", one.category)]
    return render_template(
        "marketer/gallery.html",
        templates=shown,
        categories=CATEGORIES,
        category=category,
        locale_of_copy=_locale(),
        titles={one.slug: play(one.play).title for one in shown},
        promises={one.slug: play(one.play).promise(one.config(_locale())) for one in shown},
    )


@bp.get("/<slug>")
@web.require_staff("marketer")
def one(slug: str) -> str:
    ready = template(slug)
    locale = _locale()
    return render_template(
        "marketer/gallery_one.html",
        ready=ready,
        locale_of_copy=locale,
        page=campaign_preview.phone_page(_campaign(ready, locale), _promise(ready, locale)),
        config=ready.config(locale),
        play_title=play(ready.play).title,
        category=CATEGORIES[ready.category],
        copy=ready.filled(locale, brand=campaign_preview.brand()),
        products=ready.products(locale),
    )


@bp.get("/<slug>/poster.<locale>.jpg")
@web.require_staff("marketer")
def poster(slug: str, locale: str) -> Response:
    ready = template(slug)
    locale = locale if locale in LOCALES else "zh"
    words = ready.filled(locale, brand=campaign_preview.brand())
    with web.ctx() as ctx:
        picture = campaign_preview.poster_picture(
            ctx, f"{campaign_preview.READY}{ready.poster}", words, locale
        )
    return campaign_preview.as_picture(picture)


def _locale() -> str:
    """Copy is shown in the language of the page unless another is asked for."""
    asked = request.args.get("locale", "")
    return asked if asked in LOCALES else current_locale()


def _promise(ready: Template, locale: str) -> dict[str, object]:
    return dict(play(ready.play).promise(ready.config(locale)))


def _campaign(ready: Template, locale: str) -> SimpleNamespace:
    _start, ends_at = ready.period(web.parts().clock.now())
    content = ready.content(locale, brand=campaign_preview.brand())
    return SimpleNamespace(title="", locale=locale, content=content, starts_at=None, ends_at=ends_at)
