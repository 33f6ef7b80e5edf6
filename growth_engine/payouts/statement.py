"""A person's wallet as they see it: balances by currency, and every movement explained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import text

from growth_engine.context import Ctx
from growth_engine.kit.i18n import N_, translate
from growth_engine.ledger.money import wallet_book
from growth_engine.payouts.texts import written_out
from growth_engine.people import queries as people


@dataclass(frozen=True, slots=True)
class Balance:
    """What a person has in one currency, minor units."""

    currency: str
    pending: int = 0
    """Earned and on hold in campaigns."""
    available: int = 0
    """May be withdrawn now."""
    reserved: int = 0
    """On its way out."""
    paid: int = 0
    """Ever paid out, tax and fee included."""
    withheld: int = 0
    """Tax and fee of what was paid out."""
    debt: int = 0
    """Taken back by refunds after it was withdrawn; later earnings make up for it."""


#: Tables of slices that stand above are asked in words of SQL, as ``people.traces`` does.
_BALANCES = text(
    "SELECT currency, sum(pending)::bigint AS pending, sum(available)::bigint AS available,"
    " sum(reserved)::bigint AS reserved, sum(paid)::bigint AS paid, sum(withheld)::bigint AS withheld FROM ("
    "  SELECT a.currency, a.balance AS pending, 0 AS available, 0 AS reserved, 0 AS paid, 0 AS withheld"
    "  FROM participants p JOIN accounts a ON a.book_id = p.campaign_id AND a.account = 'pending'"
    "   AND a.owner = p.number::text WHERE p.contact_id = ANY(:family)"
    "  UNION ALL SELECT a.currency, 0, CASE a.account WHEN 'available' THEN a.balance ELSE 0 END,"
    "   CASE a.account WHEN 'reserved' THEN a.balance ELSE 0 END, 0, 0"
    "  FROM accounts a WHERE a.book_id = :book AND a.account IN ('available', 'reserved')"
    "   AND a.owner = ANY(:family)"
    "  UNION ALL SELECT o.currency, 0, 0, 0, o.amount, o.tax + o.fee FROM payouts o"
    "  WHERE o.contact_id = ANY(:family) AND o.state = 'paid'"
    ") AS held GROUP BY currency ORDER BY currency"
)


def wallet(ctx: Ctx, contact_id: str) -> list[Balance]:
    """Balances of a person (merged contacts included), by currency; none when nothing ever was earned.

    Raises ``UnknownContact`` for an unknown contact; an erased one still has amounts.
    """
    asked = {"family": people.contact_family(ctx, contact_id), "book": wallet_book(ctx.workspace_id)}
    return [
        Balance(
            currency=row.currency,
            pending=row.pending,
            available=max(row.available, 0),
            reserved=row.reserved,
            paid=row.paid,
            withheld=row.withheld,
            debt=max(-row.available, 0),
        )
        for row in ctx.session.execute(_BALANCES, asked)
    ]


# -- movements ---------------------------------------------------------------------------------------

TITLES: Mapping[str, str] = {
    "mature": N_("Commission for order %(order)s"),
    "refund": N_("Taken back: order %(order)s was refunded"),
    "absorbed": N_("Borne by the merchant"),
    "commission": N_("Commission for order %(order)s, changed by the merchant"),
    "payout_reserve": N_("Withdrawal"),
    "payout_confirm": N_("Withdrawal paid: %(net)s received"),
    "payout_withheld": N_("Withdrawal paid: %(net)s received, %(tax)s tax and %(fee)s fee withheld"),
    "rejected": N_("Withdrawal not approved, money returned"),
    "cancelled": N_("Withdrawal cancelled, money returned"),
    "failed": N_("Withdrawal failed, money returned"),
    "write_off": N_("Debt let go by the merchant"),
    "other": N_("Movement"),
}
"""What a line is called (message ids)."""


@dataclass(frozen=True, slots=True)
class Line:
    """One movement in a wallet."""

    seq: int
    """Of the Entry in the wallet book; with ``line`` the line's place, newest first."""
    line: int
    at: datetime
    kind: str
    """A key of ``TITLES``."""
    currency: str
    amount: int
    """What it changed of what is available, minor units; 0 when a withdrawal was paid."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """Of the title; amounts in minor units."""
    payout_id: str | None = None
    commission_id: str | None = None
    order_id: str | None = None
    campaign_id: str | None = None
    campaign_title: str | None = None
    level: int | None = None
    """Of the commission."""
    note: str = ""
    """Why the merchant changed the commission by hand, in their words."""

    @property
    def title(self) -> str:
        """In the language spoken now."""
        return translate(TITLES[self.kind], written_out(self.params))


_LINES = text(
    "SELECT l.seq, l.line, n.at, n.kind, l.currency, l.account, l.amount, l.ref,"
    " o.id AS payout_id, o.state, o.net, o.tax, o.fee, c.id AS commission_id, c.order_id, r.number,"
    # What was said when it was done: the commission itself only knows what was said last.
    " c.campaign_id, c.level, g.title, jsonb_path_query_first(n.body,"
    "  '$.reasons[*] ? (@.code like_regex \"_by_hand$\").params.reason') #>> '{}' AS reason"
    " FROM (SELECT * FROM legs WHERE book_id = :book AND account IN ('available', 'reserved')"
    "        AND owner = ANY(:family) AND (seq, line) < (:seq, :line)) AS l"
    " JOIN entries n ON n.book_id = :book AND n.seq = l.seq"
    " LEFT JOIN payouts o ON o.id = l.ref"
    " LEFT JOIN commissions c ON c.id = l.ref"
    " LEFT JOIN orders r ON r.id = c.order_id"
    " LEFT JOIN campaigns g ON g.id = c.campaign_id"
    # What is set aside or returned shows on ``available``; a payment on ``reserved``. Between two contacts
    # of one person nothing moves.
    " WHERE n.kind <> 'wallet_merge' AND (l.account = 'available' OR n.kind = 'payout_confirm')"
    " AND (CAST(:kinds AS text[]) IS NULL OR n.kind = ANY(:kinds))"
    " ORDER BY l.seq DESC, l.line DESC LIMIT :limit"
)
EARNINGS = ("mature", "refund", "commission")
"""Kinds of Entries in the wallet book that are about commission."""
WITHDRAWALS = ("payout_reserve", "payout_confirm", "payout_void")
"""Kinds that are about withdrawals."""
_NEWEST = (2**62, 2**30)


def lines(
    ctx: Ctx,
    contact_id: str,
    *,
    before: tuple[int, int] | None = None,
    limit: int = 50,
    kinds: Sequence[str] = (),
) -> tuple[list[Line], tuple[int, int] | None]:
    """Movements in a person's wallet, newest first, and the ``before`` of the next page.

    ``kinds``: of Entries of these kinds only (``EARNINGS``, ``WITHDRAWALS``); empty for all.

    Raises ``UnknownContact``.
    """
    seq, line = before or _NEWEST
    asked = {
        "family": people.contact_family(ctx, contact_id),
        "book": wallet_book(ctx.workspace_id),
        "seq": seq,
        "line": line,
        "limit": limit + 1,
        "kinds": list(kinds) or None,
    }
    found = [_line(row) for row in ctx.session.execute(_LINES, asked)]
    last = (found[limit - 1].seq, found[limit - 1].line) if len(found) > limit else None
    return found[:limit], last


def _line(row: Any) -> Line:
    kind, params = _explained(row)
    return Line(
        seq=row.seq,
        line=row.line,
        at=row.at,
        kind=kind,
        currency=row.currency,
        amount=row.amount if row.account == "available" else 0,
        params=params,
        payout_id=row.payout_id,
        commission_id=row.commission_id,
        order_id=row.order_id,
        campaign_id=row.campaign_id,
        campaign_title=row.title,
        level=row.level,
        note=(row.reason or "") if kind == "commission" else "",
    )


def _explained(row: Any) -> tuple[str, dict[str, Any]]:
    """The title of a movement and what it is filled with."""
    if row.kind == "payout_confirm":
        kind = "payout_withheld" if row.tax or row.fee else "payout_confirm"
        return kind, {"net": row.net, "tax": row.tax, "fee": row.fee, "currency": row.currency}
    if row.kind == "payout_void":
        return row.state, {}
    if row.kind in ("mature", "refund", "commission"):
        if row.kind == "refund" and row.amount > 0:
            return "absorbed", {}
        return row.kind, {"order": row.number if row.number is not None else "–"}
    return (row.kind if row.kind in TITLES else "other"), {}


def lines_of_payouts(ctx: Ctx, payout_ids: Sequence[str]) -> Mapping[str, list[dict[str, Any]]]:
    """The Entries of payouts in the wallet book, oldest first: what happened to the money and when."""
    rows = ctx.session.execute(
        _PAYOUT_ENTRIES, {"ids": list(payout_ids), "book": wallet_book(ctx.workspace_id)}
    )
    found: dict[str, list[dict[str, Any]]] = {one: [] for one in payout_ids}
    for row in rows:
        found[row.ref].append({"seq": row.seq, "kind": row.kind, "at": row.at})
    return found


_PAYOUT_ENTRIES = text(
    "SELECT DISTINCT l.ref, l.seq, n.kind, n.at FROM legs l"
    " JOIN entries n ON n.book_id = l.book_id AND n.seq = l.seq"
    " WHERE l.ref = ANY(:ids) AND l.book_id = :book ORDER BY l.seq"
)
