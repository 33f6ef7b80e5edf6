"""Live codes with groups behind them, for tests."""

from __future__ import annotations

from typing import Any

from growth_engine.context import Parts
from growth_engine.live_codes import pictures, queries, service
from growth_engine.live_codes.models import LiveCode


def make_live_code(parts: Parts, workspace_id: str, *groups: dict[str, Any], **more: Any) -> LiveCode:
    """A live code with these targets (``name``, ``capacity`` …), each showing a code of its own."""
    with parts.open(workspace_id) as ctx:
        code = service.create(ctx, **{"name": "Tea lovers", **more})
        for number, group in enumerate(groups):
            picture = pictures.from_content(parts.storage, f"https://weixin.example/g/{code.token}/{number}")
            given = {"name": f"Group {number + 1}", "kind": "wecom_group", **group}
            service.add_target(ctx, code.id, picture, given)
    return code


def taken(parts: Parts, workspace_id: str, code: LiveCode) -> list[int]:
    """People led to each target, in order."""
    with parts.open(workspace_id) as ctx:
        return [one.taken for one in queries.targets(ctx, code.id)]
