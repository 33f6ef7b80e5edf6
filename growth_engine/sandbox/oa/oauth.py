"""Signing in on a page inside WeChat (section 2.11): the consent page, codes, tokens, the snapshot person."""

from __future__ import annotations

import re
from html import escape
from urllib.parse import parse_qsl, quote, urlsplit

from flask import Response, redirect

from growth_engine.sandbox import people
from growth_engine.sandbox.errcodes import Refused
from growth_engine.sandbox.serving import Call, Routes
from growth_engine.sandbox.store import Doc
from growth_engine.sandbox.world import World

routes = Routes()

CODE_SECONDS, TOKEN_SECONDS, REFRESH_SECONDS = 300, 7200, 30 * 86400
PER_MINUTE = 50_000
ORDER = ["appid", "redirect_uri", "response_type", "scope", "state"]
SCOPES = ("snsapi_base", "snsapi_userinfo")
_STATE = re.compile(r"[a-zA-Z0-9]{0,128}")
#: Who holds the phone in this browser; the phone page sets it.
COOKIE = "sandbox_person"


@routes("GET", "/connect/oauth2/authorize", token=False)
def authorize(call: Call) -> Response:
    names = [name for name, _ in parse_qsl(urlsplit(call.full_path).query, keep_blank_values=True)]
    ours = [name for name in names if name in ORDER]
    problem = _problem(call, ours)
    if problem:
        return _page("Oops! Something went wrong:(", f"<p>{escape(problem)}</p>", 200)
    person_id = call.query.get("_person") or call.cookies.get(COOKIE, "")
    if call.world.store.get("people", person_id) is None:
        return _page("选择微信用户 · Who holds this phone?", _choices(call), 200)
    asked = call.query["scope"] == "snsapi_userinfo"
    if asked and call.query.get("_answer") not in ("allow", "refuse"):
        return _page("微信授权 · WeChat sign-in", _question(call, person_id), 200)
    if call.query.get("_answer") == "refuse":
        return _back(call, "")
    return _back(call, _code(call, person_id))


def _problem(call: Call, names: list[str]) -> str:
    account = call.world.store.get("oa.accounts", call.query.get("appid", ""))
    if account is None:
        return "appid 参数错误 (10013)"
    wanted = ORDER if "state" in names else ORDER[:-1]
    if names != wanted:
        return "参数错误: the parameters have to stand in this order: " + ", ".join(ORDER)
    if call.query["response_type"] != "code":
        return "response_type 参数错误 (10004)"
    if call.query["scope"] not in SCOPES:
        return "Scope 参数错误或没有 Scope 权限 (10005)"
    if account["kind"] != "service":
        return "Scope 参数错误或没有 Scope 权限 (10005): only service accounts may ask"
    if not _STATE.fullmatch(call.query.get("state", "")):
        return "state 参数错误: a-zA-Z0-9, at most 128"
    target = urlsplit(call.query["redirect_uri"])
    if target.scheme not in ("http", "https") or target.netloc not in account["oauth_domains"]:
        return f"redirect_uri 域名与后台配置不一致 (10003): {target.netloc}"
    return ""


def _code(call: Call, person_id: str) -> str:
    world, appid = call.world, call.query["appid"]
    person = people.person(world, person_id)
    snapshot = bool(person["snapshot"]) and call.query["scope"] == "snsapi_userinfo"
    openid = people.openid(world, appid, person_id)
    if snapshot:
        openid = people.opaque(world, "o", 28, "virtual", appid, person_id, world.random_text(8))
        world.store.put("openids", f"{appid}/{openid}", {"person": person_id, "virtual": True})
    code = "0" + world.random_text(31)
    world.store.put(
        "oa.oauth_codes",
        code,
        {
            "appid": appid,
            "openid": openid,
            "person": person_id,
            "scope": call.query["scope"],
            "snapshot": snapshot,
            "until": world.now() + CODE_SECONDS,
            "used": False,
        },
    )
    return code


def _back(call: Call, code: str) -> Response:
    address, _, fragment = call.query["redirect_uri"].partition("#")
    joiner = "&" if urlsplit(address).query else "?"
    parts = ([f"code={code}"] if code else []) + [f"state={quote(call.query.get('state', ''))}"]
    made = redirect(address + joiner + "&".join(parts) + (f"#{fragment}" if fragment else ""))
    return Response(made.get_data(), made.status_code, headers=dict(made.headers))


def _again(call: Call, **more: str) -> str:
    """The same address with another choice at its end."""
    kept = [
        (n, v) for n, v in parse_qsl(urlsplit(call.full_path).query, keep_blank_values=True) if n not in more
    ]
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in [*kept, *more.items()])
    return escape(f"/connect/oauth2/authorize?{query}")


def _choices(call: Call) -> str:
    links = [
        f'<a class="row" href="{_again(call, _person=one["id"])}">{escape(one["nickname"])}</a>'
        for one in people.everybody(call.world)
    ]
    return "".join(links) or "<p>沙箱里还没有人 · There is nobody in the sandbox yet</p>"


