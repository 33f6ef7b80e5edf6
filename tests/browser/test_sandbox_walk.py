"""A new user's walk: a campaign bound in the console, then nothing but the sandbox's phone, tap by tap."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.sandbox_phone import SandboxPhone, phone_of
from tests.browser.watched import Watched, watched
from tests.live import Live, until

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("live")]

PATIENCE = 20_000


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


def test_a_friend_follows_through_a_poster_and_leaves_and_comes_back(
    staff: Watched, phone: SandboxPhone
) -> None:
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
