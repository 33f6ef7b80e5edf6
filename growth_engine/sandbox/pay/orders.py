"""Orders (section 4.4): JSAPI and native, query, close, and what the payer does."""

from __future__ import annotations

from typing import Any

from flask import Response

from growth_engine.sandbox import paycrypto, people
from growth_engine.sandbox.oa import windows
from growth_engine.sandbox.oa.actions import CannotDo
from growth_engine.sandbox.oa.followers import follower
from growth_engine.sandbox.pay import checks, ledger, notify
from growth_engine.sandbox.pay.service import PayRefused
from growth_engine.sandbox.serving import Call, Routes
from growth_engine.sandbox.store import Doc
from growth_engine.sandbox.world import World, timer

routes = Routes()

PREPAY_SECONDS = 2 * 3600
UNPAID_SECONDS = 7 * 86400
NUMBER = r"[0-9A-Za-z_\-|*]{6,32}"
DESCRIPTION, ATTACH = 127, 128
PAY_CHAT = "wxpay"
_STATES = {"NOTPAY": "订单未支付", "SUCCESS": "支付成功", "CLOSED": "订单已关闭", "REFUND": "转入退款"}


@routes("POST", "/v3/pay/transactions/jsapi")
def jsapi(call: Call) -> Doc:
    body = call.json()
    openid = checks.part(body, "payer").get("openid")
    if not isinstance(openid, str) or people.by_openid(call.world, str(body.get("appid")), openid) is None:
        raise checks.wrong("payer.openid", "无效的openid", detail_code=268501013)
    order = _placed(call, body, "JSAPI", openid)
    return {"prepay_id": order["prepay_id"]}


@routes("POST", "/v3/pay/transactions/native")
def native(call: Call) -> Doc:
    order = _placed(call, call.json(), "NATIVE", "")
    return {"code_url": f"weixin://wxpay/bizpayurl?pr={order['prepay_id'][-9:]}"}


def _placed(call: Call, body: Doc, trade_type: str, openid: str) -> Doc:
    world, merchant = call.world, call.account
    number = _check_order(call, body)
    key = f"{merchant['mchid']}/{number}"
    known = world.store.get("pay.orders", key)
    if known is not None:
        return _again(world, key, known, body)
    order = {
        "mchid": merchant["mchid"],
        "request": body,
        "trade_type": trade_type,
        "openid": openid,
        "state": "NOTPAY",
        "total": body["amount"]["total"],
        "transaction_id": "",
        "success_time": 0,
        "refunded": 0,
        "made": world.now(),
    }
    world.later(UNPAID_SECONDS, "pay.unpaid", {"key": key})
    return _prepaid(world, key, order)


def _prepaid(world: World, key: str, order: Doc) -> Doc:
    order["prepay_id"] = "wx" + world.random_text(34, "0123456789abcdef")
    order["prepay_until"] = world.now() + PREPAY_SECONDS
    world.store.put("pay.prepays", order["prepay_id"], {"order": key})
    return world.store.put("pay.orders", key, order)


def _again(world: World, key: str, order: Doc, body: Doc) -> Doc:
    """The same number once more: the same order for the same words, refused for others."""
    if order["state"] in ("SUCCESS", "REFUND"):
        raise PayRefused("ORDERPAID", "该订单已支付")
    if order["state"] == "CLOSED":
        raise PayRefused("ORDER_CLOSED", "该订单已关闭")
    if order["request"] != body:
        raise PayRefused("INVALID_REQUEST", "请求重入时，参数与首次请求时不一致", detail_code=268498688)
    return order if world.now() < order["prepay_until"] else _prepaid(world, key, order)


def _check_order(call: Call, body: Doc) -> str:
    merchant = call.account
    if body.get("mchid") != merchant["mchid"]:
        raise PayRefused("PARAM_ERROR", "商户号与签名商户号不一致")
    if body.get("appid") not in merchant["appids"]:
        raise PayRefused("APPID_MCHID_NOT_MATCH", "appid和mch_id不匹配", detail_code=268445527)
    checks.text(body, "description", DESCRIPTION)
    checks.text(body, "attach", ATTACH, needed=False)
    checks.notify_url(body)
    amount = checks.part(body, "amount")
    checks.fen(amount, "total")
    if amount.get("currency", "CNY") != "CNY":
        raise checks.wrong("amount.currency")
    expires = checks.moment(body, "time_expire")
    if expires is not None and expires <= call.world.now():
        raise checks.wrong("time_expire", "已过期")
    return checks.text(body, "out_trade_no", 32, NUMBER)


