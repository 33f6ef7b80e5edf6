"""WeChat Official Accounts (公众号, 服务号): how they call us (sheet §2.1 to §2.4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from growth_engine.channels.protocol import documents, envelope
from growth_engine.channels.protocol.documents import Fields, Unreadable
from growth_engine.channels.protocol.message_crypt import MessageCrypt, MessageRefused
from growth_engine.inbox import payloads
from growth_engine.inbox.contract import (
    MOST_ID,
    Account,
    CardReply,
    HandOver,
    Inbound,
    MusicReply,
    PassiveReply,
    PictureReply,
    Refused,
    Reply,
    Request,
    TextReply,
    Verified,
    VideoReply,
    VoiceReply,
    identity_of,
)
from growth_engine.inbox.payloads import Payload
from growth_engine.kit.i18n import N_

slug = "wechat_oa"
title = N_("WeChat Official Account")
headers = ()
#: The platform waits 5 s, then sends the same again, three times in all (§2.4).
answer_seconds = 5.0

#: In front of the scene of a code that somebody followed through (rule 6).
SCENE_PREFIX = "qrscene_"
#: Says "got it, nothing to say", so that the platform does not send it again (§2.4).
GOT_IT = Reply(b"success")
#: Timestamps the database and every calendar can hold.
_LATEST = 4_102_444_800

_NOT_ENCRYPTED = N_("This account only takes encrypted callbacks, and this one was not.")


# ── Is it the platform? ─────────────────────────────────────────────────────────────────────────────────


def challenge(request: Request, account: Account) -> Reply:
    """The echo proves that we hold the token; it comes and goes in plain (§2.1)."""
    if not envelope.is_signed(request.query, account.tokens):
        raise _wrong_signature()
    return Reply(request.query.get("echostr", "").encode())


def verify(request: Request, account: Account) -> Verified:
    """Safe and compatible mode believe only what is inside the envelope; plain mode cannot do better than
    the signature of the address, which does not cover the body (rule 1)."""
    query = request.query
    if query.get("encrypt_type", "raw") == "aes" and account.aes_keys:
        try:
            outside, form = documents.read(request.body)
            opened = envelope.open_encrypted(
                query, outside.text("Encrypt"), tokens=account.tokens, crypt=_crypt(account)
            )
        except (MessageRefused, Unreadable) as error:
            raise Refused(error.message, code=error.code, status=error.status) from None
        return Verified(opened.message, form, query.get("nonce", ""), opened.key, opened.token)
    if not envelope.is_signed(query, account.tokens):
        raise _wrong_signature()
    if account.mode != "plain":
        # Whoever saw one signed address could otherwise write whatever they like behind it.
        raise Refused(_NOT_ENCRYPTED, code="not_encrypted")
    form = documents.form_of(request.body)
    return Verified(request.body, form, query.get("nonce", ""))


def refuse(error: Refused) -> Reply:
    return Reply(error.code.encode(), error.status)


def _wrong_signature() -> Refused:
    return Refused(
        N_("The signature is wrong. Check that the token is the same on both sides."), code="wrong_signature"
    )


def _crypt(account: Account) -> MessageCrypt:
    return MessageCrypt(account.ids.get("appid", ""), account.aes_keys)


# ── What does it say? ───────────────────────────────────────────────────────────────────────────────────


def parse(content: bytes, account: str) -> list[Inbound]:
    said, _ = documents.read(content)
    sender, receiver = said.text("FromUserName", most=MOST_ID), said.text("ToUserName", most=MOST_ID)
    kind, payload, identity = _understood(said, sender)
    return [
        Inbound(
            provider=slug,
            account=account,
            identity=identity,
            kind=kind,
            occurred_at=moment(said),
            sender=sender,
            receiver=receiver,
            payload=payload,
        )
    ]


def moment(said: Fields) -> datetime:
    """``CreateTime``, whole seconds since 1970."""
    seconds = said.number("CreateTime")
    if seconds is None or not 0 <= seconds <= _LATEST:
        raise Unreadable
    return datetime.fromtimestamp(seconds, UTC)


def _understood(said: Fields, sender: str) -> tuple[str, Payload, str]:
    if said.text("MsgType").lower() == "event":
        return _event(said, sender)
    kind, payload = message(said)
    number = said.text("MsgId", most=MOST_ID)
    if kind == "unknown" or not number:
        return kind, payload, f"doc:{whole_identity(said)}"
    return kind, payload, f"msg:{number}"


def message(said: Fields) -> tuple[str, Payload]:
    """A message somebody wrote; the same in Official Accounts and WeCom applications."""
    kind = said.text("MsgType").lower()
    number = said.text("MsgId", most=MOST_ID)
    if kind == "text":
        return "text", payloads.TextReceived(said.text("Content"), number)
    if kind in ("image", "voice", "video", "shortvideo", "location", "link", "file"):
        return "message", payloads.MessageReceived(kind, number, said.text("MediaId"))
    return "unknown", payloads.Unknown(said.text("MsgType", most=MOST_ID), said.values)


def whole_identity(said: Fields) -> str:
    """For what has no identity we know of: everything it says."""
    return identity_of(documents.canonical(said.values))


def _event(said: Fields, sender: str) -> tuple[str, Payload, str]:
    name = said.text("Event").lower()  # documents and libraries differ in case
    read = _EVENTS.get(name)
    if read is None:
        unknown = payloads.Unknown(said.text("Event", most=MOST_ID), said.values)
        return "unknown", unknown, f"doc:{whole_identity(said)}"
    kind, payload = read(said)
    # Two different events can share a second (rule 5).
    key = [sender, said.text("CreateTime"), name, said.text("EventKey"), said.text("MsgID")]
    if isinstance(payload, payloads.SubscriptionReport):
        key += [f"{one.template_id} {one.message_id} {one.status}" for one in payload.entries]
    return kind, payload, f"evt:{identity_of(*key)}"


def _follow(said: Fields) -> tuple[str, Payload]:
    scene = said.text("EventKey")
    if not scene.startswith(SCENE_PREFIX):  # came without a code, or through one we did not make
        scene = ""
    return "follow", payloads.Followed(scene.removeprefix(SCENE_PREFIX), said.text("Ticket"))


def _scan(said: Fields) -> tuple[str, Payload]:
    scene = said.text("EventKey").removeprefix(SCENE_PREFIX)
    return "scan", payloads.Scanned(scene, said.text("Ticket"))


def _unfollow(_: Fields) -> tuple[str, Payload]:
    return "unfollow", payloads.Unfollowed()


def _click(said: Fields) -> tuple[str, Payload]:
    return "menu_click", payloads.MenuClicked(said.text("EventKey"))


def _view(said: Fields) -> tuple[str, Payload]:
    return "menu_view", payloads.MenuViewed(said.text("EventKey"), said.text("MenuId"))


def _template(said: Fields) -> tuple[str, Payload]:
    status = said.text("Status")
    delivered = not status.lower().startswith("failed")  # written with and without a space behind it
    return "template_result", payloads.TemplateResult(said.text("MsgID"), delivered, status)


def _subscription(kind: str, part: str) -> Callable[[Fields], tuple[str, Payload]]:
    def read(said: Fields) -> tuple[str, Payload]:
        # XML nests the list in an element of the event's name, JSON has it at the top.
        entries = said.part(part).parts("List") or said.parts("List")
        return kind, payloads.SubscriptionReport(tuple(_subscription_entry(one) for one in entries))

    return read


def _subscription_entry(one: Fields) -> payloads.SubscriptionEntry:
    return payloads.SubscriptionEntry(
        template_id=one.text("TemplateId"),
        status=one.text("SubscribeStatusString") or one.text("ErrorStatus"),
        message_id=one.text("MsgID"),
        error_code=one.text("ErrorCode"),
        scene=one.text("PopupScene"),
    )


_EVENTS: Mapping[str, Callable[[Fields], tuple[str, Payload]]] = {
    "subscribe": _follow,
    "scan": _scan,
    "unsubscribe": _unfollow,
    "click": _click,
    "view": _view,
    "templatesendjobfinish": _template,
    "subscribe_msg_popup_event": _subscription("subscription_answered", "SubscribeMsgPopupEvent"),
    "subscribe_msg_change_event": _subscription("subscription_changed", "SubscribeMsgChangeEvent"),
    "subscribe_msg_sent_event": _subscription("subscription_sent", "SubscribeMsgSentEvent"),
}


# ── What do we answer? ──────────────────────────────────────────────────────────────────────────────────


def acknowledge(
    account: Account,
    verified: Verified,
    answer: tuple[Inbound, PassiveReply] | None = None,
    *,
    now: datetime,
    random: bytes,
) -> Reply:
    if answer is None:
        return GOT_IT  # needs no encryption (§2.2)
    return answered(account, verified, answer, _crypt(account), now=now, random=random)


def answered(
    account: Account,
    verified: Verified,
    answer: tuple[Inbound, PassiveReply],
    crypt: MessageCrypt,
    *,
    now: datetime,
    random: bytes,
) -> Reply:
    """A passive reply in the form of the question, encrypted when the question was."""
    inbound, reply = answer
    seconds = int(now.timestamp())
    values = {
        "ToUserName": inbound.sender,
        "FromUserName": inbound.receiver,
        "CreateTime": seconds,
        "MsgType": reply.kind,
        **_content(reply),
    }
    body = documents.write(verified.form, values)
    if verified.key is not None:
        body = envelope.seal_reply(
            body,
            verified.form,
            token=account.tokens[verified.token],
            crypt=crypt,
            key=verified.key,
            timestamp=str(seconds),
            nonce=verified.nonce,
            random=random,
        )
    kind = "application/json" if verified.form == "json" else "text/xml; charset=utf-8"
    return Reply(body, content_type=kind)


def _content(reply: PassiveReply) -> dict[str, Any]:
    """The fields of each kind of reply (§2.4)."""
    match reply:
        case TextReply():
            return {"Content": reply.text}
        case PictureReply():
            return {"Image": {"MediaId": reply.media_id}}
        case VoiceReply():
            return {"Voice": {"MediaId": reply.media_id}}
        case VideoReply():
            return {
                "Video": _filled(MediaId=reply.media_id, Title=reply.title, Description=reply.description)
            }
        case MusicReply():
            return {
                "Music": _filled(
                    Title=reply.title,
                    Description=reply.description,
                    MusicUrl=reply.music_url,
                    HQMusicUrl=reply.hq_music_url,
                    ThumbMediaId=reply.thumb_media_id,
                )
            }
        case CardReply():
            card = {
                "Title": reply.title,
                "Description": reply.description,
                "PicUrl": reply.picture_url,
                "Url": reply.url,
            }
            return {"ArticleCount": 1, "Articles": [card]}
        case HandOver():
            return {}


def _filled(**values: str) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}
