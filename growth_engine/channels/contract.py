"""What the rest of the product sees of the channels: credentials, messages, what became of a message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

# ── Where the platforms are and who we are there ────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Hosts:
    """Base addresses (sheet §0.1). The sandbox replaces them; plain http is accepted for loopback only."""

    wx_api: str = "https://api.weixin.qq.com"
    wx_mp: str = "https://mp.weixin.qq.com"
    wx_open: str = "https://open.weixin.qq.com"
    wecom_api: str = "https://qyapi.weixin.qq.com"
    wxpay_api: str = "https://api.mch.weixin.qq.com"


@dataclass(frozen=True, slots=True)
class OfficialAccountCredentials:
    """An Official Account as its client needs it."""

    account_id: str
    """Our own id of the connection; names its tokens and counters in Redis."""
    app_id: str
    app_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class WecomCredentials:
    """A WeCom application that is listed under 客户联系 → 可调用接口的应用."""

    account_id: str
    corp_id: str
    secret: str = field(repr=False)
    """The application's secret: one token per secret (sheet §3.1)."""
    agent_id: str = ""


@dataclass(frozen=True, slots=True)
class PlatformKey:
    """A public key of WeChat Pay: ``PUB_KEY_ID_…`` with a public key, or a certificate (its own serial)."""

    serial: str
    pem: str


@dataclass(frozen=True, slots=True)
class PayCredentials:
    """A WeChat Pay merchant."""

    account_id: str
    mch_id: str
    app_id: str
    """The Official Account payers and payees are known in."""
    serial_no: str
    """Serial of the merchant's API certificate."""
    private_key_pem: str = field(repr=False)
    api_v3_key: str = field(repr=False)
    platform_keys: tuple[PlatformKey, ...] = ()
    """Keys given by hand; certificates are also fetched and kept by the client."""


# ── Messages ────────────────────────────────────────────────────────────────────────────────────────────


class Way(StrEnum):
    """How a message travels; each has rules of its own about when it may."""

    CUSTOMER = "customer"
    """客服消息: free, inside a window that the person opened (sheet §2.6)."""
    TEMPLATE = "template"
    """模板消息: service notifications only (sheet §2.7, rule 9)."""
    SUBSCRIPTION = "subscription"
    """订阅通知: the person granted this template (sheet §2.7)."""
    ONE_TIME = "one_time"
    """一次性订阅: one grant, one message (sheet §2.7)."""
    WELCOME = "welcome"
    """WeCom 欢迎语: within 20 s of being added, once (sheet §3.5)."""


