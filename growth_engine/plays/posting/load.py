"""Loading the facts of a batch: a few set-based queries, every one of them by index.

Look-ups by more than one column stand in ``LATERAL (… OFFSET 0)``: the planner then has no choice but
one index probe per asked row. Left free, it plans for the table as last analysed, and a campaign that
grows from nothing in a minute would be scanned for every batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from growth_engine.ledger.contract import Connected, Event
from growth_engine.people.rules import Identity, erased_hash
from growth_engine.plays.contract import HelpCounted, Joined
from growth_engine.plays.posting.facts import Campaign, Contact, Edge, Facts, Member, Stock
from growth_engine.plays.registry import play
from growth_engine.plays.rules import ADDRESS_WINDOW

_CAMPAIGNS = """
SELECT c.id, c.play, c.rule_version, c.state, v.starts_at, v.ends_at, c.plan_id, c.locale, w.timezone,
       b.members, v.config, w.salt
FROM campaigns c
JOIN books b ON b.id = c.id
JOIN workspaces w ON w.id = c.workspace_id
JOIN campaign_versions v ON v.campaign_id = c.id AND v.version = c.rule_version
WHERE c.id = ANY(%s)
"""

_BY_IDENTITY = """
SELECT asked.kind, asked.value, c.id, c.blocked
FROM json_to_recordset(%s::json) AS asked (kind text, value text)
CROSS JOIN LATERAL (
  SELECT i.contact_id FROM contact_identities i
  WHERE i.workspace_id = %s AND i.kind = asked.kind AND i.value = asked.value OFFSET 0) AS i
CROSS JOIN LATERAL (
  SELECT coalesce(c.merged_into, c.id) AS id, c.blocked_at IS NOT NULL AS blocked
  FROM contacts c WHERE c.id = i.contact_id OFFSET 0) AS c
"""

_BY_ID = """
SELECT asked.id, kept.id, kept.blocked
FROM unnest(%s::text[]) AS asked (id)
CROSS JOIN LATERAL (
  SELECT coalesce(c.merged_into, c.id) AS id FROM contacts c WHERE c.id = asked.id OFFSET 0) AS c
CROSS JOIN LATERAL (
  SELECT k.id, k.blocked_at IS NOT NULL AS blocked FROM contacts k
  WHERE k.id = c.id AND k.erased_at IS NULL OFFSET 0) AS kept
"""

_MEMBER_COLUMNS = """
p.id, p.campaign_id, p.number, p.contact_id, p.inviter_number, p.invite_token, p.state, p.valid_invites,
p.helps_window_at, p.helps_in_window, p.device, p.cohort, p.joined_at
"""

_BY_TOKEN = f"SELECT {_MEMBER_COLUMNS} FROM participants p WHERE p.invite_token = ANY(%s)"  # noqa: S608
_BY_CONTACT = f"""
SELECT {_MEMBER_COLUMNS} FROM json_to_recordset(%s::json) AS asked (campaign_id text, contact_id text)
CROSS JOIN LATERAL (
  SELECT * FROM participants WHERE campaign_id = asked.campaign_id AND contact_id = asked.contact_id OFFSET 0) AS p
"""  # noqa: S608
_BY_NUMBER = f"""
SELECT {_MEMBER_COLUMNS} FROM json_to_recordset(%s::json) AS asked (campaign_id text, number bigint)
CROSS JOIN LATERAL (
  SELECT * FROM participants WHERE campaign_id = asked.campaign_id AND number = asked.number OFFSET 0) AS p
"""  # noqa: S608

_EDGES = """
SELECT e.campaign_id, e.invitee_number, e.inviter_number, e.state, e.reason, e.seq
FROM json_to_recordset(%s::json) AS asked (campaign_id text, number bigint)
CROSS JOIN LATERAL (
  SELECT * FROM invite_edges WHERE campaign_id = asked.campaign_id AND invitee_number = asked.number OFFSET 0) AS e
ORDER BY e.seq
"""

_ANCESTORS = """
WITH RECURSIVE up (campaign_id, start, number) AS (
  SELECT a.campaign_id, a.number, a.number FROM json_to_recordset(%s::json) AS a (campaign_id text, number bigint)
  UNION
  SELECT up.campaign_id, up.start, p.inviter_number
  FROM up CROSS JOIN LATERAL (
    SELECT inviter_number FROM participants
    WHERE campaign_id = up.campaign_id AND number = up.number AND inviter_number > 0 OFFSET 0) AS p
)
SELECT campaign_id, start, number FROM up WHERE number <> start
"""

_DEVICES = """
SELECT asked.campaign_id, asked.device, (
  SELECT p.number FROM participants p
  WHERE p.campaign_id = asked.campaign_id AND p.device = asked.device LIMIT 1)
FROM json_to_recordset(%s::json) AS asked (campaign_id text, device text)
"""

_ADDRESSES = """
SELECT asked.campaign_id, asked.address, (
  SELECT count(*) FROM (
    SELECT 1 FROM participants p
    WHERE p.campaign_id = asked.campaign_id AND p.address = asked.address AND p.joined_at > %s
    LIMIT 1000000) AS recent)
