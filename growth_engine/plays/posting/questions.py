"""What a batch asks the database, as SQL: many questions in one statement, each answered as JSON rows.

A statement costs the poster as much as deciding a registration, so questions of one round travel
together: ``asked`` holds what is looked up, every question reads its part of it and answers with
``json_build_array`` rows.

Look-ups stand in ``LATERAL (… OFFSET 0)``: the planner then has no choice but one index probe per asked
row. Left free, it plans for the table as last analysed, and a campaign that grows from nothing in a
minute would be scanned for every batch.
"""

# ruff: noqa: S608 - the texts put together here are this file's own

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from growth_engine.ledger.contract import Connected

Rows = list[list[Any]]

_CAMPAIGNS = """
SELECT json_build_array(c.id, c.play, c.rule_version, c.state, v.starts_at, v.ends_at, c.plan_id, c.locale,
                        w.timezone, b.members, v.config, w.salt, w.merchant_tier) AS row
FROM asked, json_array_elements_text(asked.d -> 'books') AS book
CROSS JOIN LATERAL (SELECT * FROM campaigns WHERE id = book.value OFFSET 0) AS c
CROSS JOIN LATERAL (SELECT * FROM books WHERE id = c.id OFFSET 0) AS b
CROSS JOIN LATERAL (SELECT * FROM workspaces WHERE id = c.workspace_id OFFSET 0) AS w
CROSS JOIN LATERAL (
  SELECT * FROM campaign_versions WHERE campaign_id = c.id AND version = c.rule_version OFFSET 0) AS v
"""

_IDENTITIES = """
SELECT json_build_array(one.kind, one.value, c.id, c.blocked) AS row
FROM asked, json_to_recordset(asked.d -> 'identities') AS one (kind text, value text)
CROSS JOIN LATERAL (
  SELECT contact_id FROM contact_identities
  WHERE workspace_id = asked.ws AND kind = one.kind AND value = one.value OFFSET 0) AS i
CROSS JOIN LATERAL (
  SELECT coalesce(merged_into, id) AS id, blocked_at IS NOT NULL AS blocked
  FROM contacts WHERE id = i.contact_id OFFSET 0) AS c
"""

_CONTACTS = """
SELECT json_build_array(one.value, kept.id, kept.blocked) AS row
FROM asked, json_array_elements_text(asked.d -> 'contacts') AS one
CROSS JOIN LATERAL (
  SELECT coalesce(merged_into, id) AS id FROM contacts WHERE id = one.value OFFSET 0) AS c
CROSS JOIN LATERAL (
  SELECT id, blocked_at IS NOT NULL AS blocked FROM contacts
  WHERE id = c.id AND erased_at IS NULL OFFSET 0) AS kept
"""

_MEMBER = """
json_build_array(p.id, p.campaign_id, p.number, p.contact_id, p.inviter_number, p.invite_token, p.state,
                 p.valid_invites, p.helps_window_at, p.helps_in_window, p.device, p.cohort, p.joined_at)
  AS row
"""

_BY_TOKEN = f"""
SELECT {_MEMBER} FROM asked, json_array_elements_text(asked.d -> 'tokens') AS one
CROSS JOIN LATERAL (SELECT * FROM participants WHERE invite_token = one.value OFFSET 0) AS p
"""

_BY_CONTACT = f"""
SELECT {_MEMBER}
FROM asked, json_to_recordset(asked.d -> 'participations') AS one (campaign text, name text)
CROSS JOIN LATERAL (
  SELECT * FROM participants WHERE contact_id = one.name AND campaign_id = one.campaign OFFSET 0) AS p
"""

BY_NUMBER = f"""
SELECT {_MEMBER} FROM asked, json_to_recordset(asked.d -> 'numbers') AS one (campaign text, name bigint)
CROSS JOIN LATERAL (
  SELECT * FROM participants WHERE campaign_id = one.campaign AND number = one.name OFFSET 0) AS p
"""

_EDGES = """
SELECT json_build_array(e.campaign_id, e.invitee_number, e.inviter_number, e.state, e.reason, e.seq) AS row
FROM asked, json_to_recordset(asked.d -> 'invitees') AS one (campaign text, name bigint)
CROSS JOIN LATERAL (
  SELECT * FROM invite_edges WHERE campaign_id = one.campaign AND invitee_number = one.name OFFSET 0) AS e
ORDER BY e.seq
"""

