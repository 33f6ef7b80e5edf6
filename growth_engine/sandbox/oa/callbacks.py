"""Messages and events to the application in all three modes, and what it answers (2.1 to 2.4)."""

from __future__ import annotations

from typing import Any

from growth_engine.sandbox import envelope, fields, outbound, people
from growth_engine.sandbox.store import Doc
from growth_engine.sandbox.world import World, timer

DELIVERIES = 3
MOST_ARTICLES, ARTICLES_FOR_A_MESSAGE = 8, 1
MODES, FORMS = ("plain", "compatible", "safe"), ("xml", "json")
_SORRY = "该公众号提供的服务出现故障，请稍后再试 · This account's service is out of order, try again later"


class BadAnswer(ValueError):
    """The application answered something the platform does not take."""


def verify_address(world: World, account: Doc, url: str) -> str:
    """Ask an address to prove that it knows the token, as when it is saved; "" or what is wrong."""
    with world.open():
        echo, nonce = world.digits(19), world.digits(9)
    stamp = str(world.transport_now())
    params = {
        "signature": envelope.signature(account["token"], stamp, nonce),
        "echostr": echo,
        "timestamp": stamp,
        "nonce": nonce,
    }
    sent = outbound.send(world, "oa", "GET", url, params=params)
    if sent.status != 200:
        return f"the address answered {sent.status or sent.error}"
    if sent.body != echo.encode():
        return "the address did not answer with the echostr"
    return ""


def push(world: World, appid: str, openid: str, content: Doc) -> None:
    """Have a message or event delivered; ``content`` is what comes after the common fields."""
    account = world.store.get("oa.accounts", appid)
    if account is None or not account["callback_url"]:
        return
    document = {
        "ToUserName": account["original_id"],
        "FromUserName": openid,
        "CreateTime": world.now(),
        **content,
    }
    name = content.get("Event") or content["MsgType"]
    payload = {"appid": appid, "openid": openid, "document": document, "attempt": 1}
    outbound.dispatch(world, "oa", str(name), "oa.deliver", payload, f"oa/{openid}")


@timer("oa.deliver")
def _deliver(world: World, payload: Doc) -> None:
    with world.open():
        account = world.store.get("oa.accounts", payload["appid"])
        if account is None or not account["callback_url"]:
            return
        if "body" not in payload:
            payload = payload | _made(world, account, payload["document"], payload.get("fault", ""))
        params = _params(world, account, payload)
    headers = {"Content-Type": "text/xml" if payload["form"] == "xml" else "application/json"}
    sent = outbound.send(
        world,
        "oa",
        "POST",
        account["callback_url"],
        params=params,
        body=payload["body"].encode(),
        headers=headers | {"User-Agent": "Mozilla/4.0"},
    )
    with world.open():
        try:
            _accept(world, account, payload, sent)
        except BadAnswer as why:
            _failed(world, payload | {"sent_params": params}, str(why))


def _made(world: World, account: Doc, document: Doc, fault: str) -> Doc:
    """The body, made once: every delivery repeats it letter by letter."""
    form, mode = account["format"], account["mode"]
    text = fields.to_text(document, form)
    if mode == "plain":
        return {"body": text, "encrypt": "", "form": form, "mode": mode, "key": ""}
    key = account["encoding_aes_key"]
    receiver = "wx0000000000000000" if fault == "wrong_receiver" else account["appid"]
    sealed = envelope.seal(key, text, receiver, world.random_text(16).encode())
    if fault == "tampered":
        sealed = envelope.tampered(sealed)
    outer: Doc = {"ToUserName": document["ToUserName"], "Encrypt": sealed}
    if mode == "compatible":
        outer = document | {"Encrypt": sealed}
    return {"body": fields.to_text(outer, form), "encrypt": sealed, "form": form, "mode": mode, "key": key}


def _params(world: World, account: Doc, payload: Doc) -> Doc:
    if "sent_params" in payload and world.option("oa_retry_signature") == "same":
        found: Doc = payload["sent_params"]
        return found
    stamp, nonce = str(world.transport_now()), world.digits(9)
    token = account["token"]
    params = {
        "signature": envelope.signature(token, stamp, nonce),
        "timestamp": stamp,
        "nonce": nonce,
        "openid": payload["openid"],
    }
    if payload["mode"] != "plain":
        params["encrypt_type"] = "aes"
        params["msg_signature"] = envelope.signature(token, stamp, nonce, payload["encrypt"])
    if payload.get("fault") == "bad_signature":
        name = "signature" if payload["mode"] == "plain" else "msg_signature"
        params[name] = "0" * 40
    return params


def _failed(world: World, payload: Doc, why: str) -> None:
    if payload["attempt"] < DELIVERIES:
        again = payload | {"attempt": payload["attempt"] + 1}
        world.later(0, "oa.deliver", again, f"oa/{payload['openid']}")
        return
    event = payload["document"].get("Event", payload["document"]["MsgType"])
    world.store.note(world.clock.time(), "oa", "out", f"{event} given up: {why}", {})
    person = people.by_openid(world, payload["appid"], payload["openid"])
    if person is not None and event not in ("unsubscribe", "TEMPLATESENDJOBFINISH"):
        people.say(world, person["id"], f"oa:{payload['appid']}", "system", "notice", text=_SORRY)


