"""A shop whose fans have money, and the hands that move it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from growth_engine.context import SYSTEM, Actor, Parts
from growth_engine.payouts import sending, service
from growth_engine.payouts.rules import Policy
from growth_engine.payouts.service import Outcome
from tests.factories.people import make_contact
from tests.factories.staff import make_staff
from tests.factories.wallets import balance, deposit


@dataclass
class Shop:
    """One workspace's wallets; amounts in fen."""

    parts: Parts
    workspace: str

    def fan(self, amount: int = 10_000, **identities: str) -> str:
        contact = make_contact(self.parts, self.workspace, **identities)
        if amount:
            deposit(self.parts, self.workspace, contact, amount)
        return contact

    def ask(self, contact: str, amount: int, *, key: str = "", **more: Any) -> Outcome:
        more.setdefault("currency", "CNY")
        return service.request(
            self.parts, self.workspace, contact, amount=amount, source="test",
            key=key or self.parts.ids.new("key"), **more,
        )  # fmt: skip

    def asked(self, contact: str, amount: int, **more: Any) -> str:
        """An accepted request; the payout's id."""
        outcome = self.ask(contact, amount, **more)
        assert outcome.accepted, outcome.reasons
        assert outcome.payout_id
        return outcome.payout_id

    def policy(self, **changes: Any) -> Policy:
        values = {"daily_count": None, "approve_above": 10**9, **changes}
        with self.parts.open(self.workspace) as ctx:
            return service.set_policy(ctx, Policy(**values))

    def admin(self) -> Actor:
        return Actor("staff", make_staff(self.parts, self.workspace).id, role="admin")

    def approve(self, payout_id: str, by: Actor = SYSTEM, note: str = "") -> int:
        with self.parts.open(self.workspace, by) as ctx:
            return service.approve(ctx, payout_id, note)

    def reject(self, payout_id: str, by: Actor = SYSTEM, note: str = "no") -> Outcome:
        return service.reject(
            self.parts, self.workspace, payout_id, by=by, note=note, key=self.parts.ids.new("key")
        )

    def cancel(self, payout_id: str, contact: str = "") -> Outcome:
        by = Actor("contact", contact) if contact else SYSTEM
        return service.cancel(self.parts, self.workspace, payout_id, by=by, key=self.parts.ids.new("key"))

    def send(self) -> int:
        return sending.send_due(self.parts, self.workspace)

    def available(self, contact: str) -> int:
        return balance(self.parts, self.workspace, "available", contact)

    def reserved(self, contact: str) -> int:
        return balance(self.parts, self.workspace, "reserved", contact)


@pytest.fixture
def shop(parts: Parts, workspace: str) -> Shop:
    """No approvals and no daily limit until a test says otherwise."""
    made = Shop(parts, workspace)
    made.policy()
    return made
