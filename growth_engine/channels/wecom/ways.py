"""Contact-me codes (联系我, 活码): through which customers add employees (sheet §3.4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from growth_engine.channels.cgi import text_of
from growth_engine.channels.wecom.client import Wecom, at_most

#: Sheet §3.4 (92228).
LONGEST_REMARK = 30
LONGEST_STATE = 30
MOST_USERS = 100
#: All contact ways and group join ways of a corp together: reuse them, delete after the campaign.
MOST_WAYS = 500_000
_PAGE = 1000

_SINGLE, _MULTI = 1, 2
_QR = 2
_PATH = "externalcontact"


@dataclass(frozen=True, slots=True)
class ContactWay:
    config_id: str
    qr_code: str
    """Address of the code's picture."""
    state: str
    users: tuple[str, ...]
    remark: str = ""
    skip_verify: bool = True


class ContactWays:
    def __init__(self, wecom: Wecom) -> None:
        self._wecom = wecom

    def add(
        self, users: Sequence[str], *, state: str, remark: str = "", skip_verify: bool = True
    ) -> ContactWay:
        """A code that adds one of ``users``; ``state`` comes back in the event and in the relation."""
        body = {
            "type": _SINGLE if len(users) == 1 else _MULTI,
            "scene": _QR,
            **_fields(users, state, remark, skip_verify),
        }
        found = self._wecom.post(f"{_PATH}/add_contact_way", body, safe=False)
        config_id = text_of("add_contact_way", found, "config_id", safe=False)
        code = text_of("add_contact_way", found, "qr_code", safe=False)
        return ContactWay(config_id, code, state, tuple(users), remark, skip_verify)

    def get(self, config_id: str) -> ContactWay:
        found = self._wecom.post(f"{_PATH}/get_contact_way", {"config_id": config_id}, safe=True)
        return _way(found["contact_way"])

    def update(
        self, config_id: str, users: Sequence[str], *, state: str, remark: str = "", skip_verify: bool = True
    ) -> None:
        """Other people behind the same code: how a live code rotates."""
        body = {"config_id": config_id, **_fields(users, state, remark, skip_verify)}
        self._wecom.post(f"{_PATH}/update_contact_way", body, safe=True)

    def delete(self, config_id: str) -> None:
        self._wecom.post(f"{_PATH}/del_contact_way", {"config_id": config_id}, safe=True)

    def ids(self, since: int, until: int) -> Iterator[str]:
        """Config ids made between two times (seconds); only those made after 2021-07-10 are listed."""
        body = {"start_time": since, "end_time": until, "limit": _PAGE}
        for page in self._wecom.pages(f"{_PATH}/list_contact_way", body):
            yield from (str(way["config_id"]) for way in page.get("contact_way", ()))


def _fields(users: Sequence[str], state: str, remark: str, skip_verify: bool) -> dict[str, Any]:
    at_most("state", len(state), LONGEST_STATE)
    at_most("remark", len(remark), LONGEST_REMARK)
    at_most("users", len(users), MOST_USERS)
    return {"user": list(users), "state": state, "remark": remark, "skip_verify": skip_verify}


def _way(found: dict[str, Any]) -> ContactWay:
    return ContactWay(
        config_id=str(found["config_id"]),
        qr_code=str(found.get("qr_code") or ""),
        state=str(found.get("state") or ""),
        users=tuple(found.get("user") or ()),
        remark=str(found.get("remark") or ""),
        skip_verify=bool(found.get("skip_verify", True)),
    )
