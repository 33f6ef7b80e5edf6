"""Loading the facts of a batch: two rounds of questions for newcomers, two more for people known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from growth_engine.ledger.contract import Connected, Event
from growth_engine.ledger.money import Balances
from growth_engine.people.rules import Identity, erased_hash
from growth_engine.plays.contract import HelpCounted, Joined
from growth_engine.plays.posting import questions
from growth_engine.plays.posting.facts import Campaign, Contact, Edge, Facts, Member, Stock, identities_of
from growth_engine.plays.posting.questions import pairs
from growth_engine.plays.posting.selling.load import ABOUT_ORDERS, KINDS, SellingLoader
from growth_engine.plays.registry import play
from growth_engine.plays.rules import ADDRESS_WINDOW
from growth_engine.plays.selling import sells


@lru_cache(maxsize=512)
def _config(slug: str, campaign_id: str, version: int, raw: bytes) -> Mapping[str, Any]:
    """The loaded config of one rule version; versions never change, so it is read once."""
    del campaign_id, version
    loaded: Mapping[str, Any] = play(slug).Config().load(orjson.loads(raw))
    return loaded


class Loader:
    """Fills ``Facts`` for one batch of one workspace."""

    def __init__(self, conn: Connected, now: datetime, balances: Balances) -> None:
        self._conn = conn
        self._now = now
        self.facts = Facts()
        self._selling = SellingLoader(conn, self.facts, balances)
        self._salt = ""

    def load(self, events: Sequence[Event]) -> Facts:
        self._first(events)
        self._selling.first(events)
        about_people = [event for event in events if event.kind not in ABOUT_ORDERS]
        if about_people:
            self._second(about_people)
            joining = [event for event in about_people if event.kind not in KINDS]
            concerned = self._concerned(joining)
            if concerned:
                self._known_people(joining, concerned)
        self._selling.rest(events)
        return self.facts

    def _first(self, events: Sequence[Event]) -> None:
        identities = {pair for event in events for pair in identities_of(event)}
        asked = {
            "books": sorted({event.book_id for event in events}),
            "identities": [{"kind": kind, "value": value} for kind, value in sorted(identities)],
            "contacts": sorted({e.facts["contact_id"] for e in events if e.facts.get("contact_id")}),
            "tokens": sorted({e.facts["invite_token"] for e in events if e.facts.get("invite_token")}),
        }
        found = questions.ask(self._conn, questions.FIRST, asked)
        for row in found["books"]:
            self._add_campaign(row)
        for kind, value, contact_id, blocked in found["identities"]:
            self.facts.identities[kind, value] = contact_id
            self.facts.contacts.setdefault(contact_id, Contact(contact_id, blocked))
        for name, contact_id, blocked in found["contacts"]:
            contact = self.facts.contacts.setdefault(contact_id, Contact(contact_id, blocked))
            self.facts.contacts[name] = contact
        self.facts.add_rows(found["tokens"])

    def _add_campaign(self, row: list[Any]) -> None:
        id_, slug, version, state, starts_at, ends_at, plan_id, locale, zone, members, *rest = row
        config, salt, tier = rest
        self._salt = salt
        self.facts.campaigns[id_] = Campaign(
            id=id_,
            play=play(slug),
            config=_config(slug, id_, version, orjson.dumps(config)),
            version=version,
            state=state,
            starts_at=_moment(starts_at),
            ends_at=_moment(ends_at),
            plan_id=plan_id,
            zone=ZoneInfo(zone),
            members=members,
            locale=locale,
            merchant_tier=tier,
            sells=sells(play(slug)),
        )

    def _second(self, events: Sequence[Event]) -> None:
        facts = self.facts
        erased = self._erased_hashes(events)
        asked = {
            "participations": pairs({pair for event in events for pair in self._contact_pairs(event)}),
            "scopes": pairs({scope for event in events for scope in self._scopes(event)}),
            "stocked": pairs((c.id, i) for c in facts.campaigns.values() for i in c.play.stock(c.config)),
            "devices": pairs({(e.book_id, e.facts["device"]) for e in events if e.facts.get("device")}),
            "addresses": pairs({(e.book_id, e.facts["address"]) for e in events if e.facts.get("address")}),
            "since": self._now - ADDRESS_WINDOW,
            "erased": list(erased),
        }
        found = questions.ask(self._conn, questions.SECOND, asked)
        self.facts.add_rows(found["participations"])
        for campaign_id, scope, state in found["scopes"]:
            facts.states[campaign_id, scope] = state
        for campaign_id, item, total, taken in found["stocked"]:
            facts.stock[campaign_id, item] = Stock(total, taken)
        for campaign_id, device, number in found["devices"]:
            if number is not None:
                facts.devices[campaign_id, device] = number
        for campaign_id, address, count in found["addresses"]:
            facts.addresses[campaign_id, address] = count
        for hash_, blocked in found["erased"]:
            facts.erased[erased[hash_]] = blocked

    def _contact_pairs(self, event: Event) -> Iterable[tuple[str, str]]:
        return ((event.book_id, contact_id) for contact_id in self.facts.named_contacts(event))

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
            pair for event in events for pair in identities_of(event) if pair not in self.facts.identities
        }
        return {erased_hash(self._salt, Identity(*pair)): pair for pair in unknown}

    def _concerned(self, events: Sequence[Event]) -> set[tuple[str, int]]:
        """(campaign, number) of the people these Events are about who take part already."""
        return {
            (member.campaign_id, member.number)
            for event in events
            for pair in self._contact_pairs(event)
            if (member := self.facts.by_contact.get(pair))
        }

    def _known_people(self, events: Sequence[Event], concerned: set[tuple[str, int]]) -> None:
        facts = self.facts
        edges = questions.ask(self._conn, questions.THIRD, {"invitees": pairs(concerned)})["invitees"]
        for campaign_id, invitee, inviter, state, reason, seq in edges:
            facts.add_edge(Edge(campaign_id, invitee, inviter, state, reason, seq))
        inviters = {(edge[0], edge[2]) for edge in edges}
        parents = {(c, facts.members[c, n].inviter_number) for c, n in concerned}
        named = [member for event in events if (member := self._named_inviter(event))]
        # Whoever is named as inviter now may get a help that moves.
        helped = inviters | {(member.campaign_id, member.number) for member in named}
        scopes = {self._help_scope(c, n) for c, n in helped} | set(self._joined_scopes(concerned))
        asked = {
            "numbers": pairs(pair for pair in inviters | parents if pair[1] and pair not in facts.members),
            "scopes": pairs(scopes),
            "descendants": pairs({(member.campaign_id, member.number) for member in named}),
        }
        found = questions.ask(self._conn, questions.FOURTH, asked)
        self.facts.add_rows(found["numbers"])
        for campaign_id, scope, state in found["scopes"]:
            facts.states.setdefault((campaign_id, scope), state)
        for campaign_id, start, number in found["descendants"]:
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


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
