"""Saving what a batch decided: one array insert or update per table."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import orjson

from growth_engine.ledger.contract import Connected
from growth_engine.plays.posting.facts import Facts

NewId = Callable[[str], str]

_CONTACTS = """
INSERT INTO contacts (id, workspace_id, nickname, avatar_key, locale, source, first_seen_at)
SELECT c.id, %(workspace_id)s, c.nickname, c.avatar_key, c.locale, c.source, %(now)s
FROM unnest(%(ids)s::text[], %(nicknames)s::text[], %(avatars)s::text[], %(locales)s::text[], %(sources)s::text[])
     AS c (id, nickname, avatar_key, locale, source)
"""

_IDENTITIES = """
INSERT INTO contact_identities (workspace_id, kind, value, contact_id, created_at)
SELECT %(workspace_id)s, i.kind, i.value, i.contact_id, %(now)s
FROM unnest(%(kinds)s::text[], %(values)s::text[], %(contacts)s::text[]) AS i (kind, value, contact_id)
ORDER BY i.kind, i.value
"""

_CONSENTS = """
INSERT INTO consents (id, workspace_id, contact_id, purpose, wording_version, granted, source, at)
SELECT c.id, %(workspace_id)s, c.contact_id, c.purpose, c.wording, true, c.source, %(now)s
FROM unnest(%(ids)s::text[], %(contacts)s::text[], %(purposes)s::text[], %(wordings)s::text[], %(sources)s::text[])
     AS c (id, contact_id, purpose, wording, source)
"""

_TAGS = """
UPDATE contacts SET tags = ARRAY(SELECT DISTINCT unnest(contacts.tags || t.tag::text) ORDER BY 1)
FROM (SELECT id, array_agg(tag) AS tag FROM unnest(%s::text[], %s::text[]) AS pair (id, tag) GROUP BY id) AS t
WHERE contacts.id = t.id
"""

_NEW_MEMBERS = """
INSERT INTO participants (id, workspace_id, campaign_id, number, contact_id, inviter_number, invite_token, state,
  valid_invites, helps_window_at, helps_in_window, device, address, cohort, joined_at, left_at)
SELECT p.id, %(workspace_id)s, p.campaign_id, p.number, p.contact_id, p.inviter_number, p.token, p.state,
  p.valid_invites, p.window_at, p.in_window, p.device, p.address, p.cohort, p.joined_at, p.left_at
FROM unnest(%(ids)s::text[], %(campaigns)s::text[], %(numbers)s::bigint[], %(contacts)s::text[],
            %(inviters)s::bigint[], %(tokens)s::text[], %(states)s::text[], %(invites)s::bigint[],
            %(windows)s::timestamptz[], %(helps)s::int[], %(devices)s::text[], %(addresses)s::text[],
            %(cohorts)s::date[], %(joined)s::timestamptz[], %(left)s::timestamptz[])
     AS p (id, campaign_id, number, contact_id, inviter_number, token, state, valid_invites, window_at, in_window,
           device, address, cohort, joined_at, left_at)
"""

_CHANGED_MEMBERS = """
UPDATE participants SET state = p.state, valid_invites = p.valid_invites, helps_window_at = p.window_at,
  helps_in_window = p.in_window, left_at = p.left_at
FROM unnest(%(ids)s::text[], %(states)s::text[], %(invites)s::bigint[], %(windows)s::timestamptz[],
            %(helps)s::int[], %(left)s::timestamptz[])
     AS p (id, state, valid_invites, window_at, in_window, left_at)
WHERE participants.id = p.id AND participants.id = ANY(%(ids)s::text[])
"""

_EDGES = """
INSERT INTO invite_edges (workspace_id, campaign_id, invitee_number, inviter_number, state, reason, seq, at)
SELECT %(workspace_id)s, e.campaign_id, e.invitee, e.inviter, e.state, e.reason, e.seq, %(now)s
FROM unnest(%(campaigns)s::text[], %(invitees)s::bigint[], %(inviters)s::bigint[], %(states)s::text[],
            %(reasons)s::text[], %(seqs)s::bigint[]) AS e (campaign_id, invitee, inviter, state, reason, seq)
