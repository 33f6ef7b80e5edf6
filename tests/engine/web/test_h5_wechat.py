"""Signing in inside WeChat: silently, once, by this browser only, and never in the way of a page."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from redis.exceptions import RedisError

from growth_engine.connections import service as connections
from growth_engine.connections.service import Entered
from growth_engine.people import queries as people
from growth_engine.people.rules import Identity
from growth_engine.plays import participation, queries
from growth_engine.plays.models import Participant
from growth_engine.posters import queries as posters
from growth_engine.sandbox import Sandbox
from growth_engine.sandbox.handle import Person
from tests.factories.inside_wechat import HERE, WECHAT, InsideWechat, consented, leaves, sign_in
from tests.factories.phones import publish_campaign

OTHER = {"appid": "wx0000000000000001", "original_id": "gh_000000000001"}


@pytest.fixture
def shop(product: Flask, sandbox: Sandbox) -> InsideWechat:
    sandbox.reset()
    return InsideWechat(product, sandbox)


# -- who is sent, and who is not ---------------------------------------------------------------------


def test_a_page_inside_wechat_asks_silently_and_comes_back_to_where_one_was(shop: InsideWechat) -> None:
    who, phone = shop.sandbox.person("小安"), shop.browser()
    contact = shop.meet(who, "小安")
    address = leaves(phone.get(f"/c/{shop.id}/rules?x=1"))
    asked = parse_qs(urlsplit(address).query)
    assert address.startswith(shop.sandbox.oa_url + "/connect/oauth2/authorize?appid=")
    assert asked["scope"] == ["snsapi_base"]
    assert asked["redirect_uri"] == [f"{HERE}/c/{shop.id}/wechat"]
    assert phone.answer.headers["Cache-Control"] == "no-store"
    back = phone.get(consented(address, who))
    assert (back.status_code, back.headers["Location"]) == (303, f"/c/{shop.id}/rules?x=1")
    assert phone.follow().status_code == 200
    phone.get(f"/c/{shop.id}/register")
    assert "小安" in phone.page
    assert 'name="phone"' not in phone.page
    assert shop.owner(who) == contact


@pytest.mark.parametrize(
    "agent",
    ["Mozilla/5.0 (iPhone) Safari/604.1", f"{WECHAT} wxwork/4.1.30"],
    ids=["another browser", "WeCom"],
)
def test_other_browsers_are_left_alone(shop: InsideWechat, agent: str) -> None:
    assert shop.browser(agent).get(f"/c/{shop.id}").status_code == 200


def test_what_pages_load_and_what_forms_send_is_never_led_away(shop: InsideWechat) -> None:
    phone = shop.browser()
    client, base = phone.client, dict(phone._base)
    for headers in ({"Accept": "application/json"}, {"HX-Request": "true"}, {"Sec-Fetch-Dest": "image"}):
        answer = client.get(f"/c/{shop.id}", **{**base, "headers": {**base["headers"], **headers}})
        assert answer.status_code == 200, headers
    assert phone.post(f"/c/{shop.id}/register", {}).status_code == 403  # no form of ours, but no redirect
    assert client.head(f"/c/{shop.id}", **base).status_code == 200


def test_without_an_official_account_pages_are_as_ever(shop: InsideWechat) -> None:
    with shop.parts.open(shop.workspace) as ctx:
        connections.disable(ctx, shop.account)
    assert shop.browser().get(f"/c/{shop.id}").status_code == 200


def test_of_two_accounts_the_one_that_carries_the_campaign_signs_in(shop: InsideWechat) -> None:
    with shop.parts.open(shop.workspace) as ctx:
        connections.connect(
            ctx,
            "wechat_oa",
            Entered("Other", dict(OTHER), {"mode": "safe"}, {"app_secret": "0" * 32}),
        )
    assert shop.browser().get(f"/c/{shop.id}").status_code == 200, "nobody can tell which"
    shop.bind(shop.account)
    assert shop.sandbox.credentials["oa"]["appid"] in leaves(shop.browser().get(f"/c/{shop.id}"))


def test_called_by_another_name_nobody_is_led_away(shop: InsideWechat) -> None:
    phone = shop.browser()
    phone._base["headers"]["Host"] = "127.0.0.1"
    assert phone.get(f"/c/{shop.id}").status_code == 200


# -- no loops ----------------------------------------------------------------------------------------


def test_who_comes_back_without_a_name_sees_the_page_and_is_not_sent_again(shop: InsideWechat) -> None:
    phone = shop.browser()
    leaves(phone.get(f"/c/{shop.id}"))
    assert phone.get(f"/c/{shop.id}").status_code == 200, "once left, pages show"


def test_a_browser_without_cookies_meets_a_plain_page_with_a_way_on(shop: InsideWechat) -> None:
    who, phone = shop.sandbox.person("小安"), shop.browser()
    back = consented(leaves(phone.get(f"/c/{shop.id}")), who)
    stranger = shop.browser(number=2)
    assert stranger.get(back).status_code == 409
    assert f"/c/{shop.id}?wx=off" in stranger.page
    assert shop.browser(number=3).get(f"/c/{shop.id}?wx=off").status_code == 200


# -- the way back ------------------------------------------------------------------------------------


def test_a_stolen_way_back_signs_nobody_in(shop: InsideWechat) -> None:
    """Whoever is sent the link of somebody else's sign-in does not become that person."""
    thief, victim = shop.sandbox.person("贼"), shop.browser(number=2)
    back = consented(leaves(shop.browser().get(f"/c/{shop.id}")), thief)
    leaves(victim.get(f"/c/{shop.id}"))
    assert victim.get(back).status_code == 409
    victim.get(f"/c/{shop.id}/register")
    assert 'name="phone"' in victim.page


