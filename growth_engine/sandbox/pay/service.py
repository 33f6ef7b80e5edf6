"""How WeChat Pay answers: requests' signatures checked, every answer signed, errors with a status."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from flask import Response

from growth_engine.sandbox import errcodes, jsonic, paycrypto
from growth_engine.sandbox.serving import Call, Entry, Service
from growth_engine.sandbox.store import Doc
from growth_engine.sandbox.world import World

SCHEME = "WECHATPAY2-SHA256-RSA2048"
WINDOW_SECONDS = 300
PUBLIC_KEY_PREFIX = "PUB_KEY_ID_"
_FIELD = re.compile(r'\s*([a-z_]+)="([^"]*)"\s*')
_NEEDED = {"mchid", "nonce_str", "timestamp", "serial_no", "signature"}

#: Status and detail code of planned or raised errors by their name (section 4.9; the status varies [U]).
STATUSES = {
    "SIGN_ERROR": 401,
    "PARAM_ERROR": 400,
    "INVALID_REQUEST": 400,
    "ORDERPAID": 400,
    "ORDER_CLOSED": 400,
    "APPID_MCHID_NOT_MATCH": 400,
    "NO_AUTH": 403,
    "RULE_LIMIT": 403,
    "NOT_ENOUGH": 403,
    "ORDER_NOT_EXIST": 404,
    "NOT_FOUND": 404,
    "RESOURCE_NOT_EXISTS": 404,
    "NO_STATEMENT_EXIST": 400,
    "ALREADY_EXISTS": 400,
    "FREQUENCY_LIMITED": 429,
    "SYSTEM_ERROR": 500,
}


class PayRefused(Exception):
    """WeChat Pay says no; ``detail_code`` ends the Request-Id."""

    def __init__(self, code: str, message: str, *, detail_code: int = 0, detail: Doc | None = None) -> None:
        self.code = code
        self.message = message
        self.status = STATUSES[code]
        self.detail_code = detail_code
        self.detail = detail
        super().__init__(f"{code}: {message}")


class Pay(Service):
    """Routes take ``signed=False`` for downloads, whose answer carries no signature."""

    name = "pay"

    def respond(self, call: Call, entry: Entry) -> Response:
        call.account = _caller(call)
        answer = entry.handler(call)
        return answer if isinstance(answer, Response) else jsonic.response(answer)

    def refuse(self, call: Call, error: Exception) -> Response | None:  # noqa: ARG002
        if isinstance(error, errcodes.Refused):  # a body that is no JSON object
            error = PayRefused("PARAM_ERROR", "请求体不是合法的JSON对象")
        if not isinstance(error, PayRefused):
            return None
        doc: Doc = {"code": error.code, "message": error.message}
        if error.detail:
            doc["detail"] = error.detail
        response = jsonic.response(doc, error.status)
        response.headers["X-Detail-Code"] = str(error.detail_code)
        return response

    def wrong_method(self, call: Call, entries: Mapping[str, Entry]) -> Response:  # noqa: ARG002
        return jsonic.response({"code": "INVALID_REQUEST", "message": "请求方法不支持"}, 405)

    def unknown(self, call: Call) -> Response:  # noqa: ARG002
        return jsonic.response({"code": "NOT_FOUND", "message": "请求的资源不存在"}, 404)

    def struck(self, call: Call, code: Any) -> Response:  # noqa: ARG002
        status = STATUSES.get(str(code), 500)
        return jsonic.response({"code": str(code), "message": "planned fault"}, status)

    def expire_tokens(self, call: Call) -> None:
        """There are no tokens here."""

    def finish(self, call: Call, response: Response) -> Response:
        world = self.world
        detail = response.headers.pop("X-Detail-Code", "0")
        response.headers["Request-Id"] = f"08{world.random_text(24, '0123456789ABCDEF')}-{detail}"
        if response.headers.pop("X-Unsigned", None):
            return response
        merchant = call.account or _claimed(call) or _any_merchant(world)
        serial = answering_serial(merchant, call.headers.get("Wechatpay-Serial", ""))
        headers = signature_headers(world, merchant, serial, response.get_data())
        response.headers.update(headers)
        return response


def unsigned(response: Response) -> Response:
    """An answer that leaves without signature headers, as file downloads do."""
    response.headers["X-Unsigned"] = "1"
    return response


# -- who calls ---------------------------------------------------------------------------------------


def _authorization(call: Call) -> dict[str, str]:
    scheme, _, rest = call.headers.get("Authorization", "").partition(" ")
    found = {}
    for part in rest.split(","):
        match = _FIELD.fullmatch(part)
        if match:
            found[match[1]] = match[2]
    if scheme != SCHEME or not found.keys() >= _NEEDED:
        raise PayRefused("SIGN_ERROR", "Http头Authorization认证类型或字段不正确", detail_code=268443699)
    return found


def _caller(call: Call) -> Doc:
    """The merchant whose signature stands over this very request."""
    if not call.headers.get("Accept") or not call.headers.get("User-Agent"):
        raise PayRefused("PARAM_ERROR", "Http头缺少Accept或User-Agent")
    given = _authorization(call)
    merchant = call.world.store.get("pay.merchants", given["mchid"])
    if merchant is None:
        raise PayRefused("SIGN_ERROR", "商户号不存在", detail_code=268443699)
    if given["serial_no"] != merchant["serial"]:
        raise PayRefused("SIGN_ERROR", "商户证书序列号有误", detail_code=268443699)
    stamp = given["timestamp"]
    if not stamp.isdigit() or abs(call.world.transport_now() - int(stamp)) > WINDOW_SECONDS:
        raise PayRefused(
            "SIGN_ERROR",
            "Http头Authorization中的timestamp与发起请求的时间不得超过5分钟",
            detail_code=268443699,
        )
    message = paycrypto.lines(
        call.method, call.full_path, stamp, given["nonce_str"], call.raw.decode("utf-8", "replace")
    )
    if not paycrypto.verify(merchant["public_key"], message, given["signature"]):
        raise PayRefused("SIGN_ERROR", "错误的签名，验签失败", detail_code=268443699)
    _check_platform_key(call, merchant)
    allowed = merchant["ip_whitelist"]
    if allowed and call.remote not in allowed:
        raise PayRefused("NO_AUTH", f"此IP地址不允许调用接口 {call.remote}")
    return merchant


def _check_platform_key(call: Call, merchant: Doc) -> None:
    wanted = call.headers.get("Wechatpay-Serial", "")
    known = {merchant["public_key_id"], merchant["platform_serial"]}
    if wanted and wanted not in known:
        raise PayRefused("PARAM_ERROR", "Http头Wechatpay-Serial有误: 不是平台证书序列号或微信支付公钥ID")
    if wanted == merchant["platform_serial"] and merchant["mode"] == "public_key":
        raise PayRefused("PARAM_ERROR", "商户已切换为微信支付公钥, 平台证书已停用")


def _claimed(call: Call) -> Doc | None:
    try:
        return call.world.store.get("pay.merchants", _authorization(call)["mchid"])
    except PayRefused:
        return None


def _any_merchant(world: World) -> Doc:
    return next(iter(world.store.all("pay.merchants").values()))


# -- our signatures ------------------------------------------------------------------------------------


def answering_serial(merchant: Doc, wanted: str) -> str:
    """Which of the platform's keys signs: the one the caller named, else the one its mode says."""
    if wanted in (merchant["public_key_id"], merchant["platform_serial"]):
        return wanted
    return str(merchant["public_key_id"] if merchant["mode"] == "public_key" else merchant["platform_serial"])


def signature_headers(
    world: World, merchant: Doc, serial: str, body: bytes, *, timestamp: int | None = None
) -> dict[str, str]:
    """The headers that sign a body, of an answer or of a notification."""
    stamp = str(world.transport_now() if timestamp is None else timestamp)
    nonce = world.random_text(32)
    name = "public_key" if serial == merchant["public_key_id"] else "platform"
    signed = paycrypto.lines(stamp, nonce, body.decode())
    return {
        "Wechatpay-Timestamp": stamp,
        "Wechatpay-Nonce": nonce,
        "Wechatpay-Serial": serial,
        "Wechatpay-Signature": paycrypto.sign(merchant[f"{name}_private"], signed),
        "Wechatpay-Signature-Type": SCHEME,
    }
