"""Commands about posters: templates and their versions, asking for a poster, forgetting a person's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import delete, func, update
from sqlalchemy.dialects.postgresql import insert

from growth_engine.channels.storage import Storage
from growth_engine.context import Ctx
from growth_engine.kit.errors import Conflict, Invalid
from growth_engine.kit.i18n import N_
from growth_engine.people import queries as people
from growth_engine.posters import gallery, queries, scan
from growth_engine.posters.models import Poster, PosterTemplate, PosterTemplateVersion
from growth_engine.posters.qr import MAX_CONTENT
from growth_engine.posters.render import Renderer
from growth_engine.posters.rules import Locale, Personal
from growth_engine.posters.schemas import load_template

#: Name and picture are shown to strangers: only with the consent given when joining a campaign.
CONSENT_PURPOSE = "campaign"
DEFAULT_TEMPLATE = "aurora"

_LONGEST_WORDS = 300


class TemplateNotVerified(Conflict):
    code = "poster_template_not_verified"
    message = N_("The poster template has not passed its check yet. Publish it first, or choose another.")


class TemplateNameTaken(Conflict):
    code = "poster_template_name_taken"
    message = N_("There is a poster template of this name already.")


@dataclass(frozen=True, slots=True)
class PosterWords:
    """The campaign's words on its posters; empty ones leave the template's own."""

    locale: Locale = "zh"
    headline: str = ""
    reward_text: str = ""
    footnote: str = ""


@lru_cache(maxsize=2)
def renderer_of(storage: Storage) -> Renderer:
    """The process's renderer, which holds the base pictures."""
    return Renderer(storage.get)


def from_gallery(ctx: Ctx, slug: str) -> str:
    """The id of the workspace's copy of a ready template, published; made when there is none yet.

    Ready templates are verified by this program's own tests, so that is not done again here.
    """
    document = gallery.document(slug)
    template_id = ctx.new_id("ptp")
    now = ctx.now()
    made = ctx.session.execute(
        insert(PosterTemplate)
        .values(
            id=template_id,
            workspace_id=ctx.workspace_id,
            slug=slug,
            name=document["name"]["zh"],
            current_version=1,
            created_at=now,
        )
        .on_conflict_do_nothing(index_elements=["workspace_id", "slug"])
        .returning(PosterTemplate.id)
    ).scalar_one_or_none()
    if made is None:
        existing = queries.template_by_slug(ctx, slug)
        assert existing is not None
        return existing.id
    ctx.session.add(_version_row(ctx, template_id, 1, document, verified=True))
    ctx.session.flush()
    return template_id


def default_template(ctx: Ctx) -> str:
    """The template a campaign gets when none is chosen: the oldest published one, or a ready one."""
    published = [one for one in queries.templates(ctx) if one.current_version]
    return published[0].id if published else from_gallery(ctx, DEFAULT_TEMPLATE)


def require_verified(ctx: Ctx, template_id: str | None) -> None:
    """Raises TemplateNotVerified unless posters can be drawn with the template."""
    if template_id is None or not queries.template(ctx, template_id).current_version:
        raise TemplateNotVerified


def create_template(ctx: Ctx, slug: str, name: str, document: Mapping[str, Any]) -> PosterTemplate:
    """A new template with its first version, not yet published. Raises Invalid by field."""
    load_template(document)
    template = PosterTemplate(
        id=ctx.new_id("ptp"),
        workspace_id=ctx.workspace_id,
        slug=slug,
        name=name,
        current_version=0,
        created_at=ctx.now(),
    )
    if queries.template_by_slug(ctx, slug) is not None:
        raise TemplateNameTaken
    ctx.session.add(template)
    ctx.session.flush()
    ctx.session.add(_version_row(ctx, template.id, 1, document))
    ctx.session.flush()
    return template


def save_version(ctx: Ctx, template_id: str, document: Mapping[str, Any]) -> int:
    """Keep an edit as the next version; posters go on with the published one. The version's number."""
    load_template(document)
    queries.template(ctx, template_id, lock=True)
    number = queries.versions(ctx, template_id)[0].version + 1
    ctx.session.add(_version_row(ctx, template_id, number, document))
    ctx.session.flush()
    return number


def _version_row(
    ctx: Ctx, template_id: str, number: int, document: Mapping[str, Any], *, verified: bool = False
) -> PosterTemplateVersion:
    now = ctx.now()
    return PosterTemplateVersion(
        workspace_id=ctx.workspace_id,
        template_id=template_id,
        version=number,
        spec=dict(document),
        verified_at=now if verified else None,
        problems=[],
        created_by=ctx.actor.id,
        created_at=now,
    )