def test_the_way_back_works_once_and_a_reload_is_harmless(shop: InsideWechat) -> None:
    who, phone = shop.sandbox.person("小安"), shop.browser()
    back = consented(leaves(phone.get(f"/c/{shop.id}")), who)
    assert phone.get(back).status_code == 303
    again = phone.get(back)
    assert (again.status_code, again.headers["Location"]) == (303, f"/c/{shop.id}/me")


@pytest.mark.parametrize("state", ["", "x", "0" * 32, "x" * 200, "../../etc/passwd"])
def test_a_state_of_nobody_is_refused(shop: InsideWechat, state: str) -> None:
    phone = shop.browser()
    phone.get(f"/c/{shop.id}?wx=off")
    assert phone.get(f"/c/{shop.id}/wechat?code=x&state={state}").status_code == 409
    assert "Go on without signing in" in phone.text()


def test_a_state_of_another_campaign_is_refused(shop: InsideWechat) -> None:
    other = publish_campaign(shop.parts, shop.workspace)
    who, phone = shop.sandbox.person("小安"), shop.browser()
    back = consented(leaves(phone.get(f"/c/{shop.id}")), who)
    assert phone.get(back.replace(shop.id, other)).status_code == 409


def test_a_code_that_was_used_or_is_late_or_made_up_is_said_so(shop: InsideWechat) -> None:
    who = shop.sandbox.person("小安")
    for spoil in ("late", "made up"):
        phone = shop.browser()
        back = consented(leaves(phone.get(f"/c/{shop.id}")), who)
        if spoil == "late":
            shop.sandbox.advance(301)
        else:
            back = back.replace("code=0", "code=1")
        assert phone.get(back).status_code == 409
        assert "That took too long" in phone.text()


def test_when_wechat_does_not_answer_the_page_says_so(shop: InsideWechat) -> None:
    who, phone = shop.sandbox.person("小安"), shop.browser()
    back = consented(leaves(phone.get(f"/c/{shop.id}")), who)
    shop.sandbox.fault("oa", "status", match="*/sns/oauth2/access_token", value=502, times=9)
    assert phone.get(back).status_code == 503
    assert f"/c/{shop.id}?wx=off" in phone.page


def test_nobody_can_be_led_elsewhere(shop: InsideWechat) -> None:
    phone, who = shop.browser(), shop.sandbox.person("小安")
    sign_in(phone, f"/c/{shop.id}", who)
    for target in ("https://evil.example/", "//evil.example", "/\\evil.example"):
        address = leaves(phone.get(f"/c/{shop.id}/wechat/name?next={target}"))
        back = phone.get(consented(address, who, "allow"))
        assert back.headers["Location"] == f"/c/{shop.id}/me"


# -- who it is ---------------------------------------------------------------------------------------


def test_a_stranger_joins_by_openid_without_a_number(shop: InsideWechat) -> None:
    who, phone = shop.sandbox.person("小安"), shop.browser()
    assert sign_in(phone, f"/c/{shop.id}/register", who).status_code == 303
    phone.follow()
    assert 'name="phone"' not in phone.page
    answer = phone.post(f"/c/{shop.id}/register", {"nickname": "小安", "consent": "yes", **phone.hidden()})
    assert answer.status_code == 303, phone.text()
    assert phone.follow().status_code == 200
    contact = shop.owner(who)
    assert contact is not None
    with shop.parts.open(shop.workspace) as ctx:
        (rows,) = people.identities_of(ctx, [contact]).values()
    assert {one.kind: one.verified_at is not None for one in rows}["openid"]
    # From another browser inside WeChat the same person is at home at once.
    other = shop.browser(number=2)
    sign_in(other, f"/c/{shop.id}/me", who)
    other.follow()
    assert other.invite_token() == phone.invite_token()