@routes("GET", "/v3/pay/transactions/out-trade-no/<number>")
def by_number(call: Call) -> Doc:
    _check_mchid(call, call.query.get("mchid"))
    return described(call.world, order_of(call.world, call.account, call.args["number"]))


@routes("GET", "/v3/pay/transactions/id/<transaction_id>")
def by_transaction(call: Call) -> Doc:
    _check_mchid(call, call.query.get("mchid"))
    order = by_transaction_id(call.world, call.account, call.args["transaction_id"])
    return described(call.world, order)


@routes("POST", "/v3/pay/transactions/out-trade-no/<number>/close")
def close(call: Call) -> Response:
    _check_mchid(call, call.json().get("mchid"))
    order = order_of(call.world, call.account, call.args["number"])
    if order["state"] in ("SUCCESS", "REFUND"):
        raise PayRefused("ORDERPAID", "该订单已支付，不能关闭")
    call.world.store.put("pay.orders", key_of(order), order | {"state": "CLOSED"})
    return Response(b"", 204)


def _check_mchid(call: Call, given: Any) -> None:
    if given != call.account["mchid"]:
        raise PayRefused("PARAM_ERROR", "参数mchid缺失或与签名商户号不一致")


def order_of(world: World, merchant: Doc, number: str) -> Doc:
    order = world.store.get("pay.orders", f"{merchant['mchid']}/{number}")
    if order is None:
        raise PayRefused("ORDER_NOT_EXIST", "订单不存在", detail_code=268512771)
    return order


def by_transaction_id(world: World, merchant: Doc, transaction_id: str) -> Doc:
    found = world.store.get("pay.transactions", transaction_id)
    if found is None or not found["order"].startswith(f"{merchant['mchid']}/"):
        raise PayRefused("ORDER_NOT_EXIST", "订单不存在", detail_code=268512771)
    order = world.store.get("pay.orders", found["order"])
    assert order is not None
    return order


def key_of(order: Doc) -> str:
    return f"{order['mchid']}/{order['request']['out_trade_no']}"


def described(world: World, order: Doc) -> Doc:  # noqa: ARG001
    """An order as the query and the notification tell it."""
    request = order["request"]
    doc: Doc = {
        "appid": request["appid"],
        "mchid": order["mchid"],
        "out_trade_no": request["out_trade_no"],
        "trade_state": order["state"],
        "trade_state_desc": _STATES[order["state"]],
        "amount": {"total": order["total"], "currency": "CNY"},
    }
    if request.get("attach"):
        doc["attach"] = request["attach"]
    if order["openid"]:
        doc["payer"] = {"openid": order["openid"]}
    if order["state"] in ("SUCCESS", "REFUND"):
        doc |= {
            "transaction_id": order["transaction_id"],
            "trade_type": order["trade_type"],
            "bank_type": "OTHERS",
            "success_time": checks.when(order["success_time"]),
            "promotion_detail": [],
        }
        doc["amount"] |= {"payer_total": order["total"], "payer_currency": "CNY"}
    return doc


@timer("pay.unpaid")
def _unpaid(world: World, payload: Doc) -> None:
    with world.open():
        order = world.store.get("pay.orders", payload["key"])
        if order is not None and order["state"] == "NOTPAY":
            world.store.put("pay.orders", payload["key"], order | {"state": "CLOSED"})


# -- the payer -----------------------------------------------------------------------------------------


