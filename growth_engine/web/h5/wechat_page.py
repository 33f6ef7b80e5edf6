"""What a page inside WeChat loads: its script, the policy that lets it, and the signature it asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit

from flask import Blueprint, Response, g, jsonify, request, url_for

from growth_engine.channels.errors import ChannelError
from growth_engine.channels.wechat_oa import OfficialAccount
from growth_engine.connections import credentials
from growth_engine.connections import queries as connections
from growth_engine.kit import web
from growth_engine.kit.errors import NotFound, Unavailable
from growth_engine.kit.i18n import N_
from growth_engine.web import guard
from growth_engine.web.h5 import limits, wechat_visitor
from growth_engine.web.h5.visit import visiting

bp = Blueprint("h5_wechat_page", __name__)

#: The JS-SDK; the sandbox has a stand-in at this path of its own.
_REAL_SDK: Final = "https://res.wx.qq.com/open/js/jweixin-1.6.0.js"
_SANDBOX_SDK: Final = "/open/js/jweixin-1.6.0.js"
_LONGEST_URL = 2048

Purpose = Literal["share", "pay", "confirm"]


class NotOurPage(web.BadRequest):
    code = "not_our_page"
    message = N_("Only pages of this site can be signed.")


class CannotSign(Unavailable):
    code = "wechat_cannot_sign"
    message = N_("WeChat cannot be reached right now.")


@dataclass(frozen=True, slots=True)
class Scripts:
    sdk: str
    """Address of WeChat's script; empty where the browser itself brings all that is needed."""
    config: str
    """Where the page's signature comes from; empty where none is needed."""
    names: str
    """What the page may call, as ``wx.config`` wants it, comma-separated."""


_NAMES: dict[Purpose, str] = {
    "share": "updateAppMessageShareData,updateTimelineShareData",
    "pay": "",
    "confirm": "requestMerchantTransfer",
}


@bp.app_template_global("wechat_scripts")
def scripts(purpose: Purpose) -> Scripts | None:
    """What the page being rendered loads inside WeChat; ``None`` elsewhere. Its policy lets it."""
    here = wechat_visitor.here()
    if here is None:
        return None
    sandboxed = wechat_visitor.sandboxed()
    base = web.parts().settings.wx_open_base.rstrip("/")
    sdk = base + _SANDBOX_SDK if sandboxed else _REAL_SDK
    if purpose == "pay" and not sandboxed:
        sdk = ""  # WeChat's browser brings the bridge by itself
    if sdk:
        where = urlsplit(sdk)
        g.wechat_origin = f"{where.scheme}://{where.netloc}"
    names = _NAMES[purpose]
    config = url_for("h5_wechat_page.config", campaign_id=here.campaign_id) if names else ""
    return Scripts(sdk, config, names)


@bp.after_app_request
def allow_script(response: Response) -> Response:
    """The policy of exactly the pages that load WeChat's script."""
    origin = g.get("wechat_origin")
    if origin:
        response.headers["Content-Security-Policy"] = guard.policy_with_script(origin)
    return response


@bp.get("/c/<campaign_id>/wechat/config")
def config(campaign_id: str) -> Response:
    """The signature of one of our pages, for ``wx.config``."""
    limits.require_room("wechat")
    parts, url = web.parts(), request.args.get("url", "")
    if len(url) > _LONGEST_URL or not url.startswith(parts.settings.public_url.rstrip("/") + "/"):
        raise NotOurPage
    with visiting(campaign_id) as visit:
        account = wechat_visitor.account_of(visit.ctx, campaign_id)
        if account is None:
            raise NotFound
        found = credentials.official_account(connections.opened(visit.ctx, account))
    try:
        signed = OfficialAccount(found, parts.gear).page_config(url)
    except ChannelError as error:
        raise CannotSign from error
    response = jsonify(
        appId=signed.app_id, timestamp=signed.timestamp, nonceStr=signed.nonce, signature=signed.signature
    )
    response.headers["Cache-Control"] = "no-store"
    return response
