"""Phones that order and recommend: a book for 59.00, 20 % to whoever brought the buyer, 5 % above."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Flask
from sqlalchemy import text
from werkzeug.test import TestResponse

from growth_engine.context import Parts
from growth_engine.orders import service
from growth_engine.plays import selling_stock
from tests.factories.phones import Phone, publish_campaign

PRICE = 5900
A, B, C = "13900130001", "13900130002", "13900130003"


class Store:
    """A published campaign that sells, and what buyers do on their phones."""

    def __init__(self, app: Flask, parts: Parts, workspace_id: str, **config: Any) -> None:
        parts.mirror.load_functions()
        self.app, self.parts, self.workspace_id = app, parts, workspace_id
        ends_at = parts.clock.now() + timedelta(days=300)
        self.id = publish_campaign(parts, workspace_id, template="book-fans", config=config, ends_at=ends_at)
        self._payments = 0

    def phone(self, number: int) -> Phone:
        return Phone(self.app, address=f"198.51.100.{number}")

    def open_sheet(self, phone: Phone, token: str | None = None) -> str:
        """Open the order sheet; its address."""
        path = f"/c/{self.id}/shop" + (f"?i={token}" if token else "")
        assert phone.get(path).status_code == 200, phone.text()
        return path

    def send(
        self, phone: Phone, quantity: int | str = 1, token: str | None = None, /, **more: str
    ) -> TestResponse:
        """Fill in the sheet and send it; the answer as it comes."""
        path = self.open_sheet(phone, token)
        return phone.post(path, {**phone.hidden(), "q-book": str(quantity), **more})

    def buy(self, phone: Phone, quantity: int = 1, token: str | None = None, /, **more: str) -> str:
        """Order; the order's id."""
        answer = self.send(phone, quantity, token, **more)
        assert answer.status_code == 303, phone.text()
        assert "/orders/" in answer.headers["Location"], answer.headers["Location"]
        return answer.headers["Location"].rpartition("/")[2]

    def introduce(self, phone: Phone, number: str, name: str, token: str | None = None) -> str:
        """Order one book as somebody new; the order's id."""
        return self.buy(phone, 1, token, phone=number, nickname=name, consent="yes")

    def pay(self, order_id: str, amount: int) -> None:
        self._move(service.take_payment, order_id, amount)

    def refund(self, order_id: str, amount: int) -> None:
        self._move(service.give_refund, order_id, amount)

    def _move(self, command: Any, order_id: str, amount: int) -> None:
        self._payments += 1
        outcome = command(
            self.parts, self.workspace_id, order_id,
            provider="manual", external_id=f"{self.id}-{self._payments}", amount=amount, currency="CNY",
        )  # fmt: skip
        assert outcome.accepted, outcome.reasons

    def offer(self, sku: str, price: int, stock: int | None, **more: Any) -> str:
        with self.parts.open(self.workspace_id) as ctx:
            product = selling_stock.offer(
                ctx, self.id, sku=sku, name=sku.title(), price=price, currency="CNY", stock=stock, **more
            )
            return product.id

    def limit(self, total: int) -> None:
        """So many books there are in all."""
        with self.parts.open(self.workspace_id) as ctx:
            selling_stock.set_total(ctx, self.product_id(), total)

    def product_id(self) -> str:
        return str(self.rows("SELECT id FROM products WHERE campaign_id = :id AND sku = 'book'")[0][0])

    def rows(self, sql: str, **more: Any) -> list[Any]:
        with self.parts.open(self.workspace_id) as ctx:
            return list(ctx.session.execute(text(sql), {"id": self.id, **more}))

    def orders(self) -> list[Any]:
        """(total, promoter) of every order, oldest first."""
        rows = self.rows("SELECT total, promoter FROM orders WHERE campaign_id = :id ORDER BY number")
        return [tuple(row) for row in rows]
