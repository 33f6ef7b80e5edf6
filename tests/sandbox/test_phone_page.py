"""The page with the simulated phone, in a browser: what one does by hand, in both languages and sizes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from wechatpayv3 import WeChatPay, WeChatPayType

from growth_engine.sandbox import Sandbox, start
from growth_engine.sandbox.handle import Person
from tests.browser.watched import Watched, watched
from tests.sandbox.application import Application, Received
from tests.sandbox.conftest import HTTP, Api, picture_of, stable_token

pytestmark = pytest.mark.browser

STATIC = Path(__file__).parents[2] / "growth_engine" / "sandbox" / "control" / "static"


@pytest.fixture
def live_sandbox(application: Application) -> Iterator[Sandbox]:
    """By the wall's clock, as a browser shows it, with an application that answers nothing."""
    with start() as made:
        made.oa_server(application.url + "/oa", mode="plain")
        yield made


@pytest.fixture(params=[("phone", "zh"), ("desk", "en")], ids="-".join)
def visitor(request: pytest.FixtureRequest, browser: Browser, live_sandbox: Sandbox) -> Iterator[Watched]:
    size, language = request.param
    locale = {"zh": "zh-CN", "en": "en-US"}[language]
    with watched(browser, live_sandbox.oa_url, size, locale) as made:
        made.go("/_sandbox/")
        made.page.wait_for_selector(".rooms")
        yield made


def _oa(sandbox: Sandbox) -> Api:
    return Api(sandbox.oa_url, lambda: str(stable_token(sandbox)["access_token"]))


def _merchant(sandbox: Sandbox, application: Application) -> WeChatPay:
    known = sandbox.credentials["pay"]
    made = WeChatPay(
        wechatpay_type=WeChatPayType.JSAPI,
        mchid=known["mchid"],
        private_key=known["merchant_private_key"],
        cert_serial_no=known["merchant_serial"],
        apiv3_key=known["api_v3_key"],
        appid=known["appid"],
        notify_url=application.url + "/pay",
        public_key=known["public_key"],
        public_key_id=known["public_key_id"],
    )
    made._core._gate_way = sandbox.pay_url
    return made


def test_following_through_a_poster_writing_and_leaving(visitor: Watched, live_sandbox: Sandbox) -> None:
    page, oa = visitor.page, _oa(live_sandbox)
    body = {
        "action_name": "QR_STR_SCENE",
        "expire_seconds": 600,
        "action_info": {"scene": {"scene_str": "s"}},
    }
    code = oa.post("/cgi-bin/qrcode/create", body)["url"]
    page.locator(".bar .right button").click()
    page.locator(".plusmenu button").first.click()
    page.locator("input[type=file]").set_input_files(
        {"name": "poster.png", "mimeType": "image/png", "buffer": picture_of(code)}
    )
    expect(page.locator(".system")).to_be_visible()
    openid = Person(live_sandbox, "p1").openid()
    text = 'hello <a href="http://127.0.0.1:1/me">me</a> <b>not bold</b>'
    oa.post("/cgi-bin/message/custom/send", {"touser": openid, "msgtype": "text", "text": {"content": text}})
    expect(page.locator(".bubble a.link")).to_have_text("me")
    expect(page.locator(".bubble b")).to_have_count(0)
    page.locator(".entry input[type=text]").fill("thanks")
    page.locator(".entry input[type=text]").press("Enter")
    expect(page.locator(".msg.me .bubble")).to_have_text("thanks")
    visitor.look()
    page.locator(".bar .right button").click()
    page.locator(".actions .danger").click()
    expect(page.locator(".entry .wide")).to_be_visible()
    page.locator(".entry .wide").click()
    expect(page.locator(".entry input[type=text]")).to_be_visible()
    visitor.look()


