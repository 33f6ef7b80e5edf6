"""Channels: connect an account step by step, see how it is doing, replace its keys. For administrators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from growth_engine.channels import quota
from growth_engine.channels.errors import ChannelError
from growth_engine.channels.quota import Budget, Left, Quotas
from growth_engine.connections import checking, queries, rules, schemas, service
from growth_engine.connections.models import ChannelAccount
from growth_engine.connections.queries import Connection
from growth_engine.connections.schemas import ADVANCED
from growth_engine.connections.sealing import SecretsUnreadable
from growth_engine.inbox import queries as inbox
from growth_engine.kit import web
from growth_engine.kit.errors import Conflict, Invalid, NotFound
from growth_engine.kit.i18n import N_, translate
from growth_engine.reach import deliveries
from growth_engine.web import forms
from growth_engine.web.marketer.message_words import REASONS
from growth_engine.web.navigation import NavItem

bp = Blueprint("channels", __name__, url_prefix="/console/channels")

NAV = NavItem("channels.listing", N_("Channels"), "plug", 70, roles=("admin",))

ABOUT: Mapping[str, str] = {
    "wechat_oa": N_("People follow by scanning a poster, chat with you, get their own poster."),
    "wecom": N_("People add an employee or join a group by scanning a code."),
    "wechat_pay": N_("People pay for orders and withdraw what they earned."),
}
ICONS: Mapping[str, str] = {"wechat_oa": "brand-wechat", "wecom": "users-group", "wechat_pay": "wallet"}
#: What of the public names is shown beside the account's own.
IDS: Mapping[str, Sequence[str]] = {
    "wechat_oa": ("appid",),
    "wecom": ("corpid", "agentid"),
    "wechat_pay": ("mchid",),
}
KEYS: Mapping[str, str] = {"token": N_("Token"), "aes_key": "EncodingAESKey", "api_v3_key": N_("APIv3 key")}
_BUDGETS: Mapping[str, Sequence[Budget]] = {
    "wechat_oa": quota.OFFICIAL_ACCOUNT,
    "wecom": quota.WECOM,
    "wechat_pay": quota.WECHAT_PAY,
}
PERIODS: Mapping[str, str] = {
    "second": N_("a second"),
    "minute": N_("a minute"),
    "hour": N_("an hour"),
    "day": N_("a day"),
    "month": N_("a month"),
}


@bp.get("")
@web.require_staff("admin")
def listing() -> str:
    with web.ctx() as ctx:
        found = queries.accounts(ctx)
        standing = inbox.standing(ctx, [one.id for one in found])
    return render_template(
        "marketer/channels.html",
        accounts=found,
        standing=standing,
        providers=rules.PROVIDERS,
        about=ABOUT,
        icons=ICONS,
        ids=IDS,
    )


@bp.get("/new/<provider>")
@web.require_staff("admin")
def new(provider: str) -> str:
    return _form_page(_form(provider), provider, {}, {})


@bp.post("/new/<provider>")
@web.require_staff("admin")
def connect(provider: str) -> Response:
    schema = _form(provider)
    values = forms.read_form(schema, request.form)
    try:
        entered = schema.entered(forms.load(schema, values))
        with web.ctx() as ctx:
            account_id = service.connect(ctx, provider, entered)
    except (Invalid, service.AlreadyConnected) as error:
        return make_response(_form_page(schema, provider, values, _problems(error)), 422)
    flash(_("Saved. Now tell the platform where to call."), "success")
    return redirect(url_for("channels.show", account_id=account_id))


@bp.get("/<account_id>")
@web.require_staff("admin")
def show(account_id: str) -> str:
    with web.ctx() as ctx:
        row = queries.account(ctx, account_id)
        connection = _opened(ctx, row)
        standing = inbox.standing(ctx, [account_id])[account_id]
    url = rules.callback_url(web.parts().settings.public_url, row.provider, row.id)
    return render_template(
        "marketer/channel.html",
        account=row,
        connection=connection,
        standing=standing,
        reason_in=inbox.reason_in,
        check_words=_check_words,
        url=url,
        problems=rules.problems_of(url, row.provider),
        providers=rules.PROVIDERS,
        modes=rules.MODES,
        replaceable=rules.REPLACEABLE[row.provider],
        keys=KEYS,
        old=_old_keys(connection),
        ids=IDS,
        quotas=_quotas(row),
        periods=PERIODS,
        hosts=checking.hosts_of(web.parts().settings),
    )


@bp.get("/<account_id>/edit")
@web.require_staff("admin")
def edit(account_id: str) -> str:
    with web.ctx() as ctx:
        row = queries.account(ctx, account_id)
    values = {"name": row.name, **row.ids, **row.settings}
    return _form_page(_form(row.provider, connecting=False), row.provider, values, {}, row)


@bp.post("/<account_id>/edit")
@web.require_staff("admin")
def correct(account_id: str) -> Response:
    with web.ctx() as ctx:
        row = queries.account(ctx, account_id)
    schema = _form(row.provider, connecting=False)
    values = forms.read_form(schema, request.form)
    try:
        entered = schema.entered(forms.load(schema, values))
        with web.ctx() as ctx:
            service.correct(ctx, account_id, entered)
    except (Invalid, service.AlreadyConnected) as error:
        return make_response(_form_page(schema, row.provider, values, _problems(error), row), 422)
    flash(_("Saved."), "success")
    return redirect(url_for("channels.show", account_id=account_id))


@bp.post("/<account_id>/replace")
@web.require_staff("admin")
def replace(account_id: str) -> Response:
    """Put a new key in the place of one; the old one is believed a while longer."""
    try:
        with web.ctx() as ctx:
            service.replace_key(ctx, account_id, request.form.get("key", ""))
        flash(
            _("There is a new key. Enter it at the platform: the old one is believed for 7 more days."),
            "success",
        )
    except Invalid as error:
        flash(translate(error.message, error.params), "danger")
    return redirect(url_for("channels.show", account_id=account_id))


@bp.post("/<account_id>/forget")
@web.require_staff("admin")
def forget(account_id: str) -> Response:
    key = request.form.get("key", "")
    if key not in KEYS:
        raise NotFound
    with web.ctx() as ctx:
        service.forget_replaced(ctx, account_id, key)
    flash(_("The old key is not believed any more."), "success")
    return redirect(url_for("channels.show", account_id=account_id))


@bp.post("/<account_id>/check")
@web.require_staff("admin")
def check(account_id: str) -> Response:
    error = checking.check(web.parts(), web.check_place().id, account_id)
    if error:
        flash(_("The platform says no: %(why)s", why=_check_words(error)), "danger")
    else:
        with web.ctx() as ctx:
            deliveries.wake_account(ctx, account_id)
        flash(_("The platform accepts these credentials."), "success")
    return redirect(url_for("channels.show", account_id=account_id))


@bp.post("/<account_id>/disable")
@web.require_staff("admin")
def disable(account_id: str) -> Response:
    with web.ctx() as ctx:
        service.disable(ctx, account_id)
    flash(_("The channel is disabled. What the platform sends is turned away."), "success")
    return redirect(url_for("channels.show", account_id=account_id))


@bp.post("/<account_id>/enable")
@web.require_staff("admin")
def enable(account_id: str) -> Response:
    with web.ctx() as ctx:
        service.enable(ctx, account_id)
    flash(_("The channel is in use again."), "success")
    return redirect(url_for("channels.show", account_id=account_id))


def _check_words(error: str) -> str:
    """What trying the credentials ended in (``reason: number``), in words, with the platform's number."""
    reason, _colon, number = error.partition(": ")
    if reason not in REASONS:
        return error
    words = translate(REASONS[reason])
    return f"{words} ({number})" if number else words


