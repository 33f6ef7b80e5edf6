"""A new user's walk: a campaign bound in the console, then nothing but the sandbox's phone, tap by tap."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.sandbox_phone import SandboxPhone, phone_of, source_url
from tests.browser.watched import Watched, watched
from tests.live import Live, until

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("live")]

#: A busy machine may answer late, and then the reply takes the way through a worker.
PATIENCE = 60_000


@pytest.fixture(autouse=True)
def patience() -> None:
    expect.set_options(timeout=PATIENCE)


@pytest.fixture
def staff(browser: Browser, live: Live) -> Iterator[Watched]:
    with watched(browser, live.url, "desk", "zh-CN") as made:
        made.go(live.cli("staff", "link", "--email", "admin@demo.example"))
        made.click("main form button[type=submit]")
        yield made


@pytest.fixture
def phone(browser: Browser, live: Live) -> Iterator[SandboxPhone]:
    with phone_of(browser, live) as made:
        yield made


# -- the console -------------------------------------------------------------------------------------


def publish(staff: Watched, template: str, channel: str, **values: str) -> str:
    """A ready campaign, bound to a channel and changed a little, by clicking; its page in the console."""
    page = staff.page
    staff.go(f"/console/gallery/{template}")
    staff.click(f'a[href*="template={template}"]')
    account = page.locator("select[name=channel] option", has_text=re.compile(f"^{channel} ·"))
    page.locator("select[name=channel]").select_option(account.get_attribute("value") or "")
    page.check("input[name=channel_default]")
    for name, value in values.items():
        page.fill(f"[name={name.replace('_', '-', 1)}]", value)
    # The preview follows what was typed; leaving before it came is said in the browser's console.
    page.wait_for_timeout(800)
    expect(page.locator(".ge-preview.htmx-request")).to_have_count(0)
    staff.click("#editor .ge-save-bar button[type=submit]")
    where = page.url
    if page.locator("input[name=accept]").count():
        page.check("input[name=accept]")
    staff.click('form[action$="/publish"] button[type=submit]')
    assert page.url == where
    return where


def counted(staff: Watched, campaign: str, people: int, invites: int) -> None:
    """The campaign's page says so many people and valid invites."""

    def says() -> bool:
        staff.go(campaign)
        figures = staff.page.locator(".ge-stat-value").all_inner_texts()
        return figures[1:3] == [str(people), str(invites)]

    until(says, 20, f"{people} people and {invites} valid invites on {campaign}")


# -- following, bringing, leaving --------------------------------------------------------------------


def a_brings_b(staff: Watched, phone: SandboxPhone) -> str:
    """A follows and gets a poster, B follows through it and gets one of their own, A is told and counts one;
    the campaign's page in the console. A holds the phone, with the account's chat open."""
    campaign = publish(staff, "saas-membership", "Sandbox")
    phone.make("小安")
    phone.follow()
    expect(phone.texts.first).to_contain_text("回复“海报”可再次获取")
    poster = phone.saved_picture()
    phone.make("小白")
    phone.scan(poster)
    expect(phone.texts.first).to_contain_text("你的页面")
    expect(phone.pictures).to_have_count(1)
    assert phone.saved_picture() != poster, "B has a poster of their own"
    phone.hand_to("小安")
    phone.open_chat()
    expect(phone.texts.last).to_contain_text("有好友通过你的邀请注册")
    counted(staff, campaign, people=2, invites=1)
    return campaign


def test_a_friend_follows_through_a_poster_and_the_inviter_is_told(
    staff: Watched, phone: SandboxPhone
) -> None:
    a_brings_b(staff, phone)
    assert phone.watched.problems == []


