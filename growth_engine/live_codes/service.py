"""Commands on live codes: make and change them and their targets, lead somebody to a target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from growth_engine.context import Ctx
from growth_engine.kit.errors import Conflict, Invalid
from growth_engine.kit.i18n import N_
from growth_engine.live_codes import queries, rules
from growth_engine.live_codes.models import LiveCode, Target, Visitor
from growth_engine.live_codes.pictures import CodePicture
from growth_engine.plays import queries as plays
from growth_engine.plays.contract import has_live_code
from growth_engine.plays.registry import play
from growth_engine.settings import Settings

#: A code's targets are looked through for every newcomer.
MOST_TARGETS = 200
#: What a target may be changed in.
_EDITABLE = (
    "name", "kind", "capacity", "opens", "closes", "weekdays", "expires_at", "position", "weight", "fallback",
    "state",
)  # fmt: skip


class CampaignTaken(Conflict):
    code = "campaign_has_live_code"
    message = N_("This campaign has a live code already.")


class NoSuchPlay(Invalid):
    code = "campaign_without_live_code"
    message = N_("This campaign's play leads nobody through a live code.")


class SameCode(Invalid):
    code = "same_qr_code"
    message = N_("“%(name)s” shows this very code already.")


class TooManyTargets(Conflict):
    code = "too_many_targets"
    message = N_("At most %(most)s targets stand behind one live code.")


@dataclass(frozen=True, slots=True)
class Showing:
    """What somebody who scanned is shown: a target, or the reason why none."""

    target: Target | None
    reason: str = ""
    again: bool = False
    """They were led there before."""


def url(settings: Settings, row: LiveCode) -> str:
    """What the live code's own QR code says."""
    return f"{settings.public_url.rstrip('/')}/g/{row.token}"


def create(
    ctx: Ctx, *, name: str, spread: str = "fill", note: str = "", campaign_id: str | None = None
) -> LiveCode:
    """A new live code without targets. Raises ``UnknownCampaign``, ``NoSuchPlay``, ``CampaignTaken``."""
    _check_campaign(ctx, campaign_id)
    made = LiveCode(
        id=ctx.new_id("lvc"),
        workspace_id=ctx.workspace_id,
        name=name,
        token=ctx.parts.ids.token(),
        campaign_id=campaign_id,
        spread=spread,
        note=note,
        state="active",
        created_by=ctx.actor.id,
        created_at=ctx.now(),
        updated_at=ctx.now(),
    )
    try:
        with ctx.session.begin_nested():
            ctx.session.add(made)
    except IntegrityError:
        raise CampaignTaken from None
    return made


def change(ctx: Ctx, live_code_id: str, changes: Mapping[str, Any]) -> LiveCode:
    """Name, spread, note, campaign or state. Raises ``UnknownCampaign``, ``NoSuchPlay``,
    ``CampaignTaken``."""
    _check_campaign(ctx, changes.get("campaign_id"))
    row = queries.live_code(ctx, live_code_id, lock=True)
    try:
        with ctx.session.begin_nested():
            for name in ("name", "spread", "note", "campaign_id", "state"):
                if name in changes:
                    setattr(row, name, changes[name])
            row.updated_at = ctx.now()
    except IntegrityError:
        raise CampaignTaken from None
    return row


def _check_campaign(ctx: Ctx, campaign_id: str | None) -> None:
    if campaign_id is not None and not has_live_code(play(plays.campaign(ctx, campaign_id).play)):
        raise NoSuchPlay(fields={"campaign_id": [NoSuchPlay.message]})


def add_target(ctx: Ctx, live_code_id: str, picture: CodePicture, given: Mapping[str, Any]) -> Target:
    """One more place to lead people to. Raises ``SameCode``, ``TooManyTargets``.

    A WeChat group without an end gets the seven days such codes live.
    """
    queries.live_code(ctx, live_code_id, lock=True)
    known = queries.targets(ctx, live_code_id, fresh=True)
    if len(known) >= MOST_TARGETS:
        raise TooManyTargets(params={"most": MOST_TARGETS})
    _check_new(known, picture)
    now = ctx.now()
    made = Target(
        id=ctx.new_id("lvt"),
        workspace_id=ctx.workspace_id,
        live_code_id=live_code_id,
        taken=0,
        state="active",
        created_at=now,
        updated_at=now,
        position=max((one.position for one in known), default=-1) + 1,
        picture_key=picture.key,
        content=picture.content,
        **{"capacity": None, "opens": "", "closes": "", "weight": 1, "fallback": False},
    )
    made.weekdays, made.expires_at = list(rules.EVERY_DAY), None
    _apply(made, given)
    if made.kind == "group" and made.expires_at is None:
        made.expires_at = now + rules.GROUP_CODE_LIFE
    ctx.session.add(made)
    ctx.session.flush()
    return made


