"""Our clients and the sandbox, which was written apart from them, over real HTTP."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import zxingcpp
from PIL import Image
from redis import Redis

from growth_engine.channels import wire
from growth_engine.channels.contract import (
    Hosts,
    Link,
    Menu,
    OfficialAccountCredentials,
    OneTime,
    PayCredentials,
    Picture,
    PlatformKey,
    Reason,
    Refused,
    Sent,
    Subscription,
    Template,
    Text,
    Unknown,
    WecomCredentials,
    Welcome,
)
from growth_engine.channels.errors import GoneForGood, OutcomeUnknown, RetryLater, StopAndAlert
from growth_engine.channels.quota import CHINA, Quotas
from growth_engine.channels.wechat_oa import OAuth, OfficialAccount, OfficialAccountMessenger
from growth_engine.channels.wechat_pay import (
    Bills,
    NewOrder,
    NewRefund,
    NewTransfer,
    Orders,
    Refunds,
    Transfers,
    WechatPay,
)
from growth_engine.channels.wecom import (
    ContactWays,
    Customers,
    Groups,
    JoinWay,
    MassSend,
    Tasks,
    Wecom,
    WecomMessenger,
)
from growth_engine.channels.windows import Trigger, Windows
from growth_engine.channels.wire import Gear
from growth_engine.kit.ids import Ids
from growth_engine.sandbox import handle
from growth_engine.sandbox.control import staff
from growth_engine.sandbox.handle import Sandbox
from growth_engine.sandbox.wecom.seed import CORPID

JPEG = b"\xff\xd8\xff\xe0 a poster \xff\xd9"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    at = datetime(2026, 6, 1, 10, 0, tzinfo=CHINA).timestamp()
    with handle.start(at=at) as running:
        yield running


@dataclass
class SandboxClock:
    """The application lives by the sandbox's clock."""

    sandbox: Sandbox

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.sandbox.world.clock.time(), UTC)


@pytest.fixture
def gear(sandbox: Sandbox, queue: Redis, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gear]:
    monkeypatch.setattr(wire, "_TIMEOUT", httpx.Timeout(2.0))
    clock = SandboxClock(sandbox)
    urls = {name.removesuffix("_BASE").lower(): url for name, url in sandbox.hosts.items()}
    built = Gear(queue=queue, clock=clock, ids=Ids(clock), hosts=Hosts(**urls))
    yield built
    built.close()


@pytest.fixture
def account() -> str:
    return f"con_{secrets.token_hex(6)}"


@pytest.fixture
def appid(sandbox: Sandbox) -> str:
    return str(sandbox.credentials["oa"]["appid"])


@pytest.fixture
def oa_credentials(sandbox: Sandbox, account: str) -> OfficialAccountCredentials:
    given = sandbox.credentials["oa"]
    return OfficialAccountCredentials(account, given["appid"], given["secret"])


@pytest.fixture
def oa(oa_credentials: OfficialAccountCredentials, gear: Gear) -> OfficialAccount:
    return OfficialAccount(oa_credentials, gear)


@pytest.fixture
def windows(gear: Gear) -> Windows:
    return Windows(gear.queue, gear.clock)


@pytest.fixture
def messenger(oa: OfficialAccount, windows: Windows) -> OfficialAccountMessenger:
    return OfficialAccountMessenger(oa, windows)


# ── Official Account ────────────────────────────────────────────────────────────────────────────────────


def test_a_scanned_code_tells_whose_poster_it_was(oa: OfficialAccount, sandbox: Sandbox) -> None:
    code = oa.create_qr("k3v9x2m4p7qs", timedelta(days=30))
    person = sandbox.person("小满")
    assert person.do("scan", text=code.url)["kind"] == "oa"
    found = oa.follower(person.openid())
    assert (found.following, found.qr_scene) == (True, "k3v9x2m4p7qs")
    assert found.unionid == person.unionid
    stranger = sandbox.person("路人").openid()
    assert [one.following for one in oa.followers([person.openid(), stranger])] == [True, False]
    picture = httpx.get(oa.qr_picture_url(code.ticket), trust_env=False)
    assert picture.headers["Content-Type"].startswith("image/")


