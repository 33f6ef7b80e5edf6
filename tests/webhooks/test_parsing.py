"""Every kind of message and event of the sheet, in XML and in JSON, and how the same one is known again."""

from __future__ import annotations

import json
import warnings
from datetime import UTC, datetime
from typing import Any

import pytest

from growth_engine.channels.protocol.documents import Unreadable
from growth_engine.inbox import payloads as p
from growth_engine.inbox.contract import Inbound
from growth_engine.inbox.payloads import KINDS
from tests.factories.callbacks import OPENID, PAYMENT, document
from webhooks import wechat_oa, wechat_pay, wecom

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import wechatpy

FORMS = pytest.mark.parametrize("form", ["xml", "json"])


def event(name: str, **values: Any) -> dict[str, Any]:
    common = {"ToUserName": "gh_1", "FromUserName": OPENID, "CreateTime": 1714112445, "MsgType": "event"}
    return common | {"Event": name} | values


def said(kind: str, **values: Any) -> dict[str, Any]:
    common = {"ToUserName": "gh_1", "FromUserName": OPENID, "CreateTime": 1714112445}
    return common | {"MsgType": kind, "MsgId": 6054768590064713728} | values


ENTRY = {"TemplateId": "tpl", "SubscribeStatusString": "accept", "PopupScene": "2"}
SENT = {"TemplateId": "tpl", "MsgID": "1700", "ErrorCode": "0", "ErrorStatus": "success"}

OA: list[tuple[dict[str, Any], str, p.Payload]] = [
    (said("text", Content="你好"), "text", p.TextReceived("你好", "6054768590064713728")),
    (said("image", MediaId="m"), "message", p.MessageReceived("image", "6054768590064713728", "m")),
    (said("location", Label="x"), "message", p.MessageReceived("location", "6054768590064713728", "")),
    (event("subscribe"), "follow", p.Followed("", "")),
    (event("subscribe", EventKey=""), "follow", p.Followed("", "")),
    (event("subscribe", EventKey="last_trade_no_1"), "follow", p.Followed("", "")),
    (event("subscribe", EventKey="qrscene_abc", Ticket="T"), "follow", p.Followed("abc", "T")),
    (event("subscribe", EventKey="qrscene_qrscene_x"), "follow", p.Followed("qrscene_x", "")),
    (event("SCAN", EventKey="abc", Ticket="T"), "scan", p.Scanned("abc", "T")),
    (event("scan", EventKey="qrscene_abc"), "scan", p.Scanned("abc", "")),
    (event("SCAN", EventKey=123), "scan", p.Scanned("123", "")),
    (event("unsubscribe", EventKey=""), "unfollow", p.Unfollowed()),
    (event("CLICK", EventKey="POSTER"), "menu_click", p.MenuClicked("POSTER")),
    (event("VIEW", EventKey="https://x", MenuId="4"), "menu_view", p.MenuViewed("https://x", "4")),
    (
        event("TEMPLATESENDJOBFINISH", MsgID=200163840, Status="success"),
        "template_result", p.TemplateResult("200163840", True, "success"),
    ),
    (
        event("TEMPLATESENDJOBFINISH", MsgID=1, Status="failed:user block"),
        "template_result", p.TemplateResult("1", False, "failed:user block"),
    ),
    (
        event("TEMPLATESENDJOBFINISH", MsgID=1, Status="failed: system failed"),
        "template_result", p.TemplateResult("1", False, "failed: system failed"),
    ),
    (
        event("subscribe_msg_popup_event", SubscribeMsgPopupEvent={"List": [ENTRY, ENTRY]}),
        "subscription_answered",
        p.SubscriptionReport((p.SubscriptionEntry("tpl", "accept", scene="2"),) * 2),
    ),
    (
        event("subscribe_msg_change_event", SubscribeMsgChangeEvent={"List": ENTRY}),
        "subscription_changed", p.SubscriptionReport((p.SubscriptionEntry("tpl", "accept", scene="2"),)),
    ),
    (
        event("subscribe_msg_sent_event", SubscribeMsgSentEvent={"List": SENT}),
        "subscription_sent", p.SubscriptionReport((p.SubscriptionEntry("tpl", "success", "1700", "0"),)),
    ),
]  # fmt: skip


