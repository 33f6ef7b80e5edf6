"""What must hold in every book at every moment, as set-based questions whose answers name what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from growth_engine.ledger.contract import Connected
from growth_engine.ledger.money import wallet_book

SHOWN = 10
"""Rows a fault names."""
SET_ASIDE = ["requested", "approved", "sending", "unknown", "waiting"]
"""States of payouts whose money is reserved."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is not as it must be, and where; ``ledger.remedies`` says what to do."""

    check: str
    detail: str


@dataclass(frozen=True, slots=True)
class Invariant:
    """One question: every row of its answer, a column ``what``, is a sentence about something wrong."""

    name: str
    sql: str
    books: Literal["campaign", "wallet", "every"] = "every"
    cheap: bool = False
    """Reads no legs: the time it takes grows with people and not with what ever happened."""


_BALANCED = """
SELECT format('the accounts together stand at %%s %%s', sum(balance), currency) AS what
FROM accounts WHERE book_id = %(book)s GROUP BY currency HAVING sum(balance) <> 0
"""

_BALANCED_ENTRIES = """
SELECT format('entry %%s leaves %%s %%s', seq, sum(amount), currency) AS what
FROM legs WHERE book_id = %(book)s GROUP BY seq, currency HAVING sum(amount) <> 0
"""

_ACCOUNTS = """
WITH counted AS (
  SELECT account, owner, currency, sum(amount)::bigint AS balance, max(seq) AS last_seq,
         coalesce(sum(amount) FILTER (WHERE amount > 0), 0)::bigint AS credited,
         coalesce(-sum(amount) FILTER (WHERE amount < 0), 0)::bigint AS debited
  FROM legs WHERE book_id = %(book)s GROUP BY account, owner, currency)
SELECT format('%%s of %%L keeps %%s %%s (in %%s, out %%s), its legs say %%s (in %%s, out %%s)', account,
         owner, coalesce(k.balance, 0), currency, coalesce(k.credited, 0), coalesce(k.debited, 0),
         coalesce(c.balance, 0), coalesce(c.credited, 0), coalesce(c.debited, 0)) AS what
FROM (SELECT * FROM accounts WHERE book_id = %(book)s) AS k
FULL JOIN counted AS c USING (account, owner, currency)
WHERE (k.balance, k.credited, k.debited, k.last_seq)
  IS DISTINCT FROM (c.balance, c.credited, c.debited, c.last_seq)
"""

_JOURNAL = """
WITH told AS (
  SELECT e.seq, one.line::int, one.leg ->> 0 AS account, one.leg ->> 1 AS owner,
         e.body ->> 'currency' AS currency, (one.leg ->> 2)::bigint AS amount, one.leg ->> 3 AS ref
  FROM entries e, jsonb_array_elements(e.body -> 'legs') WITH ORDINALITY AS one (leg, line)
  WHERE e.book_id = %(book)s)
SELECT format('leg %%s of entry %%s is %%s %%L %%s %%s, its entry says %%s %%L %%s %%s', line, seq,
         l.account, l.owner, l.amount, l.currency, t.account, t.owner, t.amount, t.currency) AS what
FROM told AS t FULL JOIN (SELECT * FROM legs WHERE book_id = %(book)s) AS l USING (seq, line)
WHERE (t.account, t.owner, t.currency, t.amount, t.ref)
  IS DISTINCT FROM (l.account, l.owner, l.currency, l.amount, l.ref)
"""

_HEAD = """
SELECT format('the head is entry %%s, the journal ends at %%s%%s', b.last_seq, e.last,
         CASE WHEN n.hash = b.head THEN '' ELSE '; it names another hash' END) AS what
FROM books b
CROSS JOIN (SELECT coalesce(max(seq), 0) AS last FROM entries WHERE book_id = %(book)s) AS e
LEFT JOIN entries n ON n.book_id = b.id AND n.seq = b.last_seq
WHERE b.id = %(book)s
  AND (b.last_seq <> e.last OR (b.last_seq > 0 AND n.hash IS DISTINCT FROM b.head))
"""

_SEQUENCE = """
SELECT format('entries %%s to %%s are missing', before + 1, seq - 1) AS what
FROM (SELECT seq, lag(seq, 1, 0::bigint) OVER (ORDER BY seq) AS before
      FROM entries WHERE book_id = %(book)s) AS pairs
WHERE seq <> before + 1
"""

