"""WeCom: what we send and what we make of the answers; limits are held before anything leaves."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from redis import Redis

from growth_engine.channels.contract import Reason, Refused, Sent, Text, WecomCredentials, Welcome
from growth_engine.channels.errors import GoneForGood, OutcomeUnknown, RetryLater, StopAndAlert
from growth_engine.channels.quota import WECOM, Quotas
from growth_engine.channels.wecom import (
    ContactWay,
    ContactWays,
    Customers,
    Groups,
    JoinWay,
    MassSend,
    Tasks,
    Wecom,
    WecomMessenger,
)
from growth_engine.channels.wecom.customers import why_not_transferred
from growth_engine.channels.wecom.messages import link
from growth_engine.channels.wire import Gear
from growth_engine.kit.clock import FixedClock
from growth_engine.kit.errors import Invalid
from tests.conftest import START
from tests.factories.platforms import Scripted

CONTACT = "/cgi-bin/externalcontact"
OK = {"errcode": 0, "errmsg": "ok"}


def code(number: int) -> dict[str, Any]:
    return {"errcode": number, "errmsg": "hint: [1], more info at https://open.work.weixin.qq.com"}


@pytest.fixture
def wecom(wecom_credentials: WecomCredentials, gear: Gear) -> Wecom:
    return Wecom(wecom_credentials, gear)


# ── Connection ──────────────────────────────────────────────────────────────────────────────────────────


def test_one_token_for_each_secret(wecom: Wecom, gear: Gear, platform: Scripted, account: str) -> None:
    platform.on(f"{CONTACT}/get_follow_user_list", OK | {"follow_user": ["anna", "bo"]})
    assert Customers(wecom).employees() == ["anna", "bo"]
    other = Wecom(WecomCredentials(account, "ww0123456789abcdef", "another secret"), gear)
    Customers(other).employees()
    asked = platform.asked("/cgi-bin/gettoken")
    assert [request.url.params["corpsecret"] for request in asked] == [
        "the-corp-secret-never-shown",
        "another secret",
    ]


def test_a_token_that_died_early_is_renewed_once(wecom: Wecom, platform: Scripted) -> None:
    path = f"{CONTACT}/get_follow_user_list"
    platform.on(path, code(42001), OK | {"follow_user": ["anna"]}, code(40014))
    assert Customers(wecom).employees() == ["anna"]
    with pytest.raises(StopAndAlert) as caught:
        Customers(wecom).employees()
    assert caught.value.reason is Reason.TOKEN


def test_a_wrong_secret_and_a_strange_address_stop_the_connection(wecom: Wecom, platform: Scripted) -> None:
    platform.on("/cgi-bin/gettoken", code(40001))
    with pytest.raises(StopAndAlert) as caught:
        Customers(wecom).employees()
    assert caught.value.reason is Reason.CREDENTIALS


def test_calls_are_counted_for_each_kind_and_stopped_for_a_minute(
    wecom: Wecom, platform: Scripted, queue: Redis, clock: FixedClock, account: str
) -> None:
    path = f"{CONTACT}/get_follow_user_list"
    platform.on(path, OK, code(45009), OK)
    Customers(wecom).employees()
    left = {item.budget.name: item for item in Quotas(queue, clock).left(account, WECOM)}
    assert (left["wecom.minute"].left, left["wecom.minute"].operation) == (9_999, path)
    for _ in range(2):
        with pytest.raises(RetryLater) as caught:
            Customers(wecom).employees()
        assert caught.value.retry_at == START + timedelta(seconds=60)
    assert len(platform.asked(path)) == 2
    clock.advance(timedelta(seconds=60))
    Customers(wecom).employees()


def test_tickets_and_media_are_shared(wecom: Wecom, platform: Scripted) -> None:
    platform.on("/cgi-bin/get_jsapi_ticket", OK | {"ticket": "corp", "expires_in": 7200})
    platform.on("/cgi-bin/ticket/get", OK | {"ticket": "agent", "expires_in": 7200})
    platform.on("/cgi-bin/media/upload", OK | {"media_id": "m1", "created_at": "1380000000"})
    for _ in range(2):
        assert (wecom.page_ticket(), wecom.agent_ticket()) == ("corp", "agent")
        assert wecom.media_id(b"a picture") == "m1"
    assert platform.asked("/cgi-bin/ticket/get")[0].url.params["type"] == "agent_config"
    assert len(platform.requests) == 4  # token, two tickets, one upload
    with pytest.raises(Invalid):
        wecom.media_id(b"gif", "image/gif")


# ── Welcome ─────────────────────────────────────────────────────────────────────────────────────────────

WELCOME = f"{CONTACT}/send_welcome_msg"


def test_a_welcome_is_sent_in_time_and_not_after(wecom: Wecom, platform: Scripted, clock: FixedClock) -> None:
    platform.on(WELCOME, OK)
    greeting = Welcome("你好", (link("海报", "https://p", description="d"),), happened_at=START)
    clock.advance(timedelta(seconds=19))
    assert WecomMessenger(wecom).send("code", greeting) == Sent()
    assert platform.bodies(WELCOME) == [
        {
            "welcome_code": "code",
            "text": {"content": "你好"},
            "attachments": [
                {
                    "msgtype": "link",
                    "link": {"title": "海报", "picurl": "", "desc": "d", "url": "https://p"},
                }
            ],
        }
    ]
    clock.advance(timedelta(seconds=1))
    assert WecomMessenger(wecom).send("code", greeting) == Refused(Reason.TOO_LATE)
    assert len(platform.asked(WELCOME)) == 1


@pytest.mark.parametrize(
    ("number", "reason"), [(41050, Reason.TOO_LATE), (41051, Reason.ALREADY_DONE), (41096, Reason.BUSY)]
)
def test_what_the_platform_says_of_a_welcome(
    wecom: Wecom, platform: Scripted, number: int, reason: Reason
) -> None:
    platform.on(WELCOME, code(number))
    assert WecomMessenger(wecom).send("code", Welcome("x")) == Refused(reason, code=str(number))


def test_a_lost_welcome_may_be_sent_again_because_a_code_works_once(wecom: Wecom, platform: Scripted) -> None:
    platform.on(WELCOME, httpx.ReadTimeout("x"))
    lost = WecomMessenger(wecom).send("code", Welcome("x"))
    assert lost == Refused(Reason.UNREACHABLE, code="ReadTimeout")


@pytest.mark.parametrize("message", [Welcome("语" * 1334), Welcome("x", ({},) * 10), Text("x")])
def test_what_is_too_large_or_no_welcome_is_refused_here(wecom: Wecom, message: Any) -> None:
    refused = WecomMessenger(wecom).send("code", message)
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.BAD_REQUEST


def test_titles_are_cut_between_characters() -> None:
    cut: Any = link("题" * 100, "https://u", description="述" * 300)["link"]
    assert cut["title"] == "题" * 42
    assert cut["desc"] == "述" * 170


# ── Ways ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_contact_way_for_one_and_for_several(wecom: Wecom, platform: Scripted) -> None:
    path = f"{CONTACT}/add_contact_way"
    platform.on(path, OK | {"config_id": "c1", "qr_code": "https://q"})
    ways = ContactWays(wecom)
    assert ways.add(["anna"], state="k3v9", remark="spring") == ContactWay(
        "c1", "https://q", "k3v9", ("anna",), "spring", True
    )
    ways.add(["anna", "bo"], state="k3v9", skip_verify=False)
    one, two = platform.bodies(path)
    assert (one["type"], one["scene"], one["user"], one["skip_verify"]) == (1, 2, ["anna"], True)
    assert (two["type"], two["user"], two["skip_verify"]) == (2, ["anna", "bo"], False)


def test_a_way_that_may_have_been_made_is_not_made_twice(wecom: Wecom, platform: Scripted) -> None:
    platform.on(f"{CONTACT}/add_contact_way", httpx.ReadTimeout("x"), OK)
    for _ in range(2):  # no answer; an answer without the id
        with pytest.raises(OutcomeUnknown):
            ContactWays(wecom).add(["anna"], state="x")


def test_ways_are_read_changed_listed_and_deleted(wecom: Wecom, platform: Scripted) -> None:
    way = {"config_id": "c1", "type": 1, "scene": 2, "qr_code": "https://q", "state": "s", "user": ["bo"]}
    platform.on(f"{CONTACT}/get_contact_way", OK | {"contact_way": way})
    platform.on(f"{CONTACT}/update_contact_way", OK).on(f"{CONTACT}/del_contact_way", OK)
    first = OK | {"contact_way": [{"config_id": "c1"}, {"config_id": "c2"}], "next_cursor": "n"}
    platform.on(f"{CONTACT}/list_contact_way", first, OK | {"contact_way": [{"config_id": "c3"}]})
    ways = ContactWays(wecom)
    assert ways.get("c1").users == ("bo",)
    ways.update("c1", ["anna"], state="s")
    ways.delete("c1")
    assert list(ways.ids(1, 2)) == ["c1", "c2", "c3"]
    assert [body.get("cursor") for body in platform.bodies(f"{CONTACT}/list_contact_way")] == [None, "n"]


def test_an_answer_without_what_was_asked_for_is_none(wecom: Wecom, platform: Scripted) -> None:
    for path in ("get_contact_way", "groupchat/get", "groupchat/get_join_way", "get", "add_corp_tag"):
        platform.on(f"{CONTACT}/{path}", OK)
    for ask in (
        lambda: ContactWays(wecom).get("c1"),
        lambda: Groups(wecom).get("wr1"),
        lambda: Groups(wecom).join_way("j1"),
        lambda: Customers(wecom).get("wm1"),
    ):
        with pytest.raises(RetryLater):
            ask()
    with pytest.raises(OutcomeUnknown):
        Customers(wecom).add_tags("g", ["t"])


def test_a_list_that_gives_the_same_cursor_again_ends(wecom: Wecom, platform: Scripted) -> None:
    platform.on(f"{CONTACT}/list_contact_way", OK | {"contact_way": [], "next_cursor": "n"})
    assert list(ContactWays(wecom).ids(1, 2)) == []
    assert len(platform.asked(f"{CONTACT}/list_contact_way")) == 2


GROUP = f"{CONTACT}/groupchat"


def test_join_ways_keep_all_their_fields_when_changed(wecom: Wecom, platform: Scripted) -> None:
    platform.on(f"{GROUP}/add_join_way", OK | {"config_id": "j1"})
    platform.on(
        f"{GROUP}/get_join_way",
        OK
        | {
            "join_way": {
                "config_id": "j1",
                "scene": 2,
                "remark": "r",
                "auto_create_room": 0,
                "room_base_name": "春季",
                "room_base_id": 7,
                "chat_id_list": ["wr1"],
                "qr_code": "https://q",
                "state": "s",
            }
        },
    )
    platform.on(f"{GROUP}/update_join_way", OK).on(f"{GROUP}/del_join_way", OK)
    groups = Groups(wecom)
    way = JoinWay("s", ("wr1", "wr2"), room_name="春季", room_number=3)
    assert groups.add_join_way(way) == "j1"
    kept = groups.join_way("j1")
    assert (kept.qr_code, kept.auto_create, kept.room_number) == ("https://q", False, 7)
    groups.update_join_way("j1", kept)
    groups.delete_join_way("j1")
    (changed,) = platform.bodies(f"{GROUP}/update_join_way")
    assert changed == {
        "config_id": "j1",
        "scene": 2,
        "remark": "r",
        "auto_create_room": 0,
        "chat_id_list": ["wr1"],
        "state": "s",
        "room_base_name": "春季",
        "room_base_id": 7,
    }


# ── Reconciliation ──────────────────────────────────────────────────────────────────────────────────────


def test_customers_are_read_with_all_their_relations(wecom: Wecom, platform: Scripted) -> None:
    contact = {"external_userid": "wm1", "name": "小满", "type": 1, "unionid": "u1", "avatar": "https://a"}
    relation = {"userid": "anna", "state": "k3v9", "createtime": 1780000000, "add_way": 1}
    tagged = relation | {"userid": "bo", "tags": [{"tag_id": "t1", "tag_name": "vip", "type": 1}]}
    platform.on(
        f"{CONTACT}/get",
        OK | {"external_contact": contact, "follow_user": [relation], "next_cursor": "n"},
        OK | {"external_contact": contact, "follow_user": [tagged]},
    )
    found = Customers(wecom).get("wm1")
    assert (found.name, found.unionid, found.is_wechat) == ("小满", "u1", True)
    assert [(one.user, one.state, one.tags) for one in found.relations] == [
        ("anna", "k3v9", ()),
        ("bo", "k3v9", ("t1",)),
    ]
    assert platform.asked(f"{CONTACT}/get")[1].url.params["cursor"] == "n"


def test_an_employee_without_customers_has_none(wecom: Wecom, platform: Scripted) -> None:
    platform.on(f"{CONTACT}/list", OK | {"external_userid": ["wm1", "wm2"]}, code(84061), code(60011))
    customers = Customers(wecom)
    assert customers.of("anna") == ["wm1", "wm2"]
    assert customers.of("anna") == []
    with pytest.raises(GoneForGood) as caught:
        customers.of("anna")
    assert caught.value.reason is Reason.MEMBER


def test_customers_of_many_come_in_batches(wecom: Wecom, platform: Scripted) -> None:
    path = f"{CONTACT}/batch/get_by_user"

    def answer(request: httpx.Request) -> httpx.Response:
        users = json.loads(request.content)["userid_list"]
        one = {
            "external_contact": {"external_userid": f"wm-{users[0]}", "type": 1},
            "follow_info": {"userid": users[0], "tag_id": ["t1"]},
        }
        return httpx.Response(200, json=OK | {"external_contact_list": [one]})

    platform.on(path, answer)
    found = list(Customers(wecom).of_all([f"u{n}" for n in range(150)]))
    assert [one.external_userid for one in found] == ["wm-u0", "wm-u100"]
    assert found[0].relations[0].tags == ("t1",)


def test_groups_are_read_with_their_version(wecom: Wecom, platform: Scripted) -> None:
    platform.on(
        f"{GROUP}/list",
        OK | {"group_chat_list": [{"chat_id": "wr1", "status": 0}], "next_cursor": "n"},
        OK | {"group_chat_list": [{"chat_id": "wr2", "status": 0}]},
    )
    member = {"userid": "wm1", "type": 2, "unionid": "u1", "join_time": 1780000000, "join_scene": 3}
    invited = {"userid": "bo", "type": 1, "join_scene": 1, "invitor": {"userid": "anna"}}
    group = {
        "chat_id": "wr1",
        "name": "春季",
        "owner": "anna",
        "member_list": [member | {"state": "k3v9"}, invited],
        "member_version": "v7",
    }
    platform.on(f"{GROUP}/get", OK | {"group_chat": group})
    groups = Groups(wecom)
    assert list(groups.ids(["anna"])) == ["wr1", "wr2"]
    found = groups.get("wr1")
    assert found.member_version == "v7"
    assert [(one.id, one.is_employee, one.state, one.invited_by) for one in found.members] == [
        ("wm1", False, "k3v9", ""),
        ("bo", True, "", "anna"),
    ]


# ── Tags, remarks, hand-over ────────────────────────────────────────────────────────────────────────────


def test_tags_and_remarks(wecom: Wecom, platform: Scripted) -> None:
    group = {"group_id": "g1", "group_name": "等级", "tag": [{"id": "t1", "name": "金"}]}
    platform.on(f"{CONTACT}/get_corp_tag_list", OK | {"tag_group": [group]})
    platform.on(f"{CONTACT}/add_corp_tag", OK | {"tag_group": group})
    for name in ("mark_tag", "remark", "edit_corp_tag", "del_corp_tag"):
        platform.on(f"{CONTACT}/{name}", OK)
    customers = Customers(wecom)
    assert customers.tag_groups()[0].tags == (("t1", "金"),)
    assert customers.add_tags("等级", ["金"]).id == "g1"
    customers.rename_tag("t1", "银")
    customers.delete_tags(["t1"])
    customers.mark("anna", "wm1", add=["t1"], remove=["t2"])
    customers.remark("anna", "wm1", remark="小满")
    assert platform.bodies(f"{CONTACT}/mark_tag") == [
        {"userid": "anna", "external_userid": "wm1", "add_tag": ["t1"], "remove_tag": ["t2"]}
    ]
    assert platform.bodies(f"{CONTACT}/remark") == [
        {"userid": "anna", "external_userid": "wm1", "remark": "小满"}
    ]


def test_customers_are_handed_over_in_service_and_after_leaving(wecom: Wecom, platform: Scripted) -> None:
    answer = OK | {
        "customer": [{"external_userid": "wm1", "errcode": 0}, {"external_userid": "wm2", "errcode": 40128}]
    }
    platform.on(f"{CONTACT}/transfer_customer", answer)
    platform.on(f"{CONTACT}/resigned/transfer_customer", answer)
    results = OK | {"customer": [{"external_userid": f"wm{n}", "status": n} for n in range(1, 6)]}
    platform.on(f"{CONTACT}/transfer_result", results).on(f"{CONTACT}/resigned/transfer_result", results)
    unassigned = OK | {"info": [{"handover_userid": "anna", "external_userid": "wm1"}], "is_last": True}
    platform.on(f"{CONTACT}/get_unassigned_list", unassigned)
    platform.on(f"{GROUP}/transfer", OK | {"failed_chat_list": [{"chat_id": "wr1", "errcode": 90501}]})
    platform.on(f"{GROUP}/onjob_transfer", OK)
    customers = Customers(wecom)
    assert customers.transfer("anna", "bo", ["wm1", "wm2"], message="您好") == {"wm1": 0, "wm2": 40128}
    assert why_not_transferred(40128) is Reason.LIMIT
    assert customers.transfer_of_resigned("anna", "bo", ["wm1"])["wm1"] == 0
    for resigned in (False, True):
        states = [one.status for one in customers.transfers("anna", "bo", resigned=resigned)]
        assert states == ["done", "waiting", "refused", "customer_limit", "other"]
    assert list(customers.unassigned()) == [("anna", "wm1")]
    assert Groups(wecom).transfer(["wr1"], "bo", resigned=True) == {"wr1": 90501}
    assert Groups(wecom).transfer(["wr1"], "bo", resigned=False) == {}
    in_service, left = (platform.bodies(f"{CONTACT}/{p}transfer_customer")[0] for p in ("", "resigned/"))
    assert in_service["transfer_success_msg"] == "您好"
    assert "transfer_success_msg" not in left


# ── Tasks employees confirm ─────────────────────────────────────────────────────────────────────────────


def test_a_mass_message_is_a_task_with_a_result_for_each(wecom: Wecom, platform: Scripted) -> None:
    path = f"{CONTACT}/add_msg_template"
    platform.on(path, OK | {"msgid": "m1", "fail_list": ["wm9"]})
    platform.on(
        f"{CONTACT}/get_groupmsg_task",
        OK | {"task_list": [{"userid": "anna", "status": 2}, {"userid": "bo", "status": 0}]},
    )
    results = [
        {"external_userid": f"wm{n}", "userid": "anna", "status": n, "send_time": 1780000000}
        for n in range(5)
    ]
    platform.on(f"{CONTACT}/get_groupmsg_send_result", OK | {"send_list": results})
    tasks = Tasks(wecom)
    assert tasks.mass_send(MassSend("hi", customers=["wm1", "wm9"], sender="anna")) == ("m1", ("wm9",))
    tasks.mass_send(MassSend("hi", chat_ids=["wr1"], sender="anna", may_choose=True))
    single, group = platform.bodies(path)
    assert (single["chat_type"], single["external_userid"]) == ("single", ["wm1", "wm9"])
    assert (group["chat_type"], group["chat_id_list"], group["allow_select"]) == ("group", ["wr1"], True)
    assert tasks.confirmed("m1") == {"anna": True, "bo": False}
    assert [one.status for one in tasks.deliveries("m1", "anna")] == [
        "waiting",
        "sent",
        "no_longer_customer",
        "over_monthly_limit",
        "other",
    ]


def test_a_moment_is_a_task_too(
    wecom: Wecom, platform: Scripted, queue: Redis, clock: FixedClock, account: str
) -> None:
    platform.on(f"{CONTACT}/add_moment_task", OK | {"jobid": "j1"})
    platform.on(
        f"{CONTACT}/get_moment_task_result",
        OK | {"status": 2, "type": "add_moment_task"},
        OK | {"status": 3, "result": {"errcode": 0, "moment_id": "mom1"}},
    )
    tasks = Tasks(wecom)
    assert tasks.moment("hi", users=["anna"], tags=["t1"]) == "j1"
    assert tasks.moment_result("j1") == ("running", "")
    assert tasks.moment_result("j1") == ("done", "mom1")
    left = {item.budget.name: item.left for item in Quotas(queue, clock).left(account, WECOM)}
    assert (left["moment.minute"], left["moment.month"]) == (9, 99_999)


@pytest.mark.parametrize(
    "call",
    [
        lambda w: ContactWays(w).add(["anna"], state="x" * 31),
        lambda w: ContactWays(w).add(["anna"], state="x", remark="x" * 31),
        lambda w: ContactWays(w).add(["a"] * 101, state="x"),
        lambda w: Groups(w).add_join_way(JoinWay("x", ("wr",) * 6)),
        lambda w: Groups(w).add_join_way(JoinWay("x" * 31, ("wr",))),
        lambda w: Groups(w).add_join_way(JoinWay("x", ("wr",), room_name="x" * 41)),
        lambda w: Groups(w).transfer(["wr"] * 101, "bo", resigned=False),
        lambda w: Customers(w).transfer("a", "b", ["wm"] * 101),
        lambda w: Customers(w).transfer("a", "b", ["wm"], message="x" * 201),
        lambda w: Customers(w).add_tags("g", ["x" * 31]),
        lambda w: Customers(w).mark("a", "wm", add=["t"] * 3001),
        lambda w: Tasks(w).mass_send(MassSend("x", customers=["wm"] * 10_001)),
        lambda w: Tasks(w).mass_send(MassSend("x", chat_ids=["wr"] * 2001)),
        lambda w: Tasks(w).mass_send(MassSend("字" * 1334)),
        lambda w: Tasks(w).moment("x" * 2001),
    ],
)
def test_limits_are_held_before_anything_leaves(
    wecom: Wecom, platform: Scripted, call: Callable[[Wecom], object]
) -> None:
    with pytest.raises(Invalid):
        call(wecom)
    assert platform.requests == []
