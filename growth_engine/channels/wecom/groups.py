"""Customer groups (客户群): codes to join them, members, hand-over of owners (sheet §3.7, §3.8)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from growth_engine.channels.cgi import text_of
from growth_engine.channels.wecom.client import Wecom, at_most

#: Sheet §3.7 (92229).
LONGEST_REMARK = 30
LONGEST_STATE = 30
LONGEST_ROOM_NAME = 40
MOST_CHATS = 5
#: Sheet §3.8 (90500): groups in one hand-over; 300 a day for one owner who left.
MOST_TRANSFERRED = 100
#: General knowledge (92120).
_PAGE = 1000
_QR = 2
_PATH = "externalcontact/groupchat"


@dataclass(frozen=True, slots=True)
class JoinWay:
    """A code that lets people into one of up to five groups."""

    state: str
    chat_ids: tuple[str, ...]
    remark: str = ""
    auto_create: bool = True
    """Make another group when all are full."""
    room_name: str = ""
    room_number: int = 1
    qr_code: str = ""
    """Address of the picture; only in what ``join_way`` answers."""


@dataclass(frozen=True, slots=True)
class GroupMember:
    id: str = field(repr=False)
    """Userid of an employee, external id of anybody else."""
    is_employee: bool
    unionid: str = field(repr=False)
    joined_at: datetime | None
    join_scene: int
    """1 invited, 2 by link, 3 by code."""
    invited_by: str
    """An employee; WeChat users who invite each other are not told: attribution goes by ``state``."""
    state: str
    """Of the join way."""


@dataclass(frozen=True, slots=True)
class Group:
    chat_id: str
    name: str
    owner: str
    members: tuple[GroupMember, ...]
    member_version: str
    """Another one than stored, and not told by an event: an event was lost (sheet §3.3)."""


class Groups:
    def __init__(self, wecom: Wecom) -> None:
        self._wecom = wecom

    def ids(self, owners: Sequence[str] = ()) -> Iterator[str]:
        """Chat ids of all customer groups, or of these owners'."""
        body: dict[str, Any] = {"status_filter": 0, "limit": _PAGE}
        if owners:
            body["owner_filter"] = {"userid_list": list(owners)}
        for page in self._wecom.pages(f"{_PATH}/list", body):
            yield from (str(one["chat_id"]) for one in page.get("group_chat_list", ()))

    def get(self, chat_id: str) -> Group:
        """A group with its members; may lag about 2 s behind its event (sheet §3.3)."""
        found = self._wecom.post(f"{_PATH}/get", {"chat_id": chat_id, "need_name": 0}, safe=True)
        group = found["group_chat"]
        return Group(
            chat_id=str(group["chat_id"]),
            name=str(group.get("name") or ""),
            owner=str(group.get("owner") or ""),
            members=tuple(_member(one) for one in group.get("member_list") or ()),
            member_version=str(group.get("member_version") or ""),
        )

    def add_join_way(self, way: JoinWay) -> str:
        """A new code; its config id. ``join_way`` gives the picture."""
        found = self._wecom.post(f"{_PATH}/add_join_way", {"scene": _QR, **_fields(way)}, safe=False)
        return text_of("add_join_way", found, "config_id", safe=False)

    def join_way(self, config_id: str) -> JoinWay:
        found = self._wecom.post(f"{_PATH}/get_join_way", {"config_id": config_id}, safe=True)["join_way"]
        return JoinWay(
            state=str(found.get("state") or ""),
            chat_ids=tuple(found.get("chat_id_list") or ()),
            remark=str(found.get("remark") or ""),
            auto_create=found.get("auto_create_room", 1) == 1,
            room_name=str(found.get("room_base_name") or ""),
            room_number=int(found.get("room_base_id") or 1),
            qr_code=str(found.get("qr_code") or ""),
        )

    def update_join_way(self, config_id: str, way: JoinWay) -> None:
        """Overwrites every field: that is why it takes a whole way (sheet §3.7)."""
        body = {"config_id": config_id, "scene": _QR, **_fields(way)}
        self._wecom.post(f"{_PATH}/update_join_way", body, safe=True)

    def delete_join_way(self, config_id: str) -> None:
        self._wecom.post(f"{_PATH}/del_join_way", {"config_id": config_id}, safe=True)

    def transfer(self, chat_ids: Sequence[str], owner: str, *, resigned: bool) -> dict[str, int]:
        """Give groups another owner; the platform's code for each group that failed."""
        at_most("groups", len(chat_ids), MOST_TRANSFERRED)
        path = f"{_PATH}/transfer" if resigned else f"{_PATH}/onjob_transfer"
        found = self._wecom.post(path, {"chat_id_list": list(chat_ids), "new_owner": owner}, safe=False)
        return {str(one["chat_id"]): int(one["errcode"]) for one in found.get("failed_chat_list", ())}


def _fields(way: JoinWay) -> dict[str, Any]:
    at_most("state", len(way.state), LONGEST_STATE)
    at_most("remark", len(way.remark), LONGEST_REMARK)
    at_most("room_name", len(way.room_name), LONGEST_ROOM_NAME)
    at_most("chat_ids", len(way.chat_ids), MOST_CHATS)
    fields: dict[str, Any] = {
        "remark": way.remark,
        "auto_create_room": int(way.auto_create),
        "chat_id_list": list(way.chat_ids),
        "state": way.state,
    }
    if way.room_name:
        fields |= {"room_base_name": way.room_name, "room_base_id": way.room_number}
    return fields


def _member(found: Mapping[str, Any]) -> GroupMember:
    at = found.get("join_time")
    return GroupMember(
        id=str(found["userid"]),
        is_employee=found.get("type") == 1,
        unionid=str(found.get("unionid") or ""),
        joined_at=datetime.fromtimestamp(at, UTC) if isinstance(at, int) else None,
        join_scene=int(found.get("join_scene") or 0),
        invited_by=str((found.get("invitor") or {}).get("userid") or ""),
        state=str(found.get("state") or ""),
    )
