"""The two kinds of access_token and the life of each (section 2.5)."""

from __future__ import annotations

import re

from growth_engine.sandbox.errcodes import Refused
from growth_engine.sandbox.serving import Call, Routes
from growth_engine.sandbox.store import Doc
from growth_engine.sandbox.world import World

routes = Routes()

LIFE_SECONDS = 7200
#: An earlier token of ``/cgi-bin/token`` still works so long; a stable one is renewed so long before its end.
OVERLAP_SECONDS = 300
STABLE_PER_MINUTE, STABLE_PER_DAY = 10_000, 500_000
PLAIN_PER_DAY = 2_000
FORCED_PER_DAY, FORCED_APART_SECONDS = 20, 30
CLEAR_PER_MONTH = 10
_TOKEN_LENGTH = 150
_SHAPE = re.compile(r"[A-Za-z0-9_-]{100,512}")


@routes("GET", "/cgi-bin/token", token=False)
def plain(call: Call) -> Doc:
    account = _account(call, call.query)
    world, appid = call.world, account["appid"]
    if not world.use_today(f"oa/{appid}/token", PLAIN_PER_DAY):
        raise Refused(45009)
    for key, token in world.store.all("oa.tokens", f"{appid}/").items():
        if token["kind"] == "plain" and not token["replaced"]:
            token["replaced"] = True
            token["until"] = min(token["until"], world.now() + OVERLAP_SECONDS)
            world.store.put("oa.tokens", key, token)
    return {"access_token": _issue(world, appid, "plain"), "expires_in": LIFE_SECONDS}


@routes("POST", "/cgi-bin/stable_token", token=False)
def stable(call: Call) -> Doc:
    body = call.json()
    account = _account(call, body)
    world, appid = call.world, account["appid"]
    if not world.use(f"oa/{appid}/stable", STABLE_PER_MINUTE, 60):
        raise Refused(45011)
    if not world.use_today(f"oa/{appid}/stable", STABLE_PER_DAY):
        raise Refused(45009)
    if body.get("force_refresh") is True:
        return _forced(world, appid)
    current = _current_stable(world, appid)
    if current is None:
        return {"access_token": _issue(world, appid, "stable"), "expires_in": LIFE_SECONDS}
    key, token = current
    return {"access_token": key.split("/")[1], "expires_in": token["until"] - world.now()}


def _forced(world: World, appid: str) -> Doc:
    last = world.store.get("oa.forced", appid)
    if last is not None and world.now() - last["at"] < FORCED_APART_SECONDS:
        raise Refused(45011)
    if not world.use_today(f"oa/{appid}/forced", FORCED_PER_DAY):
        raise Refused(45009)
    world.store.put("oa.forced", appid, {"at": world.now()})
    for key, token in world.store.all("oa.tokens", f"{appid}/").items():
        if token["kind"] == "stable":
            world.store.put("oa.tokens", key, token | {"replaced": True, "until": world.now()})
    return {"access_token": _issue(world, appid, "stable"), "expires_in": LIFE_SECONDS}


def _current_stable(world: World, appid: str) -> tuple[str, Doc] | None:
    for key, token in world.store.all("oa.tokens", f"{appid}/").items():
        good = token["kind"] == "stable" and not token["replaced"]
        if good and token["until"] - world.now() > OVERLAP_SECONDS:
            return key, token
    return None


def _issue(world: World, appid: str, kind: str) -> str:
    text = f"{world.random_text(3, '123456789')}_{world.random_text(_TOKEN_LENGTH)}"
    world.store.put(
        "oa.tokens",
        f"{appid}/{text}",
        {"kind": kind, "until": world.now() + LIFE_SECONDS, "replaced": False},
    )
    world.store.put("oa.token_owner", text, {"appid": appid})
    return text


def _account(call: Call, given: Doc | dict[str, str]) -> Doc:
    if given.get("grant_type") != "client_credential":
        raise Refused(40002)
    appid, secret = given.get("appid"), given.get("secret")
    if not appid:
        raise Refused(41002)
    if not secret:
        raise Refused(41004)
    account = call.world.store.get("oa.accounts", str(appid))
    if account is None:
        raise Refused(40013)
    if account["secret_frozen"]:
        raise Refused(40243)
    if secret != account["secret"]:
        raise Refused(40125)
    _check_address(call, account)
    return account


def _check_address(call: Call, account: Doc) -> None:
    allowed = account["ip_whitelist"]
    if allowed and call.remote not in allowed:
        raise Refused(40164, f"invalid ip {call.remote}, not in whitelist")


def account_of(call: Call) -> Doc:
    """The account whose access_token the call carries."""
    text = call.query.get("access_token", "")
    if not text:
        raise Refused(41001)
    world = call.world
    owner = world.store.get("oa.token_owner", text)
    if owner is None:
        raise Refused(40001 if _SHAPE.fullmatch(text) else 40014)
    token = world.store.get("oa.tokens", f"{owner['appid']}/{text}")
    account = world.store.get("oa.accounts", owner["appid"])
    if token is None or account is None:
        raise Refused(40001)
    if world.now() >= token["until"]:
        raise Refused(40001 if token["replaced"] else 42001)
    _check_address(call, account)
    return account


def expire_all(world: World, text: str) -> None:
    """Have all tokens of this token's account run out now (a planned fault)."""
    owner = world.store.get("oa.token_owner", text)
    if owner is None:
        return
    for key, token in world.store.all("oa.tokens", f"{owner['appid']}/").items():
        world.store.put("oa.tokens", key, token | {"until": min(token["until"], world.now())})


@routes("POST", "/cgi-bin/clear_quota")
def clear_quota(call: Call) -> Doc:
    appid = call.account["appid"]
    month = call.world.now() // (30 * 86400)
    if call.world.store.next(f"oa/{appid}/clear/{month}") > CLEAR_PER_MONTH:
        raise Refused(48006)
    call.world.store.forget_counters(f"quota/oa/{appid}/cgi-bin/")
    return {"errcode": 0, "errmsg": "ok"}


@routes("GET", "/cgi-bin/get_api_domain_ip")
def api_addresses(call: Call) -> Doc:  # noqa: ARG001
    return {"ip_list": ["127.0.0.1"]}


@routes("GET", "/cgi-bin/getcallbackip")
def callback_addresses(call: Call) -> Doc:  # noqa: ARG001
    return {"ip_list": ["127.0.0.1"]}
