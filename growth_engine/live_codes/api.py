"""REST: live codes and their targets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from growth_engine.context import Ctx
from growth_engine.kit import rest
from growth_engine.kit.pages import Page
from growth_engine.live_codes import pictures, queries, rules, service
from growth_engine.live_codes.models import LiveCode
from growth_engine.live_codes.pictures import CodePicture
from growth_engine.live_codes.schemas import (
    LiveCodeBody,
    LiveCodeChange,
    LiveCodeDetail,
    LiveCodeShape,
    TargetBody,
    TargetChange,
    picture_bytes,
)

blp = rest.Blueprint("live_codes", __name__, description="One code that leads into many groups.")


@blp.get("/live-codes")
@rest.scope("campaigns:read")
@rest.asks(rest.PageQuery)
@rest.answers(200, rest.page_of(LiveCodeShape))
def list_live_codes(ctx: Ctx, query: Mapping[str, Any]) -> Page[Any]:
    """Live codes, newest first."""
    (before,) = rest.after(query["cursor"], str) or ("",)
    rows, last = queries.live_codes_page(ctx, before=before, limit=query["limit"])
    return rest.page([_shape(ctx, row) for row in rows], last)


@blp.post("/live-codes")
@rest.scope("campaigns:write")
@rest.takes(LiveCodeBody)
@rest.answers(201, LiveCodeDetail)
@rest.refuses(404, 409)
def create_live_code(ctx: Ctx, body: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """Make a live code; it shows something once it has a target."""
    return _detail(ctx, service.create(ctx, **body)), 201


@blp.get("/live-codes/<live_code_id>")
@rest.scope("campaigns:read")
@rest.answers(200, LiveCodeDetail)
def get_live_code(ctx: Ctx, live_code_id: str) -> dict[str, Any]:
    """A live code, its targets with their figures, and what to see to."""
    return _detail(ctx, queries.live_code(ctx, live_code_id))


@blp.patch("/live-codes/<live_code_id>")
@rest.scope("campaigns:write")
@rest.takes(LiveCodeChange)
@rest.answers(200, LiveCodeDetail)
@rest.refuses(409)
def change_live_code(ctx: Ctx, live_code_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Change a live code; its link stays."""
    return _detail(ctx, service.change(ctx, live_code_id, body))


@blp.post("/live-codes/<live_code_id>/targets")
@rest.scope("campaigns:write")
@rest.takes(TargetBody)
@rest.answers(201, LiveCodeDetail)
@rest.refuses(409)
def add_live_code_target(ctx: Ctx, live_code_id: str, body: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """Lead people to one more group or member of staff."""
    picture, given = _picture(ctx, body)
    assert picture is not None  # the schema asks for one
    service.add_target(ctx, live_code_id, picture, given)
    return _detail(ctx, queries.live_code(ctx, live_code_id)), 201


@blp.patch("/live-codes/<live_code_id>/targets/<target_id>")
@rest.scope("campaigns:write")
@rest.takes(TargetChange)
@rest.answers(200, LiveCodeDetail)
def change_live_code_target(
    ctx: Ctx, live_code_id: str, target_id: str, body: Mapping[str, Any]
) -> dict[str, Any]:
    """Change a target, renew its code, or pause it."""
    picture, given = _picture(ctx, body)
    service.change_target(ctx, live_code_id, target_id, given, picture)
    return _detail(ctx, queries.live_code(ctx, live_code_id))


def _picture(ctx: Ctx, body: Mapping[str, Any]) -> tuple[CodePicture | None, dict[str, Any]]:
    """The code in the body, kept, and the rest of the body."""
    given = dict(body)
    picture, content = given.pop("picture", None), given.pop("content", None)
    storage = ctx.parts.storage
    if picture is not None:
        return pictures.from_upload(storage, picture_bytes(picture)), given
    if content is not None:
        return pictures.from_content(storage, content), given
    return None, given


def _shape(ctx: Ctx, row: LiveCode) -> dict[str, Any]:
    names = ("id", "name", "state", "spread", "note", "campaign_id", "created_at")
    return {**{name: getattr(row, name) for name in names}, "url": service.url(ctx.parts.settings, row)}


def _detail(ctx: Ctx, row: LiveCode) -> dict[str, Any]:
    zone, now = ZoneInfo(queries.zone_name(ctx)), ctx.now()
    targets = queries.targets(ctx, row.id)
    figures = queries.figures(ctx, row.id, now)
    names = (
        "id", "name", "kind", "state", "content", "capacity", "taken", "expires_at", "opens", "closes",
        "weekdays", "position", "weight", "fallback",
    )  # fmt: skip
    return {
        **_shape(ctx, row),
        "targets": [
            {
                **{name: getattr(one, name) for name in names},
                "showings": figures.get(one.id, queries.Figures()).showings,
                "hindered_by": rules.hinders(one, now, zone),
            }
            for one in targets
        ],
        "warnings": [
            {"code": one.code, "severity": one.severity, "target_id": one.target_id}
            for one in rules.warnings(targets, now, zone)
        ],
    }
