"""A shop for tests of money: a published campaign that sells, people in it, orders, payments, refunds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert

from growth_engine.context import Parts
from growth_engine.ledger.contract import Event, Posted
from growth_engine.ledger.journal import GENESIS
from growth_engine.ledger.models import Book
from growth_engine.ledger.money import AVAILABLE, PENDING, wallet_book
from growth_engine.orders.models import Product
from growth_engine.plays.models import StockItem
from growth_engine.plays.posting.selling.facts import item_of
from tests.factories.campaigns import Actors, make_campaign

#: A book for 59 yuan, 20 % to whoever brought the buyer and 5 % to whoever brought them.
BOOK_RULES = {"levels": 2, "level1_value": 2000, "level2_value": 500}
PRICE = 5900


class Shop(Actors):
    """One selling campaign with one product, ``book`` at 59.00; more by ``offer``."""

    def __init__(
        self,
        parts: Parts,
        workspace_id: str,
        config: Mapping[str, Any] | None = None,
        *,
        stock: int | None = None,
        slug: str = "distribution",
    ) -> None:
        super().__init__(
            parts,
            workspace_id,
            make_campaign(parts, workspace_id, {**BOOK_RULES, **(config or {})}, slug=slug),
        )
        self.wallet = wallet_book(workspace_id)
        with parts.open(workspace_id) as ctx:
            ctx.session.execute(
                insert(Book)
                .values(
                    id=self.wallet,
                    workspace_id=workspace_id,
                    kind="wallet",
                    last_seq=0,
                    head=GENESIS,
                    members=0,
                    created_at=ctx.now(),
                )
                .on_conflict_do_nothing()
            )
        self.offer("book", PRICE, stock)

    def offer(self, sku: str, price: int, stock: int | None = None, *, state: str = "on_sale") -> str:
        """Put a product on sale; its id."""
        with self.parts.open(self.workspace_id) as ctx:
            product = Product(
                id=ctx.new_id("prd"),
                workspace_id=self.workspace_id,
                campaign_id=self.campaign_id,
                sku=sku,
                name=sku.title(),
                description="",
                price=price,
                currency="CNY",
                position=0,
                state=state,
                created_at=ctx.now(),
                updated_at=ctx.now(),
            )
            ctx.session.add(product)
            ctx.session.flush()
            if stock is not None:
                ctx.session.add(
                    StockItem(
                        workspace_id=self.workspace_id,
                        campaign_id=self.campaign_id,
                        item=item_of(product.id),
                        total=stock,
                        taken=0,
                    )
                )
            return product.id

    # -- Events --------------------------------------------------------------------------------------

    def event(
        self, kind: str, facts: Mapping[str, Any], key: str | None = None, *, source: str = "shop"
    ) -> Event:
        name = key or self.parts.ids.new("key")
        return Event(
            self.workspace_id, self.campaign_id, kind, source, name, self.parts.clock.now(), dict(facts)
        )

    def submit(self, event: Event) -> Posted:
        posted: Posted = self.parts.ledger.submit(event)
        assert isinstance(posted, Posted), posted
        return posted

    def order_event(
        self,
        who: str,
        quantity: int = 1,
        *,
        sku: str = "book",
        through: str | None = None,
        key: str | None = None,
        lines: Sequence[Mapping[str, Any]] | None = None,
        **facts: Any,
    ) -> Event:
        wanted = list(lines) if lines else [{"sku": sku, "quantity": quantity}]
        told = {"contact_id": self.contacts[who], "currency": "CNY", "lines": wanted, **facts}
        if through:
            told["invite_token"] = self.tokens[through]
        return self.event("order", told, key)

    def order(self, who: str, quantity: int = 1, **more: Any) -> str:
        """Place an order; its id. Fails when it is refused."""
        posted = self.submit(self.order_event(who, quantity, **more))
        assert posted.accepted, posted.reasons
        return str(posted.result["order_id"])

    def payment_event(self, order_id: str, amount: int, external: str | None = None, **facts: Any) -> Event:
        return self._money("payment", order_id, amount, external, facts)

    def refund_event(self, order_id: str, amount: int, external: str | None = None, **facts: Any) -> Event:
        return self._money("refund", order_id, amount, external, facts)

    def _money(
        self, kind: str, order_id: str, amount: int, external: str | None, facts: Mapping[str, Any]
    ) -> Event:
        name = external or self.parts.ids.new("ext")
        told = {
            "order_id": order_id,
            "provider": "manual",
            "external_id": name,
            "amount": amount,
            "currency": "CNY",
        }
        return self.event(kind, {**told, **facts}, f"manual:{name}", source=kind)

    def pay(self, order_id: str, amount: int, external: str | None = None) -> Posted:
        return self.submit(self.payment_event(order_id, amount, external))

    def refund(self, order_id: str, amount: int, external: str | None = None) -> Posted:
        return self.submit(self.refund_event(order_id, amount, external))

    def buy(self, who: str, quantity: int = 1, **more: Any) -> str:
        """Order and pay in full; the order's id."""
        order_id = self.order(who, quantity, **more)
        with self.parts.open(self.workspace_id) as ctx:
            total = ctx.session.scalar(text("SELECT total FROM orders WHERE id = :id"), {"id": order_id})
        assert self.pay(order_id, int(total)).accepted
        return order_id

    def mature(self, cutoff: datetime | None = None, limit: int = 500) -> Posted:
        at = cutoff or self.parts.clock.now()
        return self.submit(self.event("mature", {"cutoff": at.isoformat(), "limit": limit}))

    def mature_all(self) -> None:
        """Everything that is on hold goes over, whatever its date."""
        self.mature(self.parts.clock.now() + timedelta(days=400), 10_000)

    def act(self, action: str, *commission_ids: str, reason: str = "test") -> Posted:
        told = {"ids": list(commission_ids), "action": action, "reason": reason, "by": "stf_test"}
        return self.submit(self.event("commission", told))

    def promote(self, action: str, who: str, **facts: Any) -> Posted:
        told = {"contact_id": self.contacts[who], "action": action, "by": "stf_test", **facts}
        return self.submit(self.event("promoter", told))

    # -- looking -------------------------------------------------------------------------------------

    def rows(self, sql: str, **params: Any) -> list[Any]:
        with self.parts.open(self.workspace_id) as ctx:
            return list(ctx.session.execute(text(sql), {"campaign": self.campaign_id, **params}))

    def balance(self, account: str, owner: str, book: str | None = None) -> int:
        found = self.rows(
            "SELECT balance FROM accounts WHERE book_id = :book AND account = :account AND owner = :owner",
            book=book or self.campaign_id,
            account=account,
            owner=owner,
        )
        return int(found[0][0]) if found else 0

    def pending(self, who: str) -> int:
        return self.balance(PENDING, str(self.numbers[who]))

    def available(self, who: str) -> int:
        return self.balance(AVAILABLE, self.contacts[who], self.wallet)

    def unbalanced(self) -> list[Any]:
        """Entries whose legs do not sum to zero, and accounts that are not the sum of their legs."""
        return self.rows(
            "SELECT book_id, seq::text, sum(amount) FROM legs GROUP BY 1, 2, currency HAVING sum(amount) <> 0"
            " UNION ALL SELECT a.book_id, a.account || ' ' || a.owner, a.balance - coalesce(l.amount, 0)"
            " FROM accounts a LEFT JOIN (SELECT book_id, account, owner, currency, sum(amount) AS amount"
            "  FROM legs GROUP BY 1, 2, 3, 4) l USING (book_id, account, owner, currency)"
            " WHERE a.balance <> coalesce(l.amount, 0)"
        )
