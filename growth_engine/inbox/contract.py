"""What a webhook provider (``webhooks/<provider>.py``) offers, and the values that go in and out: pure.

A provider is a module: bytes in, dataclasses out. It gets the account's keys, the time and fresh random
bytes handed in, and touches neither storage nor network.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Protocol

import orjson

from growth_engine.channels.protocol.documents import Form
from growth_engine.inbox.payloads import Payload
from growth_engine.kit.errors import GrowthError
from growth_engine.kit.i18n import N_

#: Longest id of a person or thing we take over from a message: ids end up in indexes.
MOST_ID = 128


class Refused(GrowthError):
    """Not believed, not for us, or not readable enough to find out. Stored as refused, answered with
    ``status`` in the provider's own form."""

    code = "refused"
    status = 403
    message = N_("This callback was refused.")

    def __init__(self, message: str | None = None, *, code: str | None = None, status: int | None = None):
        super().__init__(message, code=code)
        self.status = status or type(self).status


@dataclass(frozen=True, slots=True)
class Account:
    """A connected account as its provider needs it. Of keys the current one comes first."""

    id: str
    provider: str
    ids: Mapping[str, str]
    """Public names: appid, original_id; corpid, agentid; mchid."""
    mode: str = ""
    """Official Account: plain, compatible or safe."""
    tokens: tuple[str, ...] = field(default=(), repr=False)
    aes_keys: tuple[str, ...] = field(default=(), repr=False)
    api_v3_keys: tuple[str, ...] = field(default=(), repr=False)
    platform_keys: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """WeChat Pay's keys: (serial, PEM)."""


@dataclass(frozen=True, slots=True)
class Request:
    """A callback as it came. Header names are lower-case."""

    method: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Verified:
    """A callback that certainly comes from the platform, opened."""

    content: bytes
    """The document inside, decrypted."""
    form: Form
    nonce: str = ""
    key: int | None = None
    """Which of ``Account.aes_keys`` opened it; None: it was not encrypted."""
    token: int = 0
    """Which of ``Account.tokens`` signed it."""


@dataclass(frozen=True, slots=True)
class Inbound:
    """One thing the platform tells us."""

    provider: str
    account: str
    """Our id of the connected account."""
    identity: str
    """The platform's identity of the message, within the account: the same again is the same message
    (rule 5). Holds nothing personal: it outlives erasure."""
    kind: str
    """What happened, see ``payloads``; handlers are found by it."""
    occurred_at: datetime
    sender: str
    """openid, external_userid or employee; empty when it is about nobody."""
    receiver: str
    """Whom the platform names as addressee: the original id, the corpid, the mchid."""
    payload: Payload


@dataclass(frozen=True, slots=True)
class Reply:
    """The HTTP answer."""

    body: bytes = b""
    status: int = 200
    content_type: str = "text/plain; charset=utf-8"


# ── Passive replies: what a message is answered with in the same breath (sheet §2.4) ────────────────────


@dataclass(frozen=True, slots=True)
class TextReply:
    kind: ClassVar[str] = "text"
    text: str


@dataclass(frozen=True, slots=True)
class PictureReply:
    kind: ClassVar[str] = "image"
    media_id: str


@dataclass(frozen=True, slots=True)
class VoiceReply:
    kind: ClassVar[str] = "voice"
    media_id: str


@dataclass(frozen=True, slots=True)
class VideoReply:
    kind: ClassVar[str] = "video"
    media_id: str
    title: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class MusicReply:
    kind: ClassVar[str] = "music"
    thumb_media_id: str
    title: str = ""
    description: str = ""
    music_url: str = ""
    hq_music_url: str = ""


@dataclass(frozen=True, slots=True)
class CardReply:
    """图文 with one article: more are not shown as the answer to a message."""

    kind: ClassVar[str] = "news"
    title: str
    description: str
    url: str
    picture_url: str = ""


@dataclass(frozen=True, slots=True)
class HandOver:
    """Hands the talk to the merchant's own customer service."""

    kind: ClassVar[str] = "transfer_customer_service"


PassiveReply = TextReply | PictureReply | VoiceReply | VideoReply | MusicReply | CardReply | HandOver
_REPLIES: Mapping[str, type[PassiveReply]] = {
    one.kind: one
    for one in (TextReply, PictureReply, VoiceReply, VideoReply, MusicReply, CardReply, HandOver)
}


def reply_to_json(reply: PassiveReply) -> dict[str, Any]:
    return {"kind": reply.kind, **dataclasses.asdict(reply)}


def reply_from_json(value: Mapping[str, Any]) -> PassiveReply:
    rest = {name: one for name, one in value.items() if name != "kind"}
    return _REPLIES[value["kind"]](**rest)


# ── The provider ────────────────────────────────────────────────────────────────────────────────────────


class Provider(Protocol):
    """What a module in ``webhooks/`` offers, as module-level names."""

    slug: str
    """The provider's name in addresses and tables: the file's name."""
    title: str
    """Message id."""
    headers: Sequence[str]
    """Headers that are needed to verify a callback again, in lower case."""
    answer_seconds: float
    """The platform hangs up after so long."""

    def challenge(self, request: Request, account: Account) -> Reply:
        """Answer the platform's GET that asks whether this address is ours; raises Refused."""
        ...

    def verify(self, request: Request, account: Account) -> Verified:
        """Believe a POST, or raise Refused. Nothing is looked at before it is known to be genuine."""
        ...

    def parse(self, content: bytes, account: str) -> list[Inbound]:
        """Understand the document of a genuine callback; raises ``documents.Unreadable``."""
        ...

    def acknowledge(
        self,
        account: Account,
        verified: Verified,
        answer: tuple[Inbound, PassiveReply] | None = None,
        *,
        now: datetime,
        random: bytes,
    ) -> Reply:
        """Tell the platform that the message is safe with us, with a passive reply when there is one.
        ``random``: 16 fresh bytes."""
        ...

    def refuse(self, error: Refused) -> Reply:
        """Say no in the provider's own form."""
        ...


def identity_of(*parts: str) -> str:
    """An identity out of the fields that make a message the same message, as a hash: 128 bits in hex."""
    return hashlib.blake2b(orjson.dumps(parts), digest_size=16).hexdigest()
