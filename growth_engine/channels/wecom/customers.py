"""Customers of employees: read, remarked, tagged, handed over (sheet §3.8, §3.9, §3.11)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from growth_engine.channels.contract import Reason
from growth_engine.channels.errors import WECOM, GoneForGood
from growth_engine.channels.wecom.client import Wecom, at_most

#: Sheet §3.8: so many customers in one hand-over, so long a message to them (in service only).
MOST_TRANSFERRED = 100
LONGEST_TRANSFER_MESSAGE = 200
#: Sheet §3.9: names of tags; tags of a corp; tags on one pair of employee and customer.
LONGEST_TAG = 30
MOST_TAGS = 10_000
MOST_TAGS_ON_CUSTOMER = 3000
#: General knowledge (92115).
LONGEST_REMARK = 20
LONGEST_DESCRIPTION = 150
#: batch/get_by_user (92994): employees in one call, customers on one page.
USERS_AT_ONCE = 100
_PAGE = 100
#: General knowledge: the employee has no customers at all.
_NO_CUSTOMERS = "84061"
_PATH = "externalcontact"


@dataclass(frozen=True, slots=True)
class Relation:
    """An employee who has the customer."""

    user: str
    state: str
    """Of the way it came through; empty without one."""
    added_at: datetime | None
    add_way: int
    """1 scan, 3 card, 4 group, 16 acquisition link, 201 shared inside, 202 assigned: a hand-over (§3.8)."""
    remark: str = field(default="", repr=False)
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Customer:
    external_userid: str = field(repr=False)
    name: str = field(repr=False)
    unionid: str = field(repr=False)
    """Only of WeChat users, only when a developer account of the same entity is bound (§3.11)."""
    is_wechat: bool
    relations: tuple[Relation, ...]
    avatar_url: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class TagGroup:
    id: str
    name: str
    tags: tuple[tuple[str, str], ...]
    """(id, name) of each tag."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """How the hand-over of one customer stands."""

    external_userid: str = field(repr=False)
    status: str
    """done, waiting, refused, customer_limit, or other."""


_TRANSFER_STATES = {1: "done", 2: "waiting", 3: "refused", 4: "customer_limit"}


class Customers:
    def __init__(self, wecom: Wecom) -> None:
        self._wecom = wecom

    # ── Reading, for reconciliation: callbacks are not guaranteed (rule 15) ─────────────────────────────

    def employees(self) -> list[str]:
        """Who may have customers."""
        return [str(user) for user in self._wecom.get(f"{_PATH}/get_follow_user_list").get("follow_user", ())]

    def of(self, user: str) -> list[str]:
        """External ids of an employee's customers; none when there are none."""
        try:
            found = self._wecom.get(f"{_PATH}/list", {"userid": user})
        except GoneForGood as error:
            if error.number == _NO_CUSTOMERS:
                return []
            raise
        return [str(one) for one in found.get("external_userid", ())]

    def get(self, external_userid: str) -> Customer:
        """One customer with all relations (pages of 500). GoneForGood when nobody has them any more."""
        relations: list[Relation] = []
        params = {"external_userid": external_userid}
        while True:
            found = self._wecom.get(f"{_PATH}/get", params)
            relations += [_relation(one) for one in found.get("follow_user", ())]
            cursor = found.get("next_cursor")
            if not cursor or cursor == params.get("cursor"):
                return _customer(found["external_contact"], relations)
            params = {**params, "cursor": str(cursor)}

    def of_all(self, users: Sequence[str]) -> Iterator[Customer]:
        """Customers of many employees, each with the one relation concerned (``batch/get_by_user``)."""
        for start in range(0, len(users), USERS_AT_ONCE):
            body = {"userid_list": list(users[start : start + USERS_AT_ONCE]), "limit": _PAGE}
            for page in self._wecom.pages(f"{_PATH}/batch/get_by_user", body):
                for one in page.get("external_contact_list", ()):
                    yield _customer(one["external_contact"], [_relation(one["follow_info"])])

    def openid(self, external_userid: str) -> str:
        """The openid of a WeChat user (``wm…`` only)."""
        found = self._wecom.post(
            f"{_PATH}/convert_to_openid", {"external_userid": external_userid}, safe=True
        )
        return str(found.get("openid") or "")

    # ── Remarks and tags. What is changed here fires no callback (rule 16) ──────────────────────────────

    def remark(
        self, user: str, external_userid: str, *, remark: str | None = None, description: str | None = None
    ) -> None:
        at_most("remark", len(remark or ""), LONGEST_REMARK)
        at_most("description", len(description or ""), LONGEST_DESCRIPTION)
        body = {"userid": user, "external_userid": external_userid}
        body |= {} if remark is None else {"remark": remark}
        body |= {} if description is None else {"description": description}
        self._wecom.post(f"{_PATH}/remark", body, safe=True)

    def tag_groups(self) -> list[TagGroup]:
        found = self._wecom.post(f"{_PATH}/get_corp_tag_list", {}, safe=True)
        return [_tag_group(group) for group in found.get("tag_group", ())]

    def add_tags(self, group: str, names: Sequence[str]) -> TagGroup:
        """New tags in the group called ``group``, which is made when there is none."""
        for name in names:
            at_most("tag", len(name), LONGEST_TAG)
        body = {"group_name": group, "tag": [{"name": name} for name in names]}
        return _tag_group(self._wecom.post(f"{_PATH}/add_corp_tag", body, safe=False)["tag_group"])

    def rename_tag(self, tag_id: str, name: str) -> None:
        at_most("tag", len(name), LONGEST_TAG)
        self._wecom.post(f"{_PATH}/edit_corp_tag", {"id": tag_id, "name": name}, safe=True)

    def delete_tags(self, tag_ids: Sequence[str]) -> None:
        self._wecom.post(f"{_PATH}/del_corp_tag", {"tag_id": list(tag_ids)}, safe=True)

    def mark(
        self, user: str, external_userid: str, *, add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> None:
        """Put tags on a customer, as this employee sees them, and take others off."""
        at_most("tags", len(add), MOST_TAGS_ON_CUSTOMER)
        body = {"userid": user, "external_userid": external_userid}
        marks = {"add_tag": list(add), "remove_tag": list(remove)}
        self._wecom.post(f"{_PATH}/mark_tag", {**body, **marks}, safe=True)

    # ── Handing over: never new credit for anybody (§3.8) ───────────────────────────────────────────────

    def transfer(
        self, giver: str, taker: str, external_userids: Sequence[str], *, message: str = ""
    ) -> dict[str, int]:
        """Ask that ``taker`` takes over customers of ``giver``, who is in service.

        Answers the platform's code for each customer (0: under way; may refuse within 24 h).
        """
        at_most("message", len(message), LONGEST_TRANSFER_MESSAGE)
        more = {"transfer_success_msg": message} if message else {}
        return self._transfer("transfer_customer", giver, taker, external_userids, more)

    def transfer_of_resigned(self, giver: str, taker: str, external_userids: Sequence[str]) -> dict[str, int]:
        """The same after ``giver`` left, at most a year ago."""
        return self._transfer("resigned/transfer_customer", giver, taker, external_userids, {})

    def transfers(self, giver: str, taker: str, *, resigned: bool = False) -> Iterator[Transfer]:
        """How hand-overs between two employees stand."""
        path = "resigned/transfer_result" if resigned else "transfer_result"
        body = {"handover_userid": giver, "takeover_userid": taker}
        for page in self._wecom.pages(f"{_PATH}/{path}", body):
            for one in page.get("customer", ()):
                status = _TRANSFER_STATES.get(one.get("status"), "other")
                yield Transfer(str(one["external_userid"]), status)

    def unassigned(self) -> Iterator[tuple[str, str]]:
        """(employee who left, external id) of customers nobody has taken over."""
        for page in self._wecom.pages(f"{_PATH}/get_unassigned_list", {"page_size": 1000}):
            for one in page.get("info", ()):
                yield str(one["handover_userid"]), str(one["external_userid"])

    def _transfer(
        self, path: str, giver: str, taker: str, external_userids: Sequence[str], more: Mapping[str, str]
    ) -> dict[str, int]:
        at_most("customers", len(external_userids), MOST_TRANSFERRED)
        body = {
            "handover_userid": giver,
            "takeover_userid": taker,
            "external_userid": list(external_userids),
            **more,
        }
        found = self._wecom.post(f"{_PATH}/{path}", body, safe=False)
        return {str(one["external_userid"]): int(one.get("errcode", 0)) for one in found.get("customer", ())}


def why_not_transferred(code: int) -> Reason:
    """What a customer's code in the answer of ``transfer`` means."""
    return WECOM.get(code, Reason.OTHER)


def _relation(found: Mapping[str, Any]) -> Relation:
    tags = found.get("tag_id") or [tag.get("tag_id") for tag in found.get("tags") or ()]
    at = found.get("createtime")
    return Relation(
        user=str(found.get("userid") or ""),
        state=str(found.get("state") or ""),
        added_at=datetime.fromtimestamp(at, UTC) if isinstance(at, int) else None,
        add_way=int(found.get("add_way") or 0),
        remark=str(found.get("remark") or ""),
        tags=tuple(str(tag) for tag in tags if tag),
    )


def _customer(found: Mapping[str, Any], relations: Sequence[Relation]) -> Customer:
    return Customer(
        external_userid=str(found["external_userid"]),
        name=str(found.get("name") or ""),
        unionid=str(found.get("unionid") or ""),
        is_wechat=found.get("type") == 1,
        relations=tuple(relations),
        avatar_url=str(found.get("avatar") or ""),
    )


def _tag_group(found: Mapping[str, Any]) -> TagGroup:
    tags = tuple((str(tag["id"]), str(tag["name"])) for tag in found.get("tag") or ())
    return TagGroup(str(found["group_id"]), str(found.get("group_name") or ""), tags)
