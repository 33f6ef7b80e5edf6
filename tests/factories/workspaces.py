"""Workspaces for tests."""

from __future__ import annotations

from sqlalchemy import text

from growth_engine.context import Parts


def make_workspace(
    parts: Parts, *, slug: str | None = None, timezone: str = "Asia/Shanghai", locale: str = "en"
) -> str:
    """A fresh workspace; its id."""
    workspace_id = parts.ids.new("wsp")
    with parts.open(workspace_id) as ctx:
        ctx.session.execute(
            text(
                "INSERT INTO workspaces (id, slug, name, timezone, locale, salt, created_at)"
                " VALUES (:id, :slug, 'Test shop', :timezone, :locale, 'test-salt', :at)"
            ),
            {
                "id": workspace_id,
                "slug": slug or f"w-{workspace_id[-12:]}",
                "timezone": timezone,
                "locale": locale,
                "at": ctx.now(),
            },
        )
    return workspace_id
