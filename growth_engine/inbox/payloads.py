"""What the platforms can tell us, one frozen dataclass each; the names in front are the kinds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

# ── Official Account (sheet §2.3); messages come from WeCom applications too ────────────────────────────


@dataclass(frozen=True, slots=True)
class TextReceived:
    """``text``"""

    text: str
    message_id: str


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """``message``: a picture, voice, video, place or link; opens the window for messages like a text."""

    message_type: str
    message_id: str
    media_id: str


@dataclass(frozen=True, slots=True)
class Followed:
    """``follow``: a new follower. ``scene`` is the code they scanned, without its prefix; empty: none."""

    scene: str
    ticket: str


@dataclass(frozen=True, slots=True)
class Scanned:
    """``scan``: somebody who follows already scanned a code."""

    scene: str
    ticket: str


@dataclass(frozen=True, slots=True)
class Unfollowed:
    """``unfollow``: the platform asks to delete what is known of this person (rule 7)."""


@dataclass(frozen=True, slots=True)
class MenuClicked:
    """``menu_click``"""

    key: str


@dataclass(frozen=True, slots=True)
class MenuViewed:
    """``menu_view``: the menu opened a page; opens no window for messages."""

    url: str
    menu_id: str


@dataclass(frozen=True, slots=True)
class TemplateResult:
    """``template_result``: what became of a template message."""

    message_id: str
    delivered: bool
    status: str
    """As the platform wrote it; begins with ``failed`` when it was not delivered."""


@dataclass(frozen=True, slots=True)
class SubscriptionEntry:
    template_id: str
    status: str
    """accept, reject or ban; of a sent message the platform's words."""
    message_id: str = ""
    error_code: str = ""
    scene: str = ""


@dataclass(frozen=True, slots=True)
class SubscriptionReport:
    """``subscription_answered`` (the pop-up), ``subscription_changed`` (in the settings),
    ``subscription_sent`` (what became of a message)."""

    entries: tuple[SubscriptionEntry, ...]


# ── WeCom (sheet §3.3) ──────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class ContactAdded:
    """``contact_added``: employee and customer are friends; ``contact_half_added``: the customer came
    through a code that needs no consent and the employee has not added them back (often followed by the
    other: one referral)."""

    user_id: str
    external_user_id: str
    state: str
    """What the code carried; empty: no code, or none with a state."""
    welcome_code: str
    """Good for 20 s, once; empty in several normal cases."""


@dataclass(frozen=True, slots=True)
class ContactEdited:
    """``contact_edited``"""

    user_id: str
    external_user_id: str


@dataclass(frozen=True, slots=True)
class ContactDeleted:
    """``contact_deleted``: the employee removed the customer."""

    user_id: str
    external_user_id: str
    by_transfer: bool
    """The customer only changed hands: no referral is lost or won by it."""


@dataclass(frozen=True, slots=True)
class ContactLeft:
    """``contact_left``: the customer removed the employee."""

    user_id: str
    external_user_id: str


@dataclass(frozen=True, slots=True)
class TransferFailed:
    """``contact_transfer_failed``"""

    user_id: str
    external_user_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class GroupChanged:
    """``group_created``, ``group_updated``, ``group_dismissed``."""

    chat_id: str
    detail: str
    """add_member, del_member, change_owner, change_name, change_notice."""
    join_scene: str
    quit_scene: str
    member_count: int
    members: tuple[str, ...]
    last_version: str
    """Not the version we hold: an event was lost, read the group again."""
    version: str


@dataclass(frozen=True, slots=True)
class TagChanged:
    """``tag_changed``"""

    change: str
    tag_id: str
    tag_type: str
    strategy_id: str


@dataclass(frozen=True, slots=True)
class AcquisitionChanged:
    """``acquisition``: something about acquisition links; ``change`` says what."""

    change: str
    link_id: str
    user_id: str
    external_user_id: str
    state: str
    chat_key: str


# ── WeChat Pay (sheet §4.5): amounts in fen ─────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class PaymentNotice:
    """``payment``. A hint (rule 18): amount, merchant and number are to be checked against our order."""

    app_id: str
    mch_id: str
    out_trade_no: str
    transaction_id: str
    trade_type: str
    trade_state: str
    openid: str
    total: int | None
    payer_total: int | None
    currency: str
    attach: str
    success_time: datetime | None


@dataclass(frozen=True, slots=True)
class RefundNotice:
    """``refund``"""

    mch_id: str
    out_trade_no: str
    transaction_id: str
    out_refund_no: str
    refund_id: str
    status: str
    """SUCCESS, ABNORMAL or CLOSED."""
    total: int | None
    refund: int | None
    success_time: datetime | None


@dataclass(frozen=True, slots=True)
class TransferNotice:
    """``transfer``: a transfer to a person came to an end."""

    mch_id: str
    out_bill_no: str
    transfer_bill_no: str
    state: str
    """SUCCESS, CANCELLED or FAIL; others are possible."""
    openid: str
    amount: int | None
    fail_reason: str
    updated_at: datetime | None


# ── Anything else ───────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Unknown:
    """``unknown``: genuine, and of a kind we do not know. ``name`` is the platform's."""

    name: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """``unreadable``: genuine, and no document we can read."""


Payload = (
    TextReceived | MessageReceived | Followed | Scanned | Unfollowed | MenuClicked | MenuViewed
    | TemplateResult | SubscriptionReport | ContactAdded | ContactEdited | ContactDeleted | ContactLeft
    | TransferFailed | GroupChanged | TagChanged | AcquisitionChanged | PaymentNotice | RefundNotice
    | TransferNotice | Unknown | Unreadable
)  # fmt: skip

KINDS = frozenset(
    {
        "text", "message", "follow", "scan", "unfollow", "menu_click", "menu_view", "template_result",
        "subscription_answered", "subscription_changed", "subscription_sent",
        "contact_added", "contact_half_added", "contact_edited", "contact_deleted", "contact_left",
        "contact_transfer_failed", "group_created", "group_updated", "group_dismissed", "tag_changed",
        "acquisition", "payment", "refund", "transfer", "unknown", "unreadable",
    }
)  # fmt: skip
