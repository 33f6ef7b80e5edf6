"""How qyapi.weixin.qq.com answers: a token for each secret, errcode 0 when all is well."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response

from growth_engine.sandbox import jsonic
from growth_engine.sandbox.errcodes import Refused
from growth_engine.sandbox.serving import Call, Entry, Routes, Service
from growth_engine.sandbox.store import Doc

routes = Routes()

LIFE_SECONDS = 7200
PER_MINUTE, PER_HOUR = 10_000, 150_000
_QUERY = "https://open.work.weixin.qq.com/devtool/query?e="


class WeCom(Service):
    """Routes take ``token=False`` where no access_token is asked for."""

    name = "wecom"

    def respond(self, call: Call, entry: Entry) -> Response:
        if entry.options.get("token", True):
            call.account = _corp_of(call)
            key = f"wecom/{call.account['corpid']}{call.path}"
            if not self.world.use(key, PER_MINUTE, 60) or not self.world.use(key, PER_HOUR, 3600):
                raise Refused(45009, "api freq out of limit")
        answer = entry.handler(call)
        if isinstance(answer, Response):
            return answer
        return jsonic.response({"errcode": 0, "errmsg": "ok", **answer})

    def refuse(self, call: Call, error: Exception) -> Response | None:
        if not isinstance(error, Refused):
            return None
        with self.world.open():
            hint = f"hint: [{self.world.now()}{self.world.digits(18)}], from ip: {call.remote}"
        text = f"{error.errmsg}, {hint}, more info at {_QUERY}{error.errcode}"
        return jsonic.response({"errcode": error.errcode, "errmsg": text, **error.extra})

    def wrong_method(self, call: Call, entries: Mapping[str, Entry]) -> Response:
        return self._refusal(call, 43001 if "GET" in entries else 43002)

    def unknown(self, call: Call) -> Response:
        return self._refusal(call, 40066)

    def struck(self, call: Call, code: Any) -> Response:
        return self._refusal(call, int(code))

    def _refusal(self, call: Call, code: int) -> Response:
        made = self.refuse(call, Refused(code))
        assert made is not None
        return made

    def expire_tokens(self, call: Call) -> None:
        found = self.world.store.get("wecom.tokens", call.query.get("access_token", ""))
        if found is not None:
            self.world.store.put(
                "wecom.tokens", call.query["access_token"], found | {"until": self.world.now()}
            )
            self.world.store.drop("wecom.current", found["corpid"])


@routes("GET", "/cgi-bin/gettoken", token=False)
def gettoken(call: Call) -> Doc:
    world = call.world
    corpid, secret = call.query.get("corpid"), call.query.get("corpsecret")
    if not corpid:
        raise Refused(41002, "corpid missing")
    if not secret:
        raise Refused(41004, "corpsecret missing")
    corp = world.store.get("wecom.corps", corpid)
    if corp is None:
        raise Refused(40013, "invalid corpid")
    if secret != corp["secret"]:
        raise Refused(40001, "invalid credential")
    _check_address(call, corp)
    current = world.store.get("wecom.current", corpid)
    if current is None or world.now() >= current["until"]:
        current = {"token": world.random_text(214), "until": world.now() + LIFE_SECONDS}
        world.store.put("wecom.current", corpid, current)
        world.store.put("wecom.tokens", current["token"], {"corpid": corpid, "until": current["until"]})
    return {"access_token": current["token"], "expires_in": current["until"] - world.now()}


def _corp_of(call: Call) -> Doc:
    text = call.query.get("access_token", "")
    if not text:
        raise Refused(41001)
    token = call.world.store.get("wecom.tokens", text)
    corp = call.world.store.get("wecom.corps", token["corpid"]) if token else None
    if token is None or corp is None:
        raise Refused(40014)
    if call.world.now() >= token["until"]:
        raise Refused(42001)
    _check_address(call, corp)
    return corp


def _check_address(call: Call, corp: Doc) -> None:
    if corp["ip_whitelist"] and call.remote not in corp["ip_whitelist"]:
        raise Refused(60020, "not allow to access from your ip")


@routes("GET", "/cgi-bin/getcallbackip")
def callback_addresses(call: Call) -> Doc:  # noqa: ARG001
    return {"ip_list": ["127.0.0.1"]}