def _question(call: Call, person_id: str) -> str:
    account = call.world.store.get("oa.accounts", call.query["appid"]) or {}
    person = people.person(call.world, person_id)
    return (
        f'<p class="app">{escape(account["name"])}</p>'
        "<p>申请获取以下权限 · asks for:</p><p>你的昵称、头像 · your name and picture</p>"
        f'<p class="who">{escape(person["nickname"])}</p>'
        f'<a class="button" href="{_again(call, _answer="allow")}">允许 · Allow</a>'
        f'<a class="button plain" href="{_again(call, _answer="refuse")}">拒绝 · Refuse</a>'
    )


def _page(title: str, body: str, status: int) -> Response:
    text = (
        '<!doctype html><html lang="zh"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{title}</title><link rel="icon" href="/_sandbox/static/icon.svg">'
        '<link rel="stylesheet" href="/_sandbox/static/pages.css"></head>'
        f"<body><main><h1>{title}</h1>{body}</main></body></html>"
    )
    return Response(text, status, mimetype="text/html")


# -- what the application asks with the code -----------------------------------------------------------


@routes("GET", "/sns/oauth2/access_token", token=False)
def exchange(call: Call) -> Doc:
    world, query = call.world, call.query
    account = _account(call, secret=True)
    if query.get("grant_type") != "authorization_code":
        raise Refused(40002)
    if not query.get("code"):
        raise Refused(41008)
    if not world.use("oauth", PER_MINUTE, 60):
        raise Refused(45011)
    found = world.store.get("oa.oauth_codes", query["code"])
    if found is None or found["appid"] != account["appid"]:
        raise Refused(40029)
    if found["used"]:
        raise Refused(40163)
    if world.now() >= found["until"]:
        raise Refused(42003)
    world.store.put("oa.oauth_codes", query["code"], found | {"used": True})
    return _granted(world, account, found)


def _granted(world: World, account: Doc, grant: Doc) -> Doc:
    access, refresh = world.random_text(107), world.random_text(107)
    kept = {name: grant[name] for name in ("appid", "openid", "person", "scope", "snapshot")}
    world.store.put("oa.sns_tokens", access, kept | {"until": world.now() + TOKEN_SECONDS})
    world.store.put("oa.sns_refresh", refresh, kept | {"until": world.now() + REFRESH_SECONDS})
    doc: Doc = {
        "access_token": access,
        "expires_in": TOKEN_SECONDS,
        "refresh_token": refresh,
        "openid": grant["openid"],
        "scope": grant["scope"],
    }
    if grant["snapshot"]:
        doc["is_snapshotuser"] = 1
    told = grant["scope"] == "snsapi_userinfo" or world.option("oauth_unionid_with_base")
    if account["bound_union"] and told and not grant["snapshot"]:
        doc["unionid"] = people.person(world, grant["person"])["unionid"]
    return doc


@routes("GET", "/sns/oauth2/refresh_token", token=False)
def refresh(call: Call) -> Doc:
    account = _account(call, secret=False)
    found = call.world.store.get("oa.sns_refresh", call.query.get("refresh_token", ""))
    if found is None or found["appid"] != account["appid"]:
        raise Refused(40030)
    if call.world.now() >= found["until"]:
        raise Refused(42002)
    return _granted(call.world, account, found)


def _account(call: Call, *, secret: bool) -> Doc:
    appid = call.query.get("appid")
    if not appid:
        raise Refused(41002)
    account = call.world.store.get("oa.accounts", appid)
    if account is None:
        raise Refused(40013)
    if secret:
        if not call.query.get("secret"):
            raise Refused(41004)
        if call.query["secret"] != account["secret"]:
            raise Refused(40125)
    return account


def _signed_in(call: Call) -> Doc:
    text = call.query.get("access_token", "")
    if not text:
        raise Refused(41001)
    found = call.world.store.get("oa.sns_tokens", text)
    if found is None:
        raise Refused(40001)
    if call.world.now() >= found["until"]:
        raise Refused(42001)
    if call.query.get("openid") != found["openid"]:
        raise Refused(40003)
    return found


@routes("GET", "/sns/userinfo", token=False)
def userinfo(call: Call) -> Doc:
    found = _signed_in(call)
    if found["scope"] != "snsapi_userinfo":
        raise Refused(48001)
    account = call.world.store.get("oa.accounts", found["appid"]) or {}
    person = people.person(call.world, found["person"])
    picture = f"{call.world.urls.get('oa', '')}/_sandbox/avatar/{person['avatar']}.png"
    doc = {
        "openid": found["openid"],
        "nickname": "微信用户" if found["snapshot"] else person["nickname"],
        "sex": 0,
        "province": "",
        "city": "",
        "country": "",
        "headimgurl": "" if found["snapshot"] else picture,
        "privilege": [],
    }
    if account.get("bound_union") and not found["snapshot"]:
        doc["unionid"] = person["unionid"]
    return doc


@routes("GET", "/sns/auth", token=False)
def check(call: Call) -> Doc:
    _signed_in(call)
    return {"errcode": 0, "errmsg": "ok"}