def test_paying_by_code_and_taking_a_transfer(
    visitor: Watched, live_sandbox: Sandbox, application: Application
) -> None:
    page, merchant = visitor.page, _merchant(live_sandbox, application)
    _, answer = merchant.pay(
        description="课", out_trade_no="native_01", amount={"total": 990}, pay_type=WeChatPayType.NATIVE
    )
    page.locator(".rooms button").nth(1).click()
    page.locator(".cell").first.click()
    page.locator("textarea").fill(json.loads(answer)["code_url"])
    page.locator(".pastebox button").click()
    expect(page.locator(".bottom .sum")).to_have_text("¥9.90")
    page.locator(".bottom .wide").click()
    expect(page.locator(".bottom")).to_have_count(0)
    li = Person(live_sandbox, "p1")
    live_sandbox.settle()
    assert li.balance == 100_000 - 990
    merchant.mch_transfer_bills(
        out_bill_no="T1",
        transfer_scene_id="1000",
        openid=li.openid(),
        transfer_amount=500,
        transfer_remark="奖励",
        transfer_scene_report_infos=[
            {"info_type": "活动名称", "info_content": "a"},
            {"info_type": "奖励说明", "info_content": "b"},
        ],
    )
    page.locator(".bar button").first.click()
    page.locator(".rooms button").nth(2).click()
    page.locator("button.cell").first.click()
    expect(page.locator(".incoming b")).to_have_text("¥5.00")
    page.locator(".incoming .wide").click()
    expect(page.locator(".amount.in")).to_have_text("+5.00")
    visitor.look()


def test_every_tab_of_the_controls_is_whole(visitor: Watched) -> None:
    page = visitor.page
    drawer = page.locator(".drawer-open")
    if page.viewport_size and page.viewport_size["width"] < 760:
        drawer.click()
    page.locator(".people input").fill("新人")
    page.locator(".people form button").click()
    expect(page.locator('.person[aria-current="true"] b')).to_have_text("新人")
    if page.viewport_size and page.viewport_size["width"] < 760:
        drawer.click()
    for number in range(4):
        page.locator(".tabs button").nth(number).click()
        page.locator(".sheet > *").first.wait_for()
        visitor.look()


# -- the application's own pages -------------------------------------------------------------------------

_PAGE = """<!doctype html><title>shop</title><meta name="viewport" content="width=device-width"><h1>shop</h1>
<p id="said"></p><button id="pay">pay</button>
<script src="{base}/open/js/jweixin-1.6.0.js"></script><script>
var said = document.getElementById("said");
wx.ready(function () {{ said.textContent = "ready"; }});
wx.error(function (why) {{ said.textContent = why.errMsg; }});
wx.config({config});
document.getElementById("pay").onclick = function () {{
  WeixinJSBridge.invoke("getBrandWCPayRequest", {request}, function (how) {{
    said.textContent = how.err_msg;
  }});
}};
</script>"""


def _shop(sandbox: Sandbox, application: Application, *, forged: bool = False) -> str:
    """A page of the application that may be paid by 林小满; its address."""
    known, li = sandbox.credentials["oa"], Person(sandbox, "p1")
    host = application.url.removeprefix("http://")
    HTTP.post(
        f"{sandbox.admin_url}/oa/{known['appid']}", json={"js_domains": [host], "oauth_domains": [host]}
    )
    merchant = _merchant(sandbox, application)
    _, answer = merchant.pay(
        description="会员", out_trade_no="order_0001", amount={"total": 100}, payer={"openid": li.openid()}
    )
    package = f"prepay_id={json.loads(answer)['prepay_id']}"
    sign = merchant.sign([known["appid"], "1", "n", package])
    request = {"appId": known["appid"], "timeStamp": "1", "nonceStr": "n", "package": package}
    request |= {"signType": "RSA", "paySign": sign}
    url = application.url + "/shop"
    params = {"appid": known["appid"], "noncestr": "n", "timestamp": "1", "url": url}
    _oa(sandbox).get("/cgi-bin/ticket/getticket", type="jsapi")
    signature = HTTP.get(sandbox.admin_url + "/js-signature", params=params).json()["signature"]
    config = {"appId": known["appid"], "timestamp": 1, "nonceStr": "n"}
    config["signature"] = "forged" if forged else signature
    text = _PAGE.format(base=sandbox.oa_url, config=json.dumps(config), request=json.dumps(request))

    def page(got: Received) -> tuple[int, bytes]:
        return 200, text.encode() if got.path == "/shop" else got.query.get("echostr", "").encode()

    application.verify = page
    return url