def contact(change: str, **values: Any) -> dict[str, Any]:
    return event(
        "change_external_contact", FromUserName="sys", ChangeType=change, UserID="zhang",
        ExternalUserID="wmA", **values,
    )  # fmt: skip


def chat(change: str, **values: Any) -> dict[str, Any]:
    return event("change_external_chat", FromUserName="sys", ChangeType=change, ChatId="wrC", **values)


BOTH = {"user_id": "zhang", "external_user_id": "wmA"}
NO_GROUP: dict[str, Any] = {
    "detail": "", "join_scene": "", "quit_scene": "", "member_count": 0, "members": (), "last_version": "",
    "version": "",
}  # fmt: skip

WECOM: list[tuple[dict[str, Any], str, p.Payload]] = [
    (
        contact("add_external_contact", State="abc", WelcomeCode="W"),
        "contact_added", p.ContactAdded(**BOTH, state="abc", welcome_code="W"),
    ),
    (contact("add_external_contact"), "contact_added", p.ContactAdded(**BOTH, state="", welcome_code="")),
    (
        contact("add_half_external_contact", State="abc"),
        "contact_half_added", p.ContactAdded(**BOTH, state="abc", welcome_code=""),
    ),
    (contact("edit_external_contact"), "contact_edited", p.ContactEdited(**BOTH)),
    (contact("del_external_contact"), "contact_deleted", p.ContactDeleted(**BOTH, by_transfer=False)),
    (
        contact("del_external_contact", Source="DELETE_BY_TRANSFER"),
        "contact_deleted", p.ContactDeleted(**BOTH, by_transfer=True),
    ),
    (contact("del_follow_user"), "contact_left", p.ContactLeft(**BOTH)),
    (
        contact("transfer_fail", FailReason="customer_refused"),
        "contact_transfer_failed", p.TransferFailed(**BOTH, reason="customer_refused"),
    ),
    (chat("create"), "group_created", p.GroupChanged("wrC", **NO_GROUP)),
    (chat("dismiss"), "group_dismissed", p.GroupChanged("wrC", **NO_GROUP)),
    (
        chat(
            "update", UpdateDetail="add_member", JoinScene=3, QuitScene=0, MemChangeCnt=2,
            MemChangeList={"Item": ["u1", "u2"]}, LastMemVer="v1", CurMemVer="v2",
        ),
        "group_updated",
        p.GroupChanged("wrC", "add_member", "3", "0", 2, ("u1", "u2"), "v1", "v2"),
    ),
    (
        event("change_external_tag", FromUserName="sys", ChangeType="create", Id="t", TagType="tag"),
        "tag_changed", p.TagChanged("create", "t", "tag", ""),
    ),
    (
        event("change_external_tag", FromUserName="sys", ChangeType="shuffle", Id="t", StrategyId="9"),
        "tag_changed", p.TagChanged("shuffle", "t", "", "9"),
    ),
    (
        event("customer_acquisition", FromUserName="sys", ChangeType="friend_request", LinkId="L",
              UserID="zhang", ExternalUserID="wmA", State="ch", ChatKey="K"),
        "acquisition", p.AcquisitionChanged("friend_request", "L", **BOTH, state="ch", chat_key="K"),
    ),
    (
        event("customer_acquisition", FromUserName="sys", ChangeType="balance_low"),
        "acquisition", p.AcquisitionChanged("balance_low", "", "", "", "", ""),
    ),
    (said("text", Content="hi", AgentID=218), "text", p.TextReceived("hi", "6054768590064713728")),
]  # fmt: skip


def only(inbounds: list[Inbound]) -> Inbound:
    (found,) = inbounds
    return found


@FORMS
@pytest.mark.parametrize(("values", "kind", "payload"), OA, ids=[f"{n} {row[1]}" for n, row in enumerate(OA)])
def test_the_official_account_is_understood(form: str, values: Any, kind: str, payload: p.Payload) -> None:
    found = only(wechat_oa.parse(document(form, values), "chn_1"))
    assert (found.kind, found.payload) == (kind, payload)
    assert (found.provider, found.account) == ("wechat_oa", "chn_1")
    assert (found.sender, found.receiver) == (OPENID, "gh_1")
    assert found.occurred_at == datetime(2024, 4, 26, 6, 20, 45, tzinfo=UTC)
    assert found.kind in KINDS


