"""The welcome message (欢迎语): within 20 s of being added, once (sheet §3.5, rule 14)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from growth_engine.channels.contract import Message, Outcome, Reason, Refused, Sent, Welcome
from growth_engine.channels.errors import ChannelError, outcome_of
from growth_engine.channels.wecom.client import Wecom
from growth_engine.channels.wecom.tasks import content
from growth_engine.kit.errors import Invalid

#: Sheet §3.5 (92137): the WelcomeCode lives so long after the event.
WELCOME_WINDOW = timedelta(seconds=20)
#: Sheet §3.5: bytes of titles and descriptions in attachments.
LONGEST_LINK_TITLE = 128
LONGEST_LINK_DESCRIPTION = 512
LONGEST_MINI_PROGRAM_TITLE = 64


class WecomMessenger:
    """``Messenger`` of WeCom: greets new customers. Anything else an employee has to confirm (``Tasks``)."""

    def __init__(self, wecom: Wecom) -> None:
        self._wecom = wecom

    def send(self, to: str, message: Message) -> Outcome:
        """Send the welcome for the WelcomeCode ``to``."""
        if not isinstance(message, Welcome):
            return Refused(Reason.BAD_REQUEST, code=f"{message.way.value} is no message of WeCom")
        now = self._wecom.gear.clock.now()
        if message.happened_at is not None and now - message.happened_at >= WELCOME_WINDOW:
            return Refused(Reason.TOO_LATE)
        try:
            body = {"welcome_code": to, **content(message.text, message.attachments)}
            # Safe to repeat: a code works once, and the second time the answer is 41051.
            self._wecom.post("externalcontact/send_welcome_msg", body, safe=True)
        except ChannelError as error:
            return outcome_of(error)
        except Invalid:
            return Refused(Reason.BAD_REQUEST, code="size")
        return Sent()


def link(title: str, url: str, *, description: str = "", picture_url: str = "") -> Mapping[str, Any]:
    """A link as an attachment; title and description cut to what the platform takes."""
    return {
        "msgtype": "link",
        "link": {
            "title": _cut(title, LONGEST_LINK_TITLE),
            "picurl": picture_url,
            "desc": _cut(description, LONGEST_LINK_DESCRIPTION),
            "url": url,
        },
    }


def image(media_id: str) -> Mapping[str, Any]:
    return {"msgtype": "image", "image": {"media_id": media_id}}


def mini_program(title: str, media_id: str, app_id: str, page: str) -> Mapping[str, Any]:
    card = {"pic_media_id": media_id, "appid": app_id, "page": page}
    return {
        "msgtype": "miniprogram",
        "miniprogram": {"title": _cut(title, LONGEST_MINI_PROGRAM_TITLE), **card},
    }


def _cut(text: str, size: int) -> str:
    return text.encode()[:size].decode(errors="ignore")