def test_three_messages_within_a_minute_of_following_and_no_fourth(
    messenger: OfficialAccountMessenger, windows: Windows, sandbox: Sandbox, appid: str, account: str
) -> None:
    person = sandbox.person("子墨")
    openid = person.do("follow", appid=appid)["openid"]
    windows.open(account, openid, Trigger.FOLLOW, SandboxClock(sandbox).now())
    sent = [
        messenger.send(openid, message)
        for message in (
            Text("欢迎 😀"),
            Picture(JPEG),
            Link("海报", "分享给朋友", "https://a.example/p", "https://a.example/x.jpg"),
            Text("one too many"),
        )
    ]
    assert sent == [Sent(), Sent(), Sent(), Refused(Reason.WINDOW_USED_UP)]
    assert [one["kind"] for one in person.chat() if one["from"] == "them"] == ["text", "image", "news"]
    assert person.chat()[-3]["text"] == "欢迎 😀"


def test_when_our_counters_were_lost_the_platform_is_believed(
    messenger: OfficialAccountMessenger, windows: Windows, sandbox: Sandbox, appid: str, account: str
) -> None:
    person = sandbox.person("思远")
    openid = person.do("follow", appid=appid)["openid"]
    now = SandboxClock(sandbox).now()
    windows.open(account, openid, Trigger.MESSAGE, now)  # there was no such message
    for _ in range(3):
        assert messenger.send(openid, Text("x")) == Sent()
    refused = messenger.send(openid, Text("x"))
    assert isinstance(refused, Refused)
    assert (refused.reason, refused.code) == (Reason.WINDOW_USED_UP, "45047")
    assert refused.trace
    person.do("unfollow", appid=appid)
    windows.open(account, openid, Trigger.MESSAGE, now + timedelta(seconds=1))
    gone = messenger.send(openid, Text("x"))
    assert isinstance(gone, Refused)
    assert gone.code == "45015"
    assert messenger.send(openid, Text("x")) == Refused(Reason.WINDOW_CLOSED)  # not asked again


def test_a_menu_to_tap(
    messenger: OfficialAccountMessenger, windows: Windows, sandbox: Sandbox, appid: str, account: str
) -> None:
    person = sandbox.person("阿达")
    openid = person.do("follow", appid=appid)["openid"]
    windows.open(account, openid, Trigger.FOLLOW, SandboxClock(sandbox).now())
    assert messenger.send(openid, Menu("满意吗?", (("1", "满意"), ("2", "不满意")))) == Sent()
    person.do("choose", appid=appid, id="1", text="满意")


def test_templates_and_subscriptions(
    messenger: OfficialAccountMessenger, sandbox: Sandbox, appid: str
) -> None:
    template_id = "sandbox-reward-000000000000000000000000000"
    person = sandbox.person("小月")
    openid = person.do("follow", appid=appid)["openid"]
    fields = {"thing1": "会员 30 天", "time2": "2026-06-01 10:00"}
    notice = Template(template_id, fields, url="https://a.example", once=secrets.token_hex(8))
    first = messenger.send(openid, notice)
    assert isinstance(first, Sent)
    assert first.reference
    assert messenger.send(openid, notice) == Sent()  # the platform says that it had it: once is once
    refused = messenger.send(openid, Subscription(template_id, fields))
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.NOT_GRANTED
    person.do("subscribe", appid=appid, template_id=template_id, accept=True)
    assert messenger.send(openid, Subscription(template_id, fields)) == Sent()
    sandbox.settle()


def test_one_grant_is_one_message(messenger: OfficialAccountMessenger, sandbox: Sandbox, appid: str) -> None:
    template_id = "sandbox-progress-0000000000000000000000000"
    person = sandbox.person("一次")
    message = OneTime(template_id, 7, "活动进度", "还差一位好友", "https://a.example")
    openid = person.do("grant_once", appid=appid, template_id=template_id, scene=7)["openid"]
    assert messenger.send(openid, message) == Sent()
    refused = messenger.send(openid, message)
    assert isinstance(refused, Refused)
    assert (refused.reason, refused.code) == (Reason.NOT_GRANTED, "43101")


