"""Refunds (section 4.6): limits, a result that comes later, money back to the payer."""

from __future__ import annotations

from growth_engine.sandbox import people
from growth_engine.sandbox.pay import checks, ledger, notify, orders
from growth_engine.sandbox.pay.service import PayRefused
from growth_engine.sandbox.serving import Call, Routes
from growth_engine.sandbox.store import Doc
from growth_engine.sandbox.world import World, timer

routes = Routes()

NUMBER = r"[0-9A-Za-z_\-|*@]{1,64}"
MOST, APART_SECONDS, YEAR_SECONDS = 50, 60, 365 * 86400
RESULT_SECONDS = 3.0


@routes("POST", "/v3/refund/domestic/refunds")
def create(call: Call) -> Doc:
    world, body = call.world, call.json()
    number = checks.text(body, "out_refund_no", 64, NUMBER)
    key = f"{call.account['mchid']}/{number}"
    known = world.store.get("pay.refunds", key)
    if known is not None:
        if known["request"] != body:
            raise PayRefused("INVALID_REQUEST", "请求重入时，参数与首次请求时不一致", detail_code=268498688)
        return described(world, known)
    order = _order(call, body)
    amount = _amount(body, order)
    checks.text(body, "reason", 80, needed=False)
    checks.notify_url(body, needed=False)
    _check_limits(world, order, amount)
    refund_id = "50" + world.digits(27)
    ledger.move(world, order["mchid"], -amount, "退款", refund_id, str(body.get("reason", "")))
    refund = {
        "mchid": order["mchid"],
        "order": orders.key_of(order),
        "request": body,
        "refund_id": refund_id,
        "amount": amount,
        "status": "PROCESSING",
        "made": world.now(),
        "success_time": 0,
    }
    order["refunded"] += amount
    world.store.put("pay.orders", orders.key_of(order), order | {"state": "REFUND"})
    world.later(RESULT_SECONDS, "pay.refund", {"key": key})
    return described(world, world.store.put("pay.refunds", key, refund))


def _order(call: Call, body: Doc) -> Doc:
    if body.get("transaction_id"):
        order = orders.by_transaction_id(call.world, call.account, str(body["transaction_id"]))
    elif body.get("out_trade_no"):
        order = orders.order_of(call.world, call.account, str(body["out_trade_no"]))
    else:
        raise checks.wrong("transaction_id", "与out_trade_no二选一必填")
    if order["state"] not in ("SUCCESS", "REFUND"):
        raise PayRefused("INVALID_REQUEST", "订单未支付，不能退款")
    return order


def _amount(body: Doc, order: Doc) -> int:
    amount = checks.part(body, "amount")
    refund = checks.fen(amount, "refund")
    if checks.fen(amount, "total") != order["total"]:
        raise PayRefused("INVALID_REQUEST", "订单金额或退款金额与之前请求不一致，请核实后再试")
    if amount.get("currency") != "CNY":
        raise checks.wrong("amount.currency")
    if order["refunded"] + refund > order["total"]:
        raise PayRefused("INVALID_REQUEST", "退款总金额超过订单金额")
    return refund


def _check_limits(world: World, order: Doc, amount: int) -> None:  # noqa: ARG001
    if world.now() - order["success_time"] > YEAR_SECONDS:
        raise PayRefused("INVALID_REQUEST", "订单已超过可退款的最大期限")
    earlier = [
        one for one in world.store.all("pay.refunds", f"{order['mchid']}/").values()
        if one["order"] == orders.key_of(order)
    ]  # fmt: skip
    if len(earlier) >= MOST:
        raise PayRefused("INVALID_REQUEST", "部分退款次数超过限制")
    if any(world.now() - one["made"] < APART_SECONDS for one in earlier):
        raise PayRefused("FREQUENCY_LIMITED", "多次部分退款须间隔1分钟以上")


@routes("GET", "/v3/refund/domestic/refunds/<number>")
def show(call: Call) -> Doc:
    refund = call.world.store.get("pay.refunds", f"{call.account['mchid']}/{call.args['number']}")
    if refund is None:
        raise PayRefused("RESOURCE_NOT_EXISTS", "退款单不存在")
    return described(call.world, refund)


def described(world: World, refund: Doc) -> Doc:
    order = world.store.get("pay.orders", refund["order"])
    assert order is not None
    doc: Doc = {
        "refund_id": refund["refund_id"],
        "out_refund_no": refund["request"]["out_refund_no"],
        "transaction_id": order["transaction_id"],
        "out_trade_no": order["request"]["out_trade_no"],
        "channel": "ORIGINAL",
        "user_received_account": "支付用户零钱",
        "create_time": checks.when(refund["made"]),
        "status": refund["status"],
        "funds_account": "AVAILABLE",
        "amount": {
            "total": order["total"],
            "refund": refund["amount"],
            "payer_total": order["total"],
            "payer_refund": refund["amount"],
            "settlement_refund": refund["amount"],
            "settlement_total": order["total"],
            "discount_refund": 0,
            "currency": "CNY",
        },
    }
    if refund["success_time"]:
        doc["success_time"] = checks.when(refund["success_time"])
    return doc


@timer("pay.refund")
def _settle(world: World, payload: Doc) -> None:
    with world.open():
        refund = world.store.get("pay.refunds", payload["key"])
        if refund is None or refund["status"] != "PROCESSING":
            return
        order = world.store.get("pay.orders", refund["order"])
        assert order is not None
        good = people.person(world, order["person"])["real_named"]
        refund["status"] = "SUCCESS" if good else "ABNORMAL"
        if good:
            refund["success_time"] = world.now()
            title = f"退款 · {order['request']['description']}"
            people.pay_in(world, order["person"], refund["amount"], title, refund["refund_id"])
            people.say(
                world, order["person"], orders.PAY_CHAT, "them", "receipt", title="退款到账通知",
                fen=refund["amount"], lines=[{"name": "商品", "value": order["request"]["description"]}],
            )  # fmt: skip
        world.store.put("pay.refunds", payload["key"], refund)
        _tell(world, refund, order)


def _tell(world: World, refund: Doc, order: Doc) -> None:
    told = {
        "mchid": refund["mchid"],
        "transaction_id": order["transaction_id"],
        "out_trade_no": order["request"]["out_trade_no"],
        "refund_id": refund["refund_id"],
        "out_refund_no": refund["request"]["out_refund_no"],
        "refund_status": refund["status"],
        "user_received_account": "支付用户零钱",
        "amount": {
            "total": order["total"],
            "refund": refund["amount"],
            "payer_total": order["total"],
            "payer_refund": refund["amount"],
        },
    }
    if refund["success_time"]:
        told["success_time"] = checks.when(refund["success_time"])
    url = str(refund["request"].get("notify_url", ""))
    notify.push(world, refund["mchid"], url, f"REFUND.{refund['status']}", "refund", told)
