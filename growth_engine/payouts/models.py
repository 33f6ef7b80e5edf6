"""Tables of payouts: the policy in force, payouts, approvals."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from growth_engine.kit.db import Base, Count, Id, Json, Moment, PrimaryId


class WalletPolicy(Base):
    """A workspace's rules for withdrawals; every change is a new version. Amounts in minor units."""

    __tablename__ = "wallet_policies"

    workspace_id: Mapped[PrimaryId]
    version: Mapped[int] = mapped_column(primary_key=True)
    minimum: Mapped[Count]
    daily_amount: Mapped[Count | None]
    """Most a contact may ask for within a day of the workspace; ``None``: no limit."""
    daily_count: Mapped[int | None]
    approve_above: Mapped[Count]
    """A person must approve payouts above this; 0: every one."""
    second_above: Mapped[Count | None]
    """Two people must approve payouts above this; ``None``: never two."""
    tax_bp: Mapped[int]
    """Withheld as tax, basis points of the amount."""
    fee_bp: Mapped[int]
    fee_fixed: Mapped[Count]
    """Withheld as fee: basis points plus a fixed amount."""
    identity_check: Mapped[str]
    """Name of the check a recipient must pass: none or real_name."""
    provider: Mapped[str]
    created_by: Mapped[str]
    created_at: Mapped[Moment]


class Payout(Base):
    """Money leaving to a promoter; its id is its number with the provider and never changes."""

    __tablename__ = "payouts"

    id: Mapped[PrimaryId]
    workspace_id: Mapped[Id]
    contact_id: Mapped[Id]
    currency: Mapped[str]
    amount: Mapped[Count]
    """Reserved in the wallet, minor units; ``net`` plus what is withheld."""
    tax: Mapped[Count]
    fee: Mapped[Count]
    net: Mapped[Count]
    """What the recipient gets."""
    state: Mapped[str]
    """requested, approved, sending (the provider was or is being asked), unknown (asked, no answer),
    waiting (accepted by the provider, not final), paid, failed, rejected, cancelled."""
    provider: Mapped[str]
    policy_version: Mapped[int]
    approvals_needed: Mapped[int]
    recipient: Mapped[Json]
    """What the provider needs to find the recipient; personal data, erased with the person."""
    provider_ref: Mapped[str | None]
    error: Mapped[str]
    attempts: Mapped[int]
    next_at: Mapped[datetime | None]
    """When the payout job looks at it next; ``None``: it waits for a person or is final."""
    requested_at: Mapped[Moment]
    decided_at: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class PayoutApproval(Base):
    """A member of staff's verdict on a payout; added, never edited, one each."""

    __tablename__ = "payout_approvals"

    payout_id: Mapped[PrimaryId]
    workspace_id: Mapped[Id]
    staff_id: Mapped[PrimaryId]
    verdict: Mapped[str]
    note: Mapped[str]
    at: Mapped[Moment]