def test_a_day_that_is_used_up_is_shown_and_not_asked_again(
    oa: OfficialAccount, gear: Gear, sandbox: Sandbox, account: str
) -> None:
    sandbox.fault("oa", "errcode", match="/cgi-bin/qrcode/create", value=45009)
    before = len(sandbox.log(service="oa"))
    for _ in range(3):
        with pytest.raises(RetryLater) as caught:
            oa.create_qr("x")
        assert caught.value.retry_at is not None
        assert caught.value.retry_at.astimezone(CHINA).hour == 0
    assert Quotas(gear.queue, gear.clock).blocked(account) == {
        "/cgi-bin/qrcode/create": caught.value.retry_at
    }
    asked = [line for line in sandbox.log(service="oa")[before:] if "qrcode" in line["line"]]
    assert len(asked) == 1


def test_a_token_that_runs_out_in_the_middle_of_a_batch(
    messenger: OfficialAccountMessenger, windows: Windows, sandbox: Sandbox, appid: str, account: str
) -> None:
    people = [sandbox.person(f"第{number}") for number in range(12)]
    for person in people:
        openid = person.do("follow", appid=appid)["openid"]
        windows.open(account, openid, Trigger.FOLLOW, SandboxClock(sandbox).now())
    sandbox.fault("oa", "expire_token", match="/cgi-bin/message/custom/send", skip=3)
    before = len(sandbox.log(service="oa"))
    with ThreadPoolExecutor(6) as pool:
        sent = list(pool.map(lambda one: messenger.send(one.openid(), Text("hi")), people))
    assert sent == [Sent()] * 12
    for person in people:
        assert [one["text"] for one in person.chat() if one["from"] == "them"] == ["hi"]
    asked = [line for line in sandbox.log(service="oa")[before:] if "stable_token" in str(line)]
    assert len(asked) == 2  # one token for all, one renewal for all


def test_lost_answers_and_broken_gateways(
    oa: OfficialAccount,
    messenger: OfficialAccountMessenger,
    windows: Windows,
    sandbox: Sandbox,
    appid: str,
    account: str,
) -> None:
    person = sandbox.person("丢失")
    openid = person.do("follow", appid=appid)["openid"]
    oa.follower(openid)
    windows.open(account, openid, Trigger.FOLLOW, SandboxClock(sandbox).now())
    for action, value in (("lose_answer", None), ("drop", None), ("status", 502)):
        sandbox.fault("oa", action, match="/cgi-bin/message/custom/send", value=value)
        assert isinstance(messenger.send(openid, Text(action)), Unknown)
    # What was lost on the way back did arrive, once: nothing is sent twice by us.
    assert [one["text"] for one in person.chat() if one["from"] == "them"] == ["lose_answer"]
    sandbox.fault("oa", "errcode", match="/cgi-bin/user/info", value=-1)
    with pytest.raises(RetryLater):
        oa.follower(openid)


def test_signing_in_through_the_consent_page(
    oa_credentials: OfficialAccountCredentials, gear: Gear, sandbox: Sandbox
) -> None:
    oauth = OAuth(oa_credentials, gear)
    person, phantom = sandbox.person("小满"), sandbox.person("快照", snapshot=True)

    def come_back(who: str, scope: str) -> str:
        url = oauth.authorize_url("http://127.0.0.1:8000/back?x=1", "s1", scope)  # type: ignore[arg-type]
        address = url.replace("#wechat_redirect", f"&_person={who}&_answer=allow")
        answer = httpx.get(address, trust_env=False)
        back = parse_qs(urlsplit(answer.headers["Location"]).query)
        assert (back["state"], back["x"]) == (["s1"], ["1"])
        return back["code"][0]

    code = come_back(person.id, "snsapi_userinfo")
    visitor = oauth.visitor(code)
    assert (visitor.openid, visitor.unionid) == (person.openid(), person.unionid)
    assert oauth.person(visitor).nickname == "小满"
    with pytest.raises(GoneForGood) as caught:
        oauth.visitor(code)
    assert caught.value.reason is Reason.ALREADY_DONE
    base = oauth.visitor(come_back(person.id, "snsapi_base"))
    with pytest.raises(GoneForGood) as caught:
        oauth.person(base)
    assert caught.value.reason is Reason.NOT_GRANTED
    assert oauth.visitor(come_back(phantom.id, "snsapi_userinfo")).snapshot


