"""Saving what a batch decided: one statement, however many tables it touches, a JSON list for each.

Arrays per column would say the same; psycopg spends several times as long on writing them out. One
document for all tables would be read whole by PostgreSQL once for each of them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import orjson

from growth_engine.ledger.contract import Connected
from growth_engine.ledger.journal import as_json
from growth_engine.plays.posting.facts import Facts, Member
from growth_engine.plays.posting.selling import save as selling

NewId = Callable[[str], str]

_SAVE = """
WITH doc AS MATERIALIZED (
  SELECT current_setting('ge.workspace_id') AS ws, %(now)s::timestamptz AS now
), contacts_ AS (
  INSERT INTO contacts (id, workspace_id, nickname, avatar_key, locale, source, first_seen_at)
  SELECT r.id, doc.ws, r.nickname, r.avatar, r.locale, r.source, doc.now
  FROM doc, json_to_recordset(%(contacts)s::json)
    AS r (id text, nickname text, avatar text, locale text, source text)
), identities_ AS (
  INSERT INTO contact_identities (workspace_id, kind, value, contact_id, created_at)
  SELECT doc.ws, r.kind, r.value, r.contact, doc.now
  FROM doc, json_to_recordset(%(identities)s::json) AS r (kind text, value text, contact text)
  ORDER BY r.kind, r.value
), consents_ AS (
  INSERT INTO consents (id, workspace_id, contact_id, purpose, wording_version, granted, source, at)
  SELECT r.id, doc.ws, r.contact, r.purpose, r.wording, true, r.source, doc.now
  FROM doc, json_to_recordset(%(consents)s::json)
    AS r (id text, contact text, purpose text, wording text, source text)
), participants_ AS (
  INSERT INTO participants (id, workspace_id, campaign_id, number, contact_id, inviter_number, invite_token,
    state, valid_invites, helps_window_at, helps_in_window, device, address, cohort, joined_at, left_at)
  SELECT r.id, doc.ws, r.campaign, r.number, r.contact, r.inviter, r.token, r.state, r.invites, r.window_at,
    r.helps, r.device, r.address, r.cohort, r.joined_at, r.left_at
  FROM doc, json_to_recordset(%(participants)s::json)
    AS r (id text, campaign text, number bigint, contact text, inviter bigint, token text, state text,
          invites bigint, window_at timestamptz, helps int, device text, address text, cohort date,
          joined_at timestamptz, left_at timestamptz)
), edges_ AS (
  INSERT INTO invite_edges (workspace_id, campaign_id, invitee_number, inviter_number, state, reason, seq, at)
  SELECT doc.ws, r.campaign, r.invitee, r.inviter, r.state, r.reason, r.seq, doc.now
  FROM doc, json_to_recordset(%(edges)s::json)
    AS r (campaign text, invitee bigint, inviter bigint, state text, reason text, seq bigint)
  ON CONFLICT (campaign_id, invitee_number, inviter_number)
  DO UPDATE SET state = excluded.state, reason = excluded.reason, seq = excluded.seq, at = excluded.at
), states_ AS (
  INSERT INTO play_states (workspace_id, campaign_id, scope, state)
  SELECT doc.ws, r.campaign, r.scope, r.state
  FROM doc, json_to_recordset(%(states)s::json) AS r (campaign text, scope text, state jsonb)
  ON CONFLICT (campaign_id, scope) DO UPDATE SET state = excluded.state
), grants_ AS (
  INSERT INTO grants (id, workspace_id, campaign_id, contact_id, plan_id, member, entry_seq, side, days, key,
    state, next_at, created_at)
  SELECT r.id, doc.ws, r.campaign, r.contact, r.plan, r.member, r.seq, r.side, r.days, r.key, 'pending',
    doc.now, doc.now
  FROM doc, json_to_recordset(%(grants)s::json)
    AS r (id text, campaign text, contact text, plan text, member bigint, seq bigint, side text, days int,
          key text)
  ON CONFLICT (workspace_id, key) DO NOTHING
), messages_ AS (
  INSERT INTO messages (id, workspace_id, contact_id, campaign_id, template, params, key, created_at)
  SELECT r.id, doc.ws, r.contact, r.campaign, r.template, r.params, r.key, doc.now
  FROM doc, json_to_recordset(%(messages)s::json)
    AS r (id text, contact text, campaign text, template text, params jsonb, key text)
  ON CONFLICT (workspace_id, key) DO NOTHING
), changed_ AS (
  UPDATE participants SET state = r.state, valid_invites = r.invites, helps_window_at = r.window_at,
    helps_in_window = r.helps, left_at = r.left_at
  FROM doc, json_to_recordset(%(changed)s::json)
    AS r (id text, state text, invites bigint, window_at timestamptz, helps int, left_at timestamptz)
  CROSS JOIN LATERAL (SELECT ctid FROM participants WHERE id = r.id OFFSET 0) AS kept
  WHERE participants.ctid = kept.ctid
), books_ AS (
  UPDATE books SET members = r.members
  FROM doc, json_to_recordset(%(books)s::json) AS r (id text, members bigint)
  CROSS JOIN LATERAL (SELECT ctid FROM books WHERE id = r.id OFFSET 0) AS kept
  WHERE books.ctid = kept.ctid
)
SELECT 1
"""

_TAGS = """
UPDATE contacts SET tags = ARRAY(SELECT DISTINCT unnest(contacts.tags || t.tags) ORDER BY 1)
FROM (SELECT id, array_agg(tag) AS tags FROM json_to_recordset(%s::json) AS r (id text, tag text)
      GROUP BY id) AS t