@FORMS
@pytest.mark.parametrize(
    ("values", "kind", "payload"), WECOM, ids=[f"{n} {row[1]}" for n, row in enumerate(WECOM)]
)
def test_wecom_is_understood(form: str, values: Any, kind: str, payload: p.Payload) -> None:
    found = only(wecom.parse(document(form, values), "chn_1"))
    assert (found.kind, found.payload) == (kind, payload)
    assert found.sender == values.get("ExternalUserID", "" if values["FromUserName"] == "sys" else OPENID)
    assert found.kind in KINDS


def test_scenes_are_those_wechatpy_finds() -> None:
    for values, kind, payload in OA:
        theirs = wechatpy.parse_message(document("xml", values))
        if kind in ("follow", "scan") and getattr(payload, "ticket", ""):
            assert theirs.scene_id == payload.scene  # type: ignore[union-attr]
        if kind == "text":
            assert theirs.content == payload.text  # type: ignore[union-attr]


def test_the_whole_table_says_the_same_in_both_forms() -> None:
    for provider, rows in ((wechat_oa, OA), (wecom, WECOM)):
        for values, _, _ in rows:
            xml, js = (only(provider.parse(document(form, values), "a")) for form in ("xml", "json"))
            assert (xml.identity, xml.payload) == (js.identity, js.payload)


@pytest.mark.parametrize("provider", [wechat_oa, wecom])
def test_messages_are_known_again_by_number_and_events_by_what_makes_them_one(provider: Any) -> None:
    def identity(values: dict[str, Any]) -> str:
        found: str = only(provider.parse(document("xml", values), "a")).identity
        return found

    assert identity(said("text", Content="a")) == identity(said("text", Content="b"))
    assert identity(said("text")) == "msg:6054768590064713728"
    rows = [values for values, _, _ in (OA[3:] if provider is wechat_oa else WECOM[:-1])]
    later = [values | {"CreateTime": 1714112446} for values in rows]
    distinct = {identity(values) for values in rows + later}
    # What an event brings along does not make it another one: State, WelcomeCode, Status, Source, Ticket.
    beside = {"EventKey": "", "Status": "", "State": "", "WelcomeCode": "", "Ticket": "", "Source": ""}
    same = {json.dumps(v | beside | {"EventKey": v.get("EventKey", "")}, sort_keys=True) for v in rows}
    assert len(distinct) == 2 * len(same)
    assert all(OPENID not in one for one in distinct)


@FORMS
@pytest.mark.parametrize("provider", [wechat_oa, wecom])
def test_what_we_do_not_know_is_handed_on_whole(form: str, provider: Any) -> None:
    for values in (event("debug_demo", debug_str="hello", ChangeType="x"), said("hologram", Depth="3")):
        found = only(provider.parse(document(form, values), "a"))
        assert found.kind == "unknown"
        assert isinstance(found.payload, p.Unknown)
        assert found.payload.fields["FromUserName"] == OPENID
        other = only(provider.parse(document(form, values | {"More": "1"}), "a"))
        assert other.identity != found.identity


@pytest.mark.parametrize("provider", [wechat_oa, wecom])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<xml/>",
        b"{}",
        b"<xml><MsgType>text</MsgType></xml>",
        b"<xml><CreateTime>x</CreateTime></xml>",
        b"<xml><CreateTime>99999999999</CreateTime></xml>",
        b'{"CreateTime": -1}',
        b"<xml><CreateTime>1</CreateTime><FromUserName>" + b"x" * 200 + b"</FromUserName></xml>",
    ],
)
def test_what_is_no_message_cannot_be_read(provider: Any, content: bytes) -> None:
    with pytest.raises(Unreadable):
        provider.parse(content, "a")


# -- WeChat Pay --------------------------------------------------------------------------------------

