"""A book as the SQL tables have it, its tree and its money: the digest the mirror and the fold must equal."""

from __future__ import annotations

from collections.abc import Iterator

from growth_engine.ledger.contract import Connected
from growth_engine.ledger.digest import Digest, Money, Row, digest_rows

#: Team counts from the parents alone: nothing here was counted while posting.
_ROWS = """
WITH level1 AS (
  SELECT inviter_number AS number, count(*) AS here FROM participants
  WHERE campaign_id = %(book)s AND state <> 'left' AND inviter_number > 0 GROUP BY inviter_number
), level2 AS (
  SELECT parent.inviter_number AS number, count(*) AS here
  FROM participants child JOIN participants parent
    ON parent.campaign_id = child.campaign_id AND parent.number = child.inviter_number
  WHERE child.campaign_id = %(book)s AND child.state <> 'left' AND parent.inviter_number > 0
  GROUP BY parent.inviter_number
), valid AS (
  SELECT inviter_number AS number, count(*) AS invites FROM invite_edges
  WHERE campaign_id = %(book)s AND state = 'valid' GROUP BY inviter_number
)
SELECT p.number, p.inviter_number, coalesce(level1.here, 0), coalesce(level2.here, 0),
       p.state <> 'left', p.state = 'blocked', coalesce(valid.invites, 0)
FROM participants p
LEFT JOIN level1 USING (number) LEFT JOIN level2 USING (number) LEFT JOIN valid USING (number)
WHERE p.campaign_id = %(book)s ORDER BY p.number
"""

_FUNNEL = """
SELECT op ->> 1, sum((op ->> 2)::bigint) FROM entries, jsonb_array_elements(body -> 'ops') AS op
WHERE book_id = %s AND op ->> 0 = 'f' GROUP BY 1
"""

_COHORTS = """
SELECT cohort::text, count(*), sum(valid_invites) FROM participants
WHERE campaign_id = %s GROUP BY cohort ORDER BY 1
"""

_BALANCES = """
SELECT account, owner, currency, balance FROM accounts WHERE book_id = %s AND balance <> 0
"""

_EARNED = """
SELECT member, sum(target)::bigint FROM commissions WHERE campaign_id = %s GROUP BY member
"""

#: What buyers have paid and not got back, told to the two levels above them.
_BRANCH = """
WITH sold AS (
  SELECT p.inviter_number AS parent, sum(greatest(o.paid - o.refunded, 0)) AS net
  FROM orders o JOIN participants p ON p.campaign_id = o.campaign_id AND p.number = o.buyer
  WHERE o.campaign_id = %(book)s AND p.inviter_number > 0 GROUP BY p.inviter_number
)
SELECT number, sum(net)::bigint FROM (
  SELECT parent AS number, net FROM sold
  UNION ALL
  SELECT p.inviter_number, net FROM sold
  JOIN participants p ON p.campaign_id = %(book)s AND p.number = sold.parent
  WHERE p.inviter_number > 0) AS above
GROUP BY number
"""

_COUNTED_WRONG = """
SELECT p.number, p.valid_invites, coalesce(v.invites, 0) FROM participants p
LEFT JOIN (SELECT inviter_number AS number, count(*) AS invites FROM invite_edges
           WHERE campaign_id = %(book)s AND state = 'valid' GROUP BY inviter_number) v USING (number)
WHERE p.campaign_id = %(book)s AND p.valid_invites <> coalesce(v.invites, 0) ORDER BY p.number LIMIT 10
"""


def digest(conn: Connected, book_id: str, last_seq: int) -> Digest:
    """Digest of the tables; the caller's transaction must see one moment (repeatable read)."""
    funnel = {step: int(count) for step, count in conn.execute(_FUNNEL, (book_id,)).fetchall()}
    cohorts = [
        (day, members, int(invites))
        for day, members, invites in conn.execute(_COHORTS, (book_id,)).fetchall()
    ]
    return digest_rows(_rows(conn, book_id), last_seq, funnel, cohorts, _money(conn, book_id))


def _money(conn: Connected, book_id: str) -> Money:
    balances = {tuple(row[:3]): row[3] for row in conn.execute(_BALANCES, (book_id,)).fetchall()}
    earned: dict[int, int] = dict(conn.execute(_EARNED, (book_id,)).fetchall())
    branch: dict[int, int] = dict(conn.execute(_BRANCH, {"book": book_id}).fetchall())
    return Money(balances, earned, branch)


def _rows(conn: Connected, book_id: str) -> Iterator[Row]:
    with conn.cursor(name="tree_rows") as cursor:
        cursor.itersize = 20_000
        cursor.execute(_ROWS, {"book": book_id})
        yield from cursor


def miscounted(conn: Connected, book_id: str) -> list[tuple[int, int, int]]:
    """(number, valid invites as kept, as counted from the edges) where they differ; at most ten."""
    return conn.execute(_COUNTED_WRONG, {"book": book_id}).fetchall()