@pytest.mark.drill
def test_a_friend_leaves_and_comes_back(staff: Watched, phone: SandboxPhone) -> None:
    campaign = a_brings_b(staff, phone)
    mine = phone.open_link("/me")
    expect(mine.locator(".h5-stats b").first).to_have_text("1")
    phone.hand_to("小白")
    phone.open_chat()
    phone.leave()
    expect(phone.page.locator(".entry button.wide")).to_be_visible()
    counted(staff, campaign, people=2, invites=0)
    phone.hand_to("小安")
    mine.reload()
    expect(mine.locator(".h5-stats b").first).to_have_text("0")
    expect(mine.locator("main")).to_contain_text("已退出，邀请不再计入。")

    phone.hand_to("小白")
    phone.open_chat()
    phone.follow()
    expect(phone.texts.filter(has_text="欢迎回来！")).to_be_visible()
    counted(staff, campaign, people=2, invites=1)
    before = phone.pictures.count()
    phone.write("海报")
    expect(phone.pictures).to_have_count(before + 1)
    assert phone.watched.problems == []


# -- buying, refunding, withdrawing ------------------------------------------------------------------


def agree(page: Page, button: Locator, state: str) -> None:
    """Tap what opens WeChat's own sheet, agree there, and see on our page that it is done."""
    button.click()
    page.wait_for_url("**/_sandbox/ask?**")
    page.locator("#ask button.button:not(.plain)").click()
    expect(page.locator(state)).to_be_visible()


def asked(staff: Watched, button: str) -> None:
    """Press a button of the console that asks first, and say yes."""
    staff.page.locator(button).first.click()
    with staff.page.expect_navigation():
        staff.page.locator("dialog[open] button").last.click()


def withdraw(page: Page, staff: Watched, campaign: str, amount: str) -> None:
    """Ask for money on the phone's page; the console approves; the page then waits for its owner."""

    def may_ask() -> bool:
        page.goto(f"{campaign}/wallet/withdraw")
        return page.locator("input[name=amount]").count() == 1

    # What is on hold no longer goes over into the wallet once a minute.
    until(may_ask, 90, "there is something to withdraw")
    page.fill("input[name=amount]", amount)
    page.locator("form.h5-form button[type=submit]").click()
    page.wait_for_url("**/wallet/withdrawals")
    staff.go("/console/payouts?tab=requested")
    staff.click(".page-body table tbody a")
    asked(staff, "button[name=action][value=approve]")

    def waits() -> bool:
        page.reload()
        return page.locator(".h5-confirm button").count() == 1

    until(waits, 30, "the transfer waits for its owner")


@pytest.mark.drill
def test_buying_refunding_and_withdrawing_by_taps_with_books_that_balance(
    staff: Watched, phone: SandboxPhone, live: Live
) -> None:
    console = publish(staff, "book-fans", "Sandbox", rules_hold_days="0")
    campaign = console.replace("/console/campaigns/", "/c/")
    staff.go("/console/payouts/rules")
    staff.page.select_option("select[name=provider]", "wechat_pay")
    staff.click(".page-body form button[type=submit]")

    phone.make("小文")
    phone.follow()
    poster = phone.saved_picture()
    phone.make("小许")
    phone.scan(poster)
    expect(phone.texts.first).to_contain_text("查看并购买")
    shop = phone.open_link("/shop")
    shop.fill("[name=q-book]", "2")
    shop.locator("form button.h5-cta, .h5-cta-order").first.click()
    agree(shop, shop.locator(".h5-wx button").first, ".h5-state-paid")

    # Half of it goes back, by the page of the order: half of the commission with it.
    staff.go(f"{console}/orders")
    staff.click(".page-body table tbody a")
    staff.page.fill("input[name=amount]", "59")
    staff.page.locator("form:has(input[name=amount]) button[type=submit]").first.click()
    with staff.page.expect_navigation():
        staff.page.get_by_role("button", name="退款 ¥59.00").click()
    until(lambda: reloaded(staff, "部分退款"), 30, "the order says that half was given back")

    phone.hand_to("小文")
    phone.open_chat()
    wallet = phone.open_link("/me")
    until(lambda: shows(wallet, f"{campaign}/wallet", "¥11.80"), 60, "what is left is in the wallet")
    withdraw(wallet, staff, campaign, "10")
    phone.home()
    phone.page.locator("nav.rooms button").last.click()
    phone.page.locator("button.cell").first.click()
    phone.page.locator(".incoming button").click()
    expect(phone.page.locator(".incoming")).to_have_count(0)
    address = f"{campaign}/wallet/withdrawals"
    until(lambda: shows(wallet, address, "已付款"), 30, "the withdrawal is paid")

    # What nobody confirms comes back after a day: the sandbox's, a tap on.
    withdraw(wallet, staff, campaign, "1.5")
    phone.panel(2).locator(".buttons button").nth(2).click()
    until(lambda: shows(wallet, address, "付款失败"), 60, "the transfer has expired")
    phone.close_drawer()
    assert shows(wallet, f"{campaign}/wallet", "¥1.80"), "it is back in the wallet"
    assert ", 0 faults." in live.cli("ledger", "verify")