REFUND = {
    "mchid": "1900000109", "out_trade_no": "o", "transaction_id": "t", "out_refund_no": "r",
    "refund_id": "50", "refund_status": "SUCCESS", "success_time": "2026-06-01T10:00:00+08:00",
    "user_received_account": "零钱", "amount": {"total": 999, "refund": 500, "payer_total": 999},
}  # fmt: skip
BILL = {
    "mch_id": "1900000109", "out_bill_no": "pay1", "transfer_bill_no": "13", "state": "FAIL",
    "transfer_amount": 1000, "openid": OPENID, "fail_reason": "PAYEE_ACCOUNT_ABNORMAL",
    "update_time": "2026-06-01T10:00:00+08:00",
}  # fmt: skip


def opened(event_type: str, resource: Any, **more: Any) -> bytes:
    notice = {"id": "N1", "create_time": "2026-06-01T10:00:00+08:00", "event_type": event_type}
    return json.dumps(notice | {"resource": resource} | more).encode()


def test_payments_refunds_and_transfers_are_understood() -> None:
    at = datetime(2026, 6, 1, 2, 0, tzinfo=UTC)
    paid = only(wechat_pay.parse(opened("TRANSACTION.SUCCESS", PAYMENT), "a"))
    assert (paid.kind, paid.identity, paid.sender, paid.occurred_at) == ("payment", "ntf:N1", OPENID, at)
    assert paid.payload == p.PaymentNotice(
        PAYMENT["appid"], "1900000109", "ord06f3vb", PAYMENT["transaction_id"], "JSAPI", "SUCCESS", OPENID,
        9900, 9900, "CNY", "", at,
    )  # fmt: skip
    for name in ("SUCCESS", "ABNORMAL", "CLOSED"):
        refund = only(wechat_pay.parse(opened(f"REFUND.{name}", REFUND), "a"))
        assert (refund.kind, refund.sender) == ("refund", "")
        assert refund.payload == p.RefundNotice("1900000109", "o", "t", "r", "50", "SUCCESS", 999, 500, at)
    bill = only(wechat_pay.parse(opened("MCHTRANSFER.BILL.FINISHED", BILL), "a"))
    assert (bill.kind, bill.sender, bill.receiver) == ("transfer", OPENID, "1900000109")
    assert bill.payload == p.TransferNotice(
        "1900000109", "pay1", "13", "FAIL", OPENID, 1000, "PAYEE_ACCOUNT_ABNORMAL", at
    )


def test_notices_without_the_expected_fields_are_understood_as_far_as_they_go() -> None:
    for event_type in ("TRANSACTION.SUCCESS", "REFUND.SUCCESS", "MCHTRANSFER.BILL.FINISHED"):
        for resource in ({}, [], None, {"amount": "x", "success_time": "yesterday", "payer": 1}):
            found = only(wechat_pay.parse(opened(event_type, resource), "a"))
            assert found.sender == ""
    unknown = only(wechat_pay.parse(opened("MCHTRANSFER.AUTHORIZATION.CONFIRMED", {"x": 1}), "a"))
    assert unknown.payload == p.Unknown("MCHTRANSFER.AUTHORIZATION.CONFIRMED", {"x": 1})
    assert unknown.kind == "unknown"


@pytest.mark.parametrize(
    "broken", [{"id": ""}, {"id": "x" * 200}, {"create_time": "x"}, {"create_time": None}]
)
def test_a_notice_without_number_or_time_cannot_be_read(broken: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        wechat_pay.parse(opened("TRANSACTION.SUCCESS", PAYMENT, **broken), "a")


@pytest.mark.parametrize(
    "at", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-06-01T10:00:00", "soon"]
)
def test_a_time_beyond_every_calendar_is_none(at: str) -> None:
    """Found by the fuzz drill."""
    with pytest.raises(Unreadable):
        wechat_pay.parse(opened("TRANSACTION.SUCCESS", PAYMENT, create_time=at), "a")
    paid = only(wechat_pay.parse(opened("TRANSACTION.SUCCESS", {**PAYMENT, "success_time": at}), "a"))
    assert paid.payload.success_time is None  # type: ignore[union-attr]
