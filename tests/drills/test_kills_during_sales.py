"""Processes killed amid orders, payments and refunds: every cent earned once, and taken back once."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import text

from growth_engine.cli._product import parts_at
from tests.drills.test_kills_during_joins import call
from tests.live import Live, until

pytestmark = pytest.mark.drill

THREADS = 5
VICTIMS = ("web", "worker 1", "Valkey", "web server", "PostgreSQL", "cron", "web")
PRICE = 5900
#: On hold for no time: the job moves commissions to wallets while refunds take them back.
RULES = {"levels": 2, "level1_value": 2000, "level2_value": 500, "hold_days": 0}


@dataclass
class Market:
    """Threads that buy, pay and refund through the API; whatever has no answer is sent again."""

    product: Live
    token: str
    campaign: str
    links: dict[str, str] = field(default_factory=dict)
    orders: dict[str, str] = field(default_factory=dict)
    """Order ids by the shop's own."""
    net: dict[str, int] = field(default_factory=dict)
    """What was paid and kept, of orders that are through."""
    repeated: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _errors: list[BaseException] = field(default_factory=list)

    def begin(self) -> None:
        for who, through in (("ann", None), ("bob", "ann")):
            body: dict[str, Any] = {"contact": {"external_id": who, "nickname": who}, "consent": True}
            if through:
                body["invite_token"] = self.links[through]
            self.links[who] = self._send(f"/campaigns/{self.campaign}/participants", body)["invite_token"]
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(THREADS)]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(120)
        assert self._errors == []

    def _run(self, number: int) -> None:
        try:
            turn = 0
            while not self._stop.is_set():
                self._trade(f"s{number}-{turn}", number, turn)
                turn += 1
        except BaseException as error:
            self._errors.append(error)

    def _trade(self, name: str, number: int, turn: int) -> None:
        """An order for two, paid in two parts, of every second one book comes back."""
        body = {
            "campaign_id": self.campaign, "external_id": name, "consent": True,
            "buyer": {"external_id": f"c{number}-{turn % 7}"}, "invite_token": self.links["bob"],
            "lines": [{"sku": "book", "quantity": 2}],
        }  # fmt: skip
        order = self._send("/orders", body)["id"]
        self.orders[name] = order
        self._money(order, "payments", f"{name}-p1", 3_000)
        if turn % 2:
            self._money(order, "refunds", f"{name}-r", PRICE)
        self._money(order, "payments", f"{name}-p2", 2 * PRICE - 3_000)
        self.net[name] = PRICE if turn % 2 else 2 * PRICE

    def _money(self, order: str, what: str, external: str, amount: int) -> None:
        self._send(f"/orders/{order}/{what}", {"external_id": external, "amount": amount})

    def _send(self, path: str, body: Any) -> dict[str, Any]:
        deadline = time.monotonic() + 90
        while True:
            try:
                status, answer = call(self.product, self.token, "POST", path, body)
                if status in (200, 201):
                    found: dict[str, Any] = answer
                    return found
                assert status >= 500 or status == 202, (path, body, answer)
            except (OSError, http.client.HTTPException):
                pass  # nobody listens, or the answer was lost: send it again
            self.repeated += 1
            assert time.monotonic() < deadline, f"{path} has no answer"
            time.sleep(0.1)


@pytest.fixture(scope="module")
def product() -> Iterator[Live]:
    made = Live(environment={"GROWTH_API_RATE_PER_MINUTE": "1000000", "GROWTH_LOG_FORMAT": "json"})
    try:
        yield made.start()
    finally:
        made.remove()


def _after_the_storm(product: Live) -> Market:
    token = product.cli("token", "create", "--workspace", "demo", "--scopes", "*")
    _, draft = call(product, token, "POST", "/campaigns", {"template": "book-fans", "config": RULES})
    status, found = call(
        product, token, "POST", f"/campaigns/{draft['id']}/publish", {"accept_warnings": True}
    )
    assert status == 200, found
    market = Market(product, token, draft["id"])
    market.begin()
    try:
        for victim in VICTIMS:
            before = len(market.net)
            until(lambda: len(market.net) >= before + 8, 120, "trade goes on")  # noqa: B023
            product.kill(victim)
        before = len(market.net)
        until(lambda: len(market.net) >= before + 8, 120, "trade goes on")
    finally:
        market.end()
    until(product.healthy, 60, "all parts are up again")
    return market


_SHARES = """
SELECT o.external_id, o.paid, o.refunded, c.level, c.target
FROM orders o JOIN commissions c ON c.order_id = o.id WHERE o.campaign_id = :campaign
"""
_ENDS = """
SELECT account, sum(balance) FROM accounts WHERE book_id = :campaign GROUP BY account
"""


def test_every_cent_is_earned_once_and_taken_back_once(product: Live) -> None:
    market = _after_the_storm(product)
    assert market.repeated, "nothing was hit: the drill has drilled nothing"
    assert len(set(market.orders.values())) == len(market.orders) == len(market.net)
    with parts_at(product.data_dir) as parts:
        workspace = next(one for one in _workspaces(parts) if _holds(parts, one, market.campaign))
        with parts.open(workspace) as ctx:
            shares = ctx.session.execute(text(_SHARES), {"campaign": market.campaign}).all()
            found_ends = ctx.session.execute(text(_ENDS), {"campaign": market.campaign}).all()
    ends: dict[str, int] = {account: int(balance) for account, balance in found_ends}
    found = {(name, level): target for name, _, _, level, target in shares}
    wanted = {
        (name, level): net * rate // 10_000
        for name, net in market.net.items()
        for level, rate in ((1, 2_000), (2, 500))
    }
    assert found == wanted
    assert {paid - refunded for _, paid, refunded, _, _ in shares} <= {PRICE, 2 * PRICE}
    assert ends["pending"] + ends.get("wallet", 0) == -ends["expense"] == sum(wanted.values())
    assert sum(ends.values()) == 0
    assert "0 faults" in product.cli("ledger", "verify")
    assert product.cli("jobs", "stuck") == "Nothing is stuck."


def _workspaces(parts: Any) -> list[str]:
    with parts.open("wsp_nobody") as ctx:
        return list(ctx.session.scalars(text("SELECT ge_workspaces()")))


def _holds(parts: Any, workspace: str, campaign: str) -> bool:
    with parts.open(workspace) as ctx:
        return bool(
            ctx.session.scalar(text("SELECT count(*) FROM campaigns WHERE id = :id"), {"id": campaign})
        )
