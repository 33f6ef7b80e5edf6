"""Refusals as api.weixin.qq.com and qyapi.weixin.qq.com make them: status 200, a code, a text."""

from __future__ import annotations

from growth_engine.sandbox.store import Doc
from growth_engine.sandbox.world import World

#: Texts are not part of the contract (section 2.13: never branch on them).
TEXTS = {
    -1: "system error",
    40001: "invalid credential, access_token is invalid or not latest",
    40002: "invalid grant_type",
    40003: "invalid openid",
    40004: "invalid media type",
    40005: "invalid file type",
    40007: "invalid media_id",
    40008: "invalid message type",
    40013: "invalid appid",
    40014: "invalid access_token",
    40029: "invalid code",
    40030: "invalid refresh_token",
    40035: "invalid parameter",
    40037: "invalid template_id",
    40052: "invalid action name",
    40053: "invalid action info",
    40058: "invalid Request Parameter",
    40066: "invalid url",
    40068: "invalid tag id",
    40097: "invalid args",
    40125: "invalid appsecret",
    40132: "invalid username",
    40163: "code been used",
    40164: "invalid ip, not in whitelist",
    40243: "AppSecret has been frozen",
    41001: "access_token missing",
    41002: "appid missing",
    41004: "appsecret missing",
    41005: "media data missing",
    41006: "media_id missing",
    41008: "missing code",
    41009: "missing openid",
    42001: "access_token expired",
    42002: "refresh_token expired",
    42003: "code expired",
    43001: "require GET method",
    43002: "require POST method",
    43004: "require subscribe",
    43019: "require remove blacklist",
    43101: "user refuse to accept the msg",
    44002: "empty post data",
    44004: "empty content",
    45001: "media size out of limit",
    45002: "content size out of limit",
    45008: "article size out of limit",
    45009: "reach max api daily quota limit",
    45011: "api minute-quota reach limit, must slower, retry next minute",
    45015: "response out of time limit or subscription is canceled",
    45029: "qrcode count out of limit",
    45047: "out of response count limit",
    45065: "clientmsgid exist",
    45157: "invalid tag name",
    45159: "invalid tag",
    47001: "data format error",
    48001: "api unauthorized",
    48002: "user block the message",
    48006: "forbid to clear quota because of reaching the limit",
    50002: "user limited",
}


class Refused(Exception):
    """The platform says no; ``extra`` are further fields of the answer."""

    def __init__(self, errcode: int, errmsg: str | None = None, **extra: object) -> None:
        self.errcode = errcode
        self.errmsg = errmsg or TEXTS.get(errcode, "error")
        self.extra = extra
        super().__init__(f"{errcode} {self.errmsg}")


def rid(world: World) -> str:
    """The request id at the end of every errmsg: the time in hex, then two random groups."""
    first, second = (world.random_text(8, "0123456789abcdef") for _ in range(2))
    return f"{world.now():08x}-{first}-{second}"


def document(world: World, error: Refused) -> Doc:
    return {"errcode": error.errcode, "errmsg": f"{error.errmsg} rid: {rid(world)}", **error.extra}