@dataclass(frozen=True, slots=True)
class Text:
    text: str
    way = Way.CUSTOMER


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture by its bytes; the client uploads it and remembers the media id."""

    data: bytes = field(repr=False)
    content_type: str = "image/jpeg"
    way = Way.CUSTOMER


@dataclass(frozen=True, slots=True)
class Link:
    """A card that opens a page (图文, one article)."""

    title: str
    description: str
    url: str
    picture_url: str = ""
    way = Way.CUSTOMER


@dataclass(frozen=True, slots=True)
class Menu:
    """A text with items to tap; tapping opens a window again (sheet §2.6)."""

    head: str
    items: tuple[tuple[str, str], ...]
    """(id, words) of each item; the id comes back as ``bizmsgmenuid``."""
    tail: str = ""
    way = Way.CUSTOMER


@dataclass(frozen=True, slots=True)
class MiniProgram:
    title: str
    app_id: str
    page: str
    thumb_media_id: str
    way = Way.CUSTOMER


@dataclass(frozen=True, slots=True)
class Template:
    template_id: str
    fields: Mapping[str, str]
    url: str = ""
    once: str = ""
    """``client_msg_id``: the platform refuses the same one twice; at most 32 characters."""
    mini_program: tuple[str, str] | None = None
    """App id and page path."""
    way = Way.TEMPLATE


@dataclass(frozen=True, slots=True)
class Subscription:
    template_id: str
    fields: Mapping[str, str]
    page: str = ""
    mini_program: tuple[str, str] | None = None
    way = Way.SUBSCRIPTION


@dataclass(frozen=True, slots=True)
class OneTime:
    template_id: str
    scene: int
    """0 to 10000: tells the grants of one template apart."""
    title: str
    text: str
    url: str = ""
    way = Way.ONE_TIME


@dataclass(frozen=True, slots=True)
class Welcome:
    """What a new WeCom customer is greeted with. ``to`` of ``send`` is the WelcomeCode."""

    text: str = ""
    attachments: tuple[Mapping[str, object], ...] = ()
    """As the platform wants them (sheet §3.5): at most 9."""
    happened_at: datetime | None = None
    """When the customer was added: after 20 s nothing is sent."""
    way = Way.WELCOME


Message = Text | Picture | Link | Menu | MiniProgram | Template | Subscription | OneTime | Welcome


# ── What became of it ───────────────────────────────────────────────────────────────────────────────────


class Reason(StrEnum):
    """Why the platform, or we before it, refused: what the sender decides by. Stored, so never renamed."""

    BUSY = "busy"
    """The platform is busy or throttles: again later."""
    UNREACHABLE = "unreachable"
    """The request was certainly not made (no connection): again later."""
    QUOTA = "quota"
    """The account's quota is used up: again when it begins anew (``retry_at``)."""
    TOKEN = "token"  # noqa: S105 - a reason
    """The access token is refused even after refreshing it."""
    CREDENTIALS = "credentials"
    """App id, secret, certificate or address list: somebody must correct the connection."""
    PERMISSION = "permission"
    """The account may not do this (kind of account, certification, scope, banned)."""
    WINDOW_CLOSED = "window_closed"
    """No window for customer messages, or the person unfollowed: wait for the next interaction."""
    WINDOW_USED_UP = "window_used_up"
    """The messages of the present window are spent: wait for the next interaction."""
    NOT_GRANTED = "not_granted"
    """The person has not granted this (a subscription, name and picture), used it up, or withdrew it."""
    NOT_FOLLOWING = "not_following"
    BLOCKED = "blocked"
    """The person blocked the account, or the account the person."""
    UNKNOWN_PERSON = "unknown_person"
    """The platform does not know this openid or external_userid here."""
    MEMBER = "member"
    """WeCom: the employee is not activated, not real-named, or not in the application's visible range."""
    TOO_LATE = "too_late"
    """A welcome after its 20 s, an OAuth code after its 5 minutes."""
    ALREADY_DONE = "already_done"
    """It happened before: repeated client_msg_id, used code, welcome already sent."""
    MEDIA = "media"
    """The media id is unknown or expired: upload again."""
    BAD_REQUEST = "bad_request"
    """The request breaks a rule of form or size: our mistake, or the marketer's."""
    LIMIT = "limit"
    """A fixed limit of the platform (codes, tags, transfers, amount)."""
    FUNDS = "funds"
    """The merchant's balance does not suffice."""
    NOT_FOUND = "not_found"
    OTHER = "other"
    """A code we do not know: see the log with its number."""


#: The person's next interaction may help: keep the message, show it on the phone page (architecture §4).
WAITS_FOR_PERSON = frozenset({Reason.WINDOW_CLOSED, Reason.WINDOW_USED_UP, Reason.NOT_GRANTED})
#: Time helps: send again later.
WAITS_FOR_TIME = frozenset({Reason.BUSY, Reason.UNREACHABLE, Reason.QUOTA})
#: Somebody has to look at the connection before anything is sent through it again.
WAITS_FOR_STAFF = frozenset({Reason.TOKEN, Reason.CREDENTIALS, Reason.PERMISSION, Reason.FUNDS})


@dataclass(frozen=True, slots=True)
class Sent:
    reference: str = ""
    """The platform's number of the message where it gives one (``msgid``)."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Certainly not sent."""

    reason: Reason
    code: str = ""
    """The platform's own code, for the log and the console."""
    trace: str = ""
    """``rid`` or Request-Id: what the platform's support asks for."""
    retry_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """Maybe sent: the answer was lost. Not repeated by itself; the person may have it."""

    why: str


Outcome = Sent | Refused | Unknown


class Messenger(Protocol):
    """One account's way of sending; never raises for what the platform or the network does."""

    def send(self, to: str, message: Message) -> Outcome:
        """Send ``message`` to ``to`` (openid; WelcomeCode for ``Welcome``)."""
        ...