def publish_version(ctx: Ctx, template_id: str, number: int) -> scan.Verification:
    """Check a version on its own output, and draw new posters with it when nothing is wrong.

    The problems found are returned and kept with the version.
    """
    template = queries.template(ctx, template_id, lock=True)
    version = queries.version(ctx, template_id, number)
    verification = scan.verify(renderer_of(ctx.parts.storage), load_template(version.spec))
    version.problems = [problem.to_json() for problem in verification.problems]
    version.verified_at = ctx.now() if verification.ok else None
    if verification.ok:
        template.current_version = number
    ctx.session.flush()
    return verification


def archive_template(ctx: Ctx, template_id: str) -> None:
    """Offer a template no longer; campaigns that use it go on."""
    queries.template(ctx, template_id, lock=True).archived_at = ctx.now()
    ctx.session.flush()


def preview(ctx: Ctx, document: Mapping[str, Any], personal: Personal) -> bytes:
    """The poster a document would make, for the editor. Raises Invalid by field."""
    return renderer_of(ctx.parts.storage).render(load_template(document), personal)


def request_poster(
    ctx: Ctx,
    *,
    participant_id: str,
    campaign_id: str,
    contact_id: str,
    template_id: str,
    qr_content: str,
    words: PosterWords,
) -> Poster:
    """Ask for a participant's poster; drawn by a worker soon after the commit.

    The same inputs are the same poster, however often asked. A new name, picture, template version or
    wording is a new poster; the former stays visible until the new one is ready.
    """
    template = queries.template(ctx, template_id)
    if not template.current_version:
        raise TemplateNotVerified
    _check(qr_content, words)
    who = {"participant_id": participant_id, "campaign_id": campaign_id, "contact_id": contact_id}
    poster = _asked(ctx, template, who, qr_content, {**asdict(words), **_shown(ctx, contact_id)})
    if poster.state == "queued":
        ctx.ring("posters.render")
    return poster


def _asked(
    ctx: Ctx, template: PosterTemplate, who: Mapping[str, str], qr_content: str, personal: dict[str, Any]
) -> Poster:
    """The row of these inputs, new or already there, and now the one asked for last."""
    inputs = [template.id, template.current_version, qr_content, personal]
    now = ctx.now()
    asked = (
        insert(Poster)
        .values(
            id=ctx.new_id("pst"),
            workspace_id=ctx.workspace_id,
            **who,
            template_id=template.id,
            template_version=template.current_version,
            qr_content=qr_content,
            personal=personal,
            inputs_hash=hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest(),
            state="queued",
            attempts=0,
            next_at=now,
            created_at=now,
            asked_at=now,
        )
        .on_conflict_do_update(
            index_elements=["participant_id", "inputs_hash"],
            set_={"asked_at": func.greatest(Poster.asked_at, now)},
        )
        .returning(Poster)
    )
    return ctx.session.scalars(asked, execution_options={"populate_existing": True}).one()


def _check(qr_content: str, words: PosterWords) -> None:
    wrong = {
        name: [N_("At most 300 characters, please.")]
        for name in ("headline", "reward_text", "footnote")
        if len(getattr(words, name)) > _LONGEST_WORDS
    }
    if not qr_content or len(qr_content.encode()) > MAX_CONTENT:
        wrong["qr_content"] = [N_("The link is missing or too long for a QR code.")]
    if wrong:
        raise Invalid(fields=wrong)


def _shown(ctx: Ctx, contact_id: str) -> dict[str, str | None]:
    """What of the person may be drawn."""
    contact = people.contact(ctx, contact_id)
    if not people.has_consented(ctx, contact.id, CONSENT_PURPOSE):
        return {"nickname": None, "avatar_key": None}
    return {"nickname": contact.nickname or None, "avatar_key": contact.avatar_key}


def retry_failed(ctx: Ctx) -> int:
    """Try all given-up posters of the workspace again; how many there are."""
    retried = ctx.session.execute(
        update(Poster)
        .where(Poster.workspace_id == ctx.workspace_id, Poster.state == "failed")
        .values(state="queued", attempts=0, next_at=ctx.now())
        .returning(Poster.id)
    ).all()
    ctx.ring("posters.render")
    return len(retried)


def forget(ctx: Ctx, contact_id: str) -> int:
    """Delete a person's posters, pictures included where nobody else's poster is the same; how many.

    Covers everybody merged into the person. The pictures go before the commit: should that fail, the
    caller tries again, and deleting twice is harmless.
    """
    family = people.contact_family(ctx, contact_id)
    gone = ctx.session.scalars(
        delete(Poster)
        .where(Poster.workspace_id == ctx.workspace_id, Poster.contact_id.in_(family))
        .returning(Poster.content_key)
    ).all()
    drop_pictures(ctx, {key for key in gone if key})
    return len(gone)


def drop_pictures(ctx: Ctx, keys: set[str]) -> None:
    """Delete pictures of deleted posters that no other poster shows."""
    for key in sorted(keys - queries.pictures_in_use(ctx, keys)):
        ctx.parts.storage.delete(key)
