"""Calls of an Official Account: token, parametric codes, media, followers, page signatures."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from growth_engine.channels import errors, quota
from growth_engine.channels.cgi import Call, Cgi, Platform, at_midnight, renewed, text_of
from growth_engine.channels.contract import OfficialAccountCredentials, Reason
from growth_engine.channels.errors import RetryLater, StopAndAlert
from growth_engine.channels.quota import Quotas
from growth_engine.channels.tokens import Renewed, Tokens, fingerprint
from growth_engine.channels.wechat_oa.shapes import Follower, PageConfig, QrTicket, follower_of
from growth_engine.channels.wire import Gear
from growth_engine.kit.errors import Invalid
from growth_engine.kit.i18n import N_

#: Sheet §2.8: a temporary code lives at most 30 days; unsaid, it lives 60 s (rule 11).
LONGEST_QR = timedelta(seconds=2_592_000)
#: Sheet §2.8: 1 to 64 characters.
LONGEST_SCENE = 64
#: Sheet §2.9: temporary media live 3 days; kept half a day less.
MEDIA_SECONDS = int(timedelta(days=2.5).total_seconds())
#: Sheet §2.9: 10 MB, elsewhere on the same page 2 MB: the smaller is safe.
LARGEST_IMAGE_BYTES = 2 * 1024 * 1024
IMAGE_TYPES = {"image/jpeg": "jpg", "image/png": "png", "image/gif": "gif"}
#: Sheet §2.10.
PEOPLE_AT_ONCE = 100

PLATFORM = Platform("wechat_oa", errors.OFFICIAL_ACCOUNT, at_midnight)
#: At the token endpoint itself 40001 is a wrong secret (sheet §2.13).
_WRONG_SECRET = {40001: Reason.CREDENTIALS}


class OfficialAccount:
    """One Official Account. Cheap to build, safe to use from many threads."""

    def __init__(self, credentials: OfficialAccountCredentials, gear: Gear) -> None:
        self.credentials = credentials
        self._gear = gear
        self._cgi = Cgi(gear, PLATFORM, base=gear.hosts.wx_api, account=credentials.account_id)
        self._quotas = Quotas(gear.queue, gear.clock)
        self._tokens = Tokens(gear.queue, gear.clock, gear.ids)
        self._name = f"{credentials.account_id}:{fingerprint(credentials.app_id + credentials.app_secret)}"

    # ── Token ───────────────────────────────────────────────────────────────────────────────────────────

    def token(self, refused: str | None = None) -> str:
        """The access token all processes share; another one than ``refused``."""
        return self._tokens.get(f"{self._name}:token", self._renewed_token, refused=refused)

    def check(self) -> None:
        """Ask something harmless: ChannelError unless app id, secret and the list of addresses are right."""
        self.call(Call("/cgi-bin/get_api_domain_ip", safe=True, method="GET"))

    def call(self, call: Call) -> dict[str, Any]:
        return self._cgi.with_token(self.token, call)

    def _renewed_token(self, refused: str | None) -> Renewed:
        new = self._fetched_token(force=False)
        if new.value != refused:
            return new
        # The platform hands out the very token it refuses: only force helps, and that is rationed.
        name = "force_refresh"
        self._quotas.spaced(self.credentials.account_id, name, quota.FORCE_REFRESH_APART_SECONDS)
        try:
            self._quotas.take(self.credentials.account_id, name, (quota.FORCE_REFRESH_DAY,))
        except RetryLater as error:
            raise StopAndAlert(Reason.TOKEN, operation=name, number=error.number) from None
        return self._fetched_token(force=True)

    def _fetched_token(self, *, force: bool) -> Renewed:
        body = {
            "grant_type": "client_credential",
            "appid": self.credentials.app_id,
            "secret": self.credentials.app_secret,
            "force_refresh": force,
        }
        call = Call(
            "/cgi-bin/stable_token",
            safe=True,
            body=body,
            budgets=(quota.STABLE_TOKEN_MINUTE, quota.STABLE_TOKEN_DAY),
            meanings=_WRONG_SECRET,
        )
        return renewed(call.path, self._cgi.plain(call), "access_token")

    # ── Parametric codes ────────────────────────────────────────────────────────────────────────────────

    def create_qr(self, scene: str, lasts: timedelta = LONGEST_QR) -> QrTicket:
        """A temporary code with a text scene. Permanent ones run out at 100,000: none here (sheet §2.8)."""
        if not 1 <= len(scene) <= LONGEST_SCENE:
            raise Invalid(N_("A scene has 1 to %(longest)s characters."), params={"longest": LONGEST_SCENE})
        if not timedelta(seconds=1) <= lasts <= LONGEST_QR:
            raise Invalid(N_("A temporary code lives 1 second to 30 days."))
        asked_at = self._gear.clock.now()
        body = {
            "expire_seconds": int(lasts.total_seconds()),
            "action_name": "QR_STR_SCENE",
            "action_info": {"scene": {"scene_str": scene}},
        }
        call = Call("/cgi-bin/qrcode/create", safe=True, body=body)
        found = self.call(call)
        granted = found.get("expire_seconds", body["expire_seconds"])
        return QrTicket(
            ticket=text_of(call.path, found, "ticket", safe=True),
            url=text_of(call.path, found, "url", safe=True),
            # From before the call: rather too early than a code on a poster that is dead already.
            expires_at=asked_at + timedelta(seconds=int(granted)),
        )

    def qr_picture_url(self, ticket: str) -> str:
        """Where the code's picture can be fetched; needs no token."""
        return f"{self._gear.hosts.wx_mp.rstrip('/')}/cgi-bin/showqrcode?ticket={quote(ticket, safe='')}"

    # ── Media ───────────────────────────────────────────────────────────────────────────────────────────

    def media_id(self, data: bytes, content_type: str = "image/jpeg", *, refused: str | None = None) -> str:
        """The media id of a picture: uploaded once in 2.5 days, by content; anew when ``refused``."""
        if content_type not in IMAGE_TYPES or len(data) > LARGEST_IMAGE_BYTES:
            raise Invalid(N_("Pictures for messages are JPEG, PNG or GIF of at most 2 MB."))
        name = f"{self.credentials.account_id}:media:{hashlib.sha256(data).hexdigest()}"
        return self._tokens.get(name, lambda _: self._uploaded(data, content_type), refused=refused)

    def _uploaded(self, data: bytes, content_type: str) -> Renewed:
        filename = f"picture.{IMAGE_TYPES[content_type]}"
        call = Call(
            "/cgi-bin/media/upload",
            safe=True,  # a second copy harms nobody
            params={"type": "image"},
            files={"media": (filename, data, content_type)},
        )
        return Renewed(text_of(call.path, self.call(call), "media_id", safe=True), MEDIA_SECONDS)

    # ── Followers ───────────────────────────────────────────────────────────────────────────────────────

    def follower(self, openid: str) -> Follower:
        call = Call("/cgi-bin/user/info", safe=True, method="GET", params={"openid": openid, "lang": "zh_CN"})
        found = self.call(call)
        text_of(call.path, found, "openid", safe=True)
        return follower_of(found)

    def followers(self, openids: Iterable[str]) -> Iterator[Follower]:
        """The same for many, a hundred at a time; unknown openids are left out by the platform."""
        wanted = list(openids)
        for start in range(0, len(wanted), PEOPLE_AT_ONCE):
            people = [
                {"openid": openid, "lang": "zh_CN"} for openid in wanted[start : start + PEOPLE_AT_ONCE]
            ]
            body = {"user_list": people}
            found = self.call(Call("/cgi-bin/user/info/batchget", safe=True, body=body))
            yield from (follower_of(one) for one in found.get("user_info_list", ()))

    # ── Pages ───────────────────────────────────────────────────────────────────────────────────────────

    def page_config(self, url: str) -> PageConfig:
        """Sign a page for the JS-SDK; ``url`` as the browser sees it (what follows # is cut off)."""
        ticket = self._tokens.get(f"{self._name}:jsapi", self._renewed_ticket)
        timestamp, nonce = int(self._gear.clock.now().timestamp()), self._gear.ids.token(16)
        return PageConfig(
            self.credentials.app_id,
            timestamp,
            nonce,
            page_signature(ticket=ticket, nonce=nonce, timestamp=timestamp, url=url),
        )

    def _renewed_ticket(self, _refused: str | None) -> Renewed:
        call = Call("/cgi-bin/ticket/getticket", safe=True, method="GET", params={"type": "jsapi"})
        return renewed(call.path, self.call(call), "ticket")


def page_signature(*, ticket: str, nonce: str, timestamp: int, url: str) -> str:
    """Sheet §2.12: this order, lower-case names, raw values."""
    page = url.partition("#")[0]
    text = f"jsapi_ticket={ticket}&noncestr={nonce}&timestamp={timestamp}&url={page}"
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
