"""The whole loop inside WeChat: scan a friend's poster, sign in by itself, pay, get money back, withdraw."""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import Browser, expect

from growth_engine.connections import service as connections
from growth_engine.connections.service import Entered
from growth_engine.context import Parts
from growth_engine.kit import jobs
from growth_engine.orders import queries as orders
from growth_engine.orders.providers import provider
from growth_engine.payouts import service as payouts
from growth_engine.payouts.rules import Policy
from growth_engine.people import queries as people
from growth_engine.people.rules import Identity
from growth_engine.plays import queries
from growth_engine.plays import service as campaigns
from growth_engine.plays.models import Participant
from growth_engine.sandbox import Sandbox, start
from growth_engine.sandbox.handle import Person
from tests.browser.watched import Watched, watched
from tests.factories.phones import publish_campaign
from tests.factories.tills import connect_sandbox, product
from tests.factories.workspaces import make_workspace
from tests.live import until

pytestmark = [pytest.mark.browser, pytest.mark.drill, pytest.mark.xdist_group("live")]

#: What workers do, in the order things happen.
WORK = (
    "inbox.interpret", "ledger.sweep", "grants.drain", "paying.attempts", "paying.refunds",
    "commissions.mature", "payouts.send", "paying.transfers", "reach.profiles", "reach.pick",
    "reach.codes", "posters.render", "outbox.drain", "reach.deliver",
)  # fmt: skip
PRICE = 5900


@dataclass
class Loop:
    """A merchant that sells a book, connected to the sandbox's account and merchant; its workers work."""

    parts: Parts
    sandbox: Sandbox
    workspace: str
    campaign: str = ""
    stopping: threading.Event = field(default_factory=threading.Event)
    failed: list[BaseException] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.parts.settings.public_url

    @property
    def appid(self) -> str:
        return str(self.sandbox.credentials["oa"]["appid"])

    def work(self) -> None:
        try:
            while not self.stopping.wait(0.05):
                for name in WORK:
                    jobs.drain(self.parts, name, self.workspace)
        except BaseException as error:  # the test fails with it, whatever it is
            self.failed.append(error)

    def participant(self, who: Person) -> Participant | None:
        with self.parts.open(self.workspace) as ctx:
            contact_id = people.by_identity(ctx, Identity("openid", who.openid()))
            family = people.contact_family(ctx, contact_id) if contact_id else []
            return queries.participation(ctx, self.campaign, family) if family else None

    def refund(self, order_id: str) -> None:
        with self.parts.open(self.workspace) as ctx:
            order = orders.order(ctx, order_id)
        answer = provider("wechat_pay").refund(
            self.parts, self.workspace, order, self.parts.ids.new("rfd"), order.paid, "returned"
        )
        assert answer.state in ("done", "waiting"), answer


@pytest.fixture
def loop(pg_url: str, valkey_url: str, tmp_path: Path) -> Iterator[Loop]:
    with start() as sandbox, product(sandbox, pg_url, valkey_url, tmp_path) as parts:
        made = Loop(parts, sandbox, make_workspace(parts))
        parts.mirror.load_functions()
        connect(made)
        worker = threading.Thread(target=made.work, daemon=True)
        worker.start()
        try:
            yield made
        finally:
            made.stopping.set()
            worker.join(30)
        assert made.failed == []


def connect(loop: Loop) -> None:
    """The account carries the campaign, the merchant takes and sends the money."""
    known = loop.sandbox.credentials["oa"]
    connect_sandbox(loop.parts, loop.workspace, loop.sandbox)
    with loop.parts.open(loop.workspace) as ctx:
        account = connections.connect(
            ctx,
            "wechat_oa",
            Entered(
                "Shop",
                {"appid": known["appid"], "original_id": known["original_id"]},
                {"mode": "safe"},
                {
                    "app_secret": known["secret"],
                    "token": known["token"],
                    "aes_key": known["encoding_aes_key"],
                },
            ),
        )
        policy = Policy(provider="wechat_pay", approve_above=10**9, daily_count=None, minimum=100)
        payouts.set_policy(ctx, policy)
    loop.sandbox.pages_of(loop.url)
    loop.sandbox.oa_server(f"{loop.url}/webhooks/wechat_oa/{account}")
    loop.campaign = publish_campaign(
        loop.parts,
        loop.workspace,
        template="book-fans",
        config={"hold_days": 0},
    )
    with loop.parts.open(loop.workspace) as ctx:
        changes = {"channel_account_id": account, "channel_default": True}
        campaigns.update_draft(ctx, loop.campaign, changes)


def told(who: Person, kind: str) -> list[dict[str, Any]]:
    """What of a kind has arrived in the account's chat, the oldest first."""
    return [one for one in who.chat() if one["from"] == "them" and one["kind"] == kind]


