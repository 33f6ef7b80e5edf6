"""What a participant brings friends with: the invite link, and the poster that carries it."""

from __future__ import annotations

from growth_engine.context import Ctx
from growth_engine.kit.i18n import N_
from growth_engine.plays import queries
from growth_engine.plays.content import fill
from growth_engine.plays.registry import play
from growth_engine.posters import service as posters
from growth_engine.posters.models import Poster
from growth_engine.posters.service import PosterWords, TemplateNotVerified
from growth_engine.settings import Settings

__all__ = ["NoPoster", "invite_url", "request_poster"]


class NoPoster(TemplateNotVerified):
    code = "no_poster"
    message = N_("This campaign has no poster. Share the link instead.")


def invite_url(settings: Settings, token: str) -> str:
    """The address behind a participant's QR code."""
    return f"{settings.public_url.rstrip('/')}/i/{token}"


def request_poster(ctx: Ctx, participant_id: str) -> Poster:
    """Ask for a participant's poster, in the campaign's words as published; asking again is harmless."""
    participant = queries.participant(ctx, participant_id)
    campaign = queries.campaign(ctx, participant.campaign_id)
    version = queries.version(ctx, campaign.id, campaign.rule_version)
    if version is None or campaign.poster_template_id is None:
        raise NoPoster
    promise = play(campaign.play).promise(version.config)
    words = fill(version.content, promise, locale=campaign.locale)
    return posters.request_poster(
        ctx,
        participant_id=participant.id,
        campaign_id=campaign.id,
        contact_id=participant.contact_id,
        template_id=campaign.poster_template_id,
        qr_content=invite_url(ctx.parts.settings, participant.invite_token),
        words=PosterWords(
            locale="zh" if campaign.locale == "zh" else "en",
            headline=words.get("poster_headline", ""),
            reward_text=words.get("poster_reward", ""),
            footnote=words.get("poster_footnote", ""),
        ),
    )
