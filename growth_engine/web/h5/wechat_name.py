"""The name somebody handed over from WeChat, until the form it is for has been filled in."""

from __future__ import annotations

from flask import Response, request

from growth_engine.kit import web
from growth_engine.kit.crypto import Signer
from growth_engine.people.rules import clean_nickname

_COOKIE = "ge_wx_name"
_SECONDS = 30 * 60


def keep_name(response: Response, nickname: str) -> None:
    signed = _signer().sign([web.visitor_id(), clean_nickname(nickname)])
    web.set_cookie(response, _COOKIE, signed, max_age=_SECONDS)


def kept_name() -> str:
    """The name this visitor handed over a moment ago; empty without one."""
    value = _signer().unsign(request.cookies.get(_COOKIE, ""), max_age=_SECONDS)
    if not isinstance(value, list) or len(value) != 2 or value[0] != web.visitor_id():
        return ""
    return str(value[1])


def _signer() -> Signer:
    return Signer(web.parts().settings.secret_key, "phone wechat name")