def change_target(
    ctx: Ctx, live_code_id: str, target_id: str, given: Mapping[str, Any], picture: CodePicture | None = None
) -> Target:
    """Change a target; with a fresh picture of a WeChat group's code its seven days begin anew, unless
    another end is given. Raises ``UnknownTarget``, ``SameCode``."""
    queries.live_code(ctx, live_code_id, lock=True)
    known = queries.targets(ctx, live_code_id, fresh=True)
    row = queries.target(ctx, live_code_id, target_id)
    ended = row.expires_at
    _apply(row, given)
    if picture is not None and picture.content != row.content:
        _check_new([one for one in known if one.id != row.id], picture)
        if row.kind == "group" and row.expires_at in (ended, None):
            row.expires_at = ctx.now() + rules.GROUP_CODE_LIFE
    if picture is not None:
        row.picture_key, row.content = picture.key, picture.content
    row.updated_at = ctx.now()
    ctx.session.flush()
    return row


def _apply(row: Target, given: Mapping[str, Any]) -> None:
    for name in _EDITABLE:
        if name in given:
            setattr(row, name, given[name])


def _check_new(known: Any, picture: CodePicture) -> None:
    for one in known:
        if one.content == picture.content:
            raise SameCode(params={"name": one.name})


def show(ctx: Ctx, live_code_id: str, who: str) -> Showing:
    """Lead ``who`` (a keyed hash) to a target and count it: where they were led before, if that still
    stands, else where there is room.

    Newcomers of one code go one after the other (its row is locked), so no target gets more people than
    it has room for.
    """
    code = queries.live_code(ctx, live_code_id)
    if code.state != "active":
        return Showing(None, "paused")
    zone = ZoneInfo(queries.zone_name(ctx))
    known = _led_before(ctx, live_code_id, who, zone)
    if known is not None:
        return known
    code = queries.live_code(ctx, live_code_id, lock=True)
    # While we waited for the lock, another scan of the same person may have found them a place.
    known = _led_before(ctx, live_code_id, who, zone)
    if known is not None:
        return known
    choice = rules.choose(queries.targets(ctx, live_code_id, fresh=True), ctx.now(), zone, code.spread)
    if choice.target is None:
        return Showing(None, choice.reason)
    _give_back(ctx, live_code_id, who)
    choice.target.taken += 1
    _note_visitor(ctx, live_code_id, who, choice.target.id)
    return Showing(choice.target)


def _led_before(ctx: Ctx, live_code_id: str, who: str, zone: ZoneInfo) -> Showing | None:
    """The same target again, while it can still be shown."""
    visitor = queries.visitor(ctx, live_code_id, who)
    if visitor is None:
        return None
    target = ctx.session.get(Target, visitor.target_id)
    if target is None or not rules.keeps(target, ctx.now(), zone):
        return None
    visitor.showings = Visitor.showings + 1
    visitor.last_at = ctx.now()
    return Showing(target, again=True)


def _give_back(ctx: Ctx, live_code_id: str, who: str) -> None:
    """Whoever comes back after their target's code has ended did not get in with it: their place is free."""
    visitor = queries.visitor(ctx, live_code_id, who)
    before = ctx.session.get(Target, visitor.target_id) if visitor else None
    if before is not None and before.expires_at is not None and before.expires_at <= ctx.now():
        before.taken = max(0, before.taken - 1)


def _note_visitor(ctx: Ctx, live_code_id: str, who: str, target_id: str) -> None:
    now = ctx.now()
    row = {
        "live_code_id": live_code_id,
        "visitor": who,
        "workspace_id": ctx.workspace_id,
        "target_id": target_id,
        "showings": 1,
        "first_at": now,
        "last_at": now,
    }
    moved = {"target_id": target_id, "first_at": now, "last_at": now, "showings": Visitor.showings + 1}
    ctx.session.execute(
        insert(Visitor)
        .values(row)
        .on_conflict_do_update(index_elements=["live_code_id", "visitor"], set_=moved)
    )
    ctx.session.flush()
