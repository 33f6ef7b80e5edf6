"""Commands on campaigns: create, change, publish, pause, resume, end, copy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from marshmallow import ValidationError
from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert

from growth_engine.access import queries as access
from growth_engine.connections import queries as connections
from growth_engine.context import Ctx
from growth_engine.kit.errors import Conflict, Invalid, NotFound
from growth_engine.kit.i18n import N_
from growth_engine.ledger import books
from growth_engine.membership import queries as plans
from growth_engine.membership import service as membership
from growth_engine.orders import queries as orders
from growth_engine.payouts import wallets
from growth_engine.plays import compliance, lifecycle, queries, selling_stock
from growth_engine.plays.content import ContentSchema
from growth_engine.plays.models import Campaign, CampaignVersion, StockItem
from growth_engine.plays.registry import play
from growth_engine.plays.selling import sells
from growth_engine.posters import queries as poster_queries
from growth_engine.posters import service as posters

#: What a draft may be changed in.
EDITABLE = ("title", "locale", "config", "content", "starts_at", "ends_at", "plan_id", "poster_template_id")
#: Which channel carries it: may be changed as well, and counts at once.
CHANNEL = ("channel_account_id", "channel_users", "channel_default")


class NotPublishable(Invalid):
    code = "not_publishable"
    message = N_("The campaign cannot be published yet. Findings to be dealt with: %(count)s.")


def create_campaign(
    ctx: Ctx,
    *,
    play_slug: str,
    title: str,
    locale: str,
    config: Mapping[str, Any],
    content: Mapping[str, Any],
    template: str = "",
    starts_at: datetime | None = None,
    ends_at: datetime | None = None,
    plan_id: str | None = None,
    poster_template_id: str | None = None,
) -> Campaign:
    """A new draft. Raises ``Invalid`` with the fields that are wrong."""
    now = ctx.now()
    campaign = Campaign(
        id=ctx.new_id("cmp"),
        workspace_id=ctx.workspace_id,
        play=play(play_slug).slug,
        template=template,
        title=title,
        locale=locale,
        state="draft",
        config={},
        content={},
        rule_version=0,
        created_by=ctx.actor.id,
        created_at=now,
        updated_at=now,
    )
    changes: dict[str, Any] = {
        "config": config,
        "content": content,
        "starts_at": starts_at,
        "ends_at": ends_at,
    }
    _change(campaign, {**changes, "title": title, "locale": locale})
    _require_ours(ctx, {"plan_id": plan_id, "poster_template_id": poster_template_id})
    campaign.plan_id = plan_id or membership.ensure_default_plan(ctx, locale=locale)
    campaign.poster_template_id = poster_template_id or posters.default_template(ctx)
    ctx.session.add(campaign)
    ctx.session.flush()
    return campaign


def update_draft(ctx: Ctx, campaign_id: str, changes: Mapping[str, Any]) -> Campaign:
    """Change a campaign's draft; a live campaign keeps its published version until published again."""
    campaign = queries.campaign(ctx, campaign_id, lock=True)
    if campaign.state == "ended":
        raise lifecycle.WrongState(campaign.state)
    unknown = sorted(set(changes) - {*EDITABLE, *CHANNEL})
    if unknown:
        raise Invalid(fields={name: [N_("This cannot be changed.")] for name in unknown})
    if campaign.rule_version and changes.get("plan_id", campaign.plan_id) != campaign.plan_id:
        # The poster grants days of this plan: a draft must not redirect what a live campaign promised.
        raise Invalid(fields={"plan_id": [N_("This cannot be changed.")]})
    _require_ours(ctx, changes)
    before = campaign.config.get("currency")
    _change(campaign, changes)
    if campaign.config.get("currency") != before:
        _change_currency(ctx, campaign)
    campaign.updated_at = ctx.now()
    ctx.session.flush()
    return campaign


def _change_currency(ctx: Ctx, campaign: Campaign) -> None:
    """A book has one currency; before there is a book, the products follow."""
    if campaign.rule_version:
        raise Invalid(fields={"config": {"currency": [N_("This cannot be changed.")]}})
    for product in orders.products(ctx, campaign.id):
        product.currency = campaign.config["currency"]


def _require_ours(ctx: Ctx, changes: Mapping[str, Any]) -> None:
    """Foreign keys look past row-level security: what a campaign refers to is looked up in its workspace."""
    lookups: Mapping[str, Callable[[Ctx, str], object]] = {
        "plan_id": plans.plan,
        "poster_template_id": poster_queries.template,
        "channel_account_id": connections.messaging_account,
    }
    for name, find in lookups.items():
        if (wanted := changes.get(name)) is not None:
            try:
                find(ctx, wanted)
            except NotFound as error:
                raise Invalid(fields={name: [error.message]}) from None


def _change(campaign: Campaign, changes: Mapping[str, Any]) -> None:
    errors: dict[str, Any] = {}
    for name, value in changes.items():
        try:
            if name == "config":
                campaign.config = dict(play(campaign.play).Config().load(value))
            elif name == "content":
                campaign.content = dict(ContentSchema().load(value))
            else:
                setattr(campaign, name, value)
        except ValidationError as error:
            errors[name] = error.messages
    if not campaign.title.strip():
        errors["title"] = [N_("A campaign needs a title.")]
    if campaign.locale not in ("zh", "en"):
        errors["locale"] = [N_("Choose zh or en.")]
    if campaign.starts_at and campaign.ends_at and campaign.ends_at <= campaign.starts_at:
        errors["ends_at"] = [N_("The end must come after the start.")]
    if errors:
        raise Invalid(fields=errors)


