"""The daily bills: fetched, held against their hash, read; yuan with decimals become fen (sheet §4.9)."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from urllib.parse import urlsplit

from growth_engine.channels.cgi import text_of
from growth_engine.channels.contract import Reason
from growth_engine.channels.errors import GoneForGood, RetryLater
from growth_engine.channels.quota import CHINA
from growth_engine.channels.wechat_pay.client import WechatPay
from growth_engine.kit.errors import Invalid
from growth_engine.kit.i18n import N_

_TRADE = "/v3/bill/tradebill"
_FUND_FLOW = "/v3/bill/fundflowbill"
#: About 300 bytes a line: bills of some 400,000 lines. Held in memory while they are read.
LARGEST_BILL_BYTES = 128 * 1024 * 1024
#: Sheet §4.9: from 10:00 (China) on, of the day before.
READY_AT_HOUR = 10

# Columns by their heading, so that a new one in between moves nothing (general knowledge, §8.2 [U]).
_YUAN = re.compile(r"(-?)([0-9]+)(?:\.([0-9]{1,8}))?")


class BillUnreadable(Invalid):
    """A bill is not what its hash or its form promises: nothing of it is used."""

    code = "bill_unreadable"
    message = N_("The bill of WeChat Pay cannot be read: %(reason)s.")


@dataclass(frozen=True, slots=True)
class TradeLine:
    """A payment or a refund of the day; amounts in fen."""

    at: datetime
    transaction_id: str
    out_trade_no: str
    state: str
    """SUCCESS for a payment, REFUND or REVOKED for a refund."""
    total: int
    """What was paid (订单金额)."""
    refund_id: str = ""
    out_refund_no: str = ""
    refund: int = 0
    """What was asked back (申请退款金额)."""
    refund_state: str = ""
    fee_millifen: int = 0
    """The platform's fee in thousandths of a fen; negative when it comes back."""
    currency: str = "CNY"


@dataclass(frozen=True, slots=True)
class FundFlow:
    """A movement of the merchant's account; amounts in fen."""

    at: datetime
    business_id: str
    """微信支付业务单号: of the payment, refund or transfer."""
    flow_id: str
    business: str
    """业务名称."""
    kind: str
    """业务类型."""
    amount: int
    """Negative: out of the account."""
    balance: int
    voucher: str = ""
    """业务凭证号: our own number."""


class Bills:
    def __init__(self, pay: WechatPay) -> None:
        self._pay = pay

    def ready_at(self, day: date) -> datetime:
        """From when on the bills of a day in China can be fetched."""
        return datetime.combine(day + timedelta(days=1), time(READY_AT_HOUR), CHINA)

    def trades(self, day: date) -> list[TradeLine] | None:
        """Payments and refunds of a day in China; ``None`` when there were none. RetryLater before 10:00."""
        text = self._fetched(day, f"{_TRADE}?bill_date={day.isoformat()}&bill_type=ALL", _TRADE)
        return None if text is None else list(trade_lines(text))

    def fund_flow(self, day: date) -> list[FundFlow] | None:
        """All movements of the basic account: transfers to people are here, not in ``trades``."""
        query = f"bill_date={day.isoformat()}&account_type=BASIC"
        text = self._fetched(day, f"{_FUND_FLOW}?{query}", _FUND_FLOW)
        return None if text is None else list(fund_flows(text))

    def _fetched(self, day: date, path_and_query: str, operation: str) -> str | None:
        ready = self.ready_at(day)
        if self._pay.gear.clock.now() < ready:
            raise RetryLater(Reason.BUSY, operation=operation, number="not ready", retry_at=ready)
        try:
            found = self._pay.get(path_and_query, operation=operation)
        except GoneForGood as error:
            if error.reason is Reason.NOT_FOUND:
                return None
            raise
        # The address's path only: our signature goes nowhere but to the host we know.
        address = urlsplit(text_of(operation, found, "download_url", safe=True))
        query = f"?{address.query}" if address.query else ""
        data = self._pay.download(
            f"{address.path}{query}", operation=f"{operation}/file", largest=LARGEST_BILL_BYTES
        )
        if found.get("hash_type") != "SHA1":
            raise RetryLater(Reason.OTHER, operation=operation, number="unknown hash_type")
        # The signed answer names the hash; so the file, which is not signed, can be believed.
        digest = hashlib.sha1(data, usedforsecurity=False).hexdigest()
        if not hmac.compare_digest(digest, text_of(operation, found, "hash_value", safe=True).lower()):
            raise RetryLater(Reason.OTHER, operation=operation, number="another hash")
        return data.decode("utf-8-sig")