_COVERED = """
SELECT format('%%s of %%L stands at %%s %%s', account, owner, balance, currency) AS what
FROM accounts WHERE book_id = %(book)s AND account IN ('pending', 'reserved') AND balance < 0
"""

#: A debt comes from shares taken back after they had been paid out, or with somebody merged. This also
#: says that nobody was ever paid more than they had earned: what is available is what matured, was borne
#: by the merchant or let go, less what was taken back, is reserved or was paid.
_DEBTS = """
WITH below AS (
  SELECT owner, currency, -balance AS debt FROM accounts
  WHERE book_id = %(book)s AND account = 'available' AND balance < 0
), taken AS (
  SELECT seq FROM legs WHERE book_id = %(book)s AND account = 'campaign' AND amount > 0
  UNION SELECT seq FROM entries WHERE book_id = %(book)s AND kind = 'wallet_merge'
), clawed AS (
  SELECT l.owner, l.currency, -sum(l.amount) AS amount
  FROM below b JOIN legs l ON l.owner = b.owner AND l.currency = b.currency
  WHERE l.book_id = %(book)s AND l.account = 'available' AND l.amount < 0
    AND l.seq IN (SELECT seq FROM taken)
  GROUP BY l.owner, l.currency)
SELECT format('%%s owes %%s %%s, of which %%s was taken back after it had matured', owner, debt, currency,
         coalesce(amount, 0)) AS what
FROM below LEFT JOIN clawed USING (owner, currency) WHERE debt > coalesce(amount, 0)
"""

_PAID = """
SELECT format('%%s %%s is reserved or paid, only %%s ever matured, was borne or written off', gone, currency,
         come) AS what
FROM (
  SELECT currency,
    coalesce(sum(balance) FILTER (WHERE account IN ('reserved', 'clearing', 'tax', 'payout_fee')), 0) AS gone,
    coalesce(sum(debited) FILTER (WHERE account IN ('campaign', 'absorbed', 'written_off')), 0) AS come
  FROM accounts WHERE book_id = %(book)s GROUP BY currency) AS flow
WHERE gone > come
"""

_BORDER = """
SELECT format('campaign %%s sent %%s %%s to the wallet, which received %%s', campaign, sent, currency,
         received) AS what
FROM (
  SELECT CASE WHEN book_id = %(wallet)s THEN owner ELSE book_id END AS campaign, currency,
    coalesce(sum(balance) FILTER (WHERE book_id <> %(wallet)s), 0) AS sent,
    coalesce(-sum(balance) FILTER (WHERE book_id = %(wallet)s), 0) AS received
  FROM accounts WHERE workspace_id = %(workspace)s
    AND ((book_id <> %(wallet)s AND account = 'wallet') OR (book_id = %(wallet)s AND account = 'campaign'))
  GROUP BY 1, 2) AS crossed
WHERE sent <> received AND %(book)s IN (campaign, %(wallet)s)
"""

_COMMISSIONS = """
WITH posted AS (
  SELECT ref, coalesce(-sum(amount) FILTER (WHERE account = 'expense'), 0) AS target,
         coalesce(sum(amount) FILTER (WHERE account = 'pending'), 0) AS pending
  FROM legs WHERE book_id = %(book)s AND account IN ('expense', 'pending') GROUP BY ref)
SELECT format('commission %%L: target %%s = on hold %%s + matured %%s, its legs say %%s and %%s on hold',
         coalesce(c.id, p.ref), coalesce(c.target, 0), coalesce(c.pending, 0), coalesce(c.matured, 0),
         coalesce(p.target, 0), coalesce(p.pending, 0)) AS what
FROM posted AS p FULL JOIN (SELECT * FROM commissions WHERE campaign_id = %(book)s) AS c ON c.id = p.ref
WHERE (coalesce(c.target, 0), coalesce(c.pending, 0)) <> (coalesce(p.target, 0), coalesce(p.pending, 0))
   OR c.target <> c.pending + c.matured
"""