WHERE contacts.id = t.id AND contacts.id = ANY(%s) AND contacts.erased_at IS NULL
"""

_STOCK = "UPDATE stock SET taken = %s WHERE campaign_id = %s AND item = %s"


class Saver:
    """Writes one batch's changed facts."""

    def __init__(self, conn: Connected, now: datetime, new_id: NewId) -> None:
        self._conn = conn
        self._now = now
        self._new_id = new_id
        self.granted = False
        """Whether days were promised."""

    def save(self, facts: Facts) -> None:
        changed = self._changed(facts)
        if any(changed.values()):
            self._conn.execute(_SAVE, {"now": self._now, **as_json(changed)})
        self._tag(facts.new_tags)
        for (campaign_id, item), stock in facts.stock.items():
            if stock.changed:
                self._conn.execute(_STOCK, (stock.taken, campaign_id, item))
        selling.save(self._conn, self._now, self._new_id, facts.sales)
        self.granted = self.granted or bool(facts.grants)
        facts.saved()

    def _changed(self, facts: Facts) -> dict[str, list[dict[str, Any]]]:
        new_id = self._new_id
        contacts = {contact.id: contact for contact in facts.contacts.values() if contact.is_new}
        return {
            "contacts": [
                {"id": c.id, "nickname": c.nickname, "avatar": c.avatar_key, "locale": c.locale,
                 "source": c.source}
                for c in contacts.values()
            ],
            "identities": [
                {"kind": kind, "value": value, "contact": contact_id}
                for kind, value, contact_id in facts.new_identities
            ],
            "consents": [
                {"id": new_id("cns"), "contact": c.contact_id, "purpose": c.purpose,
                 "wording": c.wording_version, "source": c.source}
                for c in facts.new_consents
            ],
            "participants": [_new_member(member) for member in facts.members.values() if member.is_new],
            "edges": [
                {"campaign": e.campaign_id, "invitee": e.invitee, "inviter": e.inviter, "state": e.state,
                 "reason": e.reason, "seq": e.seq}
                for e in facts.edges.values()
                if e.is_new or e.changed
            ],
            "states": [
                {"campaign": key[0], "scope": key[1], "state": facts.states[key]}
                for key in sorted(facts.changed_states)
            ],
            "grants": [
                {"id": new_id("grt"), "campaign": g.campaign_id, "contact": g.contact_id, "plan": g.plan_id,
                 "member": g.member, "seq": g.seq, "side": g.side, "days": g.days, "key": g.key}
                for g in facts.grants
            ],
            "messages": [
                {"id": new_id("msg"), "contact": m.contact_id, "campaign": m.campaign_id,
                 "template": m.template, "params": m.params, "key": m.key}
                for m in facts.messages
            ],
            "changed": [
                {"id": m.id, "state": m.state, "invites": m.valid_invites, "window_at": m.helps_window_at,
                 "helps": m.helps_in_window, "left_at": m.left_at}
                for m in facts.members.values()
                if m.changed and not m.is_new
            ],
            "books": [{"id": c.id, "members": c.members} for c in facts.campaigns.values() if c.grew],
        }  # fmt: skip

    def _tag(self, new: list[tuple[str, str]]) -> None:
        tags = [{"id": contact_id, "tag": tag} for contact_id, tag in new]
        if tags:
            self._conn.execute(_TAGS, (_json(tags), sorted({row["id"] for row in tags})))


def _new_member(m: Member) -> dict[str, Any]:
    return {
        "id": m.id, "campaign": m.campaign_id, "number": m.number, "contact": m.contact_id,
        "inviter": m.inviter_number, "token": m.token, "state": m.state, "invites": m.valid_invites,
        "window_at": m.helps_window_at, "helps": m.helps_in_window, "device": m.device, "address": m.address,
        "cohort": m.cohort, "joined_at": m.joined_at, "left_at": m.left_at,
    }  # fmt: skip


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
