"""The Official Account: what we send, what we make of each answer, how messages keep to their rules."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis

from growth_engine.channels import errors
from growth_engine.channels.contract import (
    Link,
    Menu,
    Message,
    MiniProgram,
    OfficialAccountCredentials,
    OneTime,
    Outcome,
    Picture,
    Reason,
    Refused,
    Sent,
    Subscription,
    Template,
    Text,
    Unknown,
    Welcome,
)
from growth_engine.channels.errors import (
    ChannelError,
    GoneForGood,
    RetryLater,
    StopAndAlert,
)
from growth_engine.channels.quota import OFFICIAL_ACCOUNT, Quotas
from growth_engine.channels.wechat_oa import OAuth, OfficialAccount, OfficialAccountMessenger
from growth_engine.channels.wechat_oa.client import page_signature
from growth_engine.channels.windows import Trigger, Windows, messages_left
from growth_engine.channels.wire import Gear
from growth_engine.kit.clock import FixedClock
from growth_engine.kit.errors import Invalid
from tests.conftest import START
from tests.factories.platforms import Scripted

OPENID = "oPerson-1"
SEND = "/cgi-bin/message/custom/send"
OK = {"errcode": 0, "errmsg": "ok"}


def code(number: int) -> dict[str, Any]:
    return {"errcode": number, "errmsg": "whatever rid: 5f3ded7d-01234567-89abcdef"}


@pytest.fixture
def oa(oa_credentials: OfficialAccountCredentials, gear: Gear) -> OfficialAccount:
    return OfficialAccount(oa_credentials, gear)


@pytest.fixture
def windows(queue: Redis, clock: FixedClock) -> Windows:
    return Windows(queue, clock)


@pytest.fixture
def messenger(oa: OfficialAccount, windows: Windows) -> OfficialAccountMessenger:
    return OfficialAccountMessenger(oa, windows)


# ── Token ───────────────────────────────────────────────────────────────────────────────────────────────


def test_the_token_is_stable_and_shared(oa: OfficialAccount, platform: Scripted) -> None:
    platform.on("/cgi-bin/user/info", {"subscribe": 0, "openid": OPENID})
    for _ in range(3):
        oa.follower(OPENID)
    (asked,) = platform.bodies("/cgi-bin/stable_token")
    assert asked == {
        "grant_type": "client_credential",
        "appid": "wx0123456789abcdef",
        "secret": "the-app-secret-never-shown",
        "force_refresh": False,
    }
    assert {r.url.params["access_token"] for r in platform.asked("/cgi-bin/user/info")} == {"token-1"}


@pytest.mark.parametrize("number", [40001, 40014, 42001])
def test_a_refused_token_is_renewed_once_and_the_call_made_once_more(
    oa: OfficialAccount, platform: Scripted, number: int
) -> None:
    platform.on("/cgi-bin/user/info", code(number), {"subscribe": 1, "openid": OPENID})
    assert oa.follower(OPENID).following
    used = [r.url.params["access_token"] for r in platform.asked("/cgi-bin/user/info")]
    assert used == ["token-1", "token-2"]


def test_a_token_refused_twice_is_an_alarm_and_no_loop(oa: OfficialAccount, platform: Scripted) -> None:
    platform.on("/cgi-bin/user/info", code(40001))
    with pytest.raises(StopAndAlert) as caught:
        oa.follower(OPENID)
    assert caught.value.reason is Reason.TOKEN
    assert caught.value.trace == "5f3ded7d-01234567-89abcdef"
    assert len(platform.asked("/cgi-bin/user/info")) == 2
    assert platform.tokens == 2


def test_force_is_used_only_when_the_same_token_comes_again_and_is_rationed(
    oa: OfficialAccount, platform: Scripted
) -> None:
    def stubborn(request: httpx.Request) -> httpx.Response:
        forced = json.loads(request.content)["force_refresh"]
        return httpx.Response(200, json={"access_token": "new" if forced else "old", "expires_in": 7200})

    platform.on("/cgi-bin/stable_token", stubborn)
    platform.on("/cgi-bin/user/info", code(40001), {"subscribe": 1, "openid": OPENID}, code(40001))
    assert oa.follower(OPENID).following
    forced = [body["force_refresh"] for body in platform.bodies("/cgi-bin/stable_token")]
    assert forced == [False, False, True]
    # Within 30 seconds force is not asked for again: the platform would count it.
    oa._tokens.forget(f"{oa._name}:token")
    with pytest.raises(RetryLater) as caught:
        oa.follower(OPENID)
    assert caught.value.reason is Reason.QUOTA
    assert [body["force_refresh"] for body in platform.bodies("/cgi-bin/stable_token")].count(True) == 1


@pytest.mark.parametrize("number", [40001, 40013, 40125, 40164, 40243])
def test_wrong_credentials_stop_the_connection(oa: OfficialAccount, platform: Scripted, number: int) -> None:
    platform.on("/cgi-bin/stable_token", code(number))
    with pytest.raises(StopAndAlert) as caught:
        oa.follower(OPENID)
    assert caught.value.reason is Reason.CREDENTIALS
    with pytest.raises(StopAndAlert):
        oa.follower(OPENID)
    assert len(platform.asked("/cgi-bin/stable_token")) == 1  # not hammered


# ── Codes of errors ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("number", "kind", "reason"),
    [
        (-1, RetryLater, Reason.BUSY),
        (45011, RetryLater, Reason.BUSY),
        (45009, RetryLater, Reason.QUOTA),
        (48001, StopAndAlert, Reason.PERMISSION),
        (50002, StopAndAlert, Reason.PERMISSION),
        (40003, GoneForGood, Reason.UNKNOWN_PERSON),
        (43004, GoneForGood, Reason.NOT_FOLLOWING),
        (99999, GoneForGood, Reason.OTHER),
    ],
)
def test_codes_are_classed(
    oa: OfficialAccount, platform: Scripted, number: int, kind: type[ChannelError], reason: Reason
) -> None:
    platform.on("/cgi-bin/user/info", code(number))
    with pytest.raises(kind) as caught:
        oa.follower(OPENID)
    assert caught.value.reason is reason
    assert caught.value.number == str(number)


def test_every_code_of_the_sheet_is_known() -> None:
    sheet = [-1, 40001, 40002, 40003, 40004, 40007, 40013, 40125, 40014, 40029, 40030, 40163, 40164, 40243]
    sheet += [*range(41001, 41010), 42001, 42002, 42003, 42007, 43001, 43002, 43003, 43004, 43019, 43101]
    sheet += [*range(45001, 45010), 45011, 45015, 45047, 48001, 48002, 48004, 50001, 50002]
    assert set(sheet) <= errors.OFFICIAL_ACCOUNT.keys()
    wecom = [40001, 40013, 40014, 40058, 40068, 41001, 41045, 41050, 41051, 41096, 41054, 41057, 42001]
    assert {*wecom, 45009, 45033, 48002, 60011, 60020, 40128, -1} <= errors.WECOM.keys()


def test_a_used_up_day_is_not_asked_again_before_midnight_in_china(
    oa: OfficialAccount, platform: Scripted, clock: FixedClock, queue: Redis
) -> None:
    platform.on("/cgi-bin/user/info", code(45009), {"subscribe": 0, "openid": OPENID})
    for _ in range(3):
        with pytest.raises(RetryLater) as caught:
            oa.follower(OPENID)
        assert caught.value.retry_at == START + timedelta(hours=14)
    assert len(platform.asked("/cgi-bin/user/info")) == 1
    blocked = Quotas(queue, clock).blocked(oa.credentials.account_id)
    assert blocked == {"/cgi-bin/user/info": START + timedelta(hours=14)}
    clock.advance(timedelta(hours=14))
    oa.follower(OPENID)


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(502, text="<html>bad gateway</html>"),
        httpx.Response(200, text="<html>sign in to the hotel's network</html>"),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={"errcode": "ok"}),
        httpx.Response(200, content=b""),
        httpx.Response(302, headers={"Location": "https://evil.example"}),
    ],
)
def test_an_answer_that_is_none_is_later_for_questions_and_unknown_for_messages(
    oa: OfficialAccount,
    messenger: OfficialAccountMessenger,
    windows: Windows,
    platform: Scripted,
    account: str,
    answer: httpx.Response,
) -> None:
    platform.on("/cgi-bin/user/info", answer).on(SEND, answer)
    with pytest.raises(RetryLater):
        oa.follower(OPENID)
    windows.open(account, OPENID, Trigger.MESSAGE, START)
    assert isinstance(messenger.send(OPENID, Text("hello")), Unknown)
    assert len(platform.asked(SEND)) == 1


# ── Codes with a scene ──────────────────────────────────────────────────────────────────────────────────

CREATE = "/cgi-bin/qrcode/create"
TICKET = {"ticket": "gQH+/=", "expire_seconds": 2592000, "url": "http://weixin.qq.com/q/02"}


def test_a_code_is_temporary_with_a_text_scene_and_a_life(oa: OfficialAccount, platform: Scripted) -> None:
    platform.on(CREATE, TICKET)
    made = oa.create_qr("k3v9x2m4p7qs")
    assert platform.bodies(CREATE) == [
        {
            "expire_seconds": 2592000,
            "action_name": "QR_STR_SCENE",
            "action_info": {"scene": {"scene_str": "k3v9x2m4p7qs"}},
        }
    ]
    assert made.url == "http://weixin.qq.com/q/02"
    assert made.expires_at == START + timedelta(days=30)
    assert made.renew_at == START + timedelta(days=27)
    assert oa.qr_picture_url(made.ticket) == (
        "https://mp.weixin.qq.com/cgi-bin/showqrcode?ticket=gQH%2B%2F%3D"
    )


def test_the_life_the_platform_grants_counts(oa: OfficialAccount, platform: Scripted) -> None:
    platform.on(CREATE, TICKET | {"expire_seconds": 60})
    assert oa.create_qr("x", timedelta(hours=1)).expires_at == START + timedelta(seconds=60)


@pytest.mark.parametrize(
    ("scene", "lasts"),
    [("", timedelta(days=1)), ("x" * 65, timedelta(days=1)), ("x", timedelta(days=31)), ("x", timedelta(0))],
)
def test_what_the_platform_would_refuse_is_not_sent(
    oa: OfficialAccount, scene: str, lasts: timedelta
) -> None:
    with pytest.raises(Invalid):
        oa.create_qr(scene, lasts)


# ── Media ───────────────────────────────────────────────────────────────────────────────────────────────

UPLOAD = "/cgi-bin/media/upload"
JPEG = b"\xff\xd8 picture \xff\xd9"


def uploaded(*ids: str) -> list[dict[str, Any]]:
    return [{"type": "image", "media_id": media_id, "created_at": 1_780_000_000} for media_id in ids]


def test_a_picture_is_uploaded_once_in_two_and_a_half_days(
    oa: OfficialAccount, platform: Scripted, clock: FixedClock
) -> None:
    platform.on(UPLOAD, *uploaded("m1", "m2"))
    assert [oa.media_id(JPEG), oa.media_id(JPEG)] == ["m1", "m1"]
    clock.advance(timedelta(days=2.5))
    assert oa.media_id(JPEG) == "m2"
    first = platform.asked(UPLOAD)[0]
    assert first.url.params["type"] == "image"
    assert b'name="media"; filename="picture.jpg"' in first.content
    assert JPEG in first.content


@pytest.mark.parametrize(
    ("data", "content_type"), [(b"x" * (2 * 1024 * 1024 + 1), "image/jpeg"), (b"x", "image/webp")]
)
def test_pictures_the_platform_would_refuse_are_not_uploaded(
    oa: OfficialAccount, data: bytes, content_type: str
) -> None:
    with pytest.raises(Invalid):
        oa.media_id(data, content_type)


# ── Messages ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("message", "body"),
    [
        (Text("你好"), {"msgtype": "text", "text": {"content": "你好"}}),
        (Picture(JPEG), {"msgtype": "image", "image": {"media_id": "m1"}}),
        (
            Link("t", "d", "https://u", "https://p"),
            {
                "msgtype": "news",
                "news": {
                    "articles": [
                        {"title": "t", "description": "d", "url": "https://u", "picurl": "https://p"}
                    ]
                },
            },
        ),
        (
            Menu("h", (("1", "yes"), ("2", "no")), "t"),
            {
                "msgtype": "msgmenu",
                "msgmenu": {
                    "head_content": "h",
                    "list": [{"id": "1", "content": "yes"}, {"id": "2", "content": "no"}],
                    "tail_content": "t",
                },
            },
        ),
        (
            MiniProgram("t", "wxmini", "pages/x", "thumb"),
            {
                "msgtype": "miniprogrampage",
                "miniprogrampage": {
                    "title": "t",
                    "appid": "wxmini",
                    "pagepath": "pages/x",
                    "thumb_media_id": "thumb",
                },
            },
        ),
    ],
)
def test_customer_messages_look_as_the_platform_wants_them(
    messenger: OfficialAccountMessenger,
    windows: Windows,
    platform: Scripted,
    account: str,
    message: Message,
    body: dict[str, Any],
) -> None:
    platform.on(SEND, OK).on(UPLOAD, *uploaded("m1"))
    windows.open(account, OPENID, Trigger.FOLLOW, START)
    assert messenger.send(OPENID, message) == Sent()
    assert platform.bodies(SEND) == [{"touser": OPENID, **body}]


def test_chinese_is_not_escaped(
    messenger: OfficialAccountMessenger, windows: Windows, platform: Scripted, account: str
) -> None:
    platform.on(SEND, OK)
    windows.open(account, OPENID, Trigger.FOLLOW, START)
    messenger.send(OPENID, Text("欢迎"))
    assert "欢迎".encode() in platform.asked(SEND)[0].content


def test_outside_a_window_nothing_leaves_us(
    messenger: OfficialAccountMessenger, windows: Windows, platform: Scripted, account: str
) -> None:
    platform.on(SEND, OK)
    assert messenger.send(OPENID, Text("x")) == Refused(Reason.WINDOW_CLOSED)
    windows.open(account, OPENID, Trigger.SCAN, START)
    sent: list[Outcome] = [messenger.send(OPENID, Text("x")) for _ in range(4)]
    assert sent == [Sent()] * 3 + [Refused(Reason.WINDOW_USED_UP)]
    assert len(platform.asked(SEND)) == 3


def left(windows: Windows, account: str) -> int | None:
    return messages_left(windows.of(account, OPENID), START)


@pytest.mark.parametrize(
    ("answer", "outcome", "then_left"),
    [
        (code(45047), Reason.WINDOW_USED_UP, 0),
        (code(45015), Reason.WINDOW_CLOSED, 0),
        (code(43004), Reason.NOT_FOLLOWING, 0),
        (code(-1), Reason.BUSY, 5),
        (code(45002), Reason.BAD_REQUEST, 5),
        (code(48004), Reason.PERMISSION, 5),
        (httpx.ConnectError("x"), Reason.UNREACHABLE, 5),
    ],
)
def test_a_refused_message_teaches_us_what_is_left(
    messenger: OfficialAccountMessenger,
    windows: Windows,
    platform: Scripted,
    account: str,
    answer: Any,
    outcome: Reason,
    then_left: int,
) -> None:
    platform.on(SEND, answer)
    windows.open(account, OPENID, Trigger.MESSAGE, START)
    refused = messenger.send(OPENID, Text("x"))
    assert isinstance(refused, Refused)
    assert refused.reason is outcome
    assert left(windows, account) == then_left


def test_a_lost_answer_counts_as_one_message_and_is_not_repeated(
    messenger: OfficialAccountMessenger, windows: Windows, platform: Scripted, account: str
) -> None:
    platform.on(SEND, httpx.ReadTimeout("x"), OK)
    windows.open(account, OPENID, Trigger.MESSAGE, START)
    assert messenger.send(OPENID, Text("x")) == Unknown("ReadTimeout")
    assert len(platform.asked(SEND)) == 1
    assert left(windows, account) == 4


def test_a_token_that_ends_in_the_middle_of_a_batch_harms_no_message(
    messenger: OfficialAccountMessenger, windows: Windows, platform: Scripted, account: str
) -> None:
    platform.on(SEND, OK, code(42001), OK)
    windows.open(account, OPENID, Trigger.MESSAGE, START)
    assert [messenger.send(OPENID, Text(str(n))) for n in range(3)] == [Sent()] * 3
    assert [body["text"]["content"] for body in platform.bodies(SEND)] == ["0", "1", "1", "2"]
    assert left(windows, account) == 2


def test_a_picture_the_platform_forgot_is_uploaded_again(
    messenger: OfficialAccountMessenger, windows: Windows, platform: Scripted, account: str
) -> None:
    platform.on(SEND, code(40007), OK).on(UPLOAD, *uploaded("m1", "m2"))
    windows.open(account, OPENID, Trigger.FOLLOW, START)
    assert messenger.send(OPENID, Picture(JPEG)) == Sent()
    assert [body["image"]["media_id"] for body in platform.bodies(SEND)] == ["m1", "m2"]


def test_a_picture_too_large_is_refused_before_it_costs_a_message(
    messenger: OfficialAccountMessenger, windows: Windows, account: str
) -> None:
    windows.open(account, OPENID, Trigger.FOLLOW, START)
    refused = messenger.send(OPENID, Picture(b"x" * 3_000_000))
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.BAD_REQUEST
    assert left(windows, account) == 3


def test_a_template_goes_out_once_and_says_its_number(
    messenger: OfficialAccountMessenger, platform: Scripted, queue: Redis, clock: FixedClock, account: str
) -> None:
    path = "/cgi-bin/message/template/send"
    platform.on(path, OK | {"msgid": 200228332})
    message = Template("tpl", {"thing1": "会员"}, url="https://u", once="gnt_1", mini_program=("wxm", "p"))
    assert messenger.send(OPENID, message) == Sent("200228332")
    assert platform.bodies(path) == [
        {
            "touser": OPENID,
            "template_id": "tpl",
            "data": {"thing1": {"value": "会员"}},
            "url": "https://u",
            "client_msg_id": "gnt_1",
            "miniprogram": {"appid": "wxm", "pagepath": "p"},
        }
    ]
    standing = {item.budget.name: item.left for item in Quotas(queue, clock).left(account, OFFICIAL_ACCOUNT)}
    assert standing["template.day"] == 99_999


def test_a_template_with_a_number_may_be_repeated_after_a_lost_answer(
    messenger: OfficialAccountMessenger, platform: Scripted
) -> None:
    path = "/cgi-bin/message/template/send"
    platform.on(path, httpx.ReadTimeout("x"), code(45065), httpx.ReadTimeout("x"))
    once = Template("tpl", {}, once="gnt_1")
    lost = messenger.send(OPENID, once)
    assert isinstance(lost, Refused)
    assert lost.reason is Reason.UNREACHABLE
    assert messenger.send(OPENID, once) == Sent()  # the platform says that it had it
    assert isinstance(messenger.send(OPENID, Template("tpl", {})), Unknown)


def test_subscription_messages(messenger: OfficialAccountMessenger, platform: Scripted) -> None:
    bizsend, one_time = "/cgi-bin/message/subscribe/bizsend", "/cgi-bin/message/template/subscribe"
    platform.on(bizsend, OK, code(43101)).on(one_time, OK)
    notice = Subscription("tpl", {"thing1": "x"}, page="https://p")
    assert messenger.send(OPENID, notice) == Sent()
    refused = messenger.send(OPENID, notice)
    assert refused == Refused(Reason.NOT_GRANTED, code="43101", trace="5f3ded7d-01234567-89abcdef")
    assert messenger.send(OPENID, OneTime("tpl", 7, "title", "text", "https://u")) == Sent()
    assert platform.bodies(bizsend)[0] == {
        "touser": OPENID,
        "template_id": "tpl",
        "data": {"thing1": {"value": "x"}},
        "page": "https://p",
    }
    assert platform.bodies(one_time) == [
        {
            "touser": OPENID,
            "template_id": "tpl",
            "url": "https://u",
            "scene": "7",
            "title": "title",
            "data": {"content": {"value": "text"}},
        }
    ]


def test_a_message_of_another_channel_is_refused(messenger: OfficialAccountMessenger) -> None:
    refused = messenger.send(OPENID, Welcome("hi"))
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.BAD_REQUEST


# ── Followers ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_follower_tells_how_they_came(oa: OfficialAccount, platform: Scripted) -> None:
    platform.on(
        "/cgi-bin/user/info",
        {
            "subscribe": 1,
            "openid": OPENID,
            "language": "zh_CN",
            "subscribe_time": int(START.timestamp()),
            "unionid": "u1",
            "tagid_list": [128, 2],
            "subscribe_scene": "ADD_SCENE_QR_CODE",
            "qr_scene": 0,
            "qr_scene_str": "k3v9x2m4p7qs",
            "nickname": "",
        },
    )
    found = oa.follower(OPENID)
    assert (found.following, found.unionid, found.followed_at) == (True, "u1", START)
    assert (found.scene, found.qr_scene, found.tags) == ("ADD_SCENE_QR_CODE", "k3v9x2m4p7qs", (128, 2))


def test_many_are_asked_for_a_hundred_at_a_time(oa: OfficialAccount, platform: Scripted) -> None:
    path = "/cgi-bin/user/info/batchget"

    def answer(request: httpx.Request) -> httpx.Response:
        wanted = json.loads(request.content)["user_list"]
        people = [{"subscribe": 0, "openid": one["openid"]} for one in wanted]
        return httpx.Response(200, json={"user_info_list": people})

    platform.on(path, answer)
    found = list(oa.followers(f"o{n}" for n in range(250)))
    assert [one.openid for one in found] == [f"o{n}" for n in range(250)]
    assert [len(body["user_list"]) for body in platform.bodies(path)] == [100, 100, 50]


# ── Pages ───────────────────────────────────────────────────────────────────────────────────────────────

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "wechat.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "vector", [v for v in VECTORS["vectors"] if v["kind"] == "js"], ids=lambda v: v["id"]
)
def test_the_published_page_signatures(vector: dict[str, str]) -> None:
    ticket, nonce, timestamp, url = (part.partition("=")[2] for part in vector["string"].split("&", 3))
    for address in (url, f"{url}#part"):
        signed = page_signature(ticket=ticket, nonce=nonce, timestamp=int(timestamp), url=address)
        assert signed == vector["sha1"]


def test_a_page_is_signed_with_a_shared_ticket(oa: OfficialAccount, platform: Scripted) -> None:
    path = "/cgi-bin/ticket/getticket"
    platform.on(path, {"errcode": 0, "ticket": "T", "expires_in": 7200})
    first, second = oa.page_config("https://a.example/p?x=1#y"), oa.page_config("https://a.example/q")
    assert len(platform.asked(path)) == 1
    text = f"jsapi_ticket=T&noncestr={first.nonce}&timestamp={first.timestamp}&url=https://a.example/p?x=1"
    assert first.signature == hashlib.sha1(text.encode()).hexdigest()
    assert first.app_id == "wx0123456789abcdef"
    assert first.nonce != second.nonce


def test_authorisation_keeps_the_fixed_order(oa_credentials: OfficialAccountCredentials, gear: Gear) -> None:
    url = OAuth(oa_credentials, gear).authorize_url("https://a.example/back?x=1", "s1", "snsapi_userinfo")
    assert url == (
        "https://open.weixin.qq.com/connect/oauth2/authorize?appid=wx0123456789abcdef"
        "&redirect_uri=https%3A%2F%2Fa.example%2Fback%3Fx%3D1&response_type=code"
        "&scope=snsapi_userinfo&state=s1#wechat_redirect"
    )
    for state in ("", "a b", "é", "x" * 129, "a&scope=snsapi_userinfo"):
        with pytest.raises(Invalid):
            OAuth(oa_credentials, gear).authorize_url("https://a.example", state)


def test_a_code_becomes_a_visitor_and_a_visitor_a_person(
    oa_credentials: OfficialAccountCredentials, gear: Gear, platform: Scripted
) -> None:
    platform.on(
        "/sns/oauth2/access_token",
        {
            "access_token": "personal",
            "expires_in": 7200,
            "refresh_token": "r",
            "openid": OPENID,
            "scope": "snsapi_userinfo",
            "unionid": "u1",
            "is_snapshotuser": 1,
        },
        code(40163),
        code(40029),
        code(42003),
    )
    platform.on(
        "/sns/userinfo",
        {"openid": OPENID, "nickname": "小满", "headimgurl": "https://h", "unionid": "u1"},
        code(48001),
        code(42001),
    )
    oauth = OAuth(oa_credentials, gear)
    visitor = oauth.visitor("code")
    assert visitor.snapshot
    person = oauth.person(visitor)
    assert (person.nickname, person.avatar_url, person.unionid) == ("小满", "https://h", "u1")
    (asked,) = platform.asked("/sns/userinfo")
    assert asked.url.params["access_token"] == "personal"
    for reason in (Reason.ALREADY_DONE, Reason.NOT_FOUND, Reason.TOO_LATE):
        with pytest.raises(GoneForGood) as caught:
            oauth.visitor("code")
        assert caught.value.reason is reason
    for reason in (Reason.NOT_GRANTED, Reason.TOO_LATE):
        with pytest.raises(GoneForGood) as caught:
            oauth.person(visitor)
        assert caught.value.reason is reason
    assert platform.tokens == 0  # the account's own token has no part in it