ANCESTORS = """
WITH RECURSIVE up (campaign_id, start, number) AS (
  SELECT one.campaign, one.name, one.name
  FROM asked, json_to_recordset(asked.d -> 'descendants') AS one (campaign text, name bigint)
  UNION
  SELECT up.campaign_id, up.start, p.inviter_number
  FROM up CROSS JOIN LATERAL (
    SELECT inviter_number FROM participants
    WHERE campaign_id = up.campaign_id AND number = up.number AND inviter_number > 0 OFFSET 0) AS p
)
SELECT json_build_array(campaign_id, start, number) AS row FROM up WHERE number <> start
"""

_DEVICES = """
SELECT json_build_array(one.campaign, one.name, (
  SELECT number FROM participants WHERE campaign_id = one.campaign AND device = one.name LIMIT 1)) AS row
FROM asked, json_to_recordset(asked.d -> 'devices') AS one (campaign text, name text)
"""

_ADDRESSES = """
SELECT json_build_array(one.campaign, one.name, (
  SELECT count(*) FROM participants
  WHERE campaign_id = one.campaign AND address = one.name
    AND joined_at > (asked.d ->> 'since')::timestamptz)) AS row
FROM asked, json_to_recordset(asked.d -> 'addresses') AS one (campaign text, name text)
"""

_STATES = """
SELECT json_build_array(one.campaign, one.name, s.state) AS row
FROM asked, json_to_recordset(asked.d -> 'scopes') AS one (campaign text, name text)
CROSS JOIN LATERAL (
  SELECT state FROM play_states WHERE campaign_id = one.campaign AND scope = one.name OFFSET 0) AS s
"""

STOCK = """
SELECT json_build_array(s.campaign_id, s.item, s.total, s.taken) AS row
FROM asked, json_to_recordset(asked.d -> 'stocked') AS one (campaign text, name text)
CROSS JOIN LATERAL (SELECT * FROM stock WHERE campaign_id = one.campaign AND item = one.name OFFSET 0) AS s
"""

_ERASED = """
SELECT json_build_array(e.hash, e.blocked) AS row
FROM asked, json_array_elements_text(asked.d -> 'erased') AS one
CROSS JOIN LATERAL (
  SELECT hash, blocked FROM erased_identities
  WHERE workspace_id = asked.ws AND hash = one.value OFFSET 0) AS e
"""


def as_round(**questions: str) -> tuple[str, list[str]]:
    """One statement that answers several questions, and their names in its order."""
    answers = ", ".join(f"(SELECT json_agg(row) FROM ({text}) AS q)" for text in questions.values())
    asked = "WITH asked AS MATERIALIZED (SELECT %s::json AS d, current_setting('ge.workspace_id') AS ws)"
    return f"{asked} SELECT {answers}", list(questions)


#: Campaigns, contacts named by identity or id, inviters named by token.
FIRST = as_round(books=_CAMPAIGNS, identities=_IDENTITIES, contacts=_CONTACTS, tokens=_BY_TOKEN)
#: Participations of the contacts found, play states, stock, what is known of devices and addresses.
SECOND = as_round(
    participations=_BY_CONTACT,
    scopes=_STATES,
    stocked=STOCK,
    devices=_DEVICES,
    addresses=_ADDRESSES,
    erased=_ERASED,
)
#: Of people who take part already: the edges they hang on.
THIRD = as_round(invitees=_EDGES)
#: The inviters at the other ends, their states, and lines of descent (to see loops).
FOURTH = as_round(numbers=BY_NUMBER, scopes=_STATES, descendants=ANCESTORS)


def ask(conn: Connected, questions: tuple[str, list[str]], asked: Mapping[str, Any]) -> dict[str, Rows]:
    """Answers by name; a question nothing is asked of answers with no rows."""
    statement, names = questions
    row = conn.execute(statement, (orjson.dumps(asked).decode(),)).fetchone()
    assert row is not None
    return {name: answer or [] for name, answer in zip(names, row, strict=True)}


def pairs(rows: Any) -> list[dict[str, Any]]:
    """(campaign, name) pairs as ``json_to_recordset`` reads them."""
    return [{"campaign": campaign, "name": name} for campaign, name in sorted(rows)]
