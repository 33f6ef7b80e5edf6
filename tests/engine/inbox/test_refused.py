"""Everything forged, damaged, stale or addressed to somebody else: the right status, and kept as refused."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.test import TestResponse

from growth_engine.connections import service as connections
from growth_engine.context import Parts
from growth_engine.inbox import queries, service
from growth_engine.inbox.models import InboxMessage
from growth_engine.kit.clock import FixedClock
from tests.factories.callbacks import (
    CORPID,
    OPENID,
    OTHER_AES_KEY,
    PAYMENT,
    Caller,
    connect_oa,
    connect_pay,
    connect_wecom,
    document,
    encrypt,
    notice,
    pay_headers,
)


@pytest.fixture(params=["wechat_oa", "wecom"])
def caller(request: pytest.FixtureRequest, parts: Parts, workspace: str, client: FlaskClient) -> Caller:
    if request.param == "wecom":
        return Caller(client, "wecom", connect_wecom(parts, workspace), receiver=CORPID)
    return Caller(client, "wechat_oa", connect_oa(parts, workspace))


@pytest.fixture
def pay(parts: Parts, workspace: str, client: FlaskClient) -> Caller:
    return Caller(client, "wechat_pay", connect_pay(parts, workspace))


@pytest.fixture
def refused(parts: Parts, workspace: str) -> Callable[[], InboxMessage]:
    """The one message in the inbox, which must be a refused one."""

    def find() -> InboxMessage:
        with parts.open(workspace) as ctx:
            (found,) = queries.page(ctx)
        assert (found.state, found.content, found.sender, found.kind) == ("refused", None, "", "")
        return found

    return find


Find = Callable[[], InboxMessage]


def why(message: InboxMessage) -> str:
    return (message.error or "").partition(":")[0]


# -- Official Account and WeCom ----------------------------------------------------------------------

CONTENT = document("xml", {"ToUserName": "gh_1", "FromUserName": OPENID, "CreateTime": 1714112445,
                           "MsgType": "text", "Content": "hi", "MsgId": 1})  # fmt: skip


def test_a_flipped_byte_of_the_ciphertext(caller: Caller, refused: Find) -> None:
    body, query = caller.encrypted_body(CONTENT)
    at = body.index(b"CDATA[", body.index(b"<Encrypt>")) + 20
    flipped = body[:at] + (b"A" if body[at : at + 1] != b"A" else b"B") + body[at + 1 :]
    assert caller.post(flipped, query).status_code == 403
    message = refused()
    assert why(message) == "wrong_signature"
    assert message.raw == flipped


def test_a_flipped_byte_signed_by_somebody_who_knows_the_token(caller: Caller, refused: Find) -> None:
    sealed = bytearray(base64.b64decode(encrypt(CONTENT, caller.receiver)))
    sealed[-1] ^= 0xFF
    encrypted = base64.b64encode(bytes(sealed)).decode()
    answer = caller.post(document("xml", {"Encrypt": encrypted}), caller.query(encrypted))
    assert answer.status_code in (400, 403)
    assert why(refused()) in ("undecryptable", "wrong_receiver")


@pytest.mark.parametrize("wrong", [{"pad": 0}, {"pad": 33}, {"length": 10_000}, {"length": 2**32 - 1}])
def test_wrong_padding_and_a_length_beyond_the_message(
    caller: Caller, refused: Find, wrong: dict[str, Any]
) -> None:
    assert caller.post(*caller.encrypted_body(CONTENT, **wrong)).status_code == 400
    assert why(refused()) == "undecryptable"


def test_a_message_for_another_account(caller: Caller, refused: Find) -> None:
    answer = caller.post(*caller.encrypted_body(CONTENT, receiver="wx0000000000000000"))
    assert (answer.status_code, why(refused())) == (403, "wrong_receiver")


def test_a_message_encrypted_with_another_key(caller: Caller, refused: Find) -> None:
    caller.key = OTHER_AES_KEY
    assert caller.post(*caller.encrypted_body(CONTENT)).status_code == 400
    assert why(refused()) == "undecryptable"


@pytest.mark.parametrize(
    "change",
    [
        {"msg_signature": "0" * 40},
        {"msg_signature": ""},
        {"timestamp": "1714112446"},
        {"nonce": "other"},
        {"msg_signature": "é" * 40},
    ],
)
def test_a_wrong_signature_of_the_message(caller: Caller, refused: Find, change: dict[str, str]) -> None:
    body, query = caller.encrypted_body(CONTENT)
    assert caller.post(body, query | change).status_code == 403
    assert why(refused()) == "wrong_signature"


@pytest.mark.parametrize("body", [b"", b"<xml>", b"{", b"\xff\xfe", b"<xml/>", b"{}"])
def test_a_body_that_is_no_envelope(caller: Caller, refused: Find, body: bytes) -> None:
    query = caller.query("x")
    assert caller.post(body, query).status_code in (400, 403)
    assert why(refused()) in ("unreadable", "wrong_signature")


def test_text_no_database_can_keep_is_refused_like_any_other(caller: Caller, refused: Find) -> None:
    caller.form = "json"
    assert caller.post(b'{"Encrypt": "\\u0000\\ud800"}', caller.query("x")).status_code == 400
    assert why(refused()) == "unreadable"


def test_the_question_at_the_start_with_a_wrong_signature(caller: Caller, refused: Find) -> None:
    echo = encrypt(b"5927782489442352469", caller.receiver)
    query = caller.query(echo) | {"echostr": echo, "signature": "0" * 40, "msg_signature": "0" * 40}
    answer = caller.client.get(caller.path, query_string=query)
    assert answer.status_code == 403
    assert b"5927782489442352469" not in answer.data
    assert refused().request["method"] == "GET"


def test_wecoms_question_is_answered_with_the_decrypted_text(
    parts: Parts, workspace: str, client: FlaskClient
) -> None:
    wecom = Caller(client, "wecom", connect_wecom(parts, workspace), receiver=CORPID)
    echo = encrypt(b"5927782489442352469", CORPID)
    answer = client.get(wecom.path, query_string=wecom.query(echo) | {"echostr": echo})
    assert (answer.status_code, answer.data) == (200, b"5927782489442352469")


# -- modes of the Official Account -------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["safe", "compatible"])
def test_a_right_signature_of_the_address_does_not_vouch_for_a_plain_body(
    mode: str, parts: Parts, workspace: str, client: FlaskClient, refused: Find
) -> None:
    """Rule 1: whoever saw one signed address could write anything behind it."""
    oa = Caller(client, "wechat_oa", connect_oa(parts, workspace, mode))
    assert oa.say(_plain=True, Event="subscribe").status_code == 403
    assert why(refused()) == "not_encrypted"


def test_in_safe_mode_the_signature_counts_for_nothing_and_msg_signature_for_all(
    parts: Parts, workspace: str, client: FlaskClient, refused: Find
) -> None:
    oa = Caller(client, "wechat_oa", connect_oa(parts, workspace))
    body, query = oa.encrypted_body(CONTENT)
    assert oa.post(body, query | {"msg_signature": "0" * 40}).status_code == 403  # signature is right
    assert why(refused()) == "wrong_signature"
    assert oa.post(body, query | {"signature": "0" * 40}).status_code == 200


def test_in_compatible_mode_only_what_is_inside_the_envelope_counts(
    parts: Parts, workspace: str, client: FlaskClient
) -> None:
    oa = Caller(client, "wechat_oa", connect_oa(parts, workspace, "compatible"))
    inside = document("xml", oa.message(MsgType="text", Content="inside", MsgId=1))
    encrypted = encrypt(inside, oa.receiver)
    both = oa.message(MsgType="text", Content="outside", MsgId=2) | {"Encrypt": encrypted}
    assert oa.post(document("xml", both), oa.query(encrypted)).status_code == 200
    with parts.open(workspace) as ctx:
        assert [one.content for one in queries.page(ctx)] == [inside]


@pytest.mark.parametrize("form", ["xml", "json"])
def test_plain_mode_takes_plain_bodies_and_encrypted_ones(
    form: str, parts: Parts, workspace: str, client: FlaskClient
) -> None:
    oa = Caller(client, "wechat_oa", connect_oa(parts, workspace, "plain"), form=form)
    assert oa.say(_plain=True, Event="subscribe").status_code == 200
    assert oa.say(Event="subscribe").status_code == 200
    oa.token = "wrong"
    assert oa.say(_plain=True, Event="subscribe").status_code == 403


# -- WeChat Pay --------------------------------------------------------------------------------------


@pytest.fixture
def tell(pay: Caller, clock: FixedClock) -> Callable[..., TestResponse]:
    """Send a notice with right headers, but for what ``change`` changes."""

    def send(
        body: bytes, sent: bytes | None = None, at: timedelta = timedelta(0), **change: str
    ) -> TestResponse:
        headers = pay_headers(body, clock.now() + at)
        for name, value in change.items():
            headers[f"Wechatpay-{name}"] = value
        kept = {name: value for name, value in headers.items() if value}
        return pay.post(sent if sent is not None else body, {}, kept)

    return send


Tell = Callable[..., TestResponse]
BODY = notice("TRANSACTION.SUCCESS", PAYMENT)


def fails(answer: TestResponse, status: int) -> bool:
    return answer.status_code == status and answer.json["code"] == "FAIL"


@pytest.mark.parametrize(("seconds", "status"), [(-301, 401), (-300, 200), (300, 200), (301, 401)])
def test_a_notice_older_or_younger_than_five_minutes(
    tell: Tell, refused: Find, seconds: int, status: int
) -> None:
    answer = tell(BODY, at=timedelta(seconds=seconds))
    assert answer.status_code == status
    if status == 401:
        assert fails(answer, 401)
        assert why(refused()) == "signature_stale"


@pytest.mark.parametrize(
    "serial", ["PUB_KEY_ID_0000000000000000", "1DDE55AD98ED71D6EDD4A4A16996DE7B47773A8C"]
)
def test_a_serial_nobody_knows(tell: Tell, refused: Find, serial: str) -> None:
    assert fails(tell(BODY, Serial=serial), 401)
    assert why(refused()) == "signature_unknown_serial"


def test_a_probe_whether_we_check(tell: Tell, refused: Find) -> None:
    assert fails(tell(BODY, Signature="WECHATPAY/SIGNTEST/" + "A" * 300), 401)
    assert why(refused()) == "signature_probe"


@pytest.mark.parametrize("missing", ["Timestamp", "Nonce", "Signature", "Serial"])
def test_a_header_that_is_missing(tell: Tell, refused: Find, missing: str) -> None:
    assert fails(tell(BODY, **{missing: ""}), 401)
    assert why(refused()) == "signature_headers_missing"


@pytest.mark.parametrize(
    "sent",
    [json.dumps(json.loads(BODY), indent=1).encode(), BODY + b"\n", BODY.replace(b'": "', b'":"'), b""],
)
def test_a_body_written_anew_with_other_spacing(tell: Tell, refused: Find, sent: bytes) -> None:
    """The signature covers the raw bytes (rule 17)."""
    assert fails(tell(BODY, sent), 401)
    assert why(refused()) == "signature_wrong"


@pytest.mark.parametrize("change", [{"Signature": "AAAA"}, {"Signature": "no base64!"}, {"Nonce": "other"}])
def test_a_signature_of_something_else(tell: Tell, refused: Find, change: dict[str, str]) -> None:
    assert fails(tell(BODY, **change), 401)
    assert why(refused()) == "signature_wrong"


def resealed(**change: Any) -> bytes:
    document = json.loads(BODY)
    document["resource"] |= change
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    "body",
    [
        resealed(associated_data="refund"),
        resealed(associated_data=None),
        resealed(nonce="000000000000"),
        resealed(nonce="short"),
        resealed(algorithm="AEAD_SM4_GCM"),
        resealed(ciphertext="AAAA"),
        resealed(ciphertext="no base64!"),
        resealed(ciphertext=5),
        notice("TRANSACTION.SUCCESS", PAYMENT, key="x" * 32),
    ],
)
def test_a_seal_that_does_not_open(tell: Tell, refused: Find, body: bytes) -> None:
    assert fails(tell(body), 400)
    assert why(refused()) == "pay_resource_unreadable"


@pytest.mark.parametrize("body", [b"{}", b"[]", b"<xml/>", b'{"resource": []}', b"\xff"])
def test_a_notice_rightly_signed_and_yet_none(tell: Tell, refused: Find, body: bytes) -> None:
    assert fails(tell(body), 400)
    assert why(refused()) == "unreadable"


def test_pay_never_asks(pay: Caller, refused: Find) -> None:
    assert pay.client.get(pay.path).status_code == 405
    assert why(refused()) == "method"


# -- what is kept of it ------------------------------------------------------------------------------


def test_the_same_forgery_again_is_counted_and_not_kept_twice(caller: Caller, refused: Find) -> None:
    for _ in range(5):
        caller.post(b"<xml/>", {"signature": "x"})
    assert refused().deliveries == 5


def test_a_flood_does_not_fill_the_disk(
    caller: Caller, parts: Parts, workspace: str, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "REFUSED_PER_DAY", 20)
    for number in range(40):  # more than a minute's allowance
        assert (
            caller.post(f"<xml>{number}</xml>".encode() + b"x" * 50_000, {"signature": "x"}).status_code
            >= 400
        )
    with parts.open(workspace) as ctx:
        kept, size = ctx.session.execute(text("SELECT count(*), max(length(raw)) FROM inbox_messages")).one()
    assert (kept, size) == (20, service.REFUSED_BYTES)
    clock.advance(timedelta(days=1, minutes=1))
    caller.post(b"<xml>tomorrow</xml>", {"signature": "x"})
    with parts.open(workspace) as ctx:
        assert ctx.session.scalar(text("SELECT count(*) FROM inbox_messages")) == 21


def test_only_so_many_a_minute_are_written_down(caller: Caller, parts: Parts, workspace: str) -> None:
    for number in range(40):
        caller.post(f"<xml>{number}</xml>".encode(), {"signature": "x"})
    with parts.open(workspace) as ctx:
        assert ctx.session.scalar(text("SELECT count(*) FROM inbox_messages")) == 30


def test_a_body_no_platform_would_send_is_not_read(caller: Caller, refused: Find) -> None:
    body, query = caller.encrypted_body(b"x" * 200_000)
    assert caller.post(body, query).status_code == 413
    message = refused()
    assert (why(message), message.raw) == ("too_large", b"")


def test_no_openid_is_kept_of_the_address(caller: Caller, refused: Find) -> None:
    caller.post(b"<xml/>", {"signature": "x", "openid": OPENID, "junk": "y" * 9000, "nonce": "n" * 9000})
    assert OPENID not in str(refused().request)
    assert len(str(refused().request)) < 3000


def test_with_the_right_key_entered_a_refused_message_is_not_lost(
    parts: Parts, workspace: str, client: FlaskClient, pay: Caller, tell: Tell, clock: FixedClock
) -> None:
    """Verified again with the keys of today and the time of then, although it is stale by now."""
    with parts.open(workspace) as ctx:
        connections.replace_key(ctx, pay.account, "api_v3_key", "y" * 32)
        connections.forget_replaced(ctx, pay.account, "api_v3_key")
    assert fails(tell(BODY), 400)
    clock.advance(timedelta(hours=2))
    with parts.open(workspace) as ctx:
        (message,) = queries.page(ctx)
    with pytest.raises(service.StillRefused), parts.open(workspace) as ctx:
        service.replay(ctx, message.id)
    with parts.open(workspace) as ctx:
        connections.replace_key(ctx, pay.account, "api_v3_key", "a7cde1ZJB1kG2e7VfTs3jQzaWizur8Gb")
        service.replay(ctx, message.id)
    with parts.open(workspace) as ctx:
        (found,) = queries.page(ctx)
    assert (found.kind, found.sender) == ("payment", OPENID)
    assert found.state in ("unknown", "received", "done")


def test_a_question_or_a_cut_off_body_cannot_be_replayed(
    caller: Caller, parts: Parts, workspace: str
) -> None:
    caller.client.get(caller.path)
    caller.post(b"<xml>" + b"x" * 20_000, {"signature": "x"})
    with parts.open(workspace) as ctx:
        kept = queries.page(ctx)
    for message in kept:
        with pytest.raises(service.NothingToReplay), parts.open(workspace) as ctx:
            service.replay(ctx, message.id)