def trade_lines(text: str) -> Iterator[TradeLine]:
    """The lines of a trade bill (交易账单, ALL)."""
    return (_trade_line(row) for row in _rows(text))


def fund_flows(text: str) -> Iterator[FundFlow]:
    """The lines of a fund-flow bill (资金账单)."""
    return (_fund_flow(row) for row in _rows(text))


def _trade_line(row: Mapping[str, str]) -> TradeLine:
    refund = row["交易状态"] in ("REFUND", "REVOKED")
    return TradeLine(
        at=_china(row["交易时间"]),
        transaction_id=row["微信订单号"],
        out_trade_no=row["商户订单号"],
        state=row["交易状态"],
        total=fen(row.get("订单金额", row["应结订单金额"])),
        refund_id=_number(row.get("微信退款单号", "")) if refund else "",
        out_refund_no=_number(row.get("商户退款单号", "")) if refund else "",
        refund=fen(row.get("申请退款金额", row["退款金额"])),
        refund_state=row.get("退款状态", "") if refund else "",
        fee_millifen=millifen(row["手续费"]),
        currency=row.get("货币种类") or "CNY",
    )


def _fund_flow(row: Mapping[str, str]) -> FundFlow:
    sign = {"收入": 1, "支出": -1}.get(row["收支类型"])
    if sign is None:
        raise BillUnreadable(params={"reason": "收支类型"})
    return FundFlow(
        at=_china(row["记账时间"]),
        business_id=row["微信支付业务单号"],
        flow_id=row["资金流水单号"],
        business=row["业务名称"],
        kind=row["业务类型"],
        amount=sign * fen(row["收支金额(元)"]),
        balance=fen(row["账户结余(元)"]),
        voucher=row.get("业务凭证号", ""),
    )


def fen(yuan: str) -> int:
    """``12.30`` → 1230, exactly; ``-0.05`` → -5; a part of a fen is refused. Never a float."""
    whole, rest = divmod(millifen(yuan), 1000)
    if rest:
        raise BillUnreadable(params={"reason": "a part of a fen"})
    return whole


def millifen(yuan: str) -> int:
    """The same in thousandths of a fen: fees are told to five decimals of a yuan (``0.00540`` → 540)."""
    found = _YUAN.fullmatch(yuan)
    if found is None:
        raise BillUnreadable(params={"reason": "an amount that is none"})
    sign, whole, decimals = found[1], found[2], (found[3] or "").ljust(5, "0")
    if decimals[5:].strip("0"):
        raise BillUnreadable(params={"reason": "more decimals than there should be"})
    amount = int(whole) * 100_000 + int(decimals[:5])
    return -amount if sign else amount


def _rows(text: str) -> Iterator[dict[str, str]]:
    """Rows by heading, without the summary (two lines at the end, with headings of its own).

    Each value begins with a backtick, which WeChat Pay puts there for spreadsheets: cutting at ``,``` keeps
    commas inside a value.
    """
    lines = [line for line in text.replace("\r\n", "\n").split("\n") if line]
    if len(lines) < 3 or lines[-2].startswith("`"):
        raise BillUnreadable(params={"reason": "no summary at its end"})
    headings = lines[0].split(",")
    for line in lines[1:-2]:
        yield _row(headings, line)


def _row(headings: list[str], line: str) -> dict[str, str]:
    values = line.removeprefix("`").split(",`") if line.startswith("`") else line.split(",")
    if len(values) != len(headings):
        raise BillUnreadable(params={"reason": "a line of another length"})
    return _Row(zip(headings, (value.strip() for value in values), strict=True))


class _Row(dict[str, str]):
    def __missing__(self, heading: str) -> str:
        raise BillUnreadable(params={"reason": heading})


def _number(text: str) -> str:
    return "" if text == "0" else text  # how the bill says that there is none


def _china(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=CHINA)
    except ValueError:
        raise BillUnreadable(params={"reason": "a time that is none"}) from None
