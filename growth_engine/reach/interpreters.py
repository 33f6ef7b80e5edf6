"""What callbacks of the Official Account and of WeCom mean to campaigns."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import structlog

from growth_engine.channels.errors import ChannelError
from growth_engine.channels.windows import Trigger, Windows
from growth_engine.context import Ctx
from growth_engine.inbox.contract import Inbound, PassiveReply, TextReply
from growth_engine.inbox.interpreting import Understood, delivers_late, interprets, interprets_together
from growth_engine.inbox.payloads import (
    ContactAdded,
    ContactDeleted,
    ContactLeft,
    Followed,
    GroupChanged,
    MenuClicked,
    PaymentNotice,
    Scanned,
    SubscriptionReport,
    TextReceived,
)
from growth_engine.reach import arrivals, deliveries, followers, groups, parting, queries, rules, welcomes
from growth_engine.reach.arrivals import Arrival
from growth_engine.reach.came import Came
from growth_engine.reach.deliveries import To

log = structlog.get_logger(__name__)

OA, WECOM, PAY = "wechat_oa", "wecom", "wechat_pay"
_TRIGGERS = {
    "text": Trigger.MESSAGE,
    "message": Trigger.MESSAGE,
    "menu_click": Trigger.MENU,
    "follow": Trigger.FOLLOW,
    "scan": Trigger.SCAN,
}


# ── Official Account ────────────────────────────────────────────────────────────────────────────────────


@interprets_together(OA, "follow", "scan")
def came(ctx: Ctx, several: Sequence[Inbound]) -> list[Understood]:
    """Somebody new, back, or here already who scanned a code: who is new our own records say."""
    _open_windows(ctx, several)
    whos = [Came.of(one, scene=_scene(one)) for one in several]
    found = arrivals.arrive_many(ctx, whos) if len(whos) > 1 else [arrivals.arrive(ctx, whos[0])]
    here = [(who, one) for who, one in zip(whos, found, strict=True) if isinstance(one, Arrival)]
    for who, arrival in here:
        if not arrival.first and not arrival.late:
            deliveries.wake(ctx, who.account_id, who.person)
    arrivals.send_posters(ctx, here)
    return [_welcome(one) if isinstance(one, Arrival) else one for one in found]


def _scene(inbound: Inbound) -> str:
    assert isinstance(inbound.payload, Followed | Scanned)
    return inbound.payload.scene


def _welcome(arrival: Arrival) -> PassiveReply | None:
    return TextReply(rules.cut(arrival.text)) if arrival.text and not arrival.late else None


@interprets(OA, "unfollow")
def went(ctx: Ctx, inbound: Inbound) -> None:
    parting.part(ctx, Came.of(inbound))


@interprets(OA, "text", "message", "menu_click")
def interacted(ctx: Ctx, inbound: Inbound) -> None:
    """They wrote or tapped: what waited for that may go now; who asks for their poster gets it."""
    _open_windows(ctx, [inbound])
    known = followers.hold(ctx, inbound.account, inbound.sender)
    if known is None or not known.here:
        # Follows since before we were connected, or their follow was lost on the way: the platform knows
        # through whose code (``profiles``).
        ties = rules.tied(known.ties if known else {}, rules.FOLLOWS, inbound.occurred_at, holds=True)
        followers.keep(ctx, inbound.account, inbound.sender, ties, None, ask=True)
        return
    deliveries.wake(ctx, inbound.account, inbound.sender)
    said = inbound.payload
    asked = said.text if isinstance(said, TextReceived) else said.key if isinstance(said, MenuClicked) else ""
    if rules.wants_poster(asked):
        _send_latest_poster(ctx, inbound)


@interprets(OA, "subscription_answered", "subscription_changed")
def allowed(ctx: Ctx, inbound: Inbound) -> None:
    """They allow one more message of a template, or none any more."""
    assert isinstance(inbound.payload, SubscriptionReport)
    for entry in inbound.payload.entries:
        more = 1 if entry.status == "accept" and inbound.kind == "subscription_answered" else None
        followers.grant(ctx, inbound.account, inbound.sender, entry.template_id, more)
    deliveries.wake(ctx, inbound.account, inbound.sender)


@interprets(OA, "menu_view", "template_result", "subscription_sent")
@interprets(WECOM, "contact_edited", "tag_changed")
def nothing_follows(ctx: Ctx, inbound: Inbound) -> None:
    """Told of everything: kept, and nobody has to look at it."""


@delivers_late(OA)
def answer_late(ctx: Ctx, inbound: Inbound, reply: PassiveReply) -> None:
    """The platform stopped waiting: the reply goes as a message of its own."""
    if isinstance(reply, TextReply):
        to = To(inbound.account, inbound.sender, _contact_of(ctx, inbound), inbound.occurred_at)
        deliveries.add(ctx, to, "text", f"reply:{inbound.account}:{inbound.identity}", {"text": reply.text})


@interprets(PAY, "payment")
def paid(ctx: Ctx, inbound: Inbound) -> None:
    """A follower who paid may be written to for two days in the account they paid in (sheet §2.6)."""
    said = inbound.payload
    assert isinstance(said, PaymentNotice)
    windows = Windows(ctx.parts.queue, ctx.parts.clock)
    for account_id in queries.followed(ctx, said.app_id, said.openid):
        try:
            windows.open(account_id, said.openid, Trigger.PAYMENT, said.success_time or inbound.occurred_at)
        except ChannelError as error:
            log.warning("reach.window_not_opened", account=account_id, why=error.number)
        deliveries.wake(ctx, account_id, said.openid)


# ── WeCom ───────────────────────────────────────────────────────────────────────────────────────────────


@interprets(WECOM, "contact_added", "contact_half_added")
def added(ctx: Ctx, inbound: Inbound) -> None:
    """A customer and an employee are friends, or half: told twice, one person, one referral."""
    said = inbound.payload
    assert isinstance(said, ContactAdded)
    who = Came.of(inbound, scene=said.state, tie=said.user_id)
    arrival = arrivals.arrive(ctx, who)
    if said.welcome_code and not arrival.late:
        welcomes.add(ctx, who, arrival, said.welcome_code)


@interprets(WECOM, "contact_left")
def left(ctx: Ctx, inbound: Inbound) -> None:
    """The customer removed the employee: gone, when no other has them."""
    assert isinstance(inbound.payload, ContactLeft)
    parting.part(ctx, Came.of(inbound, tie=inbound.payload.user_id))


@interprets(WECOM, "contact_deleted")
def deleted(ctx: Ctx, inbound: Inbound) -> None:
    """The employee removed the customer, or handed them over: what we did ourselves costs nobody a help."""
    assert isinstance(inbound.payload, ContactDeleted)
    known = followers.hold(ctx, inbound.account, inbound.sender)
    if known is not None:
        ties = rules.tied(known.ties, inbound.payload.user_id, inbound.occurred_at, holds=False)
        followers.keep(ctx, inbound.account, inbound.sender, ties, known.contact_id)


@interprets(WECOM, "group_created", "group_updated", "group_dismissed")
def group_changed(ctx: Ctx, inbound: Inbound) -> None:
    """The group is read anew: its members' states say who brought them (sheet §3.7)."""
    assert isinstance(inbound.payload, GroupChanged)
    groups.changed(ctx, inbound.account, inbound.payload, dismissed=inbound.kind == "group_dismissed")