def sheet(world: World, person_id: str, request: Doc) -> Doc:
    """What the pay sheet shows after a page called getBrandWCPayRequest; CannotDo as the phone would say."""
    package = str(request.get("package", ""))
    prepay_id = package.removeprefix("prepay_id=")
    order = _by_prepay(world, prepay_id)
    merchant = world.store.get("pay.merchants", order["mchid"])
    assert merchant is not None
    parts = [str(request.get(name, "")) for name in ("appId", "timeStamp", "nonceStr", "package")]
    if request.get("signType") != "RSA" or not paycrypto.verify(
        merchant["public_key"], paycrypto.lines(*parts), str(request.get("paySign", ""))
    ):
        raise CannotDo("支付验证签名失败 · the paySign is wrong")
    if parts[0] != order["request"]["appid"]:
        raise CannotDo("appid与预支付订单不一致 · the order belongs to another appid")
    return payable(world, person_id, order)


def native_sheet(world: World, person_id: str, code_url: str) -> Doc:
    """The same after scanning a native order's code."""
    tail = code_url.rpartition("pr=")[2]
    for prepay_id, found in world.store.all("pay.prepays").items():
        order = world.store.get("pay.orders", found["order"])
        if order is not None and order["trade_type"] == "NATIVE" and prepay_id.endswith(tail):
            return payable(world, person_id, _by_prepay(world, prepay_id))
    raise CannotDo("二维码已失效 · this is no order")


def _by_prepay(world: World, prepay_id: str) -> Doc:
    found = world.store.get("pay.prepays", prepay_id)
    order = world.store.get("pay.orders", found["order"]) if found else None
    if order is None:
        raise CannotDo("预支付会话不存在 · there is no such prepay_id")
    if order["prepay_id"] != prepay_id or world.now() >= order["prepay_until"]:
        raise CannotDo("预支付会话已过期 · the prepay_id has run out")
    return order


def payable(world: World, person_id: str, order: Doc) -> Doc:
    merchant = world.store.get("pay.merchants", order["mchid"])
    assert merchant is not None
    person = people.person(world, person_id)
    expires = checks.moment(order["request"], "time_expire")
    if order["state"] in ("SUCCESS", "REFUND"):
        raise CannotDo("订单已支付 · the order is paid already")
    if order["state"] == "CLOSED" or (expires is not None and world.now() >= expires):
        raise CannotDo("订单已关闭 · the order is closed")
    openid = people.openid(world, order["request"]["appid"], person_id)
    if order["openid"] and order["openid"] != openid:
        raise CannotDo("下单账号与支付账号不一致 · somebody else placed this order")
    return {
        "prepay_id": order["prepay_id"],
        "merchant": merchant["name"],
        "description": order["request"]["description"],
        "total": order["total"],
        "balance": person["balance"],
    }


def pay(world: World, person_id: str, prepay_id: str) -> Doc:
    """Pay an order, from the wallet when it holds enough, else by bank card; the order as told."""
    order = _by_prepay(world, prepay_id)
    shown = payable(world, person_id, order)
    appid = order["request"]["appid"]
    openid = people.openid(world, appid, person_id)
    order |= {
        "state": "SUCCESS",
        "openid": openid,
        "person": person_id,
        "transaction_id": "42000" + world.digits(23),
        "success_time": world.now(),
        "from_wallet": shown["balance"] >= order["total"],
    }
    world.store.put("pay.orders", key_of(order), order)
    world.store.put("pay.transactions", order["transaction_id"], {"order": key_of(order)})
    ledger.move(
        world,
        order["mchid"],
        order["total"],
        "交易",
        order["transaction_id"],
        order["request"]["description"],
    )
    if order["from_wallet"]:
        people.pay_in(world, person_id, -order["total"], shown["description"], order["transaction_id"])
    record = follower(world, appid, openid)
    if record is not None and record["subscribe"]:
        windows.opened(world, appid, openid, "pay")
    lines = [{"name": "收款方", "value": shown["merchant"]}, {"name": "商品", "value": shown["description"]}]
    people.say(
        world, person_id, PAY_CHAT, "them", "receipt", title="微信支付凭证", fen=order["total"], lines=lines
    )
    told = described(world, order)
    notify.push(
        world, order["mchid"], order["request"]["notify_url"], "TRANSACTION.SUCCESS", "transaction", told
    )
    return told
