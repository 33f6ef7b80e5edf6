"""Sending what is due: each person's news together, posters once they are drawn, and what then follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import structlog

from growth_engine.channels.contract import (
    WAITS_FOR_STAFF,
    Message,
    Outcome,
    Picture,
    Reason,
    Refused,
    Sent,
    Subscription,
    Text,
    Unknown,
    Way,
    Welcome,
)
from growth_engine.channels.errors import ChannelError, outcome_of
from growth_engine.channels.storage import PictureNotFound
from growth_engine.channels.wechat_oa import OfficialAccount, OfficialAccountMessenger
from growth_engine.channels.wecom import Wecom, WecomMessenger
from growth_engine.channels.wecom.messages import image, link
from growth_engine.channels.windows import GRANTS, Windows, best, usable
from growth_engine.connections import credentials
from growth_engine.connections import queries as connections
from growth_engine.connections import service as connecting
from growth_engine.connections.queries import Connection
from growth_engine.connections.sealing import SecretsUnreadable
from growth_engine.context import Ctx, Parts
from growth_engine.kit.errors import GrowthError
from growth_engine.reach import deliveries, followers, posters, queries, rules, texts
from growth_engine.reach.models import Delivery
from growth_engine.reach.posters import Drawn
from growth_engine.reach.rules import Next
from growth_engine.reach.welcomes import WITHOUT_POSTER_AFTER

log = structlog.get_logger(__name__)

BATCH = 32
#: A template's field called thing takes 20 characters (general knowledge; not on the sheet).
LONGEST_NOTICE = 20
_SHUT = (Reason.WINDOW_CLOSED, Reason.WINDOW_USED_UP)
#: People written to at the same time by one worker: the platforms take a tenth of a second an answer.
AT_ONCE = 8


@dataclass(slots=True)
class Notice:
    """A subscription message (sheet §2.7) the person allows."""

    template_id: str
    name: str
    """The template's field for the text."""
    sent: bool = False


@dataclass(slots=True)
class Parcel:
    """What goes out in one call: one delivery, or the news of one person that fit into one text."""

    rows: Sequence[Delivery]
    message: Text | Picture | Welcome | None = None
    to: str = ""
    drawn: Drawn | None = None
    notice: Notice | None = None
    """How its beginning may go out when the person may not be written to."""
    waits: Next | None = None
    """Nothing is sent now: what it waits for."""
    outcome: Outcome | None = None


@dataclass(slots=True)
class Errand:
    """Everything due for one person at one account."""

    account_id: str
    person: str
    parcels: list[Parcel] = field(default_factory=list)


def deliver(parts: Parts, workspace_id: str) -> int:
    """Send a batch; how many were claimed. No transaction is open while the platforms are asked."""
    with parts.open(workspace_id) as ctx:
        claimed = deliveries.claim(ctx, BATCH)
        accounts = _accounts(ctx, {row.account_id for row in claimed})
        errands = [_errand(ctx, accounts, key, list(rows)) for key, rows in _by_person(claimed)]
    senders = {account_id: _Sender(parts, of) for account_id, of in accounts.items()}
    with ThreadPoolExecutor(max(1, min(AT_ONCE, len(errands)))) as pool:
        list(pool.map(lambda errand: senders[errand.account_id].run(errand), errands))
    if errands:
        with parts.open(workspace_id) as ctx:
            for errand in errands:
                for parcel in errand.parcels:
                    _settle(ctx, parcel)
            for account_id, sender in senders.items():
                sender.report(ctx, account_id)
    return len(claimed)


def _by_person(claimed: Sequence[Delivery]) -> Any:
    def key(row: Delivery) -> tuple[str, str]:
        return row.account_id, row.person

    return groupby(sorted(claimed, key=lambda row: (*key(row), row.id)), key)


def _accounts(ctx: Ctx, ids: set[str]) -> dict[str, Connection | None]:
    """The accounts, opened; None for one that is gone, disabled, or whose keys cannot be read."""
    found: dict[str, Connection | None] = {}
    for account_id in sorted(ids):
        try:
            one = connections.connection(ctx, account_id)
            found[account_id] = one if one.state != "disabled" else None
        except (connections.UnknownAccount, SecretsUnreadable) as error:
            log.warning("reach.no_account", account=account_id, code=error.code)
            found[account_id] = None
    return found


# ── What is to be sent ──────────────────────────────────────────────────────────────────────────────────


