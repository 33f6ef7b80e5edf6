"""Notifications to the merchant: sealed with the APIv3 key, signed, repeated over a day (section 4.5)."""

from __future__ import annotations

import json

from growth_engine.sandbox import outbound, paycrypto
from growth_engine.sandbox.pay.checks import when
from growth_engine.sandbox.pay.service import signature_headers
from growth_engine.sandbox.store import Doc
from growth_engine.sandbox.world import World, timer

#: Seconds between one failed delivery and the next: 15 repeats in 24 h 4 min.
RETRY_SECONDS = (
    15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10800, 10800, 10800, 21600, 21600,
)  # fmt: skip
PROBE = "WECHATPAY/SIGNTEST/"
#: Older than the receiver may accept (300 s).
OLD_SECONDS = 301
_SUMMARIES = {
    "TRANSACTION.SUCCESS": "支付成功",
    "REFUND.SUCCESS": "退款成功",
    "REFUND.ABNORMAL": "退款异常",
    "REFUND.CLOSED": "退款关闭",
    "MCHTRANSFER.BILL.FINISHED": "商家转账单据终态通知",
}


def push(world: World, mchid: str, url: str, event: str, original_type: str, resource: Doc) -> None:
    """Have a notification delivered to ``url``; nothing happens without an address or an APIv3 key."""
    merchant = world.store.get("pay.merchants", mchid)
    if merchant is None or not url or not merchant["api_v3_key"]:
        return
    nonce = world.random_text(paycrypto.NONCE_CHARACTERS)
    plain = json.dumps(resource, ensure_ascii=False, separators=(",", ":")).encode()
    body = {
        "id": _notice_id(world),
        "create_time": when(world.now()),
        "resource_type": "encrypt-resource",
        "event_type": event,
        "summary": _SUMMARIES[event],
        "resource": {
            "original_type": original_type,
            "algorithm": paycrypto.ALGORITHM,
            "ciphertext": paycrypto.seal(merchant["api_v3_key"], plain, nonce, original_type),
            "associated_data": original_type,
            "nonce": nonce,
        },
    }
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    serial = _serial(world, merchant)
    payload = {"mchid": mchid, "url": url, "body": text, "repeats": 0, "serial": serial, "event": event}
    outbound.dispatch(world, "pay", event, "pay.notify", payload, f"pay/{body['id']}")


def _notice_id(world: World) -> str:
    parts = (8, 4, 4, 4, 12)
    return "-".join(world.random_text(length, "0123456789abcdef") for length in parts)


def _serial(world: World, merchant: Doc) -> str:
    """During the change from certificate to public key a growing share is signed with the new key."""
    mode = merchant["mode"]
    new = mode == "public_key"
    if mode == "both":
        new = int.from_bytes(world.random_bytes(2)) % 100 < merchant["public_key_share"]
    return str(merchant["public_key_id"] if new else merchant["platform_serial"])


@timer("pay.notify")
def _deliver(world: World, payload: Doc) -> None:
    with world.open():
        merchant = world.store.get("pay.merchants", payload["mchid"])
        if merchant is None:
            return
        body = _body(payload)
        headers = _headers(world, merchant, payload, body)
    sent = outbound.send(world, "pay", "POST", payload["url"], body=body, headers=headers)
    with world.open():
        _next(world, payload, accepted=200 <= sent.status < 300)


def _body(payload: Doc) -> bytes:
    if payload.get("fault") != "tampered":
        return str(payload["body"]).encode()
    # Signed all the same: only the tag of the cipher tells.
    body = json.loads(payload["body"])
    body["resource"]["associated_data"] += "x"
    return json.dumps(body, ensure_ascii=False).encode()


def _headers(world: World, merchant: Doc, payload: Doc, body: bytes) -> dict[str, str]:
    fault = payload.get("fault")
    stamp = world.transport_now() - (OLD_SECONDS if fault == "old_timestamp" else 0)
    headers = signature_headers(world, merchant, payload["serial"], body, timestamp=stamp)
    if fault == "signtest":
        headers["Wechatpay-Signature"] = PROBE + headers["Wechatpay-Signature"]
    elif fault == "bad_signature":
        headers["Wechatpay-Signature"] = headers["Wechatpay-Signature"][::-1]
    elif fault == "bad_serial":
        headers["Wechatpay-Serial"] = "PUB_KEY_ID_0000000000000000000000000000"
    return headers | {
        "Content-Type": "application/json",
        "User-Agent": "Mozilla/4.0",
        "Request-Id": f"08{world.random_text(24, '0123456789ABCDEF')}",
    }


def _next(world: World, payload: Doc, *, accepted: bool) -> None:
    lane = f"pay/{json.loads(payload['body'])['id']}"
    if payload.get("fault") == "signtest":
        # The genuine notification follows the probe, whatever was answered to it.
        world.later(1, "pay.notify", payload | {"fault": ""}, lane)
        return
    if accepted:
        return
    repeats = payload["repeats"]
    if repeats < len(RETRY_SECONDS):
        again = payload | {"repeats": repeats + 1, "fault": ""}
        world.later(RETRY_SECONDS[repeats], "pay.notify", again, lane)
    else:
        world.store.note(world.clock.time(), "pay", "out", f"{payload['event']} given up", {})
