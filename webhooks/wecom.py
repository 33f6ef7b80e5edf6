"""WeCom (企业微信): how it calls us (sheet §3.2 and §3.3). Always encrypted, the first question too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from growth_engine.channels.protocol import documents, envelope
from growth_engine.channels.protocol.documents import Fields, Unreadable
from growth_engine.channels.protocol.envelope import Envelope
from growth_engine.channels.protocol.message_crypt import MessageCrypt, MessageRefused
from growth_engine.inbox import payloads
from growth_engine.inbox.contract import (
    MOST_ID,
    Account,
    Inbound,
    PassiveReply,
    Refused,
    Reply,
    Request,
    Verified,
    identity_of,
)
from growth_engine.inbox.payloads import Payload
from growth_engine.kit.i18n import N_
from webhooks import wechat_oa

slug = "wecom"
title = N_("WeCom")
headers = ()
#: 5 s for messages, after that up to three more tries; 1 s for the first question (§3.2).
answer_seconds = 5.0

#: What the platform calls itself as the sender of events.
SYSTEM = "sys"


# ── Is it the platform? ─────────────────────────────────────────────────────────────────────────────────


def challenge(request: Request, account: Account) -> Reply:
    """The decrypted text and nothing else: no quotes, no newline (rule 3)."""
    return Reply(_open(request, request.query.get("echostr", ""), account).message)


def verify(request: Request, account: Account) -> Verified:
    try:
        outside, form = documents.read(request.body)
    except Unreadable as error:
        raise Refused(error.message, code=error.code, status=error.status) from None
    opened = _open(request, outside.text("Encrypt"), account)
    return Verified(opened.message, form, request.query.get("nonce", ""), opened.key, opened.token)


def refuse(error: Refused) -> Reply:
    return Reply(error.code.encode(), error.status)


def _open(request: Request, encrypted: str, account: Account) -> Envelope:
    try:
        return envelope.open_encrypted(request.query, encrypted, tokens=account.tokens, crypt=_crypt(account))
    except MessageRefused as error:
        raise Refused(error.message, code=error.code, status=error.status) from None


def _crypt(account: Account) -> MessageCrypt:
    # A self-built application's messages end in the corpid (§3.2).
    return MessageCrypt(account.ids.get("corpid", ""), account.aes_keys)


# ── What does it say? ───────────────────────────────────────────────────────────────────────────────────


def parse(content: bytes, account: str) -> list[Inbound]:
    said, _ = documents.read(content)
    sender = said.text("FromUserName", most=MOST_ID)
    if sender == SYSTEM:
        sender = said.text("ExternalUserID", most=MOST_ID)
    kind, payload = _understood(said)
    return [
        Inbound(
            provider=slug,
            account=account,
            identity=_identity(said, kind),
            kind=kind,
            occurred_at=wechat_oa.moment(said),
            sender=sender,
            receiver=said.text("ToUserName", most=MOST_ID),
            payload=payload,
        )
    ]


def _understood(said: Fields) -> tuple[str, Payload]:
    if said.text("MsgType").lower() != "event":
        return wechat_oa.message(said)
    event, change = said.text("Event").lower(), said.text("ChangeType").lower()
    read = _EVENTS.get((event, change)) or _EVENTS.get((event, "*"))
    if read is None:
        name = f"{said.text('Event')} {said.text('ChangeType')}".strip()
        return "unknown", payloads.Unknown(name[:MOST_ID], said.values)
    return read(said)


def _identity(said: Fields, kind: str) -> str:
    """Messages by MsgId; events, which have none, by the fields that tell two of one second apart."""
    number = said.text("MsgId", most=MOST_ID)
    if number and kind != "unknown":
        return f"msg:{number}"
    if kind == "unknown":
        return f"doc:{wechat_oa.whole_identity(said)}"
    names = (
        "FromUserName", "CreateTime", "Event", "ChangeType", "UserID", "ExternalUserID", "ChatId",
        "UpdateDetail", "CurMemVer", "Id", "TagType", "LinkId", "ChatKey",
    )  # fmt: skip
    members = said.part("MemChangeList").texts("Item") or said.texts("MemChangeList")
    return f"evt:{identity_of(*(said.text(name) for name in names), *members)}"


def _people(said: Fields) -> dict[str, str]:
    return {
        "user_id": said.text("UserID", most=MOST_ID),
        "external_user_id": said.text("ExternalUserID", most=MOST_ID),
    }


def _added(kind: str) -> Callable[[Fields], tuple[str, Payload]]:
    def read(said: Fields) -> tuple[str, Payload]:
        return kind, payloads.ContactAdded(
            **_people(said), state=said.text("State"), welcome_code=said.text("WelcomeCode")
        )

    return read


def _edited(said: Fields) -> tuple[str, Payload]:
    return "contact_edited", payloads.ContactEdited(**_people(said))


def _deleted(said: Fields) -> tuple[str, Payload]:
    by_transfer = said.text("Source") == "DELETE_BY_TRANSFER"
    return "contact_deleted", payloads.ContactDeleted(**_people(said), by_transfer=by_transfer)


def _left(said: Fields) -> tuple[str, Payload]:
    return "contact_left", payloads.ContactLeft(**_people(said))


def _transfer_failed(said: Fields) -> tuple[str, Payload]:
    return "contact_transfer_failed", payloads.TransferFailed(**_people(said), reason=said.text("FailReason"))


def _group(kind: str) -> Callable[[Fields], tuple[str, Payload]]:
    def read(said: Fields) -> tuple[str, Payload]:
        return kind, payloads.GroupChanged(
            chat_id=said.text("ChatId", most=MOST_ID),
            detail=said.text("UpdateDetail"),
            join_scene=said.text("JoinScene"),
            quit_scene=said.text("QuitScene"),
            member_count=said.number("MemChangeCnt") or 0,
            members=tuple(said.part("MemChangeList").texts("Item") or said.texts("MemChangeList")),
            last_version=said.text("LastMemVer"),
            version=said.text("CurMemVer"),
        )

    return read


def _tag(said: Fields) -> tuple[str, Payload]:
    return "tag_changed", payloads.TagChanged(
        said.text("ChangeType").lower(), said.text("Id"), said.text("TagType"), said.text("StrategyId")
    )


def _acquisition(said: Fields) -> tuple[str, Payload]:
    return "acquisition", payloads.AcquisitionChanged(
        change=said.text("ChangeType").lower(),
        link_id=said.text("LinkId"),
        **_people(said),
        state=said.text("State"),
        chat_key=said.text("ChatKey"),
    )


_EVENTS: Mapping[tuple[str, str], Callable[[Fields], tuple[str, Payload]]] = {
    ("change_external_contact", "add_external_contact"): _added("contact_added"),
    ("change_external_contact", "add_half_external_contact"): _added("contact_half_added"),
    ("change_external_contact", "edit_external_contact"): _edited,
    ("change_external_contact", "del_external_contact"): _deleted,
    ("change_external_contact", "del_follow_user"): _left,
    ("change_external_contact", "transfer_fail"): _transfer_failed,
    ("change_external_chat", "create"): _group("group_created"),
    ("change_external_chat", "update"): _group("group_updated"),
    ("change_external_chat", "dismiss"): _group("group_dismissed"),
    ("change_external_tag", "create"): _tag,
    ("change_external_tag", "update"): _tag,
    ("change_external_tag", "delete"): _tag,
    ("change_external_tag", "shuffle"): _tag,
    ("customer_acquisition", "*"): _acquisition,
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
    """An empty body says it arrived. Only an employee's message to the application can be answered."""
    if answer is None or answer[0].kind not in ("text", "message"):
        return Reply()
    return wechat_oa.answered(account, verified, answer, _crypt(account), now=now, random=random)
