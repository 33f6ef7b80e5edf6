"""What poster tests start from: a renderer, an avatar, and a participant to make posters for."""

from __future__ import annotations

import io
from dataclasses import dataclass

import pytest
from PIL import Image, ImageDraw
from sqlalchemy import text

from growth_engine.channels.storage import Storage
from growth_engine.context import Parts
from growth_engine.people import service as people
from growth_engine.posters import service
from growth_engine.posters.render import Renderer

LINK = "https://growth.example.com/i/23456789abcd"


def photograph(width: int = 256, height: int = 256, kind: str = "JPEG", mode: str = "RGB") -> bytes:
    picture = Image.new(mode, (width, height), "#88bbee")
    draw = ImageDraw.Draw(picture)
    draw.ellipse((width * 0.3, height * 0.2, width * 0.7, height * 0.6), fill="#ffe0bd")
    out = io.BytesIO()
    picture.save(out, kind)
    return out.getvalue()


@pytest.fixture(scope="session")
def renderer() -> Renderer:
    def no_picture(key: str) -> bytes:
        raise AssertionError(f"no template here has a picture, yet {key} was asked for")

    return Renderer(no_picture)


@dataclass(frozen=True)
class Someone:
    """A participant of a campaign."""

    workspace_id: str
    participant_id: str
    campaign_id: str
    contact_id: str
    template_id: str


_PARTICIPANT = text(
    "INSERT INTO participants (id, workspace_id, campaign_id, number, contact_id, invite_token, state,"
    " cohort, joined_at) VALUES (:id, :workspace, :campaign, :number, :contact, :token, 'active', :at, :at)"
)


def join(
    parts: Parts,
    workspace_id: str,
    *,
    nickname: str = "小鹿🦌",
    consent: bool = True,
    avatar: bytes | None = None,
    number: int = 1,
) -> Someone:
    """A contact who takes part in a campaign, with or without consent to show the name."""
    storage: Storage = parts.storage
    campaign_id = f"cmp_{workspace_id[4:]}"
    with parts.open(workspace_id) as ctx:
        template_id = service.from_gallery(ctx, "aurora")
        external = ctx.new_id("ext")
        contact_id = people.create_or_update(ctx, {"external_id": external}, nickname=nickname).contact_id
        if consent:
            people.record_consent(
                ctx, contact_id, purpose=service.CONSENT_PURPOSE, wording_version="1", source="test"
            )
        if avatar is not None:
            key = service_avatar(storage, avatar)
            ctx.session.execute(
                text("UPDATE contacts SET avatar_key = :key WHERE id = :id"), {"key": key, "id": contact_id}
            )
        row = {
            "id": ctx.new_id("par"),
            "workspace": workspace_id,
            "campaign": campaign_id,
            "number": number,
            "contact": contact_id,
            "token": ctx.parts.ids.token(),
            "at": ctx.now(),
        }
        ctx.session.execute(_PARTICIPANT, row)
        return Someone(workspace_id, str(row["id"]), campaign_id, contact_id, template_id)


def service_avatar(storage: Storage, data: bytes) -> str:
    from growth_engine.posters import uploads

    return uploads.avatar_from_upload(storage, data)
