"""What a batch of selling Events asks the database; see ``posting.questions`` for the manner."""

# ruff: noqa: S608 - the texts put together here are this file's own

from __future__ import annotations

from growth_engine.plays.posting.questions import ANCESTORS, BY_NUMBER, STOCK, as_round

_ORDER = """
json_build_array(o.id, o.campaign_id, o.contact_id, o.buyer, o.promoter, o.currency, o.total, o.paid,
                 o.refunded, o.state, o.fee_bp, o.fee, o.rule_version, o.placed_at, o.expires_at, o.paid_at,
                 o.closed_at, o.restocked) AS row
"""

_COMMISSION = """
json_build_array(c.id, c.campaign_id, c.order_id, c.level, c.member, c.contact_id, c.currency, c.rule_version,
                 c.terms, c.target, c.pending, c.matured, c.state, c.reason, c.hold_until) AS row
"""

_PROMOTER = """
json_build_array(p.campaign_id, p.number, p.contact_id, p.state, p.tier, p.spent, p.orders, p.sales, p.earned,
                 p.usage, p.note, p.applied_at, p.decided_at, p.decided_by) AS row
"""

_PRODUCTS = """
SELECT json_build_array(p.id, p.campaign_id, p.sku, p.name, p.price, p.currency, p.state = 'on_sale') AS row
FROM asked, json_to_recordset(asked.d -> 'products') AS one (campaign text, name text)
CROSS JOIN LATERAL (
  SELECT * FROM products WHERE campaign_id = one.campaign AND sku = one.name OFFSET 0) AS p
"""

_ORDERS = f"""
SELECT {_ORDER} FROM asked, json_array_elements_text(asked.d -> 'orders') AS one
CROSS JOIN LATERAL (SELECT * FROM orders WHERE id = one.value OFFSET 0) AS o
"""

# Stock moves when an order is cancelled or its goods come back, and when one of these is paid after all.
_LINES = """
SELECT json_build_array(l.order_id, l.line, l.product_id, l.sku, l.name, l.quantity, l.amount) AS row
FROM asked
CROSS JOIN LATERAL (
  SELECT cancelling.value AS id FROM json_array_elements_text(asked.d -> 'lines') AS cancelling
  UNION
  SELECT o.id FROM json_array_elements_text(asked.d -> 'orders') AS one
  CROSS JOIN LATERAL (SELECT id, state, restocked FROM orders WHERE id = one.value OFFSET 0) AS o
  WHERE o.state = 'cancelled' OR o.restocked
) AS wanted
CROSS JOIN LATERAL (SELECT * FROM order_lines WHERE order_id = wanted.id OFFSET 0) AS l
ORDER BY l.order_id, l.line
"""

_SHARES = f"""
SELECT {_COMMISSION} FROM asked, json_array_elements_text(asked.d -> 'orders') AS one
CROSS JOIN LATERAL (SELECT * FROM commissions WHERE order_id = one.value OFFSET 0) AS c
ORDER BY c.order_id, c.level
"""

_NAMED = f"""
SELECT {_COMMISSION} FROM asked, json_array_elements_text(asked.d -> 'commissions') AS one
CROSS JOIN LATERAL (SELECT * FROM commissions WHERE id = one.value OFFSET 0) AS c
"""

# Whoever is blocked keeps what they have on hold until a person decides.
_DUE = f"""
SELECT {_COMMISSION}
FROM asked, json_to_recordset(asked.d -> 'due') AS one (campaign text, cutoff timestamptz, most bigint)
CROSS JOIN LATERAL (
  SELECT * FROM commissions AS due
  WHERE due.campaign_id = one.campaign AND due.state = 'pending' AND due.hold_until <= one.cutoff
    AND NOT EXISTS (SELECT FROM promoters AS s
      WHERE s.campaign_id = due.campaign_id AND s.number = due.member AND s.state = 'blocked')
    AND NOT EXISTS (SELECT FROM participants AS m
      WHERE m.campaign_id = due.campaign_id AND m.number = due.member AND m.state = 'blocked')
  ORDER BY due.hold_until, due.id LIMIT one.most OFFSET 0) AS c
"""