_MATURED = """
WITH posted AS (
  SELECT ref, sum(amount) AS amount FROM legs
  WHERE book_id = %(book)s AND account IN ('available', 'absorbed') AND ref <> ''
    AND ref NOT IN (SELECT id FROM payouts WHERE workspace_id = %(workspace)s)
  GROUP BY ref)
SELECT format('commission %%L has matured %%s, the wallet got %%s', coalesce(c.id, p.ref),
         coalesce(c.matured, 0), coalesce(p.amount, 0)) AS what
FROM posted AS p
FULL JOIN (SELECT id, matured FROM commissions WHERE workspace_id = %(workspace)s) AS c ON c.id = p.ref
WHERE coalesce(c.matured, 0) <> coalesce(p.amount, 0)
"""

_PENDING = """
SELECT format('member %%s has %%s %%s on hold, their commissions say %%s', owner, coalesce(a.balance, 0),
         currency, coalesce(c.pending, 0)) AS what
FROM (SELECT * FROM accounts WHERE book_id = %(book)s AND account = 'pending') AS a
FULL JOIN (SELECT member::text COLLATE "C" AS owner, currency, sum(pending) AS pending FROM commissions
           WHERE campaign_id = %(book)s GROUP BY member, currency) AS c USING (owner, currency)
WHERE coalesce(a.balance, 0) <> coalesce(c.pending, 0)
"""

_ORDERS = """
WITH mine AS (SELECT * FROM orders WHERE campaign_id = %(book)s),
paid AS (SELECT p.order_id AS id, sum(p.amount) AS amount FROM payments p
         WHERE p.order_id IN (SELECT id FROM mine) GROUP BY 1),
returned AS (SELECT r.order_id AS id, sum(r.amount) AS amount FROM refunds r
             WHERE r.order_id IN (SELECT id FROM mine) GROUP BY 1),
fees AS (SELECT ref AS id, sum(amount) AS amount FROM legs
         WHERE book_id = %(book)s AND account = 'platform' GROUP BY 1)
SELECT format('order %%s: paid %%s, refunded %%s, fee %%s; payments say %%s, refunds %%s, legs %%s', id,
         o.paid, o.refunded, o.fee, coalesce(paid.amount, 0), coalesce(returned.amount, 0),
         coalesce(fees.amount, 0)) AS what
FROM mine AS o FULL JOIN fees USING (id) LEFT JOIN paid USING (id) LEFT JOIN returned USING (id)
WHERE (o.paid, o.refunded, o.fee) IS DISTINCT FROM
  (coalesce(paid.amount, 0), coalesce(returned.amount, 0), coalesce(fees.amount, 0))
"""

_PROMOTERS = """
SELECT format('participant %%s: earned is off by %%s, sales by %%s, spent by %%s', number, sum(earned),
         sum(sales), sum(spent)) AS what
FROM (
  SELECT number, earned, sales, spent FROM promoters WHERE campaign_id = %(book)s
  UNION ALL SELECT member, -target, 0, 0 FROM commissions WHERE campaign_id = %(book)s
  UNION ALL SELECT promoter, 0, -greatest(paid - refunded, 0), 0 FROM orders
    WHERE campaign_id = %(book)s AND promoter > 0
  UNION ALL SELECT buyer, 0, 0, -greatest(paid - refunded, 0) FROM orders WHERE campaign_id = %(book)s
) AS counted
GROUP BY number HAVING sum(earned) <> 0 OR sum(sales) <> 0 OR sum(spent) <> 0
"""

_PAYOUTS = """
WITH posted AS (
  SELECT ref AS id, count(*) FILTER (WHERE account = 'reserved' AND amount > 0) AS times,
    coalesce(sum(amount) FILTER (WHERE account = 'reserved'), 0) AS reserved,
    coalesce(sum(amount) FILTER (WHERE account = 'clearing'), 0) AS net,
    coalesce(sum(amount) FILTER (WHERE account = 'tax'), 0) AS tax,
    coalesce(sum(amount) FILTER (WHERE account = 'payout_fee'), 0) AS fee
  FROM legs WHERE book_id = %(book)s AND ref <> ''
    AND account IN ('reserved', 'clearing', 'tax', 'payout_fee') GROUP BY ref
), wanted AS (
  SELECT id, state, 1 AS times, amount * (state = ANY(%(set_aside)s))::int AS reserved, net * paid AS net,
         tax * paid AS tax, fee * paid AS fee
  FROM payouts CROSS JOIN LATERAL (SELECT (state = 'paid')::int AS paid) AS is_
  WHERE workspace_id = %(workspace)s)
SELECT format('payout %%s is %%s: reserved %%s time(s), %%s still; paid %%s, tax %%s, fee %%s', id,
         coalesce(w.state, 'unknown to us'), coalesce(p.times, 0), coalesce(p.reserved, 0),
         coalesce(p.net, 0), coalesce(p.tax, 0), coalesce(p.fee, 0)) AS what
FROM posted AS p FULL JOIN wanted AS w USING (id)
WHERE (p.times, p.reserved, p.net, p.tax, p.fee) IS DISTINCT FROM (w.times, w.reserved, w.net, w.tax, w.fee)
"""