def test_the_number_typed_outside_is_not_replaced_by_an_openid_typed_in(shop: InsideWechat) -> None:
    """Fields cannot claim an openid: only what WeChat proved in this browser counts."""
    who, phone = shop.sandbox.person("小安"), shop.browser("Mozilla/5.0")
    phone.open_form(shop.id)
    fields = {"nickname": "E", "consent": "yes", "openid": who.openid(), **phone.hidden()}
    assert phone.post(f"/c/{shop.id}/register", fields).status_code == 422
    assert shop.owner(who) is None


def test_somebody_known_by_number_keeps_their_page_and_gets_the_openid(shop: InsideWechat) -> None:
    who, phone = shop.sandbox.person("小安"), shop.browser("Mozilla/5.0")
    token = phone.join(shop.id, "13900139001", "An")
    phone._base["headers"]["User-Agent"] = WECHAT
    sign_in(phone, f"/c/{shop.id}/me", who)
    phone.follow()
    assert phone.invite_token() == token
    assert shop.owner(who) is not None


def test_another_persons_wechat_ends_what_this_browser_was(shop: InsideWechat) -> None:
    """The sandbox's phone in other hands; with the real platform: the same browser, another account."""
    a, b, phone = shop.sandbox.person("安"), shop.sandbox.person("白"), shop.browser("Mozilla/5.0")
    shop.meet(a, "Anna")
    shop.meet(b, "Bea")
    phone.client.set_cookie("sandbox_person", a.id)
    sign_in(phone, f"/c/{shop.id}/register", a)
    phone.follow()
    assert "Anna" in phone.page
    phone.client.set_cookie("sandbox_person", b.id)
    sign_in(phone, f"/c/{shop.id}/register", b)
    phone.follow()
    assert "Bea" in phone.page
    stranger = shop.sandbox.person("生")
    phone.client.set_cookie("sandbox_person", stranger.id)
    sign_in(phone, f"/c/{shop.id}/register", stranger)
    phone.follow()
    assert "Bea" not in phone.page


def test_the_name_comes_by_a_tap_and_can_be_refused(shop: InsideWechat) -> None:
    who, phone = shop.sandbox.person("小安同学"), shop.browser()
    sign_in(phone, f"/c/{shop.id}/register", who)
    phone.follow()
    assert f"/c/{shop.id}/wechat/name" in phone.page
    name = f"/c/{shop.id}/wechat/name?next=/c/{shop.id}/register"
    phone.get(consented(leaves(phone.get(name)), who, "refuse"))
    assert phone.answer.status_code == 200
    assert "WeChat did not say who you are" in phone.text()
    address = leaves(phone.get(name))
    assert parse_qs(urlsplit(address).query)["scope"] == ["snsapi_userinfo"]
    phone.get(consented(address, who, "allow"))
    phone.follow()
    assert 'value="小安同学"' in phone.page


def test_who_followed_without_a_name_may_put_it_on_their_poster(shop: InsideWechat) -> None:
    who, phone = shop.sandbox.person("小安同学"), shop.browser()
    mine = follows(shop, who)
    sign_in(phone, f"/c/{shop.id}/me", who)
    phone.get(f"/c/{shop.id}/me?i={mine.invite_token}")
    show = f"/c/{shop.id}/wechat/name?show=1"
    assert show in phone.page
    # A link that others sent agrees to nothing, though WeChat hands over the name.
    phone.get(consented(leaves(phone.get(show, headers={"Sec-Fetch-Site": "cross-site"})), who, "allow"))
    assert (nickname(shop, mine), agreed(shop, mine)) == ("小安同学", False)
    phone.get(consented(leaves(phone.get(show, headers={"Sec-Fetch-Site": "same-origin"})), who, "allow"))
    assert agreed(shop, mine)
    with shop.parts.open(shop.workspace) as ctx:
        poster = posters.poster_of(ctx, mine.id)
        assert poster is not None
        assert poster.personal["nickname"] == "小安同学"
    phone.get(f"/c/{shop.id}/me?i={mine.invite_token}")
    assert "小安同学" in phone.page
    assert show not in phone.page


def test_the_referer_says_so_where_the_browser_does_not(shop: InsideWechat) -> None:
    who, phone = shop.sandbox.person("Bo"), shop.browser()
    mine = follows(shop, who)
    sign_in(phone, f"/c/{shop.id}/me", who)
    show = f"/c/{shop.id}/wechat/name?show=1"
    for referer, counts in (("http://elsewhere.example/", False), (f"{HERE}/c/{shop.id}/me", True)):
        phone.get(consented(leaves(phone.get(show, headers={"Referer": referer})), who, "allow"))
        assert agreed(shop, mine) is counts


