"""What a participant brings friends with: the invite link, and the poster that carries it."""

from __future__ import annotations

from sqlalchemy.dialects.postgresql import insert

from growth_engine.context import Ctx
from growth_engine.kit.i18n import N_
from growth_engine.plays import queries
from growth_engine.plays.content import fill
from growth_engine.plays.models import Campaign, InviteCode, Participant
from growth_engine.plays.registry import play
from growth_engine.posters import service as posters
from growth_engine.posters.models import Poster
from growth_engine.posters.service import PosterWords, TemplateNotVerified
from growth_engine.settings import Settings

__all__ = ["NoPoster", "ask_for_code", "invite_url", "qr_content", "request_poster"]


class NoPoster(TemplateNotVerified):
    code = "no_poster"
    message = N_("This campaign has no poster. Share the link instead.")


def invite_url(settings: Settings, token: str) -> str:
    """The address behind a participant's QR code."""
    return f"{settings.public_url.rstrip('/')}/i/{token}"


def ask_for_code(ctx: Ctx, campaign: Campaign, participant: Participant) -> None:
    """Have the campaign's channel issue the participant's own code, should there be none yet."""
    asked = (
        insert(InviteCode)
        .values(
            participant_id=participant.id,
            account_id=campaign.channel_account_id,
            workspace_id=ctx.workspace_id,
            campaign_id=campaign.id,
            state="waiting",
            content="",
            reference="",
            issue=0,
            attempts=0,
            next_at=ctx.now(),
            created_at=ctx.now(),
        )
        .on_conflict_do_update(
            index_elements=["participant_id", "account_id"],
            set_={"state": "waiting", "attempts": 0, "next_at": ctx.now(), "error": None},
            where=InviteCode.state == "ended",  # the campaign goes on, or came back to this channel
        )
        .returning(InviteCode.participant_id)
    )
    if ctx.session.execute(asked).first() is not None:
        ctx.ring("reach.codes")


def qr_content(ctx: Ctx, campaign: Campaign, participant: Participant) -> str:
    """What the code on the poster says: the channel's own where there is one, else the invite link.

    Without a channel code yet the link stands in for it; once it is issued the poster is drawn anew.
    """
    if campaign.channel_account_id is not None:
        code = queries.invite_code(ctx, participant.id, campaign.channel_account_id)
        if code is not None and code.content and (code.expires_at is None or ctx.now() < code.expires_at):
            return code.content
        if code is None or code.state == "ended":
            ask_for_code(ctx, campaign, participant)
    return invite_url(ctx.parts.settings, participant.invite_token)


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
        qr_content=qr_content(ctx, campaign, participant),
        words=PosterWords(
            locale="zh" if campaign.locale == "zh" else "en",
            headline=words.get("poster_headline", ""),
            reward_text=words.get("poster_reward", ""),
            footnote=words.get("poster_footnote", ""),
        ),
    )