FROM json_to_recordset(%s::json) AS asked (campaign_id text, address text)
"""

_STATES = """
SELECT asked.campaign_id, asked.scope, s.state FROM json_to_recordset(%s::json) AS asked (campaign_id text, scope text)
CROSS JOIN LATERAL (
  SELECT state FROM play_states WHERE campaign_id = asked.campaign_id AND scope = asked.scope OFFSET 0) AS s
"""

_STOCK = "SELECT campaign_id, item, total, taken FROM stock WHERE campaign_id = ANY(%s)"

_ERASED = "SELECT hash, blocked FROM erased_identities WHERE workspace_id = %s AND hash = ANY(%s)"


@lru_cache(maxsize=512)
def _config(slug: str, campaign_id: str, version: int, raw: bytes) -> Mapping[str, Any]:
    """The loaded config of one rule version; versions never change, so it is read once."""
    del campaign_id, version
    loaded: Mapping[str, Any] = play(slug).Config().load(orjson.loads(raw))
    return loaded


class Loader:
    """Fills ``Facts`` for one batch of one workspace."""

    def __init__(self, conn: Connected, workspace_id: str, now: datetime) -> None:
        self._conn = conn
        self._workspace_id = workspace_id
        self._now = now
        self.facts = Facts()
        self._salt = ""

    def load(self, events: Sequence[Event]) -> Facts:
        self._first(events)
        self._second(events)
        self._third(events)
        return self.facts

    def _first(self, events: Sequence[Event]) -> None:
        """Campaigns, contacts named by identity or id, inviters named by token: one round trip."""
        identities = sorted({pair for event in events for pair in _identities(event)})
        ids = sorted({event.facts["contact_id"] for event in events if event.facts.get("contact_id")})
        tokens = sorted({event.facts["invite_token"] for event in events if event.facts.get("invite_token")})
        execute = self._conn.execute
        campaigns = execute(_CAMPAIGNS, (sorted({event.book_id for event in events}),))
        pairs = _asked(identities, "kind", "value")
        by_identity = execute(_BY_IDENTITY, (pairs, self._workspace_id)) if identities else None
        by_id = execute(_BY_ID, (ids,)) if ids else None
        by_token = execute(_BY_TOKEN, (tokens,)) if tokens else None
        for row in campaigns.fetchall():
            self._add_campaign(row)
        for kind, value, contact_id, blocked in by_identity.fetchall() if by_identity else ():
            self.facts.identities[kind, value] = contact_id
            self.facts.contacts.setdefault(contact_id, Contact(contact_id, blocked))
        for asked, contact_id, blocked in by_id.fetchall() if by_id else ():
            contact = self.facts.contacts.setdefault(contact_id, Contact(contact_id, blocked))
            self.facts.contacts[asked] = contact
        self._add_members(by_token.fetchall() if by_token else ())

    def _add_campaign(self, row: tuple[Any, ...]) -> None:
        id_, slug, version, state, starts_at, ends_at, plan_id, locale, zone, members, config, salt = row
        self._salt = salt
        self.facts.campaigns[id_] = Campaign(
            id=id_,
            play=play(slug),
            config=_config(slug, id_, version, orjson.dumps(config)),
            version=version,
            state=state,
            starts_at=starts_at,
            ends_at=ends_at,
            plan_id=plan_id,
            zone=ZoneInfo(zone),
            members=members,
            locale=locale,
        )

    def _add_members(self, rows: Iterable[tuple[Any, ...]]) -> None:
        for row in rows:
            if (row[1], row[2]) not in self.facts.members:
                self.facts.add_member(
                    Member(
                        id=row[0], campaign_id=row[1], number=row[2], contact_id=row[3], inviter_number=row[4],
                        token=row[5], state=row[6], valid_invites=row[7], helps_window_at=row[8],
                        helps_in_window=row[9], device=row[10], cohort=row[11], joined_at=row[12],
                    )
                )  # fmt: skip

    def _second(self, events: Sequence[Event]) -> None:
        """Participants of the contacts found, play states, stock, bursts: one round trip."""
        facts, execute = self.facts, self._conn.execute
        pairs = sorted({pair for event in events for pair in self._contact_pairs(event)})
        scopes = sorted({scope for event in events for scope in self._scopes(event)})
        devices = sorted({(e.book_id, e.facts["device"]) for e in events if e.facts.get("device")})
        addresses = sorted({(e.book_id, e.facts["address"]) for e in events if e.facts.get("address")})
        erased = self._erased_hashes(events)
        by_contact = execute(_BY_CONTACT, (_asked(pairs, "campaign_id", "contact_id"),)) if pairs else None
        states = execute(_STATES, (_asked(scopes, "campaign_id", "scope"),)) if scopes else None
        stocked = [c.id for c in facts.campaigns.values() if c.play.stock(c.config)]
        stock = execute(_STOCK, (stocked,)) if stocked else None
        on_devices = execute(_DEVICES, (_asked(devices, "campaign_id", "device"),)) if devices else None
        since = self._now - ADDRESS_WINDOW
        at_addresses = None
        if addresses:
            asked = _asked(addresses, "campaign_id", "address")
            at_addresses = execute(_ADDRESSES, (since, asked))
        known_erased = execute(_ERASED, (self._workspace_id, list(erased))) if erased else None
        self._add_members(by_contact.fetchall() if by_contact else ())
        for campaign_id, scope, state in states.fetchall() if states else ():
            facts.states[campaign_id, scope] = state
        for campaign_id, item, total, taken in stock.fetchall() if stock else ():
            facts.stock[campaign_id, item] = Stock(total, taken)
        for campaign_id, device, number in on_devices.fetchall() if on_devices else ():
            if number is not None:
                facts.devices[campaign_id, device] = number
        for campaign_id, address, count in at_addresses.fetchall() if at_addresses else ():
            facts.addresses[campaign_id, address] = count
        for hash_, blocked in known_erased.fetchall() if known_erased else ():
            facts.erased[erased[hash_]] = blocked

    def _contact_pairs(self, event: Event) -> Iterable[tuple[str, str]]:
        for identity in _identities(event):
            if identity in self.facts.identities:
                yield event.book_id, self.facts.identities[identity]
        if named := event.facts.get("contact_id"):
            yield event.book_id, named
            if named in self.facts.contacts:
                yield event.book_id, self.facts.contacts[named].id

    def _scopes(self, event: Event) -> Iterable[tuple[str, str]]:
        """The play states a first registration may touch."""
        if event.kind != "join":
            return
        campaign = self.facts.campaigns[event.book_id]
        inviter = self.facts.by_token.get(event.facts.get("invite_token") or "")
        if inviter and inviter.campaign_id == campaign.id:
            help_ = HelpCounted(inviter.number, 0, 0)
            yield campaign.id, campaign.play.scope(help_, campaign.config)

    def _erased_hashes(self, events: Sequence[Event]) -> dict[str, tuple[str, str]]:
        unknown = {
            pair for event in events for pair in _identities(event) if pair not in self.facts.identities
        }
        return {erased_hash(self._salt, Identity(*pair)): pair for pair in unknown}

    def _third(self, events: Sequence[Event]) -> None:
        """Only when people who take part already are concerned: their edges, inviters, lines of descent."""
        facts = self.facts
        concerned = {
            (member.campaign_id, member.number)
            for event in events
            for pair in self._contact_pairs(event)
            if (member := facts.by_contact.get(pair))
        }
        if not concerned:
            return
        edges = self._conn.execute(_EDGES, (_numbered(sorted(concerned)),)).fetchall()
        for campaign_id, invitee, inviter, state, reason, seq in edges:
            facts.add_edge(Edge(campaign_id, invitee, inviter, state, reason, seq))
        inviters = {(edge[0], edge[2]) for edge in edges}
        parents = {(c, facts.members[c, n].inviter_number) for c, n in concerned}
        needed = sorted(pair for pair in inviters | parents if pair[1] and pair not in facts.members)
        by_number = self._conn.execute(_BY_NUMBER, (_numbered(needed),)) if needed else None
        scopes = sorted({self._help_scope(c, n) for c, n in inviters} | set(self._joined_scopes(concerned)))
        states = self._conn.execute(_STATES, (_asked(scopes, "campaign_id", "scope"),)) if scopes else None
        asked = sorted({(e.book_id, m.number) for e in events if (m := self._named_inviter(e))})
        ancestors = self._conn.execute(_ANCESTORS, (_numbered(asked),)) if asked else None
        self._add_members(by_number.fetchall() if by_number else ())
        for campaign_id, scope, state in states.fetchall() if states else ():
            facts.states.setdefault((campaign_id, scope), state)
        for campaign_id, start, number in ancestors.fetchall() if ancestors else ():
            facts.ancestors.setdefault((campaign_id, start), set()).add(number)

    def _help_scope(self, campaign_id: str, number: int) -> tuple[str, str]:
        campaign = self.facts.campaigns[campaign_id]
        return campaign_id, campaign.play.scope(HelpCounted(number, 0, 0), campaign.config)

    def _joined_scopes(self, concerned: Iterable[tuple[str, int]]) -> Iterable[tuple[str, str]]:
        for campaign_id, number in concerned:
            campaign = self.facts.campaigns[campaign_id]
            yield campaign_id, campaign.play.scope(Joined(number), campaign.config)

    def _named_inviter(self, event: Event) -> Member | None:
        member = self.facts.by_token.get(event.facts.get("invite_token") or "")
        return member if member and member.campaign_id == event.book_id else None


def _identities(event: Event) -> Iterable[tuple[str, str]]:
    for kind, value in (event.person or {}).get("identities", ()):
        yield kind, value


def _asked(rows: Sequence[tuple[Any, Any]], first: str, second: str) -> str:
    """The rows of a look-up as one JSON text, for ``json_to_recordset``."""
    return orjson.dumps([{first: row[0], second: row[1]} for row in rows]).decode()


def _numbered(rows: Sequence[tuple[str, int]]) -> str:
    return _asked(rows, "campaign_id", "number")