def follows(shop: InsideWechat, who: Person) -> Participant:
    """Somebody who takes part since they followed: known by openid, nameless, agreed to nothing."""
    ask = participation.JoinAsk(identities=[Identity("openid", who.openid())])
    joined = participation.join(shop.parts, shop.workspace, shop.id, ask, source="wechat_oa", key=who.id)
    assert joined.participant is not None
    with shop.parts.open(shop.workspace) as ctx:
        return queries.participant(ctx, joined.participant["id"])


def nickname(shop: InsideWechat, mine: Participant) -> str:
    with shop.parts.open(shop.workspace) as ctx:
        return people.contact(ctx, mine.contact_id).nickname


def agreed(shop: InsideWechat, mine: Participant) -> bool:
    with shop.parts.open(shop.workspace) as ctx:
        return people.has_consented(ctx, mine.contact_id, participation.CONSENT_PURPOSE)


def test_a_customer_of_an_employee_is_asked_who_they_are_and_finds_their_page(shop: InsideWechat) -> None:
    who, phone = shop.sandbox.person("小伍"), shop.browser()
    corp = shop.connect_wecom()
    shop.bind(corp)
    ask = participation.JoinAsk(
        identities=[Identity("external_userid", "wm1"), Identity("unionid", who.unionid)]
    )
    joined = participation.join(shop.parts, shop.workspace, shop.id, ask, source="wecom", key="wm1")
    assert joined.participant is not None
    sign_in(phone, f"/c/{shop.id}/me", who)
    phone.get(f"/c/{shop.id}/me")
    assert "Is that you?" in phone.page
    assert f"/c/{shop.id}/wechat/name" in phone.page
    back = phone.get(consented(leaves(phone.get(f"/c/{shop.id}/wechat/name")), who, "allow"))
    assert back.headers["Location"] == f"/c/{shop.id}/me"
    phone.follow()
    phone.follow()
    assert phone.invite_token() == joined.participant["invite_token"]
    # A stranger who says who they are is led on as anybody, not asked for ever.
    other, stranger = shop.browser(number=2), shop.sandbox.person("Stranger")
    sign_in(other, f"/c/{shop.id}/me", stranger)
    other.get(consented(leaves(other.get(f"/c/{shop.id}/wechat/name")), stranger, "allow"))
    assert other.get(f"/c/{shop.id}/me").headers["Location"] == f"/c/{shop.id}"


def test_a_snapshot_person_is_nobody(shop: InsideWechat) -> None:
    who, phone = shop.sandbox.person("影", snapshot=True), shop.browser()
    sign_in(phone, f"/c/{shop.id}/register", who)
    phone.follow()
    address = leaves(phone.get(f"/c/{shop.id}/wechat/name?next=/c/{shop.id}/register"))
    phone.get(consented(address, who, "allow"))
    assert phone.answer.status_code == 200
    assert "open the whole page" in phone.text()


# -- what pages load ---------------------------------------------------------------------------------


def test_only_pages_that_need_it_may_load_wechats_script(shop: InsideWechat) -> None:
    who, phone = shop.sandbox.person("小安"), shop.browser()
    sign_in(phone, f"/c/{shop.id}", who)
    shares = phone.follow()
    assert f'src="{shop.sandbox.oa_url}/open/js/jweixin-1.6.0.js"' in phone.page
    assert f"script-src 'self' {shop.sandbox.oa_url};" in shares.headers["Content-Security-Policy"]
    plain = phone.get(f"/c/{shop.id}/rules")
    assert "script-src 'self';" in plain.headers["Content-Security-Policy"]
    outside = shop.browser("Mozilla/5.0").get(f"/c/{shop.id}")
    assert "script-src 'self';" in outside.headers["Content-Security-Policy"]
    assert "jweixin" not in outside.get_data(as_text=True)


def test_only_our_own_pages_are_signed(shop: InsideWechat) -> None:
    phone = shop.browser()
    good = phone.get(f"/c/{shop.id}/wechat/config?url={HERE}/c/{shop.id}?i=1")
    assert good.status_code == 200
    assert set(good.get_json()) == {"appId", "timestamp", "nonceStr", "signature"}
    for url in ("", "https://evil.example/", f"{HERE}.evil.example/", "x" * 3000):
        assert phone.get(f"/c/{shop.id}/wechat/config?url={url}").status_code == 400


def test_pages_show_without_redis(shop: InsideWechat, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RedisError

    monkeypatch.setattr(shop.parts.queue, "set", broken)
    assert shop.browser().get(f"/c/{shop.id}/rules").status_code == 200
