"""The WeCom connection: token, tickets, media, and the forms all its calls share."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from growth_engine.channels import errors, quota
from growth_engine.channels.cgi import Call, Cgi, Platform, after_a_minute, renewed, text_of
from growth_engine.channels.contract import Reason, WecomCredentials
from growth_engine.channels.errors import RetryLater
from growth_engine.channels.quota import Budget
from growth_engine.channels.tokens import Renewed, Tokens, fingerprint
from growth_engine.channels.wire import Gear
from growth_engine.kit.errors import Invalid
from growth_engine.kit.i18n import N_

PLATFORM = Platform("wecom", errors.WECOM, after_a_minute)
#: Sheet §3.12: media live 3 days; kept half a day less. Images up to 10 MB, JPEG or PNG.
MEDIA_SECONDS = int(timedelta(days=2.5).total_seconds())
LARGEST_IMAGE_BYTES = 10 * 1024 * 1024
IMAGE_TYPES = {"image/jpeg": "jpg", "image/png": "png"}
#: A platform that hands out the same cursor for ever must not keep a worker for ever.
MOST_PAGES = 10_000


class Wecom:
    """One WeCom application. Cheap to build, safe to use from many threads."""

    def __init__(self, credentials: WecomCredentials, gear: Gear) -> None:
        self.credentials = credentials
        self.gear = gear
        self._cgi = Cgi(gear, PLATFORM, base=gear.hosts.wecom_api, account=credentials.account_id)
        self._tokens = Tokens(gear.queue, gear.clock, gear.ids)
        self._name = f"{credentials.account_id}:{fingerprint(credentials.corp_id + credentials.secret)}"

    def check(self) -> None:
        """Ask who may have customers: ChannelError unless secret, permission and addresses are right."""
        self.get("externalcontact/get_follow_user_list")

    def token(self, refused: str | None = None) -> str:
        return self._tokens.get(f"{self._name}:token", self._renewed_token, refused=refused)

    def _renewed_token(self, _refused: str | None) -> Renewed:
        params = {"corpid": self.credentials.corp_id, "corpsecret": self.credentials.secret}
        call = Call("/cgi-bin/gettoken", safe=True, method="GET", params=params)
        return renewed(call.path, self._cgi.plain(call), "access_token")

    # ── Forms of calls ──────────────────────────────────────────────────────────────────────────────────

    def call(self, call: Call) -> dict[str, Any]:
        return self._cgi.with_token(self.token, call)

    def post(
        self, path: str, body: Mapping[str, Any], *, safe: bool, budgets: Sequence[Budget] = ()
    ) -> dict[str, Any]:
        """POST to ``/cgi-bin/<path>``; counted on the corp's budgets for each API (90312)."""
        counted = (quota.WECOM_MINUTE, quota.WECOM_HOUR, *budgets)
        return self.call(Call(f"/cgi-bin/{path}", safe=safe, body=body, budgets=counted))

    def get(self, path: str, params: Mapping[str, str] | None = None) -> dict[str, Any]:
        """GET from ``/cgi-bin/<path>``."""
        counted = (quota.WECOM_MINUTE, quota.WECOM_HOUR)
        return self.call(
            Call(f"/cgi-bin/{path}", safe=True, method="GET", params=params or {}, budgets=counted)
        )

    def pages(self, path: str, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """All pages of a list that goes on at ``next_cursor``."""
        cursor = ""
        for _ in range(MOST_PAGES):
            found = self.post(path, {**body, "cursor": cursor} if cursor else body, safe=True)
            yield found
            following = found.get("next_cursor")
            if not following or following == cursor:
                return
            cursor = str(following)
        raise RetryLater(Reason.OTHER, operation=path, number="too many pages")

    # ── Media and pages ─────────────────────────────────────────────────────────────────────────────────

    def media_id(self, data: bytes, content_type: str = "image/jpeg", *, refused: str | None = None) -> str:
        """The media id of a picture: uploaded once in 2.5 days, by content; anew when ``refused``."""
        if content_type not in IMAGE_TYPES or not 5 < len(data) <= LARGEST_IMAGE_BYTES:
            raise Invalid(N_("Pictures for WeCom are JPEG or PNG of at most 10 MB."))
        name = f"{self.credentials.account_id}:media:{hashlib.sha256(data).hexdigest()}"
        return self._tokens.get(name, lambda _: self._uploaded(data, content_type), refused=refused)

    def _uploaded(self, data: bytes, content_type: str) -> Renewed:
        files = {"media": (f"picture.{IMAGE_TYPES[content_type]}", data, content_type)}
        call = Call("/cgi-bin/media/upload", safe=True, params={"type": "image"}, files=files)
        return Renewed(text_of(call.path, self.call(call), "media_id", safe=True), MEDIA_SECONDS)

    def page_ticket(self) -> str:
        """Ticket of the corp, for ``wx.config`` (sheet §3.1)."""
        return self._tokens.get(
            f"{self._name}:jsapi", lambda _: self._renewed_ticket("/cgi-bin/get_jsapi_ticket", {})
        )

    def agent_ticket(self) -> str:
        """Ticket of the application, for ``wx.agentConfig``."""
        params = {"type": "agent_config"}
        return self._tokens.get(
            f"{self._name}:agent", lambda _: self._renewed_ticket("/cgi-bin/ticket/get", params)
        )

    def _renewed_ticket(self, path: str, params: Mapping[str, str]) -> Renewed:
        call = Call(path, safe=True, method="GET", params=params, budgets=(quota.WECOM_TICKET_HOUR,))
        return renewed(call.path, self.call(call), "ticket")


def at_most(what: str, size: int, limit: int) -> None:
    """Refuse here what the platform would refuse (limits beside their calls)."""
    if size > limit:
        raise Invalid(
            N_("%(what)s: %(size)s is more than WeCom accepts (%(limit)s)."),
            params={"what": what, "size": size, "limit": limit},
        )
