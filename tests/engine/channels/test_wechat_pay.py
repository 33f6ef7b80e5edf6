"""WeChat Pay: believed only with a right signature; what may have happened is unknown, never failed."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from redis import Redis
from structlog.testing import capture_logs

from growth_engine.channels.contract import Hosts, PayCredentials, Reason
from growth_engine.channels.errors import (
    ChannelError,
    GoneForGood,
    OutcomeUnknown,
    RetryLater,
    StopAndAlert,
)
from growth_engine.channels.protocol import pay_crypto
from growth_engine.channels.protocol.pay_crypto import SignatureProblem, SignatureRefused
from growth_engine.channels.wechat_pay import (
    NewOrder,
    NewRefund,
    NewTransfer,
    Orders,
    Refunds,
    Transfers,
    WechatPay,
)
from growth_engine.channels.wire import Gear
from growth_engine.kit.clock import FixedClock
from growth_engine.kit.errors import Invalid
from growth_engine.kit.ids import Ids
from growth_engine.kit.redis import queue_client
from tests.conftest import START
from tests.factories.pay import MCH, MERCHANT, OTHER, PLATFORM, PUB, V3_KEY, Signing, certificate
from tests.factories.platforms import Scripted

NOTIFY = "https://a.example/webhooks/wechat_pay/1"


def check_authorization(request: httpx.Request, clock: FixedClock) -> dict[str, str]:
    scheme, _, rest = request.headers["Authorization"].partition(" ")
    fields = dict(re.findall(r'(\w+)="([^"]*)"', rest))
    text = "\n".join(
        [request.method, request.url.raw_path.decode(), fields["timestamp"], fields["nonce_str"]]
    )
    MERCHANT.public_key().verify(
        base64.b64decode(fields["signature"]),
        text.encode() + b"\n" + request.content + b"\n",
        padding.PKCS1v15(),
        hashes.SHA256(),
    )
    assert scheme == "WECHATPAY2-SHA256-RSA2048"
    assert (fields["mchid"], fields["serial_no"]) == (MCH, "5157F09E")
    assert fields["timestamp"] == str(int(clock.now().timestamp()))
    return fields


# ── Orders ──────────────────────────────────────────────────────────────────────────────────────────────

JSAPI = "/v3/pay/transactions/jsapi"
ORDER = NewOrder("ord_1-2|3*4", "会员 30 天", 990, NOTIFY, expires_at=START, attach="x")


def test_an_order_is_signed_over_the_very_bytes_and_paid_on_the_page(
    pay: WechatPay, platform: Scripted, signed: Signing, clock: FixedClock
) -> None:
    platform.on(JSAPI, signed(200, {"prepay_id": "wx2014"}))
    orders = Orders(pay)
    assert orders.place_jsapi(ORDER, "oPayer") == "wx2014"
    (request,) = platform.requests
    first = check_authorization(request, clock)
    assert request.headers["Wechatpay-Serial"] == PUB
    assert request.headers["Accept"] == "application/json"
    assert json.loads(request.content) == {
        "appid": "wx1",
        "mchid": MCH,
        "description": "会员 30 天",
        "out_trade_no": "ord_1-2|3*4",
        "notify_url": NOTIFY,
        "amount": {"total": 990, "currency": "CNY"},
        "time_expire": "2026-06-01T02:00:00+00:00",
        "attach": "x",
        "payer": {"openid": "oPayer"},
    }
    call = orders.page_call("wx2014")
    text = f"wx1\n{call['timeStamp']}\n{call['nonceStr']}\nprepay_id=wx2014\n"
    assert pay_crypto.signed_by(MERCHANT.public_key(), call["paySign"], text.encode())
    assert (call["package"], call["signType"], call["appId"]) == ("prepay_id=wx2014", "RSA", "wx1")
    assert first["nonce_str"] != call["nonceStr"]


def test_a_native_order_gives_the_text_of_a_code(pay: WechatPay, platform: Scripted, signed: Signing) -> None:
    platform.on("/v3/pay/transactions/native", signed(200, {"code_url": "weixin://wxpay/x"}))
    assert Orders(pay).place_native(ORDER) == "weixin://wxpay/x"


TRANSACTION = {
    "appid": "wx1",
    "mchid": MCH,
    "out_trade_no": "ord_1-2|3*4",
    "transaction_id": "4200",
    "trade_type": "JSAPI",
    "trade_state": "SUCCESS",
    "success_time": "2026-06-01T10:00:00+08:00",
    "attach": "x",
    "payer": {"openid": "oPayer"},
    "amount": {"total": 990, "payer_total": 890, "currency": "CNY"},
}


def test_an_order_is_found_by_both_numbers(
    pay: WechatPay, platform: Scripted, signed: Signing, clock: FixedClock
) -> None:
    by_number = "/v3/pay/transactions/out-trade-no/ord_1-2|3*4"
    platform.on(by_number, signed(200, TRANSACTION), signed.no(404, "ORDER_NOT_EXIST"))
    platform.on("/v3/pay/transactions/id/4200", signed(200, TRANSACTION))
    orders = Orders(pay)
    found = orders.by_number("ord_1-2|3*4")
    assert found is not None
    assert (found.paid, found.total, found.payer_total, found.openid) == (True, 990, 890, "oPayer")
    assert found.paid_at == START
    assert orders.by_transaction("4200") == found
    assert orders.by_number("ord_1-2|3*4") is None
    for request in platform.requests:
        check_authorization(request, clock)  # odd characters are signed as they are sent
        assert request.url.query == b"mchid=1600000001"


def test_an_unpaid_order_need_not_have_the_fields_of_a_paid_one(
    pay: WechatPay, platform: Scripted, signed: Signing
) -> None:
    plain = {"out_trade_no": "ord_12", "trade_state": "NOTPAY", "mchid": MCH}
    platform.on("/v3/pay/transactions/out-trade-no/ord_12", signed(200, plain))
    found = Orders(pay).by_number("ord_12")
    assert found is not None
    assert (found.paid, found.paid_at, found.total) == (False, None, 0)


@pytest.mark.parametrize("change", [{"mchid": "1699"}, {"out_trade_no": "ord_other"}])
def test_an_answer_about_something_else_is_an_alarm(
    pay: WechatPay, platform: Scripted, signed: Signing, change: dict[str, str]
) -> None:
    platform.on("/v3/pay/transactions/out-trade-no/ord_1-2|3*4", signed(200, TRANSACTION | change))
    with pytest.raises(StopAndAlert):
        Orders(pay).by_number("ord_1-2|3*4")


def test_closing_is_answered_with_a_signed_nothing(
    pay: WechatPay, platform: Scripted, signed: Signing
) -> None:
    path = "/v3/pay/transactions/out-trade-no/ord_12/close"
    platform.on(path, signed(204), signed.no(400, "ORDER_PAID"))
    Orders(pay).close("ord_12")
    assert platform.bodies(path) == [{"mchid": MCH}]
    with pytest.raises(GoneForGood) as caught:
        Orders(pay).close("ord_12")
    assert caught.value.reason is Reason.ALREADY_DONE


@pytest.mark.parametrize(
    "change",
    [
        {"out_trade_no": "short"},
        {"out_trade_no": "x" * 33},
        {"out_trade_no": "white space"},
        {"description": ""},
        {"description": "字" * 128},
        {"attach": "x" * 129},
        {"total": 0},
        {"notify_url": "http://a.example/x"},
        {"notify_url": "https://a.example/x?y=1"},
        {"notify_url": "not an address"},
    ],
)
def test_orders_the_platform_would_refuse_are_not_sent(
    pay: WechatPay, platform: Scripted, change: dict[str, Any]
) -> None:
    fields = {"out_trade_no": "ord_12", "description": "d", "total": 1, "notify_url": NOTIFY} | change
    with pytest.raises(Invalid):
        Orders(pay).place_jsapi(NewOrder(**fields), "o")
    assert platform.requests == []


# ── Belief ──────────────────────────────────────────────────────────────────────────────────────────────

FIND = "/v3/pay/transactions/out-trade-no/ord_12"
NOTPAY = {"out_trade_no": "ord_12", "trade_state": "NOTPAY"}


def forged(how: str) -> Callable[[Callable[[httpx.Request], httpx.Response]], Any]:
    def change(honest: Callable[[httpx.Request], httpx.Response]) -> Any:
        def answer(request: httpx.Request) -> httpx.Response:
            response = honest(request)
            headers, body = dict(response.headers), response.content
            headers.pop("content-length", None)
            if how == "body":
                body = body.replace(b"NOTPAY", b"SUCCESS").replace(b"wx2014", b"wx9999")
            elif how == "unsigned":
                headers = {}
            elif how == "probe":
                headers["wechatpay-signature"] = "WECHATPAY/SIGNTEST/" + headers["wechatpay-signature"]
            elif how == "another key":
                at = headers["wechatpay-timestamp"]
                headers["wechatpay-signature"] = pay_crypto.sign(OTHER, f"{at}\nn1\n".encode() + body + b"\n")
            elif how == "another serial":
                headers["wechatpay-serial"] = "PUB_KEY_ID_0999"
            return httpx.Response(response.status_code, content=body, headers=headers)

        return answer

    return change


@pytest.mark.parametrize("how", ["body", "unsigned", "probe", "another key", "another serial"])
def test_a_forged_answer_is_believed_neither_as_success_nor_as_failure(
    pay: WechatPay, platform: Scripted, signed: Signing, how: str
) -> None:
    forge = forged(how)
    platform.on(JSAPI, forge(signed(200, {"prepay_id": "wx2014"})), forge(signed.no(400, "PARAM_ERROR")))
    platform.on(FIND, forge(signed(200, NOTPAY)), forge(signed.no(404, "ORDER_NOT_EXIST")))
    if how == "body":  # this forger changes the words of successes only
        platform.on(JSAPI, forge(signed(200, {"prepay_id": "wx2014"})))
        platform.on(FIND, forge(signed(200, NOTPAY)))
    for _ in range(2):
        with pytest.raises(OutcomeUnknown) as unknown:
            Orders(pay).place_jsapi(ORDER, "o")
        assert "signature" in unknown.value.number
        with pytest.raises(StopAndAlert):
            Orders(pay).by_number("ord_12")


@pytest.mark.parametrize("skew", [-360, 360])
def test_a_clock_six_minutes_off_leaves_commands_unknown(
    pay: WechatPay, platform: Scripted, signed: Signing, skew: int
) -> None:
    signed.skew = skew
    platform.on(JSAPI, signed(200, {"prepay_id": "wx2014"}))
    with pytest.raises(OutcomeUnknown) as caught:
        Orders(pay).place_jsapi(ORDER, "o")
    assert "stale" in caught.value.number
    signed.skew = skew // 2
    assert Orders(pay).place_jsapi(ORDER, "o") == "wx2014"


LOST = [
    httpx.ReadTimeout("x"),
    httpx.RemoteProtocolError("x"),
    httpx.Response(502, text="<html>bad gateway</html>"),
    httpx.Response(500, json={"code": "SYSTEM_ERROR", "message": "x"}),
]


@pytest.mark.parametrize("answer", LOST)
def test_a_lost_answer_is_unknown_for_commands_and_later_for_questions(
    pay: WechatPay, platform: Scripted, answer: Any
) -> None:
    platform.on(JSAPI, answer).on(FIND, answer)
    with pytest.raises(OutcomeUnknown):
        Orders(pay).place_jsapi(ORDER, "o")
    with pytest.raises(RetryLater):
        Orders(pay).by_number("ord_12")
    assert len(platform.requests) == 2  # nothing is repeated by itself


def test_an_answer_we_cannot_check_for_want_of_our_own_keys_is_unknown_too(
    credentials: PayCredentials, gear: Gear, platform: Scripted, signed: Signing
) -> None:
    """The queue Redis goes away while WeChat Pay works."""

    def and_then_redis_fails(request: httpx.Request) -> httpx.Response:
        gear.queue.connection_pool.disconnect()
        gear.queue = queue_client("redis://127.0.0.1:1/0")
        return signed(200, {"prepay_id": "wx2014"})(request)

    platform.on(JSAPI, and_then_redis_fails)
    with pytest.raises(OutcomeUnknown):
        Orders(WechatPay(credentials, gear)).place_jsapi(ORDER, "o")


def test_no_connection_means_that_nothing_was_done(pay: WechatPay, platform: Scripted) -> None:
    platform.on(JSAPI, httpx.ConnectTimeout("x"))
    with pytest.raises(RetryLater) as caught:
        Orders(pay).place_jsapi(ORDER, "o")
    assert caught.value.reason is Reason.UNREACHABLE


@pytest.mark.parametrize(
    ("status", "code", "kind", "reason"),
    [
        (401, "SIGN_ERROR", StopAndAlert, Reason.CREDENTIALS),
        (403, "NO_AUTH", StopAndAlert, Reason.PERMISSION),
        (403, "NOT_ENOUGH", StopAndAlert, Reason.FUNDS),
        (403, "RULE_LIMIT", GoneForGood, Reason.LIMIT),
        (400, "PARAM_ERROR", GoneForGood, Reason.BAD_REQUEST),
        (429, "FREQUENCY_LIMITED", RetryLater, Reason.BUSY),
        (429, "FREQUENCY_LIMIT_EXCEED", RetryLater, Reason.BUSY),
        (400, "SOMETHING_NEW", OutcomeUnknown, Reason.OTHER),
    ],
)
def test_codes_are_classed_and_their_words_never_told(
    pay: WechatPay,
    platform: Scripted,
    signed: Signing,
    status: int,
    code: str,
    kind: type[ChannelError],
    reason: Reason,
) -> None:
    platform.on(JSAPI, signed.no(status, code))
    with capture_logs() as lines, pytest.raises(kind) as caught:
        Orders(pay).place_jsapi(ORDER, "oPayer-never")
    error = caught.value
    assert (error.reason, error.number, error.trace) == (reason, code, "08F3-268443699")
    for text in (str(error), repr(lines)):
        assert "秘密" not in text
        assert "oPayer-never" not in text
        assert V3_KEY not in text


# ── Certificates ────────────────────────────────────────────────────────────────────────────────────────

SERIAL = 0x7132D72A03E93CDDF8C03BBD1F37EEDF5A1B2C3D
HEX = f"{SERIAL:X}"


def listed(*pems: str, key: str = V3_KEY) -> dict[str, Any]:
    def sealed(text: str) -> dict[str, str]:
        data = AESGCM(key.encode()).encrypt(b"0123456789ab", text.encode(), b"certificate")
        return {
            "algorithm": "AEAD_AES_256_GCM",
            "nonce": "0123456789ab",
            "associated_data": "certificate",
            "ciphertext": base64.b64encode(data).decode(),
        }

    return {"data": [{"serial_no": "x", "encrypt_certificate": sealed(text)} for text in pems]}


@pytest.fixture
def by_certificate(signed: Signing) -> Signing:
    """A platform that signs with a certificate."""
    signed.key, signed.serial = OTHER, HEX
    return signed


def test_an_unknown_certificate_is_fetched_and_then_believed(
    credentials: PayCredentials, pay: WechatPay, gear: Gear, platform: Scripted, by_certificate: Signing
) -> None:
    mine = certificate(OTHER, SERIAL, START + timedelta(days=100))
    old = certificate(MERCHANT, 77, START - timedelta(days=1))
    platform.on("/v3/certificates", by_certificate(200, listed(mine, old)))
    platform.on(FIND, by_certificate(200, NOTPAY))
    assert Orders(pay).by_number("ord_12") is not None
    # Public key and certificate are held at once; what has ended is not; other processes know them too.
    keys = WechatPay(credentials, gear).platform_keys()
    assert set(keys.by_serial) == {PUB, HEX}
    assert Orders(WechatPay(credentials, gear)).by_number("ord_12") is not None
    assert len(platform.asked("/v3/certificates")) == 1


def test_strangers_cannot_make_us_fetch_again_and_again(
    pay: WechatPay, platform: Scripted, by_certificate: Signing
) -> None:
    honest = certificate(MERCHANT, 99, START + timedelta(days=100))
    by_certificate.key, by_certificate.serial = MERCHANT, f"{99:X}"
    platform.on("/v3/certificates", by_certificate(200, listed(honest)))
    for number in range(5):
        headers = {
            "Wechatpay-Timestamp": str(int(START.timestamp())),
            "Wechatpay-Nonce": "n",
            "Wechatpay-Serial": f"ABC{number}",
            "Wechatpay-Signature": "AAAA",
        }
        with pytest.raises(SignatureRefused) as caught:
            pay.believe(headers, b"{}")
        assert caught.value.problem is SignatureProblem.UNKNOWN_SERIAL
    assert len(platform.asked("/v3/certificates")) == 1


@pytest.mark.parametrize("how", ["another v3 key", "signed by a stranger", "refused", "nonsense"])
def test_a_list_of_certificates_must_prove_itself(
    pay: WechatPay, platform: Scripted, by_certificate: Signing, how: str
) -> None:
    mine = certificate(OTHER, SERIAL, START + timedelta(days=100))
    answers = {
        "another v3 key": by_certificate(200, listed(mine, key="f" * 32)),
        "signed by a stranger": by_certificate(
            200, listed(certificate(MERCHANT, SERIAL, START + timedelta(1)))
        ),
        "refused": by_certificate.no(401, "SIGN_ERROR"),
        "nonsense": by_certificate(200, {"data": [{"serial_no": "x"}]}),
    }
    platform.on("/v3/certificates", answers[how])
    with pytest.raises(StopAndAlert):
        pay.refresh_certificates()
    assert set(pay.platform_keys().by_serial) == {PUB}


def test_a_merchant_without_public_key_uses_certificates_alone(
    credentials: PayCredentials, gear: Gear, platform: Scripted, by_certificate: Signing
) -> None:
    mine = certificate(OTHER, SERIAL, START + timedelta(days=100))
    platform.on("/v3/certificates", by_certificate(200, listed(mine)))
    platform.on(FIND, by_certificate(200, NOTPAY))
    pay = WechatPay(replace(credentials, platform_keys=()), gear)
    assert Orders(pay).by_number("ord_12") is not None
    assert "Wechatpay-Serial" not in platform.requests[0].headers
    assert pay.sealed("张三")[1] == HEX


# ── Refunds ─────────────────────────────────────────────────────────────────────────────────────────────

REFUNDS = "/v3/refund/domestic/refunds"
NEW_REFUND = NewRefund("rfd_1", "ord_12", 300, 990, reason="退", notify_url=NOTIFY)
REFUND = {
    "refund_id": "5000",
    "out_refund_no": "rfd_1",
    "out_trade_no": "ord_12",
    "transaction_id": "4200",
    "status": "PROCESSING",
    "amount": {"refund": 300, "total": 990, "currency": "CNY"},
}


def test_a_refund_is_asked_for_and_found(pay: WechatPay, platform: Scripted, signed: Signing) -> None:
    platform.on(REFUNDS, signed(200, REFUND))
    done = REFUND | {"status": "SUCCESS", "success_time": "2026-06-01T10:00:00+08:00"}
    platform.on(f"{REFUNDS}/rfd_1", signed(200, done), signed.no(404, "RESOURCE_NOT_EXISTS"))
    refunds = Refunds(pay)
    asked = refunds.ask(NEW_REFUND)
    assert (asked.state, asked.refund, asked.refund_id) == ("PROCESSING", 300, "5000")
    found = refunds.find("rfd_1")
    assert found is not None
    assert (found.state, found.refunded_at) == ("SUCCESS", START)
    assert refunds.find("rfd_1") is None
    assert platform.bodies(REFUNDS) == [
        {
            "out_trade_no": "ord_12",
            "out_refund_no": "rfd_1",
            "amount": {"refund": 300, "total": 990, "currency": "CNY"},
            "reason": "退",
            "notify_url": NOTIFY,
        }
    ]


def test_a_refused_refund_is_refused_only_when_there_is_none(
    pay: WechatPay, platform: Scripted, signed: Signing
) -> None:
    platform.on(REFUNDS, signed.no(400, "INVALID_REQUEST"))
    platform.on(
        f"{REFUNDS}/rfd_1",
        signed(200, REFUND),
        signed.no(404, "RESOURCE_NOT_EXISTS"),
        httpx.ReadTimeout("x"),
    )
    refunds = Refunds(pay)
    assert refunds.ask(NEW_REFUND).state == "PROCESSING"
    with pytest.raises(GoneForGood):
        refunds.ask(NEW_REFUND)
    with pytest.raises(OutcomeUnknown):
        refunds.ask(NEW_REFUND)


@pytest.mark.parametrize(
    "change", [{"refund": 0}, {"refund": 991}, {"out_refund_no": ""}, {"reason": "x" * 81}]
)
def test_refunds_the_platform_would_refuse_are_not_sent(pay: WechatPay, change: dict[str, Any]) -> None:
    fields = {"out_refund_no": "rfd_1", "out_trade_no": "ord_12", "refund": 1, "total": 990} | change
    with pytest.raises(Invalid):
        Refunds(pay).ask(NewRefund(**fields))


# ── Transfers ───────────────────────────────────────────────────────────────────────────────────────────

BILLS = "/v3/fund-app/mch-transfer/transfer-bills"
REPORTS = (("岗位类型", "推广员"), ("报酬说明", "佣金"))
NEW = NewTransfer("pay1", "oPayee", 5000, "1005", REPORTS, "佣金", notify_url=NOTIFY)
WAITING = {
    "out_bill_no": "pay1",
    "transfer_bill_no": "1330",
    "create_time": "2026-06-01T10:00:00+08:00",
    "state": "WAIT_USER_CONFIRM",
    "package_info": "affffddafdfafddffda==",
}
FOUND = {
    "mch_id": MCH,
    "out_bill_no": "pay1",
    "transfer_bill_no": "1330",
    "appid": "wx1",
    "state": "SUCCESS",
    "transfer_amount": 5000,
    "openid": "oPayee",
}


def test_a_transfer_waits_for_the_person_who_confirms_on_a_page(
    pay: WechatPay, platform: Scripted, signed: Signing
) -> None:
    platform.on(BILLS, signed(200, WAITING))
    transfers = Transfers(pay)
    made = transfers.make(NEW)
    assert (made.state, made.arrived, made.failed) == ("WAIT_USER_CONFIRM", False, False)
    assert transfers.page_call(made.package) == {
        "mchId": MCH,
        "appId": "wx1",
        "package": "affffddafdfafddffda==",
    }
    assert platform.bodies(BILLS) == [
        {
            "appid": "wx1",
            "out_bill_no": "pay1",
            "transfer_scene_id": "1005",
            "openid": "oPayee",
            "transfer_amount": 5000,
            "transfer_remark": "佣金",
            "transfer_scene_report_infos": [
                {"info_type": "岗位类型", "info_content": "推广员"},
                {"info_type": "报酬说明", "info_content": "佣金"},
            ],
            "notify_url": NOTIFY,
        }
    ]


def test_an_answer_about_another_transfer_leaves_ours_unknown(
    pay: WechatPay, platform: Scripted, signed: Signing
) -> None:
    platform.on(BILLS, signed(200, WAITING | {"out_bill_no": "pay2"}), signed(200, {"state": "SUCCESS"}))
    for _ in range(2):
        with pytest.raises(OutcomeUnknown):
            Transfers(pay).make(NEW)


def test_a_name_is_sealed_and_the_seal_named(pay: WechatPay, platform: Scripted, signed: Signing) -> None:
    platform.on(BILLS, signed(200, WAITING))
    Transfers(pay).make(replace(NEW, amount=200_000, name="张三"))
    (request,) = platform.requests
    sealed = json.loads(request.content)["user_name"]
    oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)
    assert PLATFORM.decrypt(base64.b64decode(sealed), oaep).decode() == "张三"
    assert request.headers["Wechatpay-Serial"] == PUB
    Transfers(pay).make(replace(NEW, amount=29, name="张三"))
    assert "user_name" not in platform.bodies(BILLS)[1]  # forbidden below 0.3 yuan


@pytest.mark.parametrize(
    ("state", "arrived", "failed"),
    [
        ("ACCEPTED", False, False),
        ("PROCESSING", False, False),
        ("WAIT_USER_CONFIRM", False, False),
        ("TRANSFERING", False, False),
        ("CANCELING", False, False),
        ("SOMETHING_NEW", False, False),
        ("SUCCESS", True, False),
        ("FAIL", False, True),
        ("CANCELLED", False, True),
    ],
)
def test_only_a_confirmed_end_is_an_end(
    pay: WechatPay, platform: Scripted, signed: Signing, state: str, arrived: bool, failed: bool
) -> None:
    platform.on(f"{BILLS}/out-bill-no/pay1", signed(200, FOUND | {"state": state}))
    platform.on(f"{BILLS}/transfer-bill-no/1330", signed(200, FOUND | {"state": state}))
    for found in (Transfers(pay).find("pay1"), Transfers(pay).find_by_bill("1330")):
        assert found is not None
        assert (found.arrived, found.failed, found.amount) == (arrived, failed, 5000)


def test_a_timeout_is_followed_by_a_question_and_the_same_number(
    pay: WechatPay, platform: Scripted, signed: Signing
) -> None:
    platform.on(BILLS, httpx.ReadTimeout("x"), signed(200, WAITING))
    platform.on(f"{BILLS}/out-bill-no/pay1", signed.no(404, "NOT_FOUND"), signed(200, FOUND))
    transfers = Transfers(pay)
    with pytest.raises(OutcomeUnknown):
        transfers.make(NEW)
    assert transfers.find("pay1") is None
    assert transfers.make(NEW).state == "WAIT_USER_CONFIRM"
    first, second = platform.asked(BILLS)
    assert first.content == second.content


def test_a_refusal_of_the_second_request_is_none_of_the_first(
    pay: WechatPay, platform: Scripted, signed: Signing
) -> None:
    """The first answer was lost, money is on its way; the second is refused, say for a changed field."""
    platform.on(BILLS, signed.no(400, "INVALID_REQUEST"))
    platform.on(
        f"{BILLS}/out-bill-no/pay1",
        signed(200, FOUND),
        signed(200, FOUND | {"transfer_amount": 1}),
        signed.no(404, "NOT_FOUND"),
        httpx.ReadTimeout("x"),
        forged("another key")(signed.no(404, "NOT_FOUND")),
    )
    transfers = Transfers(pay)
    assert transfers.make(NEW).arrived
    with pytest.raises(StopAndAlert):  # another transfer under our number: nobody decides that but a person
        transfers.make(NEW)
    with pytest.raises(GoneForGood):
        transfers.make(NEW)
    for _ in range(2):
        with pytest.raises(OutcomeUnknown):
            transfers.make(NEW)


def test_a_cancellation_is_a_request_and_no_result(
    pay: WechatPay, platform: Scripted, signed: Signing
) -> None:
    canceling = {"out_bill_no": "pay1", "transfer_bill_no": "1330", "state": "CANCELING"}
    path = f"{BILLS}/out-bill-no/pay1/cancel"
    platform.on(path, signed(200, canceling), signed.no(400, "INVALID_REQUEST"), httpx.ReadTimeout("x"))
    asked = Transfers(pay).cancel("pay1")
    assert not asked.failed
    with pytest.raises(GoneForGood):
        Transfers(pay).cancel("pay1")
    with pytest.raises(OutcomeUnknown):
        Transfers(pay).cancel("pay1")


@pytest.mark.parametrize(
    "change",
    [
        {"out_bill_no": "pay_1"},
        {"out_bill_no": "x" * 33},
        {"amount": 9},
        {"amount": 200_000},
        {"remark": ""},
        {"remark": "字" * 33},
        {"reports": (("岗位类型", "推广员"),)},
        {"reports": (("岗位类型", "推广员"), ("报酬说明", ""))},
        {"notify_url": "https://a.example/?x"},
    ],
)
def test_transfers_the_platform_would_refuse_are_not_sent(
    pay: WechatPay, platform: Scripted, change: dict[str, Any]
) -> None:
    with pytest.raises(Invalid):
        Transfers(pay).make(replace(NEW, **change))
    assert platform.requests == []


def test_a_hundred_transfers_a_second_and_not_one_more(
    pay: WechatPay, platform: Scripted, signed: Signing
) -> None:
    platform.on(BILLS, signed(200, WAITING))
    for _ in range(100):
        Transfers(pay).make(NEW)
    with pytest.raises(RetryLater) as caught:
        Transfers(pay).make(NEW)
    assert caught.value.retry_at == START + timedelta(seconds=1)


@pytest.fixture
def loopback(queue: Redis, clock: FixedClock, platform: Scripted) -> Iterator[Gear]:
    hosts = Hosts(wxpay_api="http://127.0.0.1:9003")
    built = Gear(queue=queue, clock=clock, ids=Ids(clock), hosts=hosts, transport=platform.transport())
    yield built
    built.close()


def test_the_sandbox_may_be_notified_by_plain_http(
    credentials: PayCredentials, loopback: Gear, platform: Scripted, signed: Signing
) -> None:
    platform.on(JSAPI, signed(200, {"prepay_id": "wx2014"}))
    local = replace(
        ORDER, notify_url="http://127.0.0.1:8000/webhooks/wechat_pay/1", expires_at=datetime.now(UTC)
    )
    assert Orders(WechatPay(credentials, loopback)).place_jsapi(local, "o") == "wx2014"
    assert str(platform.requests[0].url) == "http://127.0.0.1:9003/v3/pay/transactions/jsapi"
