"""What a batch of campaign Events is decided on: rows in memory, changed by decisions, saved at the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from growth_engine.ledger.contract import Event
from growth_engine.plays.contract import Play
from growth_engine.plays.posting.selling.facts import Sales


@dataclass(slots=True)
class Campaign:
    id: str
    play: Play
    config: Mapping[str, Any]
    version: int
    state: str
    starts_at: datetime | None
    ends_at: datetime | None
    plan_id: str
    zone: ZoneInfo
    members: int
    """How many participants there are: the next number is one more."""
    locale: str
    merchant_tier: str = ""
    """The merchant's own membership with the platform."""
    sells: bool = False
    grew: bool = False


@dataclass(slots=True)
class Contact:
    id: str
    blocked: bool = False
    nickname: str = ""
    avatar_key: str | None = None
    locale: str | None = None
    source: str = ""
    is_new: bool = False
    """Made by this batch, still to be inserted."""


@dataclass(slots=True)
class Member:
    """A participant."""

    id: str
    campaign_id: str
    number: int
    contact_id: str
    inviter_number: int
    token: str
    state: str
    valid_invites: int
    helps_window_at: datetime | None
    helps_in_window: int
    device: str | None
    cohort: date
    joined_at: datetime
    address: str | None = None
    left_at: datetime | None = None
    is_new: bool = False
    changed: bool = False


@dataclass(slots=True)
class Edge:
    """``invitee`` came through ``inviter``: valid, refused, left, moved or void, and since which Entry."""

    campaign_id: str
    invitee: int
    inviter: int
    state: str
    reason: str
    seq: int
    is_new: bool = False
    changed: bool = False


@dataclass(slots=True)
class Stock:
    total: int
    taken: int
    changed: bool = False


@dataclass(slots=True)
class Grant:
    """Days promised by a decision, for the grants job to deliver."""

    campaign_id: str
    contact_id: str
    plan_id: str
    member: int
    seq: int
    side: str
    days: int
    key: str


@dataclass(slots=True)
class Message:
    campaign_id: str
    contact_id: str
    template: str
    params: Mapping[str, Any]
    key: str


@dataclass(slots=True)
class Consent:
    contact_id: str
    purpose: str
    wording_version: str
    source: str


@dataclass(slots=True)
class Facts:
    """Everything one batch knows. Keys: campaign id and number, contact, token or edge ends."""

    campaigns: dict[str, Campaign] = field(default_factory=dict)
    contacts: dict[str, Contact] = field(default_factory=dict)
    identities: dict[tuple[str, str], str] = field(default_factory=dict)
    erased: dict[tuple[str, str], bool] = field(default_factory=dict)
    """Identities of people erased at their own wish, and whether they were blocked then."""
    members: dict[tuple[str, int], Member] = field(default_factory=dict)
    by_contact: dict[tuple[str, str], Member] = field(default_factory=dict)
    by_token: dict[str, Member] = field(default_factory=dict)
    edges: dict[tuple[str, int, int], Edge] = field(default_factory=dict)
    by_invitee: dict[tuple[str, int], list[Edge]] = field(default_factory=dict)
    ancestors: dict[tuple[str, int], set[int]] = field(default_factory=dict)
    """Of inviters named by people who take part already (to see loops)."""
    devices: dict[tuple[str, str], int] = field(default_factory=dict)
    """Number of a participant on a device."""
    addresses: dict[tuple[str, str], int] = field(default_factory=dict)
    """Recent registrations from an address."""
    states: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    stock: dict[tuple[str, str], Stock] = field(default_factory=dict)
    sales: Sales = field(default_factory=Sales)

    # what decisions add
    new_identities: list[tuple[str, str, str]] = field(default_factory=list)
    new_consents: list[Consent] = field(default_factory=list)
    new_tags: list[tuple[str, str]] = field(default_factory=list)
    """(contact id, tag); also of people the batch did not have to know, such as inviters."""
    changed_states: set[tuple[str, str]] = field(default_factory=set)
    grants: list[Grant] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)

    def add_rows(self, rows: Iterable[Sequence[Any]]) -> None:
        """Participants as the questions answer them; who is known already stays as they are."""
        for row in rows:
            if (row[1], row[2]) not in self.members:
                self.add_member(
                    Member(
                        id=row[0],
                        campaign_id=row[1],
                        number=row[2],
                        contact_id=row[3],
                        inviter_number=row[4],
                        token=row[5],
                        state=row[6],
                        valid_invites=row[7],
                        helps_window_at=datetime.fromisoformat(row[8]) if row[8] else None,
                        helps_in_window=row[9],
                        device=row[10],
                        cohort=date.fromisoformat(row[11]),
                        joined_at=datetime.fromisoformat(row[12]),
                    )
                )

    def named_contacts(self, event: Event) -> Iterator[str]:
        """Ids of the contacts an Event may be about: owners of its identities, and whom it names."""
        for identity in identities_of(event):
            if identity in self.identities:
                yield self.identities[identity]
        if named := event.facts.get("contact_id"):
            yield named
            if named in self.contacts:
                yield self.contacts[named].id

    def add_member(self, member: Member) -> None:
        self.members[member.campaign_id, member.number] = member
        self.by_contact[member.campaign_id, member.contact_id] = member
        self.by_token[member.token] = member
        if member.is_new:
            self._count_origin(member)

    def _count_origin(self, member: Member) -> None:
        """Later Events of the batch see this registration's phone and address."""
        if member.device:
            self.devices.setdefault((member.campaign_id, member.device), member.number)
        if member.address:
            origin = (member.campaign_id, member.address)
            self.addresses[origin] = self.addresses.get(origin, 0) + 1

    def add_edge(self, edge: Edge) -> None:
        self.edges[edge.campaign_id, edge.invitee, edge.inviter] = edge
        self.by_invitee.setdefault((edge.campaign_id, edge.invitee), []).append(edge)

    def saved(self) -> None:
        """All that was decided so far is written: the next time, only what is decided from now on."""
        for added in (
            self.new_identities, self.new_consents, self.new_tags, self.grants, self.messages,
        ):  # fmt: skip
            added.clear()
        self.changed_states.clear()
        for contact in self.contacts.values():
            contact.is_new = False
        for member in self.members.values():
            member.is_new = member.changed = False
        for edge in self.edges.values():
            edge.is_new = edge.changed = False
        for stock in self.stock.values():
            stock.changed = False
        self.sales.saved()
        for campaign in self.campaigns.values():
            campaign.grew = False

    def next_number(self, campaign: Campaign) -> int:
        campaign.members += 1
        campaign.grew = True
        return campaign.members


def identities_of(event: Event) -> Iterator[tuple[str, str]]:
    """(kind, value) pairs the Event's person is known by."""
    return ((kind, value) for kind, value in (event.person or {}).get("identities", ()))
