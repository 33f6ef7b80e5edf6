"""The daily bills: held against their hash, yuan into fen exactly, nothing half-read is used."""

from __future__ import annotations

import contextlib
import hashlib
from datetime import date, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from growth_engine.channels.contract import Reason
from growth_engine.channels.errors import RetryLater
from growth_engine.channels.quota import CHINA
from growth_engine.channels.wechat_pay import Bills, FundFlow, TradeLine, WechatPay
from growth_engine.channels.wechat_pay.bills import BillUnreadable, fen, fund_flows, trade_lines
from growth_engine.kit.clock import FixedClock
from tests.factories.pay import Signing
from tests.factories.platforms import Scripted

TRADES = "\ufeff" + (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,"
    "应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,"
    "手续费,费率,订单金额,申请退款金额,费率备注\r\n"
    "`2026-06-01 09:59:58,`wx1,`1600000001,`0,`,`4200001,`ord_1,`oA,`JSAPI,`SUCCESS,`OTHERS,`CNY,"
    "`9.90,`0.00,`0,`0,`0.00,`0.00,`,`,`会员, 30 天,`x,`0.05940,`0.60%,`9.90,`0.00,`\r\n"
    "`2026-06-01 12:00:00,`wx1,`1600000001,`0,`,`4200001,`ord_1,`oA,`JSAPI,`REFUND,`OTHERS,`CNY,"
    "`0.00,`0.00,`5000001,`rfd_1,`3.00,`0.00,`ORIGINAL,`SUCCESS,`会员,`x,`-0.01800,`0.60%,`0.00,`3.00,`\r\n"
    "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额\r\n"
    "`2,`9.90,`3.00,`0.00,`0.04140,`9.90,`3.00\r\n"
)
FLOW = (
    "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),账户结余(元),资金变更提交申请人,备注,业务凭证号\n"
    "`2026-06-01 10:00:00,`1330,`9001,`商家转账,`转账,`支出,`50.00,`949.90,`系统,`佣金,`pay1\n"
    "`2026-06-01 11:00:00,`4200001,`9002,`交易,`交易,`收入,`9.90,`959.80,`系统,`,`ord_1\n"
    "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额\n"
    "`2,`1,`9.90,`1,`50.00\n"
)
DAY = date(2026, 6, 1)


def at(hour: int, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2026, 6, 1, hour, minute, second, tzinfo=CHINA)


def test_a_trade_bill_is_read_by_its_headings() -> None:
    paid, refunded = trade_lines(TRADES.removeprefix("\ufeff"))
    assert paid == TradeLine(at(9, 59, 58), "4200001", "ord_1", "SUCCESS", 990, fee_millifen=5940)
    assert refunded == TradeLine(
        at(12), "4200001", "ord_1", "REFUND", 0, "5000001", "rfd_1", 300, "SUCCESS", -1800
    )


def test_a_fund_flow_is_read_by_its_headings() -> None:
    out, into = fund_flows(FLOW)
    assert out == FundFlow(at(10), "1330", "9001", "商家转账", "转账", -5000, 94_990, "pay1")
    assert (into.amount, into.balance, into.voucher) == (990, 95_980, "ord_1")


@given(st.integers(-(10**12), 10**12))
def test_yuan_become_fen_exactly(amount: int) -> None:
    sign = "-" if amount < 0 else ""
    whole, cents = divmod(abs(amount), 100)
    assert fen(f"{sign}{whole}.{cents:02d}") == amount
    assert fen(f"{sign}{whole}.{cents:02d}000") == amount
    if cents == 0:
        assert fen(f"{sign}{whole}") == amount
    if cents % 10 == 0:
        assert fen(f"{sign}{whole}.{cents // 10}") == amount


