"""The rules for withdrawals: minimum, limits, who must approve, what is withheld; with a worked example."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from babel.numbers import get_currency_precision
from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from flask_babel import gettext as _
from marshmallow import EXCLUDE, Schema, ValidationError, validate
from marshmallow import fields as form_of
from werkzeug.wrappers import Response

from growth_engine.access import queries as access
from growth_engine.context import Ctx
from growth_engine.kit import web
from growth_engine.kit.errors import Conflict, Invalid
from growth_engine.kit.i18n import N_, format_amount, format_percent, translate
from growth_engine.payouts import identity, providers, queries, rules, service
from growth_engine.payouts.models import WalletPolicy
from growth_engine.payouts.rules import Policy
from growth_engine.plays.contract import option
from growth_engine.web import form_money, forms

bp = Blueprint("payout_policy", __name__, url_prefix="/console/payouts/rules")

_MOST = service.MOST
_RATES = ("tax_bp", "fee_bp")
#: What the example starts with, in whole units of the currency.
_EXAMPLE = 100


def _amount(
    label: str, help_: str = "", section: str = "", *, least: int = 0, **more: Any
) -> form_of.Integer:
    return form_of.Integer(
        validate=validate.Range(min=least, max=_MOST),
        metadata=option(label, help_, section=section, money=True),
        **more,
    )


def _rate(label: str, help_: str) -> form_of.Integer:
    meta = option(label, help_, section="withheld", hundredths=True)
    return form_of.Integer(load_default=0, validate=validate.Range(min=0, max=9_999), metadata=meta)


def _choices(registry: Mapping[str, Any]) -> validate.OneOf:
    return validate.OneOf(list(registry), labels=[one.title for one in registry.values()])


class PolicyForm(Schema):
    """Amounts are typed in whole units of the workspace's currency, rates in percent."""

    class Meta:
        unknown = EXCLUDE

    minimum = _amount(N_("Least at once"), "", "limits", least=1, required=True)
    daily_amount = _amount(
        N_("Most a day"), N_("For each person; empty: no limit."), "limits",
        least=1, load_default=None, allow_none=True,
    )  # fmt: skip
    daily_count = form_of.Integer(
        load_default=None,
        allow_none=True,
        validate=validate.Range(min=1, max=1_000),
        metadata=option(N_("How often a day"), N_("For each person; empty: no limit."), section="limits"),
    )
    approve_above = _amount(
        N_("One person approves above"), N_("0: every withdrawal waits for a person."), "approval",
        load_default=0,
    )  # fmt: skip
    second_above = _amount(
        N_("Two people approve above"), N_("Empty: one is always enough."), "approval",
        load_default=None, allow_none=True,
    )  # fmt: skip
    tax_bp = _rate(N_("Tax withheld"), N_("Of what is asked for. You pay it over to the tax office."))
    fee_bp = _rate(N_("Fee"), N_("Of what is asked for."))
    fee_fixed = _amount(N_("and a fixed fee of"), "", "withheld", load_default=0)
    identity_check = form_of.String(
        load_default="none", metadata=option(N_("What the recipient tells"), section="way")
    )
    provider = form_of.String(load_default="manual", metadata=option(N_("Paid through"), section="way"))

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        # Checks and providers are found at boot, after this class was read.
        self.fields["identity_check"].validators = [_choices(identity.registry)]
        self.fields["provider"].validators = [_choices(providers.registry)]


@dataclass(frozen=True, slots=True)
class Example:
    """What the rules as typed would do with an amount; ``problem`` when they cannot say."""

    typed: str
    amount: int | None
    currency: str
    split: rules.Withheld | None = None
    approvals: int = 0
    problem: str = ""


@bp.get("")
@web.require_staff("marketer")
def show() -> str:
    with web.ctx() as ctx:
        return _page(ctx, asdict(queries.policy(ctx)), {})


@bp.post("")
@web.require_staff("admin")
def save() -> Response:
    with web.ctx() as ctx:
        values = _sent(ctx)
    try:
        wanted = Policy(**forms.load(PolicyForm(), values))
        with web.ctx() as ctx:
            before = queries.policy(ctx).version
            now = service.set_policy(ctx, wanted).version
    except Invalid as error:
        with web.ctx() as ctx:
            return make_response(_page(ctx, values, error.extra["errors"]), 422)
    except Conflict as error:
        flash(translate(error.message, error.params), "danger")
        return redirect(url_for("payout_policy.show"))
    if before == now:
        flash(_("These rules hold already."), "info")
    else:
        flash(_("The rules hold from now on; withdrawals asked for before keep theirs."), "success")
    return redirect(url_for("payout_policy.show"))


