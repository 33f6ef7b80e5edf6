"""Web authorisation (网页授权): who opened our page inside WeChat (sheet §2.11)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote

from growth_engine.channels import quota
from growth_engine.channels.cgi import Call, Cgi, text_of
from growth_engine.channels.contract import OfficialAccountCredentials, Reason
from growth_engine.channels.wechat_oa.client import PLATFORM
from growth_engine.channels.wire import Gear
from growth_engine.kit.errors import Invalid
from growth_engine.kit.i18n import N_

Scope = Literal["snsapi_base", "snsapi_userinfo"]

#: Sheet §2.11: letters and digits, at most 128 bytes.
_STATE = re.compile(r"[0-9A-Za-z]{1,128}")
#: Here 48001 says that the person agreed to less, not that the account may not ask (sheet §2.11); 40001 and
#: its like speak of the person's own token, which nobody can refresh for them.
_PERSONAL = {
    40001: Reason.TOO_LATE,
    40014: Reason.TOO_LATE,
    42001: Reason.TOO_LATE,
    48001: Reason.NOT_GRANTED,
}
_CREDENTIALS = {40001: Reason.CREDENTIALS}


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who came back from the authorisation page."""

    openid: str = field(repr=False)
    unionid: str = field(default="", repr=False)
    scope: str = "snsapi_base"
    snapshot: bool = False
    """A virtual account of a snapshot page: never a real person, never rewarded (sheet §2.11)."""
    access_token: str = field(default="", repr=False)
    """The person's own, for ``person`` within 2 hours; not the account's."""


@dataclass(frozen=True, slots=True)
class Person:
    """Name and picture, given by an explicit act of the person."""

    openid: str = field(repr=False)
    nickname: str = field(repr=False)
    avatar_url: str = field(repr=False)
    unionid: str = field(default="", repr=False)


class OAuth:
    def __init__(self, credentials: OfficialAccountCredentials, gear: Gear) -> None:
        self._credentials, self._gear = credentials, gear
        self._cgi = Cgi(gear, PLATFORM, base=gear.hosts.wx_api, account=credentials.account_id)

    def authorize_url(self, redirect_uri: str, state: str, scope: Scope = "snsapi_base") -> str:
        """Where to send the browser. ``state`` is a single-use value of the caller's against forgery."""
        if not _STATE.fullmatch(state):
            raise Invalid(N_("The state has 1 to 128 letters and digits."))
        # The order of the parameters is fixed (sheet §2.11).
        return (
            f"{self._gear.hosts.wx_open.rstrip('/')}/connect/oauth2/authorize"
            f"?appid={quote(self._credentials.app_id, safe='')}"
            f"&redirect_uri={quote(redirect_uri, safe='')}"
            f"&response_type=code&scope={scope}&state={state}#wechat_redirect"
        )

    def visitor(self, code: str) -> Visitor:
        """Exchange the code the browser came back with. It works once, for five minutes.

        GoneForGood when it is used up, invalid or late: send the browser to ``authorize_url`` again.
        """
        call = Call(
            "/sns/oauth2/access_token",
            safe=True,
            method="GET",
            params={
                "appid": self._credentials.app_id,
                "secret": self._credentials.app_secret,
                "code": code,
                "grant_type": "authorization_code",
            },
            budgets=(quota.OAUTH_MINUTE,),
            meanings=_CREDENTIALS,
        )
        found = self._cgi.plain(call)
        return Visitor(
            openid=text_of(call.path, found, "openid", safe=True),
            unionid=_text(found, "unionid"),
            scope=_text(found, "scope"),
            snapshot=found.get("is_snapshotuser") == 1,
            access_token=text_of(call.path, found, "access_token", safe=True),
        )

    def person(self, visitor: Visitor) -> Person:
        """Name and picture of a visitor who agreed to ``snsapi_userinfo``; GoneForGood otherwise."""
        call = Call(
            "/sns/userinfo",
            safe=True,
            method="GET",
            params={"access_token": visitor.access_token, "openid": visitor.openid, "lang": "zh_CN"},
            budgets=(quota.OAUTH_MINUTE,),
            meanings=_PERSONAL,
        )
        found = self._cgi.plain(call)
        return Person(
            openid=text_of(call.path, found, "openid", safe=True),
            nickname=_text(found, "nickname"),
            avatar_url=_text(found, "headimgurl"),
            unionid=_text(found, "unionid"),
        )


def _text(found: dict[str, Any], name: str) -> str:
    value = found.get(name)
    return value if isinstance(value, str) else ""