def poster_in_chat(loop: Loop, who: Person) -> str:
    """What the code says on the poster that arrived in the chat."""
    (picture,) = until(lambda: told(who, "image"), 30, "a poster in the chat")
    content = loop.sandbox.world.store.file(picture["media_id"])
    assert content is not None
    with Image.open(io.BytesIO(content)) as shown:
        (code,) = zxingcpp.read_barcodes(shown.convert("L"))
    return str(code.text)


def page_in_chat(who: Person) -> str:
    """The address in the welcome."""
    found = re.search(r"https?://\S+", "\n".join(one["text"] for one in told(who, "text")))
    assert found, told(who, "text")
    return found[0]


@contextmanager
def phone_of(browser: Browser, loop: Loop, who: Person) -> Iterator[Watched]:
    """A browser in which this person holds the sandbox's phone."""
    with watched(browser, loop.url, "phone", "zh-CN") as made:
        address = loop.sandbox.oa_url
        made.page.context.add_cookies([{"name": "sandbox_person", "value": who.id, "url": address}])
        yield made


def agree(of: Watched, button: str, back: str) -> None:
    """Tap what opens WeChat's own sheet, agree there, and be back on the page."""
    page = of.page
    page.locator(button).first.click()
    page.wait_for_url("**/_sandbox/ask?**")
    page.locator("#ask button.button:not(.plain)").click()
    page.wait_for_url(f"**{back}")


def buy(buyer: Watched, loop: Loop) -> str:
    """Order a book and pay with WeChat's sheet; the order's id."""
    page = buyer.page
    buyer.go(f"/c/{loop.campaign}/shop?q-book=1")
    buyer.click(".h5-cta-order")
    order_id = page.url.rpartition("/")[2]
    expect(page.locator("[data-checkout=jsapi]")).to_be_visible()
    buyer.look()
    agree(buyer, ".h5-wx button", order_id)
    expect(page.locator(".h5-state-paid")).to_be_visible()
    buyer.look()
    return order_id


@pytest.fixture(autouse=True)
def patience() -> None:
    expect.set_options(timeout=20_000)


def test_a_friend_follows_a_poster_buys_inside_wechat_and_the_inviter_is_paid(
    browser: Browser, loop: Loop
) -> None:
    a, b = (loop.sandbox.person(name, balance=1_000_000) for name in ("小安", "小白"))
    a.do("follow", appid=loop.appid)
    code = poster_in_chat(loop, a)

    b.do("scan", text=code)
    assert poster_in_chat(loop, b) != code, "B has a poster of their own"
    mine, theirs = loop.participant(a), loop.participant(b)
    assert mine is not None
    assert theirs is not None
    assert theirs.inviter_number == mine.number

    with phone_of(browser, loop, b) as phone:
        phone.go(page_in_chat(b))
        assert f"i={theirs.invite_token}" in phone.page.url, "signed in by itself, as B"
        card = phone.page.locator(f'html[data-wechat-card$="/i/{theirs.invite_token}"]')
        expect(card).to_be_attached()
        kept, returned = buy(phone, loop), buy(phone, loop)
        loop.refund(returned)
        phone.go(f"/c/{loop.campaign}/orders/{kept}")
        phone.page.goto(f"/c/{loop.campaign}/orders/{returned}")
        expect(phone.page.locator(".h5-state")).to_be_visible()
        until(lambda: "h5-state-refunded" in reloaded(phone), 20, "the page shows the refund")
    assert b.balance == 1_000_000 - PRICE

    with phone_of(browser, loop, a) as phone:
        phone.go(page_in_chat(a))
        assert f"i={mine.invite_token}" in phone.page.url
        withdraw(phone, loop)
    assert a.balance == 1_000_000 + PRICE // 5


def reloaded(of: Watched) -> str:
    of.page.reload()
    of.look()
    return of.page.content()


def withdraw(phone: Watched, loop: Loop) -> None:
    """Everything that was earned, confirmed in WeChat."""
    page = phone.page
    until(lambda: wallet(phone, loop), 20, "the commission is in the wallet")
    phone.go(f"/c/{loop.campaign}/wallet/withdraw")
    page.fill("input[name=amount]", "11.80")
    phone.click("form.h5-form button[type=submit], main form button[type=submit]")
    until(lambda: "requestMerchantTransfer" in reloaded(phone), 20, "the transfer waits for its owner")
    agree(phone, ".h5-confirm button", "/wallet/withdrawals")
    expect(page.locator(".h5-payout-paid")).to_be_visible()
    phone.look()


def wallet(phone: Watched, loop: Loop) -> bool:
    phone.go(f"/c/{loop.campaign}/wallet")
    return "11.80" in phone.page.locator("main").inner_text()