@pytest.mark.parametrize(
    "text", ["", ".5", "1.234", "1,000.00", "1e3", "NaN", "¥1", "1.", "--1", " 1", "１", "0.0000001"]
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(BillUnreadable):
        fen(text)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text.rsplit("总交易单数", 1)[0],  # cut short
        lambda text: text.replace("`9.90,`0.00", "`9.90", 1),
        lambda text: text.replace("商户订单号", "号"),
        lambda text: text.replace("`2026-06-01 09:59:58", "`yesterday"),
        lambda text: text.replace("`0.05940", "`free"),
    ],
)
def test_a_damaged_bill_is_refused_whole(damage: Any) -> None:
    with pytest.raises(BillUnreadable):
        list(trade_lines(damage(TRADES.removeprefix("\ufeff"))))


@given(st.text(max_size=300))
def test_no_text_crashes_the_reader(text: str) -> None:
    for read in (trade_lines, fund_flows):
        with contextlib.suppress(BillUnreadable):
            list(read(text))


@pytest.fixture(autouse=True)
def _the_day_after(clock: FixedClock) -> None:
    clock.set(at(10) + timedelta(days=1))


ADDRESS = "https://api.mch.weixin.qq.com/v3/billdownload/file?token=abc"


def named(data: bytes, address: str = ADDRESS) -> dict[str, str]:
    digest = hashlib.sha1(data).hexdigest().upper()
    return {"hash_type": "SHA1", "hash_value": digest, "download_url": address}


def test_a_bill_is_fetched_and_held_against_its_hash(
    pay: WechatPay, platform: Scripted, signed: Signing
) -> None:
    data = TRADES.encode()
    platform.on("/v3/bill/tradebill", signed(200, named(data)))
    platform.on("/v3/billdownload/file", httpx.Response(200, content=data))
    lines = Bills(pay).trades(DAY)
    assert lines is not None
    assert [line.out_refund_no for line in lines] == ["", "rfd_1"]
    first, second = platform.requests
    assert first.url.query == b"bill_date=2026-06-01&bill_type=ALL"
    assert second.url.query == b"token=abc"
    assert second.headers["Authorization"].startswith("WECHATPAY2-SHA256-RSA2048 ")


def test_our_signature_goes_to_no_other_host(pay: WechatPay, platform: Scripted, signed: Signing) -> None:
    data = FLOW.encode()
    elsewhere = "https://evil.example/v3/billdownload/file?token=abc"
    platform.on("/v3/bill/fundflowbill", signed(200, named(data, elsewhere)))
    platform.on("/v3/billdownload/file", httpx.Response(200, content=data))
    lines = Bills(pay).fund_flow(DAY)
    assert lines is not None
    assert len(lines) == 2
    assert {request.url.host for request in platform.requests} == {"api.mch.weixin.qq.com"}


def test_a_bill_with_another_hash_is_not_read(pay: WechatPay, platform: Scripted, signed: Signing) -> None:
    data = TRADES.encode()
    platform.on("/v3/bill/tradebill", signed(200, named(data)))
    platform.on("/v3/billdownload/file", httpx.Response(200, content=data.replace(b"9.90", b"0.01")))
    with pytest.raises(RetryLater) as caught:
        Bills(pay).trades(DAY)
    assert caught.value.number == "another hash"


def test_a_bill_is_not_asked_for_before_ten_the_next_day(
    pay: WechatPay, platform: Scripted, clock: FixedClock
) -> None:
    clock.set(at(23, 59) + timedelta(hours=10))
    with pytest.raises(RetryLater) as caught:
        Bills(pay).trades(DAY)
    assert caught.value.retry_at == at(10) + timedelta(days=1)
    assert platform.requests == []


def test_a_day_without_trade_has_no_bill_and_one_in_the_making_comes_later(
    pay: WechatPay, platform: Scripted, signed: Signing
) -> None:
    platform.on(
        "/v3/bill/tradebill",
        signed.no(400, "NO_STATEMENT_EXIST"),
        signed.no(400, "STATEMENT_CREATING"),
    )
    assert Bills(pay).trades(DAY) is None
    with pytest.raises(RetryLater) as caught:
        Bills(pay).trades(DAY)
    assert caught.value.reason is Reason.BUSY