def _form(provider: str, *, connecting: bool = True) -> schemas.ChannelForm:
    if provider not in schemas.FORMS:
        raise NotFound
    return schemas.FORMS[provider](connecting=connecting)


def _problems(error: Invalid | Conflict) -> Mapping[str, Any]:
    """Where the form is wrong; an account that is connected already is wrong in its first id."""
    found: Mapping[str, Any] = error.extra.get("errors") or {"name": [translate(error.message)]}
    return found


def _form_page(
    schema: schemas.ChannelForm,
    provider: str,
    values: forms.Values,
    problems: forms.Values,
    account: ChannelAccount | None = None,
) -> str:
    fields = forms.form_fields(schema, values, problems)
    return render_template(
        "marketer/channel_form.html",
        provider=rules.PROVIDERS[provider],
        account=account,
        fields=[one for one in fields if one.section != ADVANCED],
        advanced=[one for one in fields if one.section == ADVANCED],
        open_advanced=any(one.errors or one.value for one in fields if one.section == ADVANCED),
    )


def _opened(ctx: Any, row: ChannelAccount) -> Connection | None:
    """None when the keys cannot be decrypted: the page says so and lets them be entered again."""
    try:
        return queries.opened(ctx, row)
    except SecretsUnreadable:
        return None


def _old_keys(connection: Connection | None) -> list[tuple[str, Any]]:
    """Keys that were replaced and are still believed: (name, until when)."""
    now = web.parts().clock.now()
    return [
        (name, one.until)
        for name, values in (connection.secrets if connection else {}).items()
        for one in values
        if name in KEYS and one.until is not None and one.until > now
    ]


def _quotas(row: ChannelAccount) -> list[Left] | None:
    """What may still be asked of the platform; None when the counters cannot be read now."""
    quotas = Quotas(web.parts().queue, web.parts().clock)
    try:
        return [one for one in quotas.left(row.id, _BUDGETS[row.provider]) if one.budget.period != "second"]
    except ChannelError:
        return None
