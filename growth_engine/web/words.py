"""What templates can say: translation, times and amounts in the workspace's zone, asset addresses, icons."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode

from flask import Flask, get_flashed_messages, request
from markupsafe import Markup

from growth_engine.kit import i18n, web
from growth_engine.web import navigation
from growth_engine.web.assets import asset

HTML_LANGUAGE = {"zh": "zh-CN", "en": "en"}


def install(app: Flask) -> None:
    env = app.jinja_env
    env.filters.update(
        moment=moment, day=day, ago=ago, number=i18n.format_number, percent=i18n.format_percent, t=t
    )
    env.filters["amount"] = i18n.format_amount
    env.globals.update(
        asset=asset,
        icon=icon,
        csrf_token=web.csrf_token,
        signed_in=web.signed_in,
        place=web.place,
        menu=navigation.menu,
        locales=i18n.LOCALES,
        locale=i18n.current_locale,
        html_language=lambda: HTML_LANGUAGE[i18n.current_locale()],
        language_url=language_url,
        here=here,
        notes=notes,
    )


def t(message: object, **params: Any) -> str:
    """Translate a message id that arrives as a value (labels of schemas, reasons)."""
    return i18n.translate(str(message), params) if message else ""


def moment(at: datetime | None, seconds: bool = False) -> str:
    return i18n.format_moment(at, web.zone(), seconds=seconds)


def day(value: date | datetime | None) -> str:
    return i18n.format_day(value, web.zone())


def ago(at: datetime | None) -> str:
    return i18n.format_ago(at, web.parts().clock.now())


def icon(name: str, cls: str = "") -> Markup:
    """An icon of the sprite ``static/icons.svg``; decoration, hidden from screen readers."""
    return Markup('<svg class="icon {}" aria-hidden="true"><use href="{}#{}"/></svg>').format(
        cls, asset("icons.svg"), name
    )


def here(**changes: Any) -> str:
    """This page's address with some query values changed (``None`` drops one)."""
    query = request.args.to_dict(flat=False)
    for name, value in changes.items():
        if value is None:
            query.pop(name, None)
        else:
            query[name] = [str(value)]
    return request.path + ("?" + urlencode(query, doseq=True) if query else "")


def language_url(locale: str) -> str:
    """This page in another language; where it answers to POST only, the start page."""
    rule = request.url_rule
    if rule is not None and rule.methods and "GET" in rule.methods:
        return here(lang=locale)
    return "/?" + urlencode({"lang": locale})


def notes() -> list[tuple[str, str]]:
    """One-time notes for the person (kind, text); kinds: success, info, warning, danger."""
    found = get_flashed_messages(with_categories=True)
    return [("info" if str(note[0]) == "message" else str(note[0]), str(note[1])) for note in found]
