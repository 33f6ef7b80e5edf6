"""The daily bills (section 4.9): ready after ten in the morning, a file to download, amounts in yuan."""

from __future__ import annotations

import datetime as dt
import hashlib
from decimal import Decimal

from flask import Response

from growth_engine.sandbox.pay import checks, ledger
from growth_engine.sandbox.pay.checks import CHINA
from growth_engine.sandbox.pay.service import PayRefused, unsigned
from growth_engine.sandbox.serving import Call, Routes
from growth_engine.sandbox.store import Doc
from growth_engine.sandbox.world import World

routes = Routes()

READY_HOUR = 10
KEPT_DAYS = 90
_TRADE_HEAD = (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,"
    "货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,"
    "商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注"
)
_TRADE_SUMS = "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额"
_FUND_HEAD = (
    "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),账户结余(元),"
    "资金变更提交申请人,备注,业务凭证号"
)
_FUND_SUMS = "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额"


@routes("GET", "/v3/bill/tradebill")
def trade(call: Call) -> Doc:
    kind = call.query.get("bill_type", "ALL")
    if kind not in ("ALL", "SUCCESS", "REFUND"):
        raise checks.wrong("bill_type")
    day = _day(call)
    paid = _paid(call.world, call.account["mchid"], day) if kind != "REFUND" else []
    refunded = _refunded(call.world, call.account["mchid"], day) if kind != "SUCCESS" else []
    if not paid and not refunded:
        raise PayRefused("NO_STATEMENT_EXIST", "账单不存在")
    rows = [_TRADE_HEAD, *(_line(values) for _, values in sorted(paid + refunded, key=lambda row: row[0]))]
    sums = [
        str(len(paid) + len(refunded)),
        _total(paid, 24),
        _total(refunded, 16),
        "0.00",
        "0.00000",
        _total(paid, 24),
        _total(refunded, 16),
    ]
    return _offered(call, "\r\n".join([*rows, _TRADE_SUMS, _line(sums)]) + "\r\n")


@routes("GET", "/v3/bill/fundflowbill")
def funds(call: Call) -> Doc:
    if call.query.get("account_type", "BASIC") not in ("BASIC", "OPERATION", "FEES"):
        raise checks.wrong("account_type")
    day = _day(call)
    found = [one for one in ledger.lines_of(call.world, call.account["mchid"]) if _date(one["at"]) == day]
    if not found:
        raise PayRefused("NO_STATEMENT_EXIST", "账单不存在")
    rows = [
        _line([
            _written(one["at"]), one["number"], one["number"], one["kind"], one["kind"],
            "收入" if one["fen"] > 0 else "支出", yuan(abs(one["fen"])), yuan(one["balance"]), "system",
            one["memo"], one["number"],
        ])
        for one in found
    ]  # fmt: skip
    come = [one["fen"] for one in found if one["fen"] > 0]
    gone = [-one["fen"] for one in found if one["fen"] < 0]
    sums = [str(len(found)), str(len(come)), yuan(sum(come)), str(len(gone)), yuan(sum(gone))]
    return _offered(call, "\r\n".join([_FUND_HEAD, *rows, _FUND_SUMS, _line(sums)]) + "\r\n")


@routes("GET", "/v3/billdownload/file")
def download(call: Call) -> Response:
    kept = call.world.store.get("pay.bills", call.query.get("token", ""))
    if kept is None or kept["mchid"] != call.account["mchid"]:
        raise PayRefused("NO_STATEMENT_EXIST", "账单不存在或链接已失效")
    content = call.world.store.file(f"bill/{call.query['token']}") or b""
    return unsigned(Response(content, mimetype="text/csv"))


def _day(call: Call) -> dt.date:
    try:
        day = dt.date.fromisoformat(call.query.get("bill_date", ""))
    except ValueError as error:
        raise checks.wrong("bill_date") from error
    now = dt.datetime.fromtimestamp(call.world.now(), CHINA)
    ready = dt.datetime.combine(day + dt.timedelta(days=1), dt.time(READY_HOUR), CHINA)
    if now < ready:
        raise PayRefused("INVALID_REQUEST", "账单生成中，请在次日10点后获取")
    if (now.date() - day).days > KEPT_DAYS:
        raise PayRefused("INVALID_REQUEST", "账单日期超过三个月")
    return day


def _offered(call: Call, text: str) -> Doc:
    content = text.encode()
    token = call.world.random_text(40)
    call.world.store.keep_file(f"bill/{token}", content)
    call.world.store.put("pay.bills", token, {"mchid": call.account["mchid"]})
    address = f"{call.world.urls['pay']}/v3/billdownload/file?token={token}"
    digest = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    return {"hash_type": "SHA1", "hash_value": digest, "download_url": address}


def _paid(world: World, mchid: str, day: dt.date) -> list[tuple[float, list[str]]]:
    rows = []
    for order in world.store.all("pay.orders", f"{mchid}/").values():
        if not order["transaction_id"] or _date(order["success_time"]) != day:
            continue
        rows.append((order["success_time"], _row(order, order["success_time"], "SUCCESS", None)))
    return rows


def _refunded(world: World, mchid: str, day: dt.date) -> list[tuple[float, list[str]]]:
    rows = []
    for refund in world.store.all("pay.refunds", f"{mchid}/").values():
        if _date(refund["made"]) != day:
            continue
        order = world.store.get("pay.orders", refund["order"])
        assert order is not None
        rows.append((refund["made"], _row(order, refund["made"], "REFUND", refund)))
    return rows


def _row(order: Doc, at: float, state: str, refund: Doc | None) -> list[str]:
    request = order["request"]
    back = refund["amount"] if refund else 0
    number = refund["request"]["out_refund_no"] if refund else "0"
    return [
        _written(at), request["appid"], order["mchid"], "0", "", order["transaction_id"],
        request["out_trade_no"], order["openid"], order["trade_type"], state, "OTHERS", "CNY",
        "0.00" if refund else yuan(order["total"]), "0.00", refund["refund_id"] if refund else "0", number,
        yuan(back), "0.00", "ORIGINAL" if refund else "", refund["status"] if refund else "",
        request["description"], request.get("attach", ""), "0.00000", "0.60%",
        "0.00" if refund else yuan(order["total"]), yuan(back), "",
    ]  # fmt: skip


def _line(values: list[str]) -> str:
    """Each value begins with a backtick, which keeps spreadsheets from rounding long numbers."""
    return ",".join("`" + value.replace(",", "，") for value in values)


def _total(rows: list[tuple[float, list[str]]], column: int) -> str:
    return f"{sum((Decimal(values[column]) for _, values in rows), Decimal(0)):.2f}"


def yuan(fen: int) -> str:
    return f"{Decimal(fen) / 100:.2f}"


def _date(at: float) -> dt.date:
    return dt.datetime.fromtimestamp(at, CHINA).date()


def _written(at: float) -> str:
    return dt.datetime.fromtimestamp(at, CHINA).strftime("%Y-%m-%d %H:%M:%S")
