"""Money in wallets for tests that are not about how it was earned."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text

from growth_engine.context import Parts
from growth_engine.ledger.contract import Event, Posted
from growth_engine.ledger.money import AVAILABLE, CAMPAIGN, Leg, wallet_book
from growth_engine.payouts import decisions, wallets
from growth_engine.payouts.decisions import Case
from growth_engine.payouts.models import Payout

CAMPAIGN_ID = "cmp_test"


def _deposit(case: Case) -> None:
    """As commissions that mature do, without the campaign's half."""
    told = case.told
    case.post(
        told["currency"],
        Leg(CAMPAIGN, CAMPAIGN_ID, -told["amount"]),
        Leg(AVAILABLE, told["contact_id"], told["amount"]),
    )


#: Only tests know this kind of Event.
decisions.KINDS["test_deposit"] = _deposit  # type: ignore[index]


def deposit(parts: Parts, workspace: str, contact: str, amount: int, currency: str = "CNY") -> None:
    """Put money into a wallet; a negative amount takes it back as a refund after maturity does."""
    with parts.open(workspace) as ctx:
        wallets.open_book(ctx)
    facts = {"contact_id": contact, "amount": amount, "currency": currency}
    receipt = parts.ledger.submit(
        Event(workspace, wallet_book(workspace), "test_deposit", "test", parts.ids.new("key"),
              parts.clock.now(), facts)
    )  # fmt: skip
    assert isinstance(receipt, Posted)
    assert receipt.accepted


def balance(parts: Parts, workspace: str, account: str, owner: str = "", currency: str = "CNY") -> int:
    """Of an account of the wallet book, minor units."""
    with parts.open(workspace) as ctx:
        found = ctx.session.scalar(
            text(
                "SELECT balance FROM accounts WHERE book_id = :book AND account = :account"
                " AND owner = :owner AND currency = :currency"
            ),
            {"book": wallet_book(workspace), "account": account, "owner": owner, "currency": currency},
        )
    return int(found or 0)


def payout_row(parts: Parts, workspace: str, payout_id: str) -> Payout:
    with parts.open(workspace) as ctx:
        found = ctx.session.get(Payout, payout_id)
        assert found is not None
        return found


def check_books(parts: Parts, workspace: str) -> None:
    """What must hold after everything: an auditor that knows the tables only.

    The books sum to zero, accounts are the sums of their legs, and ``reserved`` holds exactly what the
    payouts that are not over say.
    """
    asked = {"book": wallet_book(workspace)}

    def rows(statement: str) -> list[tuple[Any, ...]]:
        with parts.open(workspace) as ctx:
            return [tuple(row) for row in ctx.session.execute(text(statement), asked)]

    assert rows("SELECT currency, sum(amount) FROM legs WHERE book_id = :book GROUP BY 1"
                " HAVING sum(amount) <> 0") == []  # fmt: skip
    assert rows("SELECT a.account, a.owner, a.currency, a.balance, sum(l.amount) FROM accounts a"
                " LEFT JOIN legs l USING (book_id, account, owner, currency) WHERE a.book_id = :book"
                " GROUP BY 1, 2, 3, 4 HAVING a.balance <> coalesce(sum(l.amount), 0)") == []  # fmt: skip
    held = rows("SELECT owner, currency, balance FROM accounts WHERE book_id = :book"
                " AND account = 'reserved' AND balance <> 0 ORDER BY 1, 2")  # fmt: skip
    open_payouts = rows(
        "SELECT contact_id, currency, sum(amount)::bigint FROM payouts"
        " WHERE state IN ('requested', 'approved', 'sending', 'unknown', 'waiting')"
        " GROUP BY 1, 2 ORDER BY 1, 2"
    )
    assert held == open_payouts
    paid = rows("SELECT coalesce(sum(net), 0)::bigint, coalesce(sum(tax), 0)::bigint,"
                " coalesce(sum(fee), 0)::bigint FROM payouts WHERE state = 'paid'")  # fmt: skip
    gone = [balance(parts, workspace, account) for account in ("clearing", "tax", "payout_fee")]
    assert paid == [tuple(gone)]