def test_the_phone_accepts_our_page_signature(oa: OfficialAccount, sandbox: Sandbox) -> None:
    url = "http://127.0.0.1:8000/c/x?a=1"
    config = oa.page_config(f"{url}#top")
    person = sandbox.person("小满")
    shown = {
        "appId": config.app_id,
        "timestamp": config.timestamp,
        "nonceStr": config.nonce,
        "signature": config.signature,
    }
    assert person.do("js_config", config=shown, url=url) == {"problem": ""}


def test_every_connection_can_be_checked(oa: OfficialAccount, wecom: Wecom, pay: WechatPay) -> None:
    for connection in (oa, wecom, pay):
        connection.check()  # type: ignore[attr-defined]


def test_a_wrong_secret_is_an_alarm(oa_credentials: OfficialAccountCredentials, gear: Gear) -> None:
    with pytest.raises(StopAndAlert) as caught:
        OfficialAccount(replace(oa_credentials, app_secret="wrong"), gear).token()
    assert caught.value.reason is Reason.CREDENTIALS


# ── WeCom ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def wecom(sandbox: Sandbox, gear: Gear, account: str) -> Wecom:
    given = sandbox.credentials["wecom"]
    return Wecom(WecomCredentials(account, given["corpid"], given["secret"]), gear)


def text_in(address: str) -> str:
    """What the code in a picture says, as a phone reads it."""
    picture = httpx.get(address, trust_env=False).content
    return str(zxingcpp.read_barcodes(Image.open(BytesIO(picture)))[0].text)


def code_for(sandbox: Sandbox, external_userid: str) -> str:
    """The newest WelcomeCode of a customer, as the callback would have brought it."""
    kept = sandbox.world.store.all("wecom.welcome")
    return [code for code, one in kept.items() if one["external_userid"] == external_userid][-1]


def test_an_added_customer_is_welcomed_within_twenty_seconds_once(wecom: Wecom, sandbox: Sandbox) -> None:
    way = ContactWays(wecom).add(["ZhangSan"], state="k3v9x2", remark="春季")
    person, late = sandbox.person("小满"), sandbox.person("晚了")
    added = person.do("scan", text=text_in(way.qr_code))
    messenger = WecomMessenger(wecom)
    code = code_for(sandbox, added["external_userid"])
    now = SandboxClock(sandbox).now()
    media_id = wecom.media_id(JPEG)
    poster = {"msgtype": "image", "image": {"media_id": media_id}}
    assert messenger.send(code, Welcome("您好", (poster,), happened_at=now)) == Sent()
    again = messenger.send(code, Welcome("您好", happened_at=now))
    assert isinstance(again, Refused)
    assert again.reason is Reason.ALREADY_DONE
    chat = person.chat(f"wecom:{CORPID}:ZhangSan")
    assert [one["kind"] for one in chat if one["from"] == "them"] == ["text", "image"]
    code = code_for(sandbox, late.do("scan", text=text_in(way.qr_code))["external_userid"])
    sandbox.advance(21)
    refused = messenger.send(code, Welcome("您好"))
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.TOO_LATE
    found = Customers(wecom).get(added["external_userid"])
    assert (found.unionid, found.relations[0].state, found.relations[0].add_way) == (
        person.unionid,
        "k3v9x2",
        1,
    )
    assert added["external_userid"] in Customers(wecom).of("ZhangSan")
    assert added["external_userid"] in {
        one.external_userid for one in Customers(wecom).of_all(Customers(wecom).employees())
    }
    ContactWays(wecom).update(way.config_id, ["LiSi"], state="k3v9x2")
    assert ContactWays(wecom).get(way.config_id).users == ("LiSi",)
    assert sandbox.person("后来").do("scan", text=text_in(way.qr_code))["userid"] == "LiSi"
    since = int(now.timestamp())
    assert way.config_id in set(ContactWays(wecom).ids(since - 100, since + 100))
    ContactWays(wecom).delete(way.config_id)


def test_an_employee_without_verification_is_one_clear_reason(wecom: Wecom) -> None:
    with pytest.raises(GoneForGood) as caught:
        ContactWays(wecom).add(["ZhaoLiu"], state="x")
    assert caught.value.reason is Reason.MEMBER