ON CONFLICT (campaign_id, invitee_number, inviter_number)
DO UPDATE SET state = excluded.state, reason = excluded.reason, seq = excluded.seq, at = excluded.at
"""

_STATES = """
INSERT INTO play_states (workspace_id, campaign_id, scope, state)
SELECT %s, s.campaign_id, s.scope, s.state::jsonb
FROM unnest(%s::text[], %s::text[], %s::text[]) AS s (campaign_id, scope, state)
ON CONFLICT (campaign_id, scope) DO UPDATE SET state = excluded.state
"""

_STOCK = """
UPDATE stock SET taken = s.taken FROM unnest(%s::text[], %s::text[], %s::bigint[]) AS s (campaign_id, item, taken)
WHERE stock.campaign_id = s.campaign_id AND stock.item = s.item
"""

_GRANTS = """
INSERT INTO grants (id, workspace_id, campaign_id, contact_id, plan_id, member, entry_seq, side, days, key, state,
  next_at, created_at)
SELECT g.id, %(workspace_id)s, g.campaign_id, g.contact_id, g.plan_id, g.member, g.seq, g.side, g.days, g.key,
  'pending', %(now)s, %(now)s
FROM unnest(%(ids)s::text[], %(campaigns)s::text[], %(contacts)s::text[], %(plans)s::text[], %(members)s::bigint[],
            %(seqs)s::bigint[], %(sides)s::text[], %(days)s::int[], %(keys)s::text[])
     AS g (id, campaign_id, contact_id, plan_id, member, seq, side, days, key)
ON CONFLICT (workspace_id, key) DO NOTHING
"""

_MESSAGES = """
INSERT INTO messages (id, workspace_id, contact_id, campaign_id, template, params, key, created_at)
SELECT m.id, %(workspace_id)s, m.contact_id, m.campaign_id, m.template, m.params::jsonb, m.key, %(now)s
FROM unnest(%(ids)s::text[], %(contacts)s::text[], %(campaigns)s::text[], %(templates)s::text[], %(params)s::text[],
            %(keys)s::text[]) AS m (id, contact_id, campaign_id, template, params, key)
