"""Trying other rates: the last days of real orders replayed under today's rules and a draft, side by side."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from babel.numbers import get_currency_precision
from flask import Blueprint, Response, render_template, request
from flask_babel import gettext as _
from marshmallow import Schema, ValidationError

from growth_engine.context import Ctx
from growth_engine.kit import web
from growth_engine.kit.i18n import N_, translate
from growth_engine.orders import queries as orders
from growth_engine.payouts.sheets import harmless
from growth_engine.plays import simulator_queries
from growth_engine.plays.reasons import REASONS
from growth_engine.plays.registry import play
from growth_engine.plays.simulator import Change, Comparison, History, Outcome, compare
from growth_engine.web import form_money, forms
from growth_engine.web.forms import FormField
from growth_engine.web.marketer import campaign_frame
from growth_engine.web.marketer.campaign_frame import Frame, Person

bp = Blueprint("simulator", __name__, url_prefix="/console/campaigns")

PREFIX = "rules-"
DAYS = (7, 14, 30, 90, 180, 365)
DEFAULT_DAYS = 30
#: Promoters shown; the file holds all of them.
SHOWN = 100
#: Of the rules outside the section of rates those that change what a replay comes to.
_FURTHER = ("who_promotes", "spend_threshold", "hold_days")
COLUMNS = ("number", "name", "contact_id", "today", "draft", "change", "currency")


@dataclass(frozen=True, slots=True)
class Field:
    """A rule of the draft as it is typed, and what it is today."""

    field: FormField
    today: str


@dataclass(frozen=True, slots=True)
class Result:
    """A comparison as the page shows it."""

    found: Comparison
    paid_orders: int
    people: Mapping[int, Person]
    days: int

    @property
    def shown(self) -> Sequence[Change]:
        return [one for one in self.found.changes if one.by or one.before][:SHOWN]

    def per_order(self, outcome: Outcome) -> int | None:
        """Cost by paid order, rounded; ``None`` without one."""
        paid = self.paid_orders
        return (2 * outcome.cost + paid) // (2 * paid) if paid else None

    @property
    def share(self) -> tuple[float, float] | None:
        """Cost of what was sold, today and with the draft."""
        sales = self.found.sales
        return (self.found.today.cost / sales, self.found.draft.cost / sales) if sales else None

    @property
    def reasons(self) -> list[tuple[str, int, int]]:
        """Why nobody earned, with how often under either."""
        today, draft = self.found.today.reasons, self.found.draft.reasons
        codes = sorted(
            today.keys() | draft.keys(), key=lambda code: -max(today.get(code, 0), draft.get(code, 0))
        )
        return [
            (translate(REASONS.get(code, code)), today.get(code, 0), draft.get(code, 0)) for code in codes
        ]


@bp.get("/<campaign_id>/simulator")
@web.require_staff("marketer")
def show(campaign_id: str) -> str:
    with web.ctx() as ctx:
        frame = campaign_frame.shop(ctx, campaign_id)
        draft = {**frame.config, **_only(frame, frame.campaign.config)}
        return _page(ctx, frame, draft, {}, None, DEFAULT_DAYS)


@bp.post("/<campaign_id>/simulator")
@web.require_staff("marketer")
def run(campaign_id: str) -> str | tuple[str, int]:
    """The results: a piece for htmx, the whole page otherwise. Nothing is written anywhere."""
    with web.ctx() as ctx:
        frame = campaign_frame.shop(ctx, campaign_id)
        typed = _typed(frame)
        draft, problems = _loaded(frame, typed)
        if draft is None:
            if web.is_htmx():
                fields = _form(frame, typed, problems)
                return render_template("marketer/_simulator_problems.html", fields=fields)
            return _page(ctx, frame, typed, problems, None, _days()), 422
        history = simulator_queries.history(ctx, campaign_id, days=_days())
    result = _compared(frame, draft, history)  # seconds for a long history: no transaction waits meanwhile
    with web.ctx() as ctx:
        result = replace(result, people=_people(ctx, campaign_id, result.shown))
        if web.is_htmx():
            return render_template(
                "marketer/_simulator_result.html", result=result, frame=frame, campaign=frame.campaign
            )
        return _page(ctx, frame, typed, {}, result, result.days)


@bp.post("/<campaign_id>/simulator.csv")
@web.require_staff("marketer")
def export(campaign_id: str) -> Response | str | tuple[str, int]:
    """The same, for every promoter."""
    with web.ctx() as ctx:
        frame = campaign_frame.shop(ctx, campaign_id)
        typed = _typed(frame)
        draft, problems = _loaded(frame, typed)
        if draft is None:
            return _page(ctx, frame, typed, problems, None, _days()), 422
        history = simulator_queries.history(ctx, campaign_id, days=_days())
    changes = _compared(frame, draft, history).found.changes
    with web.ctx() as ctx:
        people = _people(ctx, campaign_id, changes)
    response = Response("".join(_file(changes, people, frame.currency)), mimetype="text/csv")
    response.headers["Content-Disposition"] = f'attachment; filename="rates-{campaign_id}.csv"'
    return response


def _compared(frame: Frame, draft: Mapping[str, Any], history: History) -> Result:
    found = compare(play(frame.campaign.play), history, frame.config, draft)
    return Result(found, sum(1 for sale in history.sales if sale.net), {}, _days())


def _people(ctx: Ctx, campaign_id: str, changes: Sequence[Change]) -> Mapping[int, Person]:
    return campaign_frame.people_by_number(ctx, campaign_id, [one.member for one in changes])


def _page(
    ctx: Ctx,
    frame: Frame,
    typed: Mapping[str, Any],
    problems: Mapping[str, Any],
    result: Result | None,
    days: int,
) -> str:
    counts = orders.counts(ctx, frame.campaign.id)
    return render_template(
        "marketer/simulator.html",
        frame=frame,
        campaign=frame.campaign,
        tab="simulator.show",
        fields=_form(frame, typed, problems),
        problems=problems,
        result=result,
        days=days,
        choices=DAYS,
        orders=sum(counts.values()),
        most=simulator_queries.MOST_ORDERS,
    )


# -- the draft ---------------------------------------------------------------------------------------


def _schema(frame: Frame) -> Schema:
    schema: Schema = play(frame.campaign.play).Config()
    return schema


def _names(schema: Schema) -> list[str]:
    """The rules that are tried here."""
    return [
        name
        for name, one in schema.fields.items()
        if one.metadata.get("section") == "commission" or name in _FURTHER
    ]


def _only(frame: Frame, config: Mapping[str, Any]) -> dict[str, Any]:
    return {name: config[name] for name in _names(_schema(frame)) if name in config}


def _typed(frame: Frame) -> dict[str, Any]:
    """The published rules with what was typed of those that are tried."""
    sent = forms.read_form(_schema(frame), request.form, prefix=PREFIX, currency=frame.currency)
    return {**frame.config, **_only(frame, sent), "currency": frame.currency}


def _loaded(frame: Frame, typed: Mapping[str, Any]) -> tuple[dict[str, Any] | None, Mapping[str, Any]]:
    try:
        return dict(_schema(frame).load(typed)), {}
    except ValidationError as error:
        problems = error.messages
        return None, problems if isinstance(problems, dict) else {"_schema": problems}


def _days() -> int:
    wanted = request.form.get("days", "")
    return int(wanted) if wanted.isdecimal() and int(wanted) in DAYS else DEFAULT_DAYS


def _form(frame: Frame, typed: Mapping[str, Any], problems: Mapping[str, Any]) -> list[Field]:
    schema = _schema(frame)
    wanted = {f"{PREFIX}{name}" for name in _names(schema)}
    drawn = forms.form_fields(schema, typed, problems, prefix=PREFIX)
    today = {one.name: one for one in forms.form_fields(schema, frame.config, prefix=PREFIX)}
    return [Field(one, _said(today[one.name])) for one in drawn if one.name in wanted]


def _said(field: FormField) -> str:
    """A rule as it is today, in a word; lists are long and stand in the editor."""
    if field.widget == "rows":
        return ""
    if field.widget == "switch":
        return str(_("yes")) if field.value else str(_("no"))
    if field.options:
        return dict(field.options).get(str(field.value), str(field.value))
    if field.value == "":
        return translate(N_("no limit"))
    return f"{field.value} {field.unit}".strip()


# -- the file ----------------------------------------------------------------------------------------


def _file(changes: Sequence[Change], people: Mapping[int, Person], currency: str) -> Iterator[str]:
    yield "\ufeff" + _line(COLUMNS)  # the mark tells spreadsheets that it is UTF-8
    places = get_currency_precision(currency)
    for one in changes:
        person = people.get(one.member)
        name, contact = (person.name, person.contact_id) if person else ("", "")
        amounts = (form_money.written(amount, places) for amount in (one.before, one.after, one.by))
        yield _line((str(one.member), harmless(name), contact, *amounts, currency))


def _line(cells: Sequence[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(cells)
    return out.getvalue()