def test_groups_are_joined_by_code_and_reconciled_by_version(wecom: Wecom, sandbox: Sandbox) -> None:
    chat_id = staff.do(sandbox.world, "ZhangSan", "open_group", {"name": "春季群"})["chat_id"]
    groups = Groups(wecom)
    config_id = groups.add_join_way(JoinWay("k3v9x2", (chat_id,), remark="r", auto_create=False))
    way = groups.join_way(config_id)
    before = groups.get(chat_id).member_version
    person = sandbox.person("小满")
    assert person.do("scan", text=text_in(way.qr_code))["kind"] == "group"
    sandbox.advance(3)  # what the group tells lags two seconds behind
    group = groups.get(chat_id)
    assert group.member_version != before
    joined = [one for one in group.members if not one.is_employee]
    assert [(one.state, one.join_scene, one.unionid) for one in joined] == [("k3v9x2", 3, person.unionid)]
    assert chat_id in set(groups.ids(["ZhangSan"]))
    groups.update_join_way(config_id, replace(way, state="other"))
    assert groups.join_way(config_id).state == "other"
    groups.delete_join_way(config_id)


def test_tags_remarks_mass_messages_and_hand_over(wecom: Wecom, sandbox: Sandbox) -> None:
    person = sandbox.person("小满")
    external = staff.do(sandbox.world, "WangWu", "add", {"person": person.id})["external_userid"]
    customers, tasks = Customers(wecom), Tasks(wecom)
    group = customers.add_tags("等级", ["金牌"])
    customers.mark("WangWu", external, add=[group.tags[0][0]])
    customers.remark("WangWu", external, remark="满")
    relation = customers.get(external).relations[0]
    assert (relation.remark, relation.tags) == ("满", (group.tags[0][0],))
    msgid, left_out = tasks.mass_send(MassSend("周末活动", customers=[external, "wmNobody"], sender="WangWu"))
    assert left_out == ("wmNobody",)
    assert tasks.confirmed(msgid) == {"WangWu": False}
    assert [one.status for one in tasks.deliveries(msgid, "WangWu")] == ["waiting"]
    staff.do(sandbox.world, "WangWu", "confirm", {"msgid": msgid})
    assert tasks.confirmed(msgid) == {"WangWu": True}
    assert [one.status for one in tasks.deliveries(msgid, "WangWu")] == ["sent"]
    job = tasks.moment("新品", users=["WangWu"])
    sandbox.advance(3)
    state, moment_id = tasks.moment_result(job)
    assert (state, bool(moment_id)) == ("done", True)
    assert customers.transfer("WangWu", "LiSi", [external], message="由李四服务您") == {external: 0}
    assert [one.status for one in customers.transfers("WangWu", "LiSi")] == ["waiting"]
    sandbox.advance(24 * 3600 + 1)
    assert [one.status for one in customers.transfers("WangWu", "LiSi")] == ["done"]
    assert [one.user for one in customers.get(external).relations] == ["LiSi"]
    assert customers.get(external).relations[0].add_way == 202
    assert customers.of("WangWu") == []


# ── Pay ─────────────────────────────────────────────────────────────────────────────────────────────────

NOTIFY = "http://127.0.0.1:9/webhooks/wechat_pay/x"


@pytest.fixture
def credentials(sandbox: Sandbox, account: str) -> PayCredentials:
    given = sandbox.credentials["pay"]
    return PayCredentials(
        account,
        given["mchid"],
        given["appid"],
        given["merchant_serial"],
        given["merchant_private_key"],
        given["api_v3_key"],
        (PlatformKey(given["public_key_id"], given["public_key"]),),
    )


@pytest.fixture
def pay(credentials: PayCredentials, gear: Gear) -> WechatPay:
    return WechatPay(credentials, gear)


def number(prefix: str) -> str:
    return f"{prefix}{secrets.token_hex(8)}"