def reloaded(of: Watched, text: str) -> bool:
    of.page.reload()
    return text in of.page.locator("main, .page-wrapper").first.inner_text()


def shows(page: Page, address: str, text: str) -> bool:
    page.goto(address)
    return text in page.locator("main").inner_text()


# -- WeCom -------------------------------------------------------------------------------------------


@pytest.mark.drill
def test_a_friend_adds_an_employee_through_a_poster_and_joins_a_group_by_a_live_code(
    staff: Watched, phone: SandboxPhone
) -> None:
    console = publish(staff, "fan-gifts", "Sandbox WeCom")
    phone.make("小林")
    phone.open_text(console.replace("/console/campaigns/", "/c/") + "/register")
    mine = phone.tabs[-1]
    mine.fill("#nickname", "小林")
    mine.check("#consent")
    mine.locator(".h5-form button[type=submit]").click()
    picture = mine.locator("img.h5-poster-picture[src]")
    expect(picture).to_be_visible()
    poster = mine.request.get(source_url(staff.page.url, picture.get_attribute("src") or "")).body()

    phone.make("小伍")
    phone.scan(poster)
    expect(phone.texts.first).to_contain_text("你的页面")
    expect(phone.pictures).to_have_count(1)
    counted(staff, console, people=2, invites=1)
    page = phone.open_link("/me")
    page.locator(".h5-actions a.h5-cta").first.click()
    page.locator("a", has_text="允许").click()
    expect(page.locator(".h5-stats b").first).to_have_text("0")
    phone.leave()
    counted(staff, console, people=2, invites=0)

    code = group_code(phone)
    staff.go("/console/live-codes/new")
    staff.page.fill("[name=name]", "读书群")
    staff.click(".page-body form button[type=submit]")
    staff.click('.page-body a[href$="/targets/new"]')
    staff.page.fill("[name=name]", "一群")
    staff.page.select_option("[name=kind]", "wecom_group")
    file = {"name": "group.png", "mimeType": "image/png", "buffer": code}
    staff.page.locator("[name=picture]").set_input_files(file)
    staff.click(".page-body form button[type=submit]")
    live_code = staff.page.locator('a[href$="/qr.png"]').get_attribute("href") or ""
    printed = staff.page.request.get(source_url(staff.page.url, live_code)).body()

    phone.make("小陆")
    with phone.page.context.expect_page() as opened:
        phone.scan(printed)
    shown = opened.value.locator("main img").first
    expect(shown).to_be_visible()
    inside = opened.value.request.get(source_url(staff.page.url, shown.get_attribute("src") or "")).body()
    phone.page.locator(".browser .bar button").click()
    phone.scan(inside)
    expect(phone.page.locator(".system", has_text="测试群")).to_be_visible()
    phone.leave()


def group_code(phone: SandboxPhone) -> bytes:
    """An employee opens a group and saves its code."""
    sheet = phone.panel(1)
    card = sheet.locator(".card").first
    card.locator("form.inline input").fill("测试群")
    card.locator("form.inline button").click()
    sheet.locator(".row2", has_text="测试群").locator("button").click()
    picture = sheet.locator(".roomcode img")
    expect(picture).to_be_visible()
    content = phone.page.request.get(source_url(phone.address, picture.get_attribute("src") or "")).body()
    phone.close_drawer()
    return content
