"""Sending through an Official Account: customer, template and subscription messages, inside their rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from growth_engine.channels import quota
from growth_engine.channels.cgi import Call
from growth_engine.channels.contract import (
    Link,
    Menu,
    Message,
    MiniProgram,
    OneTime,
    Outcome,
    Picture,
    Reason,
    Refused,
    Sent,
    Subscription,
    Template,
    Text,
    Way,
)
from growth_engine.channels.errors import ChannelError, OutcomeUnknown, outcome_of
from growth_engine.channels.wechat_oa.client import OfficialAccount
from growth_engine.channels.windows import Window, Windows
from growth_engine.kit.errors import Invalid

CUSTOMER_PATH = "/cgi-bin/message/custom/send"
TEMPLATE_PATH = "/cgi-bin/message/template/send"
ONE_TIME_PATH = "/cgi-bin/message/template/subscribe"
SUBSCRIPTION_PATH = "/cgi-bin/message/subscribe/bizsend"


class OfficialAccountMessenger:
    """``Messenger`` of an Official Account: a customer message is sent only inside a window we know of."""

    def __init__(self, account: OfficialAccount, windows: Windows) -> None:
        self._account, self._windows = account, windows

    def send(self, to: str, message: Message) -> Outcome:
        """Send to an openid. Never repeats what may have arrived."""
        try:
            if message.way is Way.CUSTOMER:
                return self._customer(to, message)
            return self._notice(to, message)
        except ChannelError as error:
            return outcome_of(error)
        except Invalid:  # a picture the platform would refuse
            return Refused(Reason.BAD_REQUEST, code="picture")

    # ── Customer messages ───────────────────────────────────────────────────────────────────────────────

    def _customer(self, to: str, message: Message) -> Outcome:
        # The picture first: its upload must not use up a window's seconds after a message was taken.
        body = self._customer_body(message)
        taken = self._windows.take(self._account_id, to)
        if isinstance(taken, Reason):
            return Refused(taken)
        try:
            self._send_customer(to, message, body)
        except ChannelError as error:
            self._learn(to, taken, error)
            raise
        return Sent()

    def _send_customer(self, to: str, message: Message, body: Mapping[str, Any]) -> None:
        try:
            self._account.call(Call(CUSTOMER_PATH, safe=False, body={"touser": to, **body}))
        except ChannelError as error:
            if error.reason is not Reason.MEDIA or not isinstance(message, Picture):
                raise
            # The platform dropped the picture before its time; nothing was sent, so once more is no repeat.
            fresh = self._customer_body(message, refused=body["image"]["media_id"])
            self._account.call(Call(CUSTOMER_PATH, safe=False, body={"touser": to, **fresh}))

    def _learn(self, to: str, taken: Window, error: ChannelError) -> None:
        """The platform knows better than our counters; what was certainly not sent is not counted."""
        if isinstance(error, OutcomeUnknown):
            return
        if error.reason is Reason.WINDOW_USED_UP:
            self._windows.spend(self._account_id, to, taken)
        elif error.reason in (Reason.WINDOW_CLOSED, Reason.NOT_FOLLOWING, Reason.UNKNOWN_PERSON):
            self._windows.close(self._account_id, to)
        else:
            self._windows.give_back(self._account_id, to, taken)

    def _customer_body(self, message: Message, *, refused: str | None = None) -> dict[str, Any]:
        match message:
            case Text(text=text):
                return {"msgtype": "text", "text": {"content": text}}
            case Picture(data=data, content_type=content_type):
                media_id = self._account.media_id(data, content_type, refused=refused)
                return {"msgtype": "image", "image": {"media_id": media_id}}
            case Link(title=title, description=description, url=url, picture_url=picture_url):
                article = {"title": title, "description": description, "url": url, "picurl": picture_url}
                return {"msgtype": "news", "news": {"articles": [article]}}
            case Menu(head=head, items=items, tail=tail):
                listed = [{"id": key, "content": words} for key, words in items]
                menu = {"head_content": head, "list": listed, "tail_content": tail}
                return {"msgtype": "msgmenu", "msgmenu": menu}
            case MiniProgram(title=title, app_id=app_id, page=page, thumb_media_id=thumb):
                card = {"title": title, "appid": app_id, "pagepath": page, "thumb_media_id": thumb}
                return {"msgtype": "miniprogrampage", "miniprogrampage": card}
        raise TypeError(f"{type(message).__name__} is no customer message")

    # ── Notices ─────────────────────────────────────────────────────────────────────────────────────────

    def _notice(self, to: str, message: Message) -> Outcome:
        match message:
            case Template():
                return self._template(to, message)
            case Subscription():
                body = {"touser": to, "template_id": message.template_id, "data": _fields(message.fields)}
                if message.page:
                    body["page"] = message.page
                body |= _mini_program(message.mini_program)
                return _sent(self._account.call(Call(SUBSCRIPTION_PATH, safe=False, body=body)))
            case OneTime():
                return self._one_time(to, message)
        return Refused(Reason.BAD_REQUEST, code=f"{message.way.value} is no message of an Official Account")

    def _template(self, to: str, message: Template) -> Outcome:
        body: dict[str, Any] = {
            "touser": to,
            "template_id": message.template_id,
            "data": _fields(message.fields),
        }
        if message.url:
            body["url"] = message.url
        if message.once:
            body["client_msg_id"] = message.once
        body |= _mini_program(message.mini_program)
        # With client_msg_id the platform itself refuses a second one, so a lost answer may be repeated.
        call = Call(TEMPLATE_PATH, safe=bool(message.once), body=body, budgets=(quota.TEMPLATE_DAY,))
        try:
            return _sent(self._account.call(call))
        except ChannelError as error:
            if error.reason is Reason.ALREADY_DONE and message.once:
                return Sent()
            raise

    def _one_time(self, to: str, message: OneTime) -> Outcome:
        body = {
            "touser": to,
            "template_id": message.template_id,
            "url": message.url,
            "scene": str(message.scene),
            "title": message.title,
            "data": {"content": {"value": message.text}},
        }
        return _sent(self._account.call(Call(ONE_TIME_PATH, safe=False, body=body)))

    @property
    def _account_id(self) -> str:
        return self._account.credentials.account_id


def _fields(fields: Mapping[str, str]) -> dict[str, dict[str, str]]:
    return {name: {"value": value} for name, value in fields.items()}


def _mini_program(program: tuple[str, str] | None) -> dict[str, Any]:
    return {"miniprogram": {"appid": program[0], "pagepath": program[1]}} if program else {}


def _sent(found: Mapping[str, Any]) -> Sent:
    return Sent(str(found.get("msgid") or ""))
