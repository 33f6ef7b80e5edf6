"""A shop whose buyers pay through the sandbox's WeChat Pay, over real HTTP, by the sandbox's clock."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from werkzeug.serving import make_server

from growth_engine.app import build_parts, create_app
from growth_engine.channels.quota import CHINA
from growth_engine.connections import service as connections
from growth_engine.connections.service import Entered
from growth_engine.context import Parts
from growth_engine.kit import jobs
from growth_engine.ledger.verify import verify
from growth_engine.orders import queries as orders
from growth_engine.orders.models import Order
from growth_engine.orders.providers import Checkout, Payer, RefundAnswer, provider
from growth_engine.paying import queries
from growth_engine.paying.models import PayAttempt, PayBill, PayTransfer, RefundRequest
from growth_engine.payouts import service as payouts
from growth_engine.payouts.models import Payout
from growth_engine.payouts.rules import Policy
from growth_engine.people import service as people
from growth_engine.sandbox import Sandbox
from growth_engine.sandbox.handle import Person
from growth_engine.settings import Settings
from tests.conftest import SECRET
from tests.factories.selling import Shop
from tests.factories.wallets import check_books
from tests.factories.workspaces import make_workspace
from tests.live import free_port

WORK = ("inbox.interpret", "paying.attempts", "paying.refunds", "payouts.send", "paying.transfers")


class NothingToConfirm(Exception):
    """The phone page shows no transfer that waits."""


@dataclass
class SandboxClock:
    """The application lives by the sandbox's clock, ``ahead`` of it when its own goes wrong."""

    sandbox: Sandbox
    ahead: timedelta = timedelta(0)

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.sandbox.world.clock.time(), UTC) + self.ahead


@contextmanager
def product(sandbox: Sandbox, pg_url: str, valkey_url: str, folder: Path) -> Iterator[Parts]:
    """The application behind an HTTP server of its own, turned to the sandbox."""
    port = free_port()
    hosts: dict[str, Any] = {name.lower(): url for name, url in sandbox.hosts.items()}
    settings = Settings(
        database_url=pg_url,
        ledger_redis_url=valkey_url,
        queue_redis_url=valkey_url,
        secret_key=SECRET,
        data_dir=folder,
        public_url=f"http://127.0.0.1:{port}",
        port=port,
        **hosts,
    )
    parts = build_parts(settings, SandboxClock(sandbox))
    server = make_server("127.0.0.1", port, create_app(parts), threaded=True)
    serving = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    serving.start()
    try:
        yield parts
    finally:
        server.shutdown()
        serving.join()
        server.server_close()
        parts.close()


def connect_sandbox(parts: Parts, workspace: str, sandbox: Sandbox, *, certificate: bool = False) -> str:
    """Connect the sandbox's merchant; ``certificate``: as one that has not moved to the public key yet."""
    known = sandbox.credentials["pay"]
    key = (
        (known["platform_serial"], known["platform_certificate"])
        if certificate
        else (known["public_key_id"], known["public_key"])
    )
    ids = {"mchid": known["mchid"], "appid": known["appid"], "serial_no": known["merchant_serial"]}
    secrets = {"api_v3_key": known["api_v3_key"], "private_key": known["merchant_private_key"]}
    with parts.open(workspace) as ctx:
        return connections.connect(
            ctx, "wechat_pay", Entered("Pay", ids, secrets=secrets, platform_keys=(key,))
        )


