"""Every domain event: what happened, past tense, ids and plain values only; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DomainEvent:
    """Something that happened and was committed."""


@dataclass(frozen=True, slots=True)
class MembershipGranted(DomainEvent):
    contact_id: str
    plan_id: str
    grant_id: str
    days: int


@dataclass(frozen=True, slots=True)
class MembershipEnding(DomainEvent):
    contact_id: str
    plan_id: str
    ends_on: str
    """Last day of the membership, ISO date in the workspace's zone."""


@dataclass(frozen=True, slots=True)
class ContactErased(DomainEvent):
    contact_id: str
    avatar_keys: Sequence[str] = ()
    """Pictures in storage that nobody else may need any more."""


@dataclass(frozen=True, slots=True)
class ContactsMerged(DomainEvent):
    kept_id: str
    merged_id: str


@dataclass(frozen=True, slots=True)
class ContactBlocked(DomainEvent):
    contact_id: str


@dataclass(frozen=True, slots=True)
class ContactUnblocked(DomainEvent):
    contact_id: str


@dataclass(frozen=True, slots=True)
class PosterReady(DomainEvent):
    """A participant's poster was drawn, or given up."""

    participant_id: str