def _errand(
    ctx: Ctx, accounts: Mapping[str, Connection | None], key: tuple[str, str], rows: list[Delivery]
) -> Errand:
    errand = Errand(*key)
    notice = _notice(ctx, accounts[key[0]], key[1])
    written = [(row, _text(row)) for row in rows if row.kind in ("text", "message")]
    for bundle in rules.together([text for _, text in written]):
        told = "\n".join(written[number][1] for number in bundle)
        parcel = Parcel([written[number][0] for number in bundle], Text(told), key[1], notice=notice)
        errand.parcels.append(parcel)
        notice = None  # one grant, one message
    for row in rows:
        if row.kind in _PICTURED:
            errand.parcels.append(_pictured(ctx, row))
    errand.parcels.sort(key=lambda parcel: parcel.rows[0].id)
    return errand


def _notice(ctx: Ctx, of: Connection | None, person: str) -> Notice | None:
    """Whether the merchant has a template for news, and the person allows a message of it."""
    template_id = of.settings.get("notice_template", "") if of else ""
    if not of or not template_id:
        return None
    known = queries.follower(ctx, of.id, person)
    allowed = known is not None and int(known.grants.get(template_id, 0)) > 0
    return Notice(template_id, of.settings.get("notice_field", "thing1")) if allowed else None


def _text(row: Delivery) -> str:
    said = row.payload
    if row.kind == "message":
        return rules.cut(texts.news(said["template"], said["params"], said["locale"]))
    return rules.cut(str(said["text"]))


def _pictured(ctx: Ctx, row: Delivery) -> Parcel:
    try:
        return _PICTURED[row.kind](ctx, row)
    except GrowthError as error:
        # The person was erased, the poster's template taken away: one that cannot be must not stop the rest.
        log.warning("reach.nothing_to_send", delivery=row.id, code=error.code)
        return Parcel([row], outcome=Refused(Reason.NOT_FOUND, code=error.code))


def _poster(ctx: Ctx, row: Delivery) -> Parcel:
    assert row.participant_id is not None
    drawn = posters.drawn(ctx, row.participant_id)
    if drawn.busy:
        return Parcel([row], waits=Next("waiting", "poster", ctx.now() + posters.LOOK_AGAIN))
    if drawn.key is None:
        return Parcel([row], Text(texts.no_poster(ctx, drawn.campaign)), row.person)
    return Parcel([row], None, row.person, drawn)


def _welcome(ctx: Ctx, row: Delivery) -> Parcel:
    said = row.payload
    drawn = posters.drawn(ctx, row.participant_id) if row.participant_id else None
    if drawn is not None and drawn.busy and ctx.now() - row.happened_at < WITHOUT_POSTER_AFTER:
        return Parcel([row], waits=Next("waiting", "poster", ctx.now() + posters.LOOK_AGAIN))
    page = () if drawn is None or drawn.key else (link(said["title"], said["url"]),)
    message = Welcome(said["text"], page, row.happened_at)
    return Parcel([row], message, said["code"], drawn if drawn and drawn.key else None)


_PICTURED = {"poster": _poster, "welcome": _welcome}


# ── Sending ─────────────────────────────────────────────────────────────────────────────────────────────


