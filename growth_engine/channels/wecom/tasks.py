"""Tasks that employees confirm: mass messages, moments. Success is not delivery yet (sheet §3.10)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from growth_engine.channels import quota
from growth_engine.channels.cgi import text_of
from growth_engine.channels.wecom.client import Wecom, at_most

#: Sheet §3.10 (92135).
MOST_CUSTOMERS = 10_000
MOST_CHATS = 2000
LONGEST_TEXT_BYTES = 4000
MOST_ATTACHMENTS = 9
#: Sheet §3.10 (95094).
LONGEST_MOMENT_CHARACTERS = 2000
#: General knowledge (93338): results on one page.
_PAGE = 500
_PATH = "externalcontact"

_SENT_STATES = {0: "waiting", 1: "sent", 2: "no_longer_customer", 3: "over_monthly_limit"}
_MOMENT_STATES = {1: "started", 2: "running", 3: "done"}

Attachment = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class MassSend:
    """A mass message to customers, or to groups: each gets at most as many a month as it has days."""

    text: str = ""
    attachments: Sequence[Attachment] = ()
    customers: Sequence[str] = field(default=(), repr=False)
    chat_ids: Sequence[str] = ()
    sender: str = ""
    """The employee; required for groups."""
    may_choose: bool = False
    """Whether the employee may leave people out."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a mass message for one customer or group."""

    external_userid: str = field(repr=False)
    chat_id: str
    status: str
    """waiting (the employee has not confirmed), sent, no_longer_customer, over_monthly_limit, or other."""
    sent_at: datetime | None = None


class Tasks:
    def __init__(self, wecom: Wecom) -> None:
        self._wecom = wecom

    def mass_send(self, message: MassSend) -> tuple[str, tuple[str, ...]]:
        """Make the task: its msgid, and the customers left out (nobody's, or over the limit)."""
        at_most("customers", len(message.customers), MOST_CUSTOMERS)
        at_most("chat_ids", len(message.chat_ids), MOST_CHATS)
        body = {
            "chat_type": "group" if message.chat_ids else "single",
            **content(message.text, message.attachments),
            "allow_select": message.may_choose,
        }
        if message.chat_ids:
            body["chat_id_list"] = list(message.chat_ids)
        if message.customers:
            body["external_userid"] = list(message.customers)
        if message.sender:
            body["sender"] = message.sender
        found = self._wecom.post(f"{_PATH}/add_msg_template", body, safe=False)
        left_out = tuple(str(one) for one in found.get("fail_list") or ())
        return text_of("add_msg_template", found, "msgid", safe=False), left_out

    def confirmed(self, msgid: str) -> dict[str, bool]:
        """For each employee concerned: whether they confirmed the task."""
        pages = self._wecom.pages(f"{_PATH}/get_groupmsg_task", {"msgid": msgid, "limit": _PAGE})
        return {
            str(one["userid"]): one.get("status") == 2 for page in pages for one in page.get("task_list", ())
        }

    def deliveries(self, msgid: str, user: str) -> Iterator[Delivery]:
        """What became of an employee's part of the task."""
        body = {"msgid": msgid, "userid": user, "limit": _PAGE}
        for page in self._wecom.pages(f"{_PATH}/get_groupmsg_send_result", body):
            for one in page.get("send_list", ()):
                at = one.get("send_time")
                yield Delivery(
                    external_userid=str(one.get("external_userid") or ""),
                    chat_id=str(one.get("chat_id") or ""),
                    status=_SENT_STATES.get(one.get("status"), "other"),
                    sent_at=datetime.fromtimestamp(at, UTC) if isinstance(at, int) and at else None,
                )

    def moment(
        self,
        text: str,
        attachments: Sequence[Attachment] = (),
        *,
        users: Sequence[str] = (),
        tags: Sequence[str] = (),
    ) -> str:
        """Ask employees to publish a moment for their customers (with these tags): a job id for 24 h."""
        at_most("text", len(text), LONGEST_MOMENT_CHARACTERS)
        visible: dict[str, Any] = {}
        if users:
            visible["sender_list"] = {"user_list": list(users)}
        if tags:
            visible["external_contact_list"] = {"tag_list": list(tags)}
        body = {**content(text, attachments), **({"visible_range": visible} if visible else {})}
        budgets = (quota.MOMENT_MINUTE, quota.MOMENT_MONTH)
        found = self._wecom.post(f"{_PATH}/add_moment_task", body, safe=False, budgets=budgets)
        return text_of("add_moment_task", found, "jobid", safe=False)

    def moment_result(self, job_id: str) -> tuple[str, str]:
        """(started, running or done; the moment's id once it is done)."""
        found = self._wecom.get(f"{_PATH}/get_moment_task_result", {"jobid": job_id})
        moment = (found.get("result") or {}).get("moment_id")
        return _MOMENT_STATES.get(found.get("status", 0), "other"), str(moment or "")


def content(text: str, attachments: Sequence[Attachment]) -> dict[str, Any]:
    """Text and attachments as welcome, mass messages and moments want them."""
    at_most("text", len(text.encode()), LONGEST_TEXT_BYTES)
    at_most("attachments", len(attachments), MOST_ATTACHMENTS)
    body: dict[str, Any] = {"text": {"content": text}} if text else {}
    if attachments:
        body["attachments"] = [dict(one) for one in attachments]
    return body