def findings(ctx: Ctx, campaign: Campaign) -> Sequence[compliance.Finding]:
    """What the compliance check has to say about the draft."""
    products = None
    if sells(play(campaign.play)):
        offered = orders.products(ctx, campaign.id, on_sale=True)
        products = [{"sku": one.sku, "price": one.price} for one in offered]
    found = compliance.check(
        campaign.play,
        campaign.config,
        campaign.content,
        starts_at=campaign.starts_at,
        ends_at=campaign.ends_at,
        products=products,
    )
    return [*found, *_currency_not_paid_out(ctx, campaign)] if products is not None else found


def _currency_not_paid_out(ctx: Ctx, campaign: Campaign) -> Sequence[compliance.Finding]:
    """Wallets pay out one currency: commission in another could never be withdrawn."""
    workspace = access.workspace(ctx.session, ctx.workspace_id)
    assert workspace is not None
    given = campaign.config["currency"]
    if given == workspace.currency:
        return ()
    message = N_(
        "Withdrawals are paid out in %(currency)s: what is earned in %(given)s could not be withdrawn."
    )
    params = {"currency": workspace.currency, "given": given}
    return (compliance.Finding("currency_not_paid_out", "error", "config.currency", message, params=params),)


def publish(ctx: Ctx, campaign_id: str, *, accept_warnings: bool = False) -> Campaign:
    """Put the draft in force as a new rule version. Earlier Entries keep theirs.

    Raises ``NotPublishable`` with the findings while errors (or unaccepted warnings) remain.
    """
    campaign = queries.campaign(ctx, campaign_id, lock=True)
    now = ctx.now()
    state = lifecycle.after(
        campaign.state, "publish", starts_at=campaign.starts_at, ends_at=campaign.ends_at, now=now
    )
    found = [one for one in findings(ctx, campaign) if one.severity == "error" or not accept_warnings]
    if found:
        problems = [one.as_json() for one in found]
        raise NotPublishable(params={"count": len(found)}, extra={"findings": problems})
    posters.require_verified(ctx, campaign.poster_template_id)
    campaign.rule_version += 1
    campaign.state = state
    campaign.published_at = campaign.published_at or now
    campaign.updated_at = now
    ctx.session.add(
        CampaignVersion(
            workspace_id=ctx.workspace_id,
            campaign_id=campaign.id,
            version=campaign.rule_version,
            config=campaign.config,
            content=campaign.content,
            starts_at=campaign.starts_at,
            ends_at=campaign.ends_at,
            created_by=ctx.actor.id,
            created_at=now,
        )
    )
    books.open_book(ctx, campaign.id, "campaign")
    if sells(play(campaign.play)):
        wallets.open_book(ctx)
    _set_stock(ctx, campaign)
    ctx.session.flush()
    return campaign


def _set_stock(ctx: Ctx, campaign: Campaign) -> None:
    """Totals follow the new version; what is taken stays taken, so a total cannot fall below it."""
    # The book's lock keeps the poster from reserving while totals change.
    books.hold_book(ctx, campaign.id)
    for item, total in play(campaign.play).stock(campaign.config).items():
        values = {"workspace_id": ctx.workspace_id, "campaign_id": campaign.id, "item": item, "taken": 0}
        statement = insert(StockItem).values(total=total, **values)
        ctx.session.execute(
            statement.on_conflict_do_update(
                index_elements=["campaign_id", "item"],
                set_={"total": func.greatest(statement.excluded.total, StockItem.taken)},
            )
        )


def pause(ctx: Ctx, campaign_id: str) -> Campaign:
    return _move(ctx, campaign_id, "pause")


def resume(ctx: Ctx, campaign_id: str) -> Campaign:
    return _move(ctx, campaign_id, "resume")


def end(ctx: Ctx, campaign_id: str) -> Campaign:
    return _move(ctx, campaign_id, "end")


def _move(ctx: Ctx, campaign_id: str, action: str) -> Campaign:
    campaign = queries.campaign(ctx, campaign_id, lock=True)
    now = ctx.now()
    campaign.state = lifecycle.after(
        campaign.state, action, starts_at=campaign.starts_at, ends_at=campaign.ends_at, now=now
    )
    campaign.updated_at = now
    if campaign.state == "ended":
        campaign.ended_at = now
    ctx.session.flush()
    return campaign


def duplicate(ctx: Ctx, campaign_id: str) -> Campaign:
    """A new draft with the same play, rules, copy and products, without dates."""
    source = queries.campaign(ctx, campaign_id)
    made = create_campaign(
        ctx,
        play_slug=source.play,
        title=source.title,
        locale=source.locale,
        config=source.config,
        content=source.content,
        template=source.template,
        plan_id=source.plan_id,
        poster_template_id=source.poster_template_id,
    )
    selling_stock.copy_products(ctx, source.id, made.id)
    return made


def discard(ctx: Ctx, campaign_id: str) -> None:
    """Delete a draft that was never published."""
    campaign = queries.campaign(ctx, campaign_id, lock=True)
    if campaign.rule_version:
        raise Conflict(N_("Only a draft that was never published can be deleted."), code="published_before")
    for product in orders.products(ctx, campaign_id):
        selling_stock.set_total(ctx, product.id, None)
        ctx.session.delete(product)
    ctx.session.flush()
    ctx.session.delete(campaign)
    ctx.session.flush()