_PARTIES = f"""
SELECT {_PROMOTER} FROM asked
CROSS JOIN LATERAL (
  SELECT DISTINCT o.campaign_id, party.number
  FROM json_array_elements_text(asked.d -> 'orders') AS one
  CROSS JOIN LATERAL (SELECT * FROM orders WHERE id = one.value OFFSET 0) AS o
  CROSS JOIN LATERAL (
    SELECT o.buyer AS number UNION SELECT o.promoter
    UNION SELECT c.member FROM commissions AS c WHERE c.order_id = o.id) AS party
) AS named
CROSS JOIN LATERAL (
  SELECT * FROM promoters WHERE campaign_id = named.campaign_id AND number = named.number OFFSET 0) AS p
"""

_BINDINGS = """
SELECT json_build_array(b.campaign_id, b.buyer, b.promoter, b.bound_at, b.protected_until, b.valid_until)
  AS row
FROM asked, json_to_recordset(asked.d -> 'buyers') AS one (campaign text, name bigint)
CROSS JOIN LATERAL (
  SELECT * FROM bindings WHERE campaign_id = one.campaign AND buyer = one.name OFFSET 0) AS b
"""

# What buyers have ordered and not paid: it keeps stock from others.
_UNPAID = """
SELECT json_build_array(one.campaign, one.name, open.orders, open.pieces) AS row
FROM asked, json_to_recordset(asked.d -> 'ordering') AS one (campaign text, name bigint)
CROSS JOIN LATERAL (
  SELECT count(*) AS orders, coalesce(sum(l.pieces), 0) AS pieces
  FROM (SELECT id FROM orders
        WHERE campaign_id = one.campaign AND buyer = one.name AND state = 'placed' AND paid = 0 OFFSET 0) AS o
  CROSS JOIN LATERAL (
    SELECT sum(quantity) AS pieces FROM order_lines WHERE order_id = o.id OFFSET 0) AS l
  OFFSET 0) AS open
"""

# Everybody who may have a share in what these buyers buy: themselves, whoever brought them, whoever they
# are bound to, and one more step up from each. Whose link was followed is among the names asked.
_SELLERS = f"""
SELECT {_PROMOTER} FROM asked, json_to_recordset(asked.d -> 'sellers') AS one (campaign text, name bigint)
CROSS JOIN LATERAL (
  SELECT * FROM promoters WHERE campaign_id = one.campaign AND number = one.name OFFSET 0) AS p
"""

_LINEAGE = """
WITH RECURSIVE up (campaign_id, number, step) AS (
  SELECT one.campaign, one.name, 0
  FROM asked, json_to_recordset(asked.d -> 'lineage') AS one (campaign text, name bigint)
  UNION
  SELECT up.campaign_id, above.number, up.step + 1
  FROM up CROSS JOIN LATERAL (
    SELECT inviter_number AS number FROM participants
    WHERE campaign_id = up.campaign_id AND number = up.number
    UNION ALL
    SELECT promoter FROM bindings WHERE campaign_id = up.campaign_id AND buyer = up.number AND up.step = 0
  ) AS above
  WHERE above.number > 0 AND up.step < 2
)
SELECT DISTINCT ON (campaign_id, number) json_build_array(campaign_id, number) AS row FROM up
"""

#: Orders that money comes for or goes back from, with everybody who has a share; products; what is due.
FIRST = as_round(
    products=_PRODUCTS,
    orders=_ORDERS,
    lines=_LINES,
    shares=_SHARES,
    named=_NAMED,
    due=_DUE,
    parties=_PARTIES,
)
#: Of buyers, once it is known who they are: whom they are bound to, everybody above, what they have not paid.
SECOND = as_round(
    bindings=_BINDINGS, lineage=_LINEAGE, stocked=STOCK, ordering=_UNPAID, descendants=ANCESTORS
)
#: Those people themselves.
THIRD = as_round(numbers=BY_NUMBER, sellers=_SELLERS)
