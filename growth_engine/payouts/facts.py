"""What a batch of wallet Events is decided on: rows in memory, changed by decisions, saved at the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from growth_engine.payouts.rules import Policy


@dataclass(slots=True)
class Owner:
    """A contact as the owner of a wallet; whoever was merged into them is them."""

    id: str
    blocked: bool
    erased: bool
    asked_today: int
    """Minor units asked for within the workspace's day, without what was given back."""
    count_today: int


@dataclass(slots=True)
class PayoutRow:
    """A row of ``payouts`` as far as decisions read or change it."""

    id: str
    contact_id: str
    currency: str
    amount: int
    tax: int
    fee: int
    net: int
    state: str
    requested_at: datetime
    provider_ref: str | None = None
    provider: str = ""
    policy_version: int = 0
    approvals_needed: int = 0
    recipient: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    next_at: datetime | None = None
    decided_at: datetime | None = None
    finished_at: datetime | None = None
    is_new: bool = False
    changed: bool = False


@dataclass(frozen=True, slots=True)
class Rejection:
    """A member of staff's no."""

    payout_id: str
    staff_id: str
    note: str


@dataclass(frozen=True, slots=True)
class Told:
    """News for the owner of a wallet; ``template`` and ``params`` as in ``payouts.texts``."""

    contact_id: str
    template: str
    params: Mapping[str, Any]
    key: str


@dataclass(frozen=True, slots=True)
class Move:
    """Payouts of one contact go over to another in one currency: the two are one person."""

    merged_id: str
    kept_id: str
    currency: str


@dataclass(slots=True)
class Facts:
    """Everything one batch knows about wallets."""

    policy: Policy = field(default_factory=Policy)
    zone: str = "UTC"
    currency: str = ""
    """The workspace's: the only one the policy's figures are meant for."""
    owners: dict[str, Owner] = field(default_factory=dict)
    """By every id they are named with."""
    payouts: dict[str, PayoutRow] = field(default_factory=dict)

    # what decisions add
    rejections: list[Rejection] = field(default_factory=list)
    messages: list[Told] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
