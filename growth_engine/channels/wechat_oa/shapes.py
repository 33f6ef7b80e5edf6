"""What the Official Account answers, as values of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

#: A code on a poster is made anew so long before it ends: people look at pictures they saved (sheet §2.8).
RENEWED_BEFORE = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class QrTicket:
    """A parametric QR code."""

    ticket: str
    url: str
    """The text inside the code: draw it ourselves for posters."""
    expires_at: datetime

    @property
    def renew_at(self) -> datetime:
        """From when on whoever shows this code should have a new one; the scene stays the same."""
        return self.expires_at - RENEWED_BEFORE


@dataclass(frozen=True, slots=True)
class Follower:
    """``user/info``: name, picture, sex and region are empty since 2021-12-27 (rule 13), so not here."""

    openid: str = field(repr=False)
    following: bool
    unionid: str = field(default="", repr=False)
    followed_at: datetime | None = None
    scene: str = ""
    """``ADD_SCENE_QR_CODE`` …: how the person came to follow."""
    qr_scene: str = ""
    """The scene of the code followed through: repairs attribution after a lost event (sheet §2.10)."""
    language: str = ""
    tags: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class PageConfig:
    """What ``wx.config`` needs on a page (sheet §2.12)."""

    app_id: str
    timestamp: int
    nonce: str
    signature: str


def follower_of(found: Mapping[str, Any]) -> Follower:
    at = found.get("subscribe_time")
    # A number scene comes as qr_scene; 0 means none.
    scene = str(found.get("qr_scene_str") or found.get("qr_scene") or "")
    return Follower(
        openid=str(found["openid"]),
        following=found.get("subscribe") == 1,
        unionid=str(found.get("unionid") or ""),
        followed_at=datetime.fromtimestamp(at, UTC) if isinstance(at, int) and at > 0 else None,
        scene=str(found.get("subscribe_scene") or ""),
        qr_scene=scene,
        language=str(found.get("language") or ""),
        tags=tuple(tag for tag in found.get("tagid_list") or () if isinstance(tag, int)),
    )