def test_an_order_is_paid_found_refunded_and_in_the_bill(pay: WechatPay, sandbox: Sandbox) -> None:
    orders, refunds, person = Orders(pay), Refunds(pay), sandbox.person("小满")
    order = NewOrder(number("ord_"), "会员 30 天", 9900, NOTIFY, attach="cmp_1")
    prepay_id = orders.place_jsapi(order, person.openid())
    assert orders.place_jsapi(order, person.openid()) == prepay_id  # the same again is the same
    with pytest.raises(GoneForGood):
        orders.place_jsapi(replace(order, total=1), person.openid())
    unpaid = orders.by_number(order.out_trade_no)
    assert unpaid is not None
    assert unpaid.state == "NOTPAY"
    person.do("pay_sheet", request=orders.page_call(prepay_id))  # the phone checks our paySign
    person.do("pay", prepay_id=prepay_id)
    paid = orders.by_number(order.out_trade_no)
    assert paid is not None
    assert (paid.paid, paid.total, paid.openid, paid.attach) == (True, 9900, person.openid(), "cmp_1")
    assert orders.by_transaction(paid.transaction_id) == paid
    with pytest.raises(GoneForGood) as caught:
        orders.close(order.out_trade_no)
    assert caught.value.reason is Reason.ALREADY_DONE
    refund = NewRefund(number("rfd_"), order.out_trade_no, 3300, 9900, reason="不想要了")
    assert refunds.find(refund.out_refund_no) is None
    asked = refunds.ask(refund)
    assert refunds.ask(refund).refund_id == asked.refund_id
    sandbox.advance(60)
    done = refunds.find(refund.out_refund_no)
    assert done is not None
    assert (done.state, done.refund) == ("SUCCESS", 3300)
    today = SandboxClock(sandbox).now().astimezone(CHINA).date()
    with pytest.raises(RetryLater):
        Bills(pay).trades(today)
    sandbox.advance(36 * 3600)
    lines = Bills(pay).trades(today)
    assert lines is not None
    mine = {one.state: one for one in lines if one.out_trade_no == order.out_trade_no}
    assert {state: (one.total, one.refund) for state, one in mine.items()} == {
        "SUCCESS": (9900, 0),
        "REFUND": (0, 3300),
    }
    assert mine["REFUND"].out_refund_no == refund.out_refund_no
    flow = Bills(pay).fund_flow(today)
    assert flow is not None
    assert {9900, -3300} <= {one.amount for one in flow}
    assert Bills(pay).trades(date(2026, 5, 20)) is None


def test_a_native_order_is_scanned_and_closing_ends_one(pay: WechatPay, sandbox: Sandbox) -> None:
    orders, person = Orders(pay), sandbox.person("小满")
    first, second = (NewOrder(number("ord_"), "课程", 1, NOTIFY) for _ in range(2))
    sheet = person.do("scan", text=orders.place_native(first))["sheet"]
    person.do("pay", prepay_id=sheet["prepay_id"])
    found = orders.by_number(first.out_trade_no)
    assert found is not None
    assert found.paid
    orders.place_native(second)
    orders.close(second.out_trade_no)
    found = orders.by_number(second.out_trade_no)
    assert found is not None
    assert found.state == "CLOSED"
    assert orders.by_number(number("ord_")) is None


@pytest.mark.parametrize("mode", ["public_key", "certificate", "both"])
def test_both_modes_of_signing_are_believed(
    credentials: PayCredentials, gear: Gear, sandbox: Sandbox, mode: str
) -> None:
    sandbox.merchant(mode=mode)
    try:
        keys = () if mode == "certificate" else credentials.platform_keys
        pay = WechatPay(replace(credentials, platform_keys=keys), gear)
        for _ in range(4):
            assert Orders(pay).by_number(number("ord_")) is None
        person = sandbox.person("张三", real_name="张三")
        transfer = new_transfer(person.openid(), amount=200_000, name="张三")
        assert Transfers(pay).make(transfer).state == "WAIT_USER_CONFIRM"  # the sealed name was opened
    finally:
        sandbox.merchant(mode="public_key")


def new_transfer(openid: str, *, amount: int = 5000, name: str = "") -> NewTransfer:
    reports = (("岗位类型", "推广员"), ("报酬说明", "佣金"))
    return NewTransfer(number("pay"), openid, amount, "1005", reports, "佣金", name=name)