_RESERVED = """
SELECT format('%%s has %%s %%s reserved, their payouts on the way are %%s', owner, coalesce(a.balance, 0),
         currency, coalesce(p.amount, 0)) AS what
FROM (SELECT * FROM accounts WHERE book_id = %(book)s AND account = 'reserved') AS a
FULL JOIN (SELECT contact_id AS owner, currency, sum(amount) AS amount FROM payouts
           WHERE workspace_id = %(workspace)s AND state = ANY(%(set_aside)s) GROUP BY 1, 2) AS p
  USING (owner, currency)
WHERE coalesce(a.balance, 0) <> coalesce(p.amount, 0)
"""

_CLEARED = """
SELECT format('%%s stands at %%s %%s, the paid payouts say %%s', account, coalesce(a.balance, 0), currency,
         coalesce(p.amount, 0)) AS what
FROM (SELECT * FROM accounts WHERE book_id = %(book)s AND account IN ('clearing', 'tax', 'payout_fee')) AS a
FULL JOIN (SELECT account, currency, sum(part.amount) AS amount
           FROM payouts CROSS JOIN LATERAL
             (VALUES ('clearing', net), ('tax', tax), ('payout_fee', fee)) AS part (account, amount)
           WHERE workspace_id = %(workspace)s AND state = 'paid' GROUP BY 1, 2) AS p USING (account, currency)
WHERE coalesce(a.balance, 0) <> coalesce(p.amount, 0)
"""

INVARIANTS: Sequence[Invariant] = (
    Invariant("head", _HEAD, cheap=True),
    Invariant("sequence", _SEQUENCE),
    Invariant("balanced", _BALANCED, cheap=True),
    Invariant("balanced_entries", _BALANCED_ENTRIES),
    Invariant("accounts", _ACCOUNTS),
    Invariant("journal", _JOURNAL),
    Invariant("covered", _COVERED, cheap=True),
    Invariant("border", _BORDER, cheap=True),
    Invariant("commissions", _COMMISSIONS, "campaign"),
    Invariant("pending", _PENDING, "campaign", cheap=True),
    Invariant("orders", _ORDERS, "campaign"),
    Invariant("promoters", _PROMOTERS, "campaign"),
    Invariant("debts", _DEBTS, "wallet"),
    Invariant("paid", _PAID, "wallet", cheap=True),
    Invariant("matured", _MATURED, "wallet"),
    Invariant("payouts", _PAYOUTS, "wallet"),
    Invariant("reserved", _RESERVED, "wallet", cheap=True),
    Invariant("cleared", _CLEARED, "wallet", cheap=True),
)


def faults_of(conn: Connected, workspace_id: str, book_id: str, *, cheap: bool = False) -> Iterator[Fault]:
    """What does not hold in a book; ``cheap``: only the invariants that can be asked every few minutes.

    The connection must see one moment (repeatable read), or a posting in between looks like a fault.
    """
    wallet = wallet_book(workspace_id)
    kind = "wallet" if book_id == wallet else "campaign"
    named = {"workspace": workspace_id, "book": book_id, "wallet": wallet, "set_aside": SET_ASIDE}
    for one in INVARIANTS:
        if one.books not in (kind, "every") or (cheap and not one.cheap):
            continue
        query = f"SELECT what, count(*) OVER () FROM ({one.sql}) AS wrong ORDER BY what LIMIT {SHOWN}"  # noqa: S608 - constants of this file
        rows = conn.execute(query.encode(), named).fetchall()
        if rows:
            more = rows[0][1] - len(rows)
            named_rows = "; ".join(what for what, _ in rows)
            yield Fault(one.name, f"{named_rows}; and {more} more" if more else named_rows)