ON CONFLICT (workspace_id, key) DO NOTHING
"""

_BOOKS = """
UPDATE books SET members = b.members FROM unnest(%s::text[], %s::bigint[]) AS b (id, members) WHERE books.id = b.id
"""


class Saver:
    """Writes one batch's changed facts; empty lists cost nothing."""

    def __init__(self, conn: Connected, workspace_id: str, now: datetime, new_id: NewId) -> None:
        self._conn = conn
        self._base = {"workspace_id": workspace_id, "now": now}
        self._workspace_id = workspace_id
        self._new_id = new_id

    def save(self, facts: Facts) -> None:
        self._people(facts)
        self._members(facts)
        self._edges(facts)
        self._play(facts)
        self._promises(facts)

    def _people(self, facts: Facts) -> None:
        contacts = {c.id: c for c in facts.contacts.values()}.values()
        new = [contact for contact in contacts if contact.is_new]
        if new:
            self._conn.execute(
                _CONTACTS,
                self._base
                | {
                    "ids": [c.id for c in new],
                    "nicknames": [c.nickname for c in new],
                    "avatars": [c.avatar_key for c in new],
                    "locales": [c.locale for c in new],
                    "sources": [c.source for c in new],
                },
            )
        if facts.new_identities:
            kinds, values, owners = zip(*facts.new_identities, strict=True)
            named = {"kinds": list(kinds), "values": list(values), "contacts": list(owners)}
            self._conn.execute(_IDENTITIES, self._base | named)
        if facts.new_consents:
            self._conn.execute(
                _CONSENTS,
                self._base
                | {
                    "ids": [self._new_id("cns") for _ in facts.new_consents],
                    "contacts": [c.contact_id for c in facts.new_consents],
                    "purposes": [c.purpose for c in facts.new_consents],
                    "wordings": [c.wording_version for c in facts.new_consents],
                    "sources": [c.source for c in facts.new_consents],
                },
            )
        tagged = [(contact.id, tag) for contact in contacts for tag in contact.tags]
        if tagged:
            self._conn.execute(_TAGS, ([pair[0] for pair in tagged], [pair[1] for pair in tagged]))

    def _members(self, facts: Facts) -> None:
        new = [member for member in facts.members.values() if member.is_new]
        if new:
            self._conn.execute(
                _NEW_MEMBERS,
                self._base
                | {
                    "ids": [m.id for m in new],
                    "campaigns": [m.campaign_id for m in new],
                    "numbers": [m.number for m in new],
                    "contacts": [m.contact_id for m in new],
                    "inviters": [m.inviter_number for m in new],
                    "tokens": [m.token for m in new],
                    "states": [m.state for m in new],
                    "invites": [m.valid_invites for m in new],
                    "windows": [m.helps_window_at for m in new],
                    "helps": [m.helps_in_window for m in new],
                    "devices": [m.device for m in new],
                    "addresses": [m.address for m in new],
                    "cohorts": [m.cohort for m in new],
                    "joined": [m.joined_at for m in new],
                    "left": [m.left_at for m in new],
                },
            )
        changed = [member for member in facts.members.values() if member.changed and not member.is_new]
        if changed:
            self._conn.execute(
                _CHANGED_MEMBERS,
                {
                    "ids": [m.id for m in changed],
                    "states": [m.state for m in changed],
                    "invites": [m.valid_invites for m in changed],
                    "windows": [m.helps_window_at for m in changed],
                    "helps": [m.helps_in_window for m in changed],
                    "left": [m.left_at for m in changed],
                },
            )
        grown = [campaign for campaign in facts.campaigns.values() if campaign.grew]
        if grown:
            self._conn.execute(_BOOKS, ([c.id for c in grown], [c.members for c in grown]))

    def _edges(self, facts: Facts) -> None:
        edges = [edge for edge in facts.edges.values() if edge.is_new or edge.changed]
        if edges:
            self._conn.execute(
                _EDGES,
                self._base
                | {
                    "campaigns": [e.campaign_id for e in edges],
                    "invitees": [e.invitee for e in edges],
                    "inviters": [e.inviter for e in edges],
                    "states": [e.state for e in edges],
                    "reasons": [e.reason for e in edges],
                    "seqs": [e.seq for e in edges],
                },
            )

    def _play(self, facts: Facts) -> None:
        if facts.changed_states:
            keys = sorted(facts.changed_states)
            states = [orjson.dumps(facts.states[key]).decode() for key in keys]
            columns = ([key[0] for key in keys], [key[1] for key in keys], states)
            self._conn.execute(_STATES, (self._workspace_id, *columns))
        stock = [(key, item) for key, item in facts.stock.items() if item.changed]
        if stock:
            campaigns, items = [key[0] for key, _ in stock], [key[1] for key, _ in stock]
            self._conn.execute(_STOCK, (campaigns, items, [item.taken for _, item in stock]))

    def _promises(self, facts: Facts) -> None:
        grants, messages = facts.grants, facts.messages
        if grants:
            self._conn.execute(
                _GRANTS,
                self._base
                | {
                    "ids": [self._new_id("grt") for _ in grants],
                    "campaigns": [g.campaign_id for g in grants],
                    "contacts": [g.contact_id for g in grants],
                    "plans": [g.plan_id for g in grants],
                    "members": [g.member for g in grants],
                    "seqs": [g.seq for g in grants],
                    "sides": [g.side for g in grants],
                    "days": [g.days for g in grants],
                    "keys": [g.key for g in grants],
                },
            )
        if messages:
            self._conn.execute(
                _MESSAGES,
                self._base
                | {
                    "ids": [self._new_id("msg") for _ in messages],
                    "contacts": [m.contact_id for m in messages],
                    "campaigns": [m.campaign_id for m in messages],
                    "templates": [m.template for m in messages],
                    "params": [orjson.dumps(m.params).decode() for m in messages],
                    "keys": [m.key for m in messages],
                },
            )