@bp.post("/example")
@web.require_staff("marketer")
def example() -> str:
    """The worked example with the rules as typed so far: a piece for htmx, a page of its own otherwise."""
    with web.ctx() as ctx:
        # Whoever may only look sends no rules, just an amount: those in force are worked out.
        values = {**asdict(queries.policy(ctx)), **_sent(ctx)}
        shown = _example(ctx, values)
        if not web.is_htmx():
            return _page(ctx, values, {}, shown)
    return render_template("marketer/_payout_example.html", example=shown)


def _sent(ctx: Ctx) -> dict[str, Any]:
    return forms.read_form(PolicyForm(), request.form, currency=queries.place(ctx)[1])


def _page(
    ctx: Ctx, values: Mapping[str, Any], problems: Mapping[str, Any], shown: Example | None = None
) -> str:
    currency = queries.place(ctx)[1]
    form = forms.form_fields(PolicyForm(), values, problems, currency=currency)
    # A rate with no choice beside it is always a share.
    form = [replace(one, unit="%", value=_percent(one.value)) if one.name in _RATES else one for one in form]
    return render_template(
        "marketer/payout_policy.html",
        form=forms.sections(form),
        version=queries.policy(ctx).version,
        versions=_versions(ctx, currency),
        example=shown or _example(ctx, values),
        admin=web.check_staff().role == "admin",
        problems=problems,
    )


def _percent(typed: Any) -> str:
    text = str(typed)
    return text.rstrip("0").rstrip(".") if "." in text else text


# -- the example -------------------------------------------------------------------------------------


def _example(ctx: Ctx, values: Mapping[str, Any]) -> Example:
    currency = queries.place(ctx)[1]
    places = get_currency_precision(currency)
    typed = request.form.get("example", str(_EXAMPLE)).strip()[:20]
    amount = form_money.read(typed, places)
    if not isinstance(amount, int) or not 0 < amount <= _MOST:
        return Example(typed, None, currency, problem=_("Give an amount above zero."))
    try:
        loaded = PolicyForm().load({name: values[name] for name in PolicyForm().fields if name in values})
    except ValidationError:
        return Example(typed, amount, currency, problem=_("Correct the rules first, then they can be tried."))
    policy = Policy(**loaded)
    wrong = rules.policy_problems(policy)
    if wrong:
        return Example(typed, amount, currency, problem=translate(next(iter(wrong.values()))[0]))
    return Example(
        typed,
        amount,
        currency,
        rules.withheld(amount, policy),
        rules.approvals_needed(amount, policy),
        _refusal(amount, policy, currency),
    )


def _refusal(amount: int, policy: Policy, currency: str) -> str:
    if amount < policy.minimum:
        least = format_amount(policy.minimum, currency)
        return str(_("It would be refused: the least is %(amount)s.", amount=least))
    if policy.daily_amount is not None and amount > policy.daily_amount:
        most = format_amount(policy.daily_amount, currency)
        return str(_("It would be refused: the most a day is %(amount)s.", amount=most))
    return ""


# -- earlier rules -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Version:
    row: WalletPolicy
    maker: str
    changes: Sequence[tuple[str, str, str]]
    """(label, before, after)."""


def _versions(ctx: Ctx, currency: str) -> list[Version]:
    """Newest first, each with what it changed."""
    found = queries.policies(ctx)
    makers = {one.id: one.name for one in access.all_staff(ctx.session)}
    told = [_told(row, currency) for row in found] + [_told(Policy(), currency)]
    oldest_known = len(found) < found[0].version if found else False
    return [
        Version(
            row,
            makers.get(row.created_by, _("Command line")),
            ()
            if oldest_known and number == len(found) - 1
            else [
                (label, told[number + 1][label], words)
                for label, words in told[number].items()
                if words != told[number + 1][label]
            ],
        )
        for number, row in enumerate(found)
    ]


def _told(policy: Policy | WalletPolicy, currency: str) -> dict[str, str]:
    """Every rule by its label, in words."""
    schema = PolicyForm()
    labels = {name: translate(one.metadata["label"]) for name, one in schema.fields.items()}
    registries: Mapping[str, Mapping[str, Any]] = {
        "identity_check": identity.registry,
        "provider": providers.registry,
    }
    found = {}
    for one in fields(Policy):
        value = getattr(policy, one.name)
        if one.name == "version":
            continue
        if one.name in registries:
            known = registries[one.name].get(value)
            words = translate(known.title) if known else str(value)
        elif value is None:
            words = _("no limit") if one.name != "second_above" else _("never")
        elif one.name in _RATES:
            words = format_percent(value / rules.WHOLE_BP)
        else:
            words = str(value) if one.name == "daily_count" else format_amount(value, currency)
        found[labels[one.name]] = words
    return found