def test_a_transfer_is_confirmed_on_the_phone(pay: WechatPay, sandbox: Sandbox) -> None:
    transfers, person = Transfers(pay), sandbox.person("小满")
    before = person.balance
    transfer = new_transfer(person.openid())
    assert transfers.find(transfer.out_bill_no) is None
    made = transfers.make(transfer)
    assert transfers.make(transfer).bill_no == made.bill_no
    assert person.do("transfer_sheet", request=transfers.page_call(made.package))["fen"] == 5000
    person.do("confirm_transfer", package=made.package)
    sandbox.advance(5)
    found = transfers.find(transfer.out_bill_no)
    assert found is not None
    assert (found.arrived, found.amount, found.openid) == (True, 5000, person.openid())
    assert transfers.find_by_bill(made.bill_no) == found
    assert person.balance == before + 5000
    # Made again after it arrived: the same transfer, no second payment.
    assert transfers.make(transfer).arrived
    assert person.balance == before + 5000


def test_an_unconfirmed_transfer_comes_back_and_a_cancelled_one_too(pay: WechatPay, sandbox: Sandbox) -> None:
    transfers, person = Transfers(pay), sandbox.person("小满")
    first, second = new_transfer(person.openid()), new_transfer(person.openid())
    transfers.make(first)
    transfers.make(second)
    assert not transfers.cancel(second.out_bill_no).failed  # asked for, not done
    sandbox.advance(5)
    cancelled = transfers.find(second.out_bill_no)
    assert cancelled is not None
    assert (cancelled.state, cancelled.failed) == ("CANCELLED", True)
    sandbox.advance(24 * 3600 + 5)
    expired = transfers.find(first.out_bill_no)
    assert expired is not None
    assert expired.failed


@pytest.mark.parametrize("action", ["lose_answer", "drop", "status"])
def test_a_transfer_without_answer_is_asked_about_and_made_once(
    pay: WechatPay, sandbox: Sandbox, action: str
) -> None:
    transfers, person = Transfers(pay), sandbox.person("小满")
    transfer, before = new_transfer(person.openid()), person.balance
    sandbox.fault("pay", action, match="*/transfer-bills", value=502)
    with pytest.raises(OutcomeUnknown):
        transfers.make(transfer)
    known = transfers.find(transfer.out_bill_no)
    assert (known is not None) == (action == "lose_answer")
    made = transfers.make(transfer)
    person.do("confirm_transfer", package=made.package)
    sandbox.advance(5)
    assert person.balance == before + 5000


def test_a_changed_transfer_under_the_same_number_is_nobody_s_to_decide_but_a_person_s(
    pay: WechatPay, sandbox: Sandbox
) -> None:
    person = sandbox.person("小满")
    transfer = new_transfer(person.openid())
    Transfers(pay).make(transfer)
    with pytest.raises(StopAndAlert):
        Transfers(pay).make(replace(transfer, amount=6000))


def test_an_empty_purse_and_a_closed_scene_are_alarms(pay: WechatPay, sandbox: Sandbox) -> None:
    person = sandbox.person("小满")
    balance = sandbox.world.store.get("pay.merchants", pay.credentials.mch_id)
    assert balance is not None
    sandbox.merchant(balance=10)
    try:
        with pytest.raises(StopAndAlert) as caught:
            Transfers(pay).make(new_transfer(person.openid()))
        assert caught.value.reason is Reason.FUNDS
    finally:
        sandbox.merchant(balance=balance["balance"])
    with pytest.raises(StopAndAlert) as caught:
        Transfers(pay).make(replace(new_transfer(person.openid()), scene_id="1002"))
    assert caught.value.reason is Reason.PERMISSION


def test_a_wrong_merchant_key_and_a_wrong_clock_are_alarms(
    credentials: PayCredentials, pay: WechatPay, gear: Gear, sandbox: Sandbox, queue: Redis
) -> None:
    with pytest.raises(StopAndAlert) as caught:
        Orders(WechatPay(replace(credentials, serial_no="ABC"), gear)).by_number(number("ord_"))
    assert caught.value.number == "SIGN_ERROR"

    class SixMinutesLate(SandboxClock):
        def now(self) -> datetime:
            return super().now() - timedelta(minutes=6)

    late = Gear(
        queue=queue, clock=SixMinutesLate(sandbox), ids=Ids(SixMinutesLate(sandbox)), hosts=gear.hosts
    )
    with pytest.raises(StopAndAlert) as stale:
        Orders(WechatPay(credentials, late)).by_number(number("ord_"))
    late.close()
    assert "stale" in stale.value.number
