"""Codes of channels on posters: issued for each participant, issued anew before they end, deleted after."""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import structlog
from PIL import Image, UnidentifiedImageError
from sqlalchemy import text

from growth_engine.channels.contract import WAITS_FOR_STAFF, WAITS_FOR_TIME, Reason
from growth_engine.channels.errors import ChannelError, GoneForGood, OutcomeUnknown, RetryLater, StopAndAlert
from growth_engine.channels.wechat_oa import OfficialAccount
from growth_engine.channels.wechat_oa.shapes import RENEWED_BEFORE
from growth_engine.channels.wecom import ContactWays, Customers, Wecom
from growth_engine.channels.wecom.ways import LONGEST_REMARK, MOST_USERS
from growth_engine.channels.wire import Gear, is_loopback
from growth_engine.connections import credentials
from growth_engine.connections import queries as connections
from growth_engine.connections.queries import Connection
from growth_engine.connections.sealing import SecretsUnreadable
from growth_engine.context import Ctx, Parts
from growth_engine.plays import invites
from growth_engine.plays import queries as plays
from growth_engine.plays.models import Campaign, InviteCode
from growth_engine.posters import queries as posters
from growth_engine.posters.scan import decoded
from growth_engine.reach import deliveries, queries, rules, texts
from growth_engine.reach.deliveries import To

log = structlog.get_logger(__name__)

BATCH = 20
#: Longer than a batch of calls can take.
LEASE = timedelta(minutes=5)
#: A code that does not end by itself (WeCom's) is looked at so often: is its campaign over?
LOOK_AGAIN = timedelta(days=7)
#: Contact ways are counted for the whole corp (500,000): those of ended campaigns are deleted after so long.
KEEP_AFTER_END = timedelta(days=14)
#: What staff mend at the platform without telling us (an employee who is not activated, a limit reached) is
#: tried again so often.
MENDED_ELSEWHERE = timedelta(hours=6)
_BY_STAFF = frozenset({Reason.MEMBER, Reason.LIMIT})
_LARGEST_PICTURE = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Wanted:
    """One code to issue or delete, with what that takes; the rows are read, no transaction is open."""

    code: InviteCode
    campaign: Campaign
    token: str
    connection: Connection | None
    ended: bool


@dataclass(frozen=True, slots=True)
class Issued:
    content: str
    reference: str
    expires_at: datetime | None
    next_at: datetime


def issue(parts: Parts, workspace_id: str) -> int:
    """Issue a batch of codes that are due; how many."""
    with parts.open(workspace_id) as ctx:
        keys = [(row.participant_id, row.account_id) for row in ctx.session.execute(_CLAIM, _now(ctx))]
        wanted = [_wanted(ctx, code, of) for code, of in queries.codes_with_campaigns(ctx, keys)]
    for one in wanted:
        if one.ended:
            _end(parts, workspace_id, one)
        else:
            _issue(parts, workspace_id, one)
    return len(keys)


def _now(ctx: Ctx) -> dict[str, object]:
    return {"now": ctx.now(), "lease": ctx.now() + LEASE, "batch": BATCH}


def _wanted(ctx: Ctx, code: InviteCode, campaign: Campaign) -> Wanted:
    # A campaign that moved to another channel lets the codes of the former one run out.
    ended = campaign.state == "ended" or campaign.channel_account_id != code.account_id
    try:
        found: Connection | None = connections.connection(ctx, code.account_id)
    except (connections.UnknownAccount, SecretsUnreadable) as error:
        log.warning("reach.code_without_account", account=code.account_id, code=error.code)
        found = None
    token = plays.participant(ctx, code.participant_id).invite_token
    return Wanted(code, campaign, token, found, ended)


# ── Issuing ─────────────────────────────────────────────────────────────────────────────────────────────


def _issue(parts: Parts, workspace_id: str, one: Wanted) -> None:
    now = parts.clock.now()
    try:
        if one.connection is None or one.connection.state == "disabled":
            raise RetryLater(Reason.BUSY, operation="code", number="disconnected")
        issued = _issued(parts.gear, one, now)
    except ChannelError as error:
        with parts.open(workspace_id) as ctx:
            _failed(ctx, one, error)
        return
    with parts.open(workspace_id) as ctx:
        if _kept(ctx, one.code, issued):
            _redraw(ctx, one, renewed=bool(one.code.content) and one.code.content != issued.content)


def _issued(gear: Gear, one: Wanted, now: datetime) -> Issued:
    assert one.connection is not None
    if one.connection.provider == "wechat_oa":
        ticket = OfficialAccount(credentials.official_account(one.connection), gear).create_qr(one.token)
        return Issued(ticket.url, ticket.ticket, ticket.expires_at, ticket.expires_at - RENEWED_BEFORE)
    if one.code.content:  # it does not end: it was only looked at
        return Issued(one.code.content, one.code.reference, None, now + LOOK_AGAIN)
    wecom = Wecom(credentials.wecom(one.connection), gear)
    users = list(one.campaign.channel_users) or Customers(wecom).employees()[:MOST_USERS]
    if not users:
        raise GoneForGood(Reason.MEMBER, operation="add_contact_way", number="nobody may have customers")
    remark = one.campaign.title[:LONGEST_REMARK]
    way = ContactWays(wecom).add(users, state=one.token, remark=remark)
    return Issued(_content_of(gear, way.qr_code), way.config_id, None, now + LOOK_AGAIN)