@dataclass
class Till:
    """A shop in a workspace of its own: ann brought ben, who buys; both have phones."""

    parts: Parts
    sandbox: Sandbox
    workspace: str
    account: str
    shop: Shop
    phones: dict[str, Person] = field(default_factory=dict)

    @classmethod
    def open(cls, parts: Parts, sandbox: Sandbox, **shop: Any) -> Till:
        workspace = make_workspace(parts)
        made = cls(
            parts,
            sandbox,
            workspace,
            connect_sandbox(parts, workspace, sandbox),
            Shop(parts, workspace, **shop),
        )
        made.enter("ann")
        made.enter("ben", "ann")
        policy = Policy(provider="wechat_pay", approve_above=10**9, daily_count=None)
        with parts.open(workspace) as ctx:
            payouts.set_policy(ctx, policy)
        return made

    def enter(self, who: str, inviter: str | None = None, **given: Any) -> None:
        """Somebody takes part, known by their openid."""
        self.shop.join(who, inviter)
        self.phones[who] = self.sandbox.person(who, **{"balance": 1_000_000, **given})
        with self.parts.open(self.workspace) as ctx:
            people.prove(ctx, self.shop.contacts[who], "openid", self.phones[who].openid())

    # -- buying --------------------------------------------------------------------------------------

    def checkout(self, order_id: str, who: str | None = "ben") -> Checkout:
        openid = self.phones[who].openid() if who else None
        payer = Payer(self.shop.contacts[who or "ben"], openid)
        return provider("wechat_pay").checkout(self.parts, self.workspace, self.order(order_id), payer)

    def pay(self, order_id: str, who: str = "ben") -> Any:
        """Open the page, enter the PIN; over when the application has been told."""
        return self.enter_pin(who, dict(self.checkout(order_id, who).data))

    def enter_pin(self, who: str, data: dict[str, Any]) -> Any:
        sheet = self.phones[who].do("pay_sheet", request=data)
        return self.phones[who].do("pay", prepay_id=sheet["prepay_id"])

    def bought(self, quantity: int = 1, who: str = "ben", through: str = "ann") -> str:
        """An order that was paid, and posted."""
        order_id = self.shop.order(who, quantity, through=through)
        self.pay(order_id, who)
        self.work()
        assert self.order(order_id).state == "paid"
        return order_id

    def refund(
        self, order_id: str, amount: int, refund_id: str = "", reason: str = "", *, restock: bool = False
    ) -> RefundAnswer:
        number = refund_id or self.parts.ids.new("rfd")
        order = self.order(order_id)
        return provider("wechat_pay").refund(
            self.parts, self.workspace, order, number, amount, reason, restock=restock
        )

    def earn(self, who: str, amount: int) -> None:
        """``amount`` fen in a wallet, earned by bringing somebody who paid by hand."""
        name = self.parts.ids.token()
        self.shop.offer(name, amount * 5)
        self.shop.join(name, who)
        self.shop.buy(name, sku=name, through=who)
        self.shop.mature_all()

    # -- withdrawing ---------------------------------------------------------------------------------

    def withdraw(self, who: str, amount: int, **told: str) -> str:
        outcome = payouts.request(
            self.parts, self.workspace, self.shop.contacts[who], amount=amount, currency="CNY", told=told,
            source="test", key=self.parts.ids.new("key"),
        )  # fmt: skip
        assert outcome.accepted, outcome.reasons
        return str(outcome.payout_id)

    def confirm(self, who: str, payout_id: str) -> None:
        """As the phone page does: with what the page was given."""
        with self.parts.open(self.workspace) as ctx:
            found = queries.confirmation(ctx, payout_id)
        if found is None:
            raise NothingToConfirm
        sheet = self.phones[who].do("transfer_sheet", request=dict(found.call))
        self.phones[who].do("confirm_transfer", package=sheet["package"])

    # -- time and work -------------------------------------------------------------------------------

    def advance(self, **span: float) -> None:
        """Let the platform's time run, doing what falls due there; our work is done by ``work``."""
        self.sandbox.advance(timedelta(**span).total_seconds())
        self.sandbox.settle()

    def work(self, *names: str) -> int:
        """Drain the jobs as workers do, until nothing is due now."""
        total = 0
        while done := sum(jobs.drain(self.parts, name, self.workspace)[0] for name in names or WORK):
            total += done
        return total

    def run(self, hours: float, step: float = 0.25) -> None:
        """Time passes and the workers work, as in life."""
        for _ in range(max(1, round(hours / step))):
            self.advance(hours=min(hours, step))
            self.work()

    # -- looking -------------------------------------------------------------------------------------

    def order(self, order_id: str) -> Order:
        with self.parts.open(self.workspace) as ctx:
            return orders.order(ctx, order_id)

    def attempts(self, order_id: str) -> list[PayAttempt]:
        with self.parts.open(self.workspace) as ctx:
            return list(queries.attempts_of(ctx, order_id))

    def refunds(self, order_id: str) -> list[RefundRequest]:
        with self.parts.open(self.workspace) as ctx:
            return list(queries.refunds_of(ctx, order_id))

    def transfer(self, payout_id: str) -> PayTransfer | None:
        with self.parts.open(self.workspace) as ctx:
            return queries.transfer(ctx, payout_id)

    def payout(self, payout_id: str) -> Payout:
        with self.parts.open(self.workspace) as ctx:
            found = ctx.session.get(Payout, payout_id)
            assert found is not None
            return found

    def bill(self, day: date | None = None) -> PayBill:
        with self.parts.open(self.workspace) as ctx:
            return queries.bill(ctx, self.account, day or self.today())

    def today(self) -> date:
        return self.parts.clock.now().astimezone(CHINA).date()

    def alerts(self) -> list[str]:
        return [
            one for (one,) in self.shop.rows("SELECT topic FROM alerts WHERE cleared_at IS NULL ORDER BY 1")
        ]

    def merchant(self) -> int:
        """What the sandbox's merchant owns, in fen."""
        merchants = self.sandbox.world.store.all("pay.merchants")
        return int(next(iter(merchants.values()))["balance"])

    def fault(self, action: str, match: str = "*", *, on: str = "request", **rule: Any) -> None:
        self.sandbox.fault("pay", action, match=match, on=on, **rule)

    def asked(self, part: str) -> int:
        """How many calls of ours had ``part`` in their line of the sandbox's log."""
        return sum(part in one["line"] for one in self.sandbox.log(service="pay") if one["direction"] == "in")

    def inbox(self) -> list[tuple[str, str, int]]:
        """(kind, state, deliveries) of what came in, the oldest first."""
        rows = self.shop.rows("SELECT kind, state, deliveries FROM inbox_messages ORDER BY received_at, id")
        return [tuple(row) for row in rows]

    def check(self) -> None:
        """Nothing lost, nothing doubled: books, accounts, wallets, payments, mirror and chain."""
        assert self.shop.unbalanced() == []
        check_books(self.parts, self.workspace)
        doubled = self.shop.rows("SELECT external_id FROM payments GROUP BY 1 HAVING count(*) > 1")
        assert doubled == []
        for book in (self.shop.campaign_id, self.shop.wallet):
            report = verify(self.parts, self.workspace, book)
            assert report.clean, report.faults
