"""Events to the application: always encrypted, repeated only when the network failed (3.2, 3.3)."""

from __future__ import annotations

from growth_engine.sandbox import envelope, fields, outbound
from growth_engine.sandbox.store import Doc
from growth_engine.sandbox.world import World, timer

RESENDS = 3
VERIFY_SECONDS = 1.0


def verify_address(world: World, corp: Doc, url: str) -> str:
    """Ask an address to decrypt the echostr within a second; "" or what is wrong."""
    with world.open():
        echo, nonce = world.digits(19), world.digits(10)
        random = world.random_text(16).encode()
    sealed = envelope.seal(corp["encoding_aes_key"], echo, corp["corpid"], random)
    stamp = str(world.transport_now())
    params = {
        "msg_signature": envelope.signature(corp["token"], stamp, nonce, sealed),
        "timestamp": stamp,
        "nonce": nonce,
        "echostr": sealed,
    }
    sent = outbound.send(world, "wecom", "GET", url, params=params, timeout=VERIFY_SECONDS)
    if sent.status != 200:
        return f"the address answered {sent.status or sent.error}"
    if sent.body != echo.encode():
        return "the answer is not the decrypted echostr (no quotes, no BOM, no line feed)"
    return ""


def push(world: World, corpid: str, event: str, change: str, content: Doc) -> None:
    """Have an event delivered; ``content`` follows the common fields. None-valued fields are left out."""
    corp = world.store.get("wecom.corps", corpid)
    if corp is None or not corp["callback_url"]:
        return
    document: Doc = {
        "ToUserName": corpid,
        "FromUserName": "sys",
        "CreateTime": world.now(),
        "MsgType": "event",
        "Event": event,
        "ChangeType": change,
        **{name: value for name, value in content.items() if value is not None},
    }
    lane = f"wecom/{content.get('ChatId') or content.get('ExternalUserID') or corpid}"
    payload = {"corpid": corpid, "document": document, "attempt": 1, "lane": lane}
    outbound.dispatch(world, "wecom", change, "wecom.deliver", payload, lane)


@timer("wecom.deliver")
def _deliver(world: World, payload: Doc) -> None:
    with world.open():
        corp = world.store.get("wecom.corps", payload["corpid"])
        if corp is None or not corp["callback_url"]:
            return
        body, params = _made(world, corp, payload)
    sent = outbound.send(
        world,
        "wecom",
        "POST",
        corp["callback_url"],
        params=params,
        body=body.encode(),
        headers={"Content-Type": "text/xml", "User-Agent": "Mozilla/4.0"},
    )
    if sent.status == 0 and payload["attempt"] <= RESENDS:
        with world.open():
            again = payload | {"attempt": payload["attempt"] + 1}
            world.later(0, "wecom.deliver", again, payload["lane"])


def _made(world: World, corp: Doc, payload: Doc) -> tuple[str, Doc]:
    text = fields.to_text(payload["document"], "xml")
    fault = payload.get("fault")
    receiver = "ww0000000000000000" if fault == "wrong_receiver" else corp["corpid"]
    sealed = envelope.seal(corp["encoding_aes_key"], text, receiver, world.random_text(16).encode())
    if fault == "tampered":
        sealed = envelope.tampered(sealed)
    outer: Doc = {"ToUserName": corp["corpid"], "Encrypt": sealed}
    if corp["callback_agent"]:
        outer["AgentID"] = corp["callback_agent"]
    stamp, nonce = str(world.transport_now()), world.digits(10)
    signature = envelope.signature(corp["token"], stamp, nonce, sealed)
    if fault == "bad_signature":
        signature = "0" * 40
    return fields.to_text(outer, "xml"), {"msg_signature": signature, "timestamp": stamp, "nonce": nonce}