def _content_of(gear: Gear, address: str) -> str:
    """What a code says whose picture is all we are given (sheet §3.4)."""
    where = urlsplit(address)
    operation = "qr_code"
    if where.scheme != "https" and not (where.scheme == "http" and is_loopback(where.hostname or "")):
        raise GoneForGood(Reason.OTHER, operation=operation, number="address of the picture")
    answer = gear.exchange("GET", address, operation=operation, safe=True, largest=_LARGEST_PICTURE)
    if answer.status != 200:
        raise RetryLater(Reason.BUSY, operation=operation, number=f"http {answer.status}")
    try:
        said = decoded(Image.open(io.BytesIO(answer.body)))
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError):
        said = None
    if not said:
        raise RetryLater(Reason.OTHER, operation=operation, number="picture without a code")
    return said


def _kept(ctx: Ctx, code: InviteCode, issued: Issued) -> bool:
    values = {
        "participant_id": code.participant_id,
        "account_id": code.account_id,
        "attempts": code.attempts,
        "content": issued.content,
        "reference": issued.reference,
        "expires_at": issued.expires_at,
        "next_at": issued.next_at,
    }
    return ctx.session.execute(_READY, values).first() is not None


def _failed(ctx: Ctx, one: Wanted, error: ChannelError) -> None:
    """A way that may have been made already is made again: one too many harms nobody (500,000 may be)."""
    code, reason = one.code, error.reason
    again = isinstance(error, OutcomeUnknown | RetryLater | StopAndAlert)
    again = again or reason in WAITS_FOR_TIME or reason in _BY_STAFF
    wait = rules.STAFF_WAIT if reason in WAITS_FOR_STAFF else rules.backoff(code.attempts)
    wait = MENDED_ELSEWHERE if reason in _BY_STAFF else wait
    log.warning("reach.code_not_issued", account=code.account_id, reason=reason.value, number=error.number)
    values = {
        "participant_id": code.participant_id,
        "account_id": code.account_id,
        "attempts": code.attempts,
        "state": "waiting" if again else "failed",
        "next_at": max(error.retry_at or ctx.now(), ctx.now() + wait) if again else None,
        "error": f"{reason.value}: {error.number}"[:500],
    }
    ctx.session.execute(_FAILED, values)
    if one.campaign.poster_template_id is not None and not code.content:
        # The link stands in for the code: whoever waits for a poster gets one.
        invites.request_poster(ctx, code.participant_id)
        deliveries.wake_posters(ctx, code.participant_id)


def _redraw(ctx: Ctx, one: Wanted, *, renewed: bool) -> None:
    """A poster with the new code; whoever got the former one into the chat gets the new one too."""
    participant_id = one.code.participant_id
    if one.campaign.poster_template_id is None:
        return
    had = posters.poster_of(ctx, participant_id) is not None
    wanted = queries.waiting_poster(ctx, participant_id, one.code.account_id) is not None
    if had or wanted or not renewed:
        invites.request_poster(ctx, participant_id)
    sent = queries.poster_was_sent(ctx, participant_id) if renewed else None
    if sent is not None:
        to = To(sent.account_id, sent.person, sent.contact_id, ctx.now())
        name = f"{participant_id}:{one.code.issue + 1}"
        deliveries.add(ctx, to, "text", f"renewed:{name}", {"text": texts.renewed(ctx, one.campaign)})
        deliveries.add_poster(ctx, to, f"poster:{name}", one.campaign.id, participant_id)


# ── Ending ──────────────────────────────────────────────────────────────────────────────────────────────


def _end(parts: Parts, workspace_id: str, one: Wanted) -> None:
    """The campaign is over: a temporary code ends by itself, a contact way is deleted after a while."""
    now = parts.clock.now()
    over = one.campaign.ended_at or (now if one.campaign.state != "ended" else one.campaign.updated_at)
    state, next_at = "ended", None
    if one.connection is not None and one.connection.provider == "wecom" and one.code.reference:
        if now < over + KEEP_AFTER_END:
            state, next_at = "ready", over + KEEP_AFTER_END
        elif not _deleted(parts.gear, one.connection, one.code.reference):
            state, next_at = "ready", now + timedelta(days=1)
    values = {
        "participant_id": one.code.participant_id,
        "account_id": one.code.account_id,
        "attempts": one.code.attempts,
        "state": state,
        "next_at": next_at,
        "error": None,
    }
    with parts.open(workspace_id) as ctx:
        ctx.session.execute(_FAILED, values)


def _deleted(gear: Gear, connection: Connection, config_id: str) -> bool:
    try:
        ContactWays(Wecom(credentials.wecom(connection), gear)).delete(config_id)
    except GoneForGood:
        log.info("reach.way_was_gone", account=connection.id)
    except ChannelError as error:
        log.warning("reach.way_not_deleted", account=connection.id, number=error.number)
        return False
    return True


_CLAIM = text(
    "UPDATE invite_codes SET attempts = attempts + 1, next_at = :lease"
    " WHERE (participant_id, account_id) IN (SELECT participant_id, account_id FROM invite_codes"
    "   WHERE next_at <= :now ORDER BY next_at LIMIT :batch FOR UPDATE SKIP LOCKED)"
    " RETURNING participant_id, account_id"
)
_MINE = (
    " WHERE participant_id = :participant_id AND account_id = :account_id AND attempts = :attempts"
    " RETURNING participant_id"
)
_READY = text(
    "UPDATE invite_codes SET state = 'ready', content = :content, reference = :reference,"  # noqa: S608
    "  issue = issue + CASE WHEN content = :content THEN 0 ELSE 1 END,"
    f"  expires_at = :expires_at, next_at = :next_at, attempts = 0, error = NULL{_MINE}"
)
_FAILED = text(
    f"UPDATE invite_codes SET state = :state, next_at = :next_at, error = :error{_MINE}"  # noqa: S608
)