class _Sender:
    """One account in one batch. After a refusal that staff must see nothing more is tried through it."""

    def __init__(self, parts: Parts, of: Connection | None) -> None:
        self._parts = parts
        self._windows = Windows(parts.queue, parts.clock)
        self._stopped: Refused | None = None
        self._worked = False
        self._oa: OfficialAccount | None = None
        self._wecom: Wecom | None = None
        if of is None:
            self._stopped = Refused(Reason.CREDENTIALS, code="disconnected")
        elif of.provider == "wechat_oa":
            self._oa = OfficialAccount(credentials.official_account(of), parts.gear)
        elif of.provider == "wecom":
            self._wecom = Wecom(credentials.wecom(of), parts.gear)

    def run(self, errand: Errand) -> None:
        """Send a person's parcels in order; never raises for what the platform or the network does."""
        for parcel in errand.parcels:
            if parcel.waits is None and parcel.outcome is None:
                parcel.outcome = self._stopped or self._send(parcel)
                self._note(parcel.outcome)

    def report(self, ctx: Ctx, account_id: str) -> None:
        """Show with the account what stops it; say so when it works again."""
        if self._oa is None and self._wecom is None:
            return
        if self._stopped is not None:
            connecting.note_check(ctx, account_id, f"{self._stopped.reason.value}: {self._stopped.code}")
        elif self._worked and connections.account(ctx, account_id).check_error:
            connecting.note_check(ctx, account_id, None)

    def _note(self, outcome: Outcome) -> None:
        if isinstance(outcome, Refused) and outcome.reason in WAITS_FOR_STAFF:
            self._stopped = outcome
        elif isinstance(outcome, Sent):
            self._worked = True

    def _send(self, parcel: Parcel) -> Outcome:
        try:
            return self._through(parcel)
        except ChannelError as error:
            return outcome_of(error)
        except PictureNotFound:
            # A newer poster took its place between our look and now.
            return Refused(Reason.BUSY, code="picture replaced")

    def _through(self, parcel: Parcel) -> Outcome:
        if self._oa is not None:
            return self._unless_opened(parcel.to, self._to_follower(self._oa, parcel))
        assert self._wecom is not None
        if not isinstance(parcel.message, Welcome):
            return Refused(Reason.NOT_GRANTED, code="employees write by hand")
        welcome = parcel.message
        if parcel.drawn is not None:
            media_id = self._wecom.media_id(self._picture(parcel))
            welcome = Welcome(welcome.text, (image(media_id),), welcome.happened_at)
        return WecomMessenger(self._wecom).send(parcel.to, welcome)

    def _to_follower(self, account: OfficialAccount, parcel: Parcel) -> Outcome:
        """The best way that is allowed: a customer message, else the notice they allowed, else none yet."""
        messenger = OfficialAccountMessenger(account, self._windows)
        candidates = self._candidates(parcel)
        outcome: Outcome | None = None
        # The platform may know better than we that a window is shut or spent: then the next best way.
        for _ in range(len(GRANTS) + 1):
            open_ = self._windows.of(account.credentials.account_id, parcel.to)
            chosen = best(candidates, open_, self._parts.clock.now(), granted=lambda _: True)
            if isinstance(chosen, Refused):
                return outcome or chosen
            outcome = messenger.send(parcel.to, chosen)
            if parcel.notice is not None and isinstance(chosen, Subscription):
                parcel.notice.sent = isinstance(outcome, Sent)
            if not (isinstance(outcome, Refused) and outcome.reason in _SHUT and chosen.way is Way.CUSTOMER):
                return outcome
        assert outcome is not None
        return outcome

    def _candidates(self, parcel: Parcel) -> list[Message]:
        """The ways a parcel may go, the best first."""
        if not isinstance(parcel.message, Text):
            return [Picture(self._picture(parcel))]
        if parcel.notice is None:
            return [parcel.message]
        begins = {parcel.notice.name: parcel.message.text[:LONGEST_NOTICE]}
        return [parcel.message, Subscription(parcel.notice.template_id, begins)]

    def _picture(self, parcel: Parcel) -> bytes:
        assert parcel.drawn is not None
        assert parcel.drawn.key is not None
        data: bytes = self._parts.storage.get(parcel.drawn.key)
        return data

    def _unless_opened(self, person: str, outcome: Outcome) -> Outcome:
        """No window when we looked, one now: the person did something in between, which woke nobody."""
        if isinstance(outcome, Refused) and outcome.reason is Reason.WINDOW_CLOSED and self._oa is not None:
            now = self._parts.clock.now()
            if usable(self._windows.of(self._oa.credentials.account_id, person), now) is not None:
                return Refused(Reason.BUSY, code="window opened")
        return outcome


# ── What became of it ───────────────────────────────────────────────────────────────────────────────────


def _settle(ctx: Ctx, parcel: Parcel) -> None:
    now = ctx.now()
    notice, row = parcel.notice, parcel.rows[0]
    if notice is not None and notice.sent:
        followers.grant(ctx, row.account_id, row.person, notice.template_id, -1)
    elif notice is not None and _not_granted(parcel.outcome):
        followers.grant(ctx, row.account_id, row.person, notice.template_id, None)
    for row in parcel.rows:
        values = _values(row, parcel, now)
        if not deliveries.settle(ctx, row, **values):
            log.warning("reach.taken_over", delivery=row.id)
        elif values["state"] != "waiting":
            log.info("reach.settled", delivery=row.id, state=values["state"], reason=values.get("reason", ""))


def _not_granted(outcome: Outcome | None) -> bool:
    return isinstance(outcome, Refused) and outcome.reason is Reason.NOT_GRANTED


def _values(row: Delivery, parcel: Parcel, now: Any) -> Mapping[str, Any]:
    match parcel.outcome:
        case None:
            assert parcel.waits is not None
            return deliveries.move_on(row, parcel.waits, now)
        case Sent(reference=reference):
            return {"state": "sent", "reference": reference, "reason": "", "next_at": None,
                    "waits_for": "", "settled_at": now}  # fmt: skip
        case Unknown(why=why):
            return {"state": "unknown", "code": why[:100], "next_at": None, "waits_for": "",
                    "settled_at": now}  # fmt: skip
        case Refused() as refused:
            after = rules.after_refusal(refused, row.attempts, now)
            because = {
                "reason": refused.reason.value,
                "code": refused.code[:100],
                "trace": refused.trace[:100],
            }
            return {**deliveries.move_on(row, after, now), **because}