# ── Shared ──────────────────────────────────────────────────────────────────────────────────────────────


def _open_windows(ctx: Ctx, several: Sequence[Inbound]) -> None:
    """Counted from the event's own time; the same told again opens nothing."""
    windows = Windows(ctx.parts.queue, ctx.parts.clock)
    by_account: dict[str, list[tuple[str, Trigger, datetime]]] = {}
    for one in several:
        opening = (one.sender, _TRIGGERS[one.kind], one.occurred_at)
        by_account.setdefault(one.account, []).append(opening)
    for account, openings in by_account.items():
        try:
            windows.open_many(account, openings)
        except ChannelError as error:
            # Then we send too little until they interact again; whose invite it was must not depend on it.
            log.warning("reach.window_not_opened", account=account, why=error.number)


def _contact_of(ctx: Ctx, inbound: Inbound) -> str | None:
    known = queries.follower(ctx, inbound.account, inbound.sender)
    return known.contact_id if known else None


def _send_latest_poster(ctx: Ctx, inbound: Inbound) -> None:
    contact_id = _contact_of(ctx, inbound)
    if contact_id is None:
        return
    mine = arrivals.latest_open(ctx, contact_id)
    if mine is not None:
        to = To(inbound.account, inbound.sender, contact_id, inbound.occurred_at)
        key = f"poster:{inbound.account}:{inbound.identity}"
        deliveries.add_poster(ctx, to, key, mine.campaign_id, mine.id)