@pytest.mark.parametrize("size", ["desk", "phone"])
def test_a_page_in_a_tab_of_its_own_goes_to_be_paid_and_comes_back(
    browser: Browser, live_sandbox: Sandbox, application: Application, size: str
) -> None:
    url = _shop(live_sandbox, application)
    with watched(browser, live_sandbox.oa_url, size, "zh-CN") as visitor:
        visitor.go("/_sandbox/")
        visitor.page.wait_for_selector(".rooms")
        visitor.page.goto(url)
        expect(visitor.page.locator("#said")).to_have_text("ready")
        visitor.page.locator("#pay").click()
        expect(visitor.page.locator(".sum")).to_have_text("¥1.00")
        visitor.look()
        visitor.page.locator(".button").first.click()
        visitor.page.wait_for_url(url)
        live_sandbox.settle()
        assert len(application.received) == 1


def test_a_page_in_the_phones_frame_is_paid_on_a_sheet(
    browser: Browser, live_sandbox: Sandbox, application: Application
) -> None:
    live_sandbox.options(frames=True)
    url = _shop(live_sandbox, application)
    with watched(browser, live_sandbox.oa_url, "desk", "zh-CN") as visitor:
        page = visitor.page
        visitor.go("/_sandbox/")
        page.locator(".rooms button").nth(1).click()
        page.locator(".cell").first.click()
        page.locator("textarea").fill(url)
        page.locator(".pastebox button").click()
        frame = page.frame_locator("iframe")
        expect(frame.locator("#said")).to_have_text("ready")
        frame.locator("#pay").click()
        page.locator(".bottom .wide").click()
        expect(frame.locator("#said")).to_have_text("get_brand_wcpay_request:ok")


def test_a_page_signed_wrongly_is_told_so(
    browser: Browser, live_sandbox: Sandbox, application: Application
) -> None:
    url = _shop(live_sandbox, application, forged=True)
    with watched(browser, live_sandbox.oa_url, "phone", "zh-CN") as visitor:
        visitor.page.goto(url)
        expect(visitor.page.locator("#said")).to_have_text("config:invalid signature")


def test_signing_in_asks_and_comes_back(
    browser: Browser, live_sandbox: Sandbox, application: Application
) -> None:
    _shop(live_sandbox, application)
    appid = live_sandbox.credentials["oa"]["appid"]
    address = (  # a fragment ends it, which no server sees
        f"/connect/oauth2/authorize?appid={appid}&redirect_uri={application.url}/shop"
        "&response_type=code&scope=snsapi_userinfo&state=abc#wechat_redirect"
    )
    with watched(browser, live_sandbox.oa_url, "phone", "zh-CN") as visitor:
        visitor.go(address)
        visitor.page.locator(".row").first.click()
        expect(visitor.page.locator(".who")).to_have_text("林小满")
        visitor.look()
        visitor.page.locator(".button").first.click()
        visitor.page.wait_for_url(re.compile(r"/shop\?code=\w+&state=abc"))


# -- words -----------------------------------------------------------------------------------------------


def _words() -> dict[str, set[str]]:
    text = (STATIC / "words.js").read_text(encoding="utf-8")
    found: dict[str, Any] = {}
    for language, body in re.findall(r"^  (zh|en): \{(.*?)^  \},", text, re.S | re.M):
        found[language] = set(re.findall(r"(\w+): \"", body))
    return found


def test_every_word_stands_in_both_languages_and_is_used() -> None:
    words = _words()
    assert words["zh"] == words["en"]
    code = "".join(path.read_text(encoding="utf-8") for path in STATIC.glob("*.js") if path.stem != "words")
    unused = {word for word in words["zh"] if not re.search(rf'"{word}"', code)}
    assert unused == {"moment"}, "that one is chosen by the kind of a task"
    said = set(re.findall(r"\bt\(\"(\w+)\"", code))
    assert said <= words["zh"], said - words["zh"]
