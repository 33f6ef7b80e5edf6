"""People, grants and participations for tests, written straight into the tables."""

from __future__ import annotations

from sqlalchemy import text

from growth_engine.context import Ctx, Parts
from growth_engine.membership import service as membership
from growth_engine.people import service as people


def campaign_of(workspace: str) -> str:
    """The id of a campaign of this workspace: books are unique across workspaces."""
    return workspace.replace("wsp_", "cmp_")


def make_contact(parts: Parts, workspace: str, nickname: str = "", **identities: str) -> str:
    """A contact; its id. Without identities a fresh external_id is made up."""
    with parts.open(workspace) as ctx:
        known = identities or {"external_id": ctx.new_id("ext")}
        return people.create_or_update(ctx, known, nickname=nickname).contact_id


def make_plan(parts: Parts, workspace: str) -> str:
    with parts.open(workspace) as ctx:
        return membership.ensure_default_plan(ctx, locale="en")


def make_grants(
    ctx: Ctx, plan_id: str, contact_ids: list[str], *, days: int = 30, campaign_id: str = ""
) -> list[str]:
    """A pending grant for each contact, as the ledger's poster writes them; their ids."""
    ids = [ctx.new_id("grt") for _ in contact_ids]
    ctx.session.execute(
        text(
            "INSERT INTO grants (id, workspace_id, campaign_id, contact_id, plan_id, member, entry_seq,"
            "  side, days, key, state, next_at, created_at)"
            " SELECT g.id, :workspace_id, :campaign_id, g.contact_id, :plan_id, 1, 1, 'friend', :days, g.id,"
            "  'pending', :now, :now"
            " FROM unnest(CAST(:ids AS text[]), CAST(:contacts AS text[])) AS g (id, contact_id)"
        ),
        {
            "ids": ids,
            "contacts": contact_ids,
            "plan_id": plan_id,
            "days": days,
            "campaign_id": campaign_id or campaign_of(ctx.workspace_id),
            "workspace_id": ctx.workspace_id,
            "now": ctx.now(),
        },
    )
    return ids


def make_participant(
    ctx: Ctx, contact_id: str, *, number: int = 1, campaign_id: str = "", device: str | None = None
) -> str:
    participant_id = ctx.new_id("par")
    ctx.session.execute(
        text(
            "INSERT INTO participants (id, workspace_id, campaign_id, number, contact_id, invite_token,"
            "  state, device, address, cohort, joined_at)"
            " VALUES (:id, :workspace_id, :campaign_id, :number, :contact_id, :token, 'active', :device,"
            "  :device, CAST(:now AS date), :now)"
        ),
        {
            "id": participant_id,
            "workspace_id": ctx.workspace_id,
            "campaign_id": campaign_id or campaign_of(ctx.workspace_id),
            "number": number,
            "contact_id": contact_id,
            "token": ctx.parts.ids.token(),
            "device": device,
            "now": ctx.now(),
        },
    )
    return participant_id
