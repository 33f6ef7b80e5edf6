"""Every select about posters and their templates."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import Select, select, tuple_

from growth_engine.context import Ctx
from growth_engine.kit.errors import NotFound
from growth_engine.kit.i18n import N_
from growth_engine.posters.models import Poster, PosterTemplate, PosterTemplateVersion

MOST_PER_PAGE = 100


class UnknownPoster(NotFound):
    code = "poster_not_found"
    message = N_("This poster does not exist.")


class UnknownPosterTemplate(NotFound):
    code = "poster_template_not_found"
    message = N_("This poster template does not exist.")


def template(ctx: Ctx, template_id: str, *, lock: bool = False) -> PosterTemplate:
    """A template of this workspace, archived ones included; locked against other editors if asked."""
    wanted = select(PosterTemplate).where(
        PosterTemplate.workspace_id == ctx.workspace_id, PosterTemplate.id == template_id
    )
    found = ctx.session.scalars(wanted.with_for_update() if lock else wanted).one_or_none()
    if found is None:
        raise UnknownPosterTemplate
    return found


def templates(ctx: Ctx) -> Sequence[PosterTemplate]:
    """The templates on offer, oldest first."""
    return ctx.session.scalars(
        select(PosterTemplate)
        .where(PosterTemplate.workspace_id == ctx.workspace_id, PosterTemplate.archived_at.is_(None))
        .order_by(PosterTemplate.created_at, PosterTemplate.id)
    ).all()


def template_by_slug(ctx: Ctx, slug: str) -> PosterTemplate | None:
    return ctx.session.scalars(
        select(PosterTemplate).where(
            PosterTemplate.workspace_id == ctx.workspace_id, PosterTemplate.slug == slug
        )
    ).one_or_none()


def version(ctx: Ctx, template_id: str, number: int) -> PosterTemplateVersion:
    found = ctx.session.scalars(
        select(PosterTemplateVersion).where(
            PosterTemplateVersion.workspace_id == ctx.workspace_id,
            PosterTemplateVersion.template_id == template_id,
            PosterTemplateVersion.version == number,
        )
    ).one_or_none()
    if found is None:
        raise UnknownPosterTemplate
    return found


def versions(ctx: Ctx, template_id: str) -> Sequence[PosterTemplateVersion]:
    """All versions of a template, newest first."""
    return ctx.session.scalars(
        select(PosterTemplateVersion)
        .where(
            PosterTemplateVersion.workspace_id == ctx.workspace_id,
            PosterTemplateVersion.template_id == template_id,
        )
        .order_by(PosterTemplateVersion.version.desc())
    ).all()


def poster(ctx: Ctx, poster_id: str) -> Poster:
    found = ctx.session.scalars(
        select(Poster).where(Poster.workspace_id == ctx.workspace_id, Poster.id == poster_id)
    ).one_or_none()
    if found is None:
        raise UnknownPoster
    return found


def poster_of(ctx: Ctx, participant_id: str) -> Poster | None:
    """The participant's poster: the one asked for last, whatever its state."""
    return ctx.session.scalars(
        select(Poster)
        .where(Poster.workspace_id == ctx.workspace_id, Poster.participant_id == participant_id)
        .order_by(Poster.asked_at.desc(), Poster.id.desc())
        .limit(1)
    ).one_or_none()


def due(ctx: Ctx, *, limit: int) -> Select[str]:
    """Locks and names posters to draw now: queued ones, and those whose worker's lease is over."""
    return (
        select(Poster.id)
        .where(
            Poster.workspace_id == ctx.workspace_id,
            Poster.state.in_(("queued", "rendering")),
            Poster.next_at <= ctx.now(),
        )
        .order_by(Poster.next_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )


def documents_of(ctx: Ctx, posters: Iterable[Poster]) -> dict[str, str]:
    """The template document each poster is to be drawn with, as canonical JSON text, by poster id."""
    wanted = {poster.id: (poster.template_id, poster.template_version) for poster in posters}
    rows = ctx.session.scalars(
        select(PosterTemplateVersion).where(
            PosterTemplateVersion.workspace_id == ctx.workspace_id,
            tuple_(PosterTemplateVersion.template_id, PosterTemplateVersion.version).in_(
                set(wanted.values())
            ),
        )
    )
    documents = {(row.template_id, row.version): json.dumps(row.spec, sort_keys=True) for row in rows}
    return {poster_id: documents[version] for poster_id, version in wanted.items()}


def exists(ctx: Ctx, poster_id: str) -> bool:
    return bool(
        ctx.session.scalar(
            select(
                select(Poster.id)
                .where(Poster.workspace_id == ctx.workspace_id, Poster.id == poster_id)
                .exists()
            )
        )
    )


def failed(ctx: Ctx, *, limit: int = MOST_PER_PAGE) -> Sequence[Poster]:
    """Posters given up, newest first, with their errors."""
    return ctx.session.scalars(
        select(Poster)
        .where(Poster.workspace_id == ctx.workspace_id, Poster.state == "failed")
        .order_by(Poster.asked_at.desc())
        .limit(limit)
    ).all()


def pictures_in_use(ctx: Ctx, keys: Collection[str]) -> set[str]:
    """Those of the pictures that a poster of this workspace still shows."""
    used = ctx.session.scalars(
        select(Poster.content_key)
        .where(Poster.workspace_id == ctx.workspace_id, Poster.content_key.in_(keys))
        .distinct()
    )
    return {key for key in used if key is not None}