def _accept(world: World, account: Doc, payload: Doc, sent: outbound.Sent) -> None:
    if sent.status != 200:
        raise BadAnswer(f"answered {sent.status or sent.error}")
    text = sent.body.decode("utf-8", "replace").strip()
    if text in ("", "success"):
        return
    reply = _opened(account, payload, text)
    _check_addresses(payload, reply)
    person = people.by_openid(world, account["appid"], payload["openid"])
    if person is None or payload["document"].get("Event") == "unsubscribe":
        return
    kind = str(reply.get("MsgType"))
    if kind not in _REPLIES:
        raise BadAnswer(f"a reply of type {kind} is not known")
    content = _REPLIES[kind](world, account, payload, reply)
    sender = "system" if kind == "transfer_customer_service" else "them"
    people.say(world, person["id"], f"oa:{account['appid']}", sender, kind, **content)


def _opened(account: Doc, payload: Doc, text: str) -> Doc:
    try:
        outer = fields.from_text(text)
    except fields.Unreadable as error:
        raise BadAnswer(str(error)) from error
    sealed = outer.get("Encrypt")
    if sealed is None:
        if payload["mode"] == "safe":
            raise BadAnswer("in safe mode a reply has to be encrypted")
        return outer
    if payload["mode"] == "plain":
        raise BadAnswer("in plain mode a reply must not be encrypted")
    stamp, nonce = str(outer.get("TimeStamp", "")), str(outer.get("Nonce", ""))
    if not envelope.is_signature(
        str(outer.get("MsgSignature", "")), account["token"], stamp, nonce, str(sealed)
    ):
        raise BadAnswer("the reply's MsgSignature is wrong")
    try:
        return fields.from_text(envelope.unseal(payload["key"], str(sealed), account["appid"]))
    except (envelope.BadEnvelope, fields.Unreadable) as error:
        raise BadAnswer(str(error)) from error


def _check_addresses(payload: Doc, reply: Doc) -> None:
    document = payload["document"]
    if reply.get("ToUserName") != payload["openid"]:
        raise BadAnswer("the reply's ToUserName is not the sender of the message")
    if reply.get("FromUserName") != document["ToUserName"]:
        raise BadAnswer("the reply's FromUserName is not the account")
    if not str(reply.get("CreateTime", "")).isdigit():
        raise BadAnswer("the reply's CreateTime is no number")


# -- replies by their kind ---------------------------------------------------------------------------


def _text(_world: World, _account: Doc, _payload: Doc, reply: Doc) -> Doc:
    if not reply.get("Content"):
        raise BadAnswer("a text without Content")
    return {"text": str(reply["Content"])}


def _file(name: str) -> Any:
    def show(world: World, account: Doc, _payload: Doc, reply: Doc) -> Doc:
        part = reply.get(name)
        media_id = part.get("MediaId") if isinstance(part, dict) else None
        found = world.store.get("media", str(media_id))
        if found is None or found["owner"] != account["appid"] or world.now() >= found["until"]:
            raise BadAnswer("the MediaId is not valid")
        return {"media_id": media_id}

    return show


def _music(_world: World, _account: Doc, _payload: Doc, reply: Doc) -> Doc:
    part = reply.get("Music")
    if not isinstance(part, dict):
        raise BadAnswer("music without Music")
    return {"title": str(part.get("Title", "")), "url": str(part.get("MusicUrl", ""))}


def _news(_world: World, _account: Doc, payload: Doc, reply: Doc) -> Doc:
    articles = reply.get("Articles")
    items = articles.get("item") if isinstance(articles, dict) else articles
    items = items if isinstance(items, list) else [items]
    if not items or not all(isinstance(one, dict) and one.get("Title") for one in items):
        raise BadAnswer("news without articles")
    if int(reply.get("ArticleCount") or 0) != len(items):
        raise BadAnswer("ArticleCount does not fit Articles")
    # More than allowed are not refused: the platform shows those within the limit.
    most = MOST_ARTICLES if payload["document"]["MsgType"] == "event" else ARTICLES_FOR_A_MESSAGE
    names = {"title": "Title", "text": "Description", "picture": "PicUrl", "url": "Url"}
    return {
        "articles": [{ours: str(one.get(name) or "") for ours, name in names.items()} for one in items[:most]]
    }


def _staff(_world: World, _account: Doc, _payload: Doc, _reply: Doc) -> Doc:
    return {"text": "客服人员将为您服务 · A member of staff will answer"}


_REPLIES: dict[str, Any] = {
    "text": _text,
    "image": _file("Image"),
    "voice": _file("Voice"),
    "video": _file("Video"),
    "music": _music,
    "news": _news,
    "transfer_customer_service": _staff,
}
