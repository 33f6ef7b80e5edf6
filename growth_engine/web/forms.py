"""Forms drawn from marshmallow schemas: fields to show, what was sent read back, problems in words.

A field's ``metadata`` may hold ``label``, ``help``, ``unit``, ``section``, ``placeholder`` (message ids)
and ``widget`` (textarea, email, password, color, url, hidden, datetime-local …). ``money`` marks an amount
in minor units, ``hundredths`` a rate in basis points or such an amount: people write both with decimals.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from marshmallow import Schema, ValidationError, fields, validate
from werkzeug.datastructures import MultiDict

from growth_engine.kit.errors import Invalid
from growth_engine.kit.i18n import translate
from growth_engine.web import form_money
from growth_engine.web.form_problems import in_words

#: More rows than this in one list of a form is no person's typing.
MOST_ROWS = 100

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FormField:
    """One field as the macro ``form.field`` draws it; every text is translated."""

    name: str
    id: str
    label: str
    help: str
    widget: str
    value: Any
    errors: Sequence[str] = ()
    required: bool = False
    options: Sequence[tuple[str, str]] = ()
    unit: str = ""
    section: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    rows: Sequence[Sequence[FormField]] = ()
    """Of a list of things: the fields of each."""
    blank: Sequence[FormField] = ()
    """Of a list of things: the fields of a further one; ``__n__`` stands for its number."""
    settled: bool = False
    """Of a choice: one of the options always holds, so "none" is not offered."""
    follows: str = ""
    """Id of the choice (bp or fixed) that says whether ``unit`` is % or the currency."""
    currency: str = ""


@dataclass(frozen=True, slots=True)
class _Around:
    """What a field needs to know of the form it stands in."""

    schema: Schema
    values: Values
    zone: str
    prefix: str
    currency: str


def form_fields(
    schema: Schema,
    values: Values,
    problems: Values | None = None,
    *,
    zone: str = "UTC",
    prefix: str = "",
    currency: str = "",
) -> list[FormField]:
    """The fields of ``schema``, filled from ``values`` (loaded, dumped or raw from ``read_form``).

    ``problems`` is what ``ValidationError.messages`` holds; ``currency`` the one of amounts in a schema
    without a field of this name.
    """
    problems = problems or {}
    around = _Around(schema, values, zone, prefix, form_money.currency_of(schema, values, outer=currency))
    return [
        _form_field(name, one, values.get(name, _default(one)), problems.get(name), around)
        for name, one in schema.fields.items()
        if not one.dump_only
    ]


def sections(form: Iterable[FormField]) -> dict[str, list[FormField]]:
    """The fields by their ``section``, in the order the sections first appear."""
    found: dict[str, list[FormField]] = {}
    for one in form:
        found.setdefault(one.section, []).append(one)
    return found


def _default(one: fields.Field[Any]) -> Any:
    default = one.load_default
    if callable(default):
        return default()
    return default if isinstance(default, (str, int, float, bool, list, dict)) else None


def _form_field(name: str, one: fields.Field[Any], value: Any, problem: Any, around: _Around) -> FormField:
    full = f"{around.prefix}{name}"
    texts = one.metadata
    widget = _widget(one)
    shared: dict[str, Any] = {
        "name": full,
        "id": f"f-{full}",
        "label": translate(texts.get("label") or name.replace("_", " ").capitalize()),
        "help": translate(texts.get("help", "")),
        "unit": translate(texts.get("unit", "")),
        "section": texts.get("section", ""),
        "widget": widget,
        "required": one.required or (_is_needed(one) and widget not in ("switch", "rows", "checkboxes")),
    }
    if widget == "rows":
        return _rows(shared, one, value, problem, around)
    by = form_money.unit_field(name, one, around.schema)
    counted_as = str(around.values.get(by, _default(around.schema.fields[by]))) if by else ""
    places = form_money.digits(one, counted_as, around.currency)
    if places is not None:
        return _amount(shared, value, problem, around, by, counted_as, places)
    return FormField(
        **shared,
        value=_shown(value, widget, around.zone),
        errors=in_words(problem),
        options=options(one),
        attributes=_attributes(one),
        settled=_default(one) not in (None, ""),
    )


def _amount(
    shared: dict[str, Any],
    value: Any,
    problem: Any,
    around: _Around,
    by: str,
    counted_as: str,
    places: int,
) -> FormField:
    """An amount or a rate, as people write it."""
    is_share = bool(by) and counted_as != "fixed"
    text = "" if value is None else str(value)
    if isinstance(value, int):
        text = form_money.shortly(value) if is_share else form_money.written(value, places)
    if by:
        shared["help"] = ""  # it is about basis points, which only programs write
    shared |= {"widget": "text", "unit": "%" if is_share else around.currency}
    return FormField(
        **shared,
        value=text,
        errors=in_words(problem, places),
        attributes={"inputmode": "decimal", "autocomplete": "off"},
        follows=f"f-{around.prefix}{by}" if by else "",
        currency=around.currency,
    )


def _is_needed(one: fields.Field[Any]) -> bool:
    """Numbers and choices without a "none" cannot be left empty, whatever their default."""
    return not one.allow_none and isinstance(one, (fields.Integer, fields.Float, fields.Decimal))


def _rows(
    shared: dict[str, Any], one: fields.Field[Any], value: Any, problem: Any, around: _Around
) -> FormField:
    assert isinstance(one, fields.List)
    assert isinstance(one.inner, fields.Nested)
    inner = one.inner.schema
    wrong = problem if isinstance(problem, Mapping) else {}
    rows = [
        form_fields(
            inner,
            row,
            wrong.get(number, wrong.get(str(number))),
            zone=around.zone,
            prefix=f"{shared['name']}-{number}-",
            currency=around.currency,
        )
        for number, row in enumerate(value or [])
        if isinstance(row, Mapping)
    ]
    blank = form_fields(
        inner, {}, zone=around.zone, prefix=f"{shared['name']}-__n__-", currency=around.currency
    )
    return FormField(**shared, value=value, errors=() if wrong else in_words(problem), rows=rows, blank=blank)


def _widget(one: fields.Field[Any]) -> str:
    if "widget" in one.metadata:
        return str(one.metadata["widget"])
    if isinstance(one, fields.List):
        if isinstance(one.inner, fields.Nested):
            return "rows"
        return "checkboxes" if _choices(one) else "textarea"
    if isinstance(one, fields.Boolean):
        return "switch"
    if _choices(one):
        return "select"
    for kind, widget in (
        (fields.Integer, "number"),
        (fields.Float, "number"),
        (fields.Decimal, "number"),
        (fields.DateTime, "datetime-local"),
        (fields.Date, "date"),
        (fields.Email, "email"),
        (fields.Url, "url"),
    ):
        if isinstance(one, kind):
            return widget
    return "text"


def _validators(one: fields.Field[Any]) -> Sequence[Any]:
    inner = one.inner.validators if isinstance(one, fields.List) else []
    return [*one.validators, *inner]


def _choices(one: fields.Field[Any]) -> validate.OneOf | None:
    return next((v for v in _validators(one) if isinstance(v, validate.OneOf)), None)


def options(one: fields.Field[Any]) -> list[tuple[str, str]]:
    """The choices of a field, each with its label in the language spoken; none when anything goes."""
    found = _choices(one)
    if found is None:
        return []
    choices = [str(choice) for choice in found.choices]
    labels = [str(label) for label in found.labels] or choices
    return [(choice, translate(label)) for choice, label in zip(choices, labels, strict=True)]


def _attributes(one: fields.Field[Any]) -> dict[str, Any]:
    """What the browser can check before sending; the schema checks it again."""
    found: dict[str, Any] = {}
    if isinstance(one, fields.Integer):
        found |= {"step": 1, "inputmode": "numeric"}
    for name in ("placeholder", "autocomplete", "rows", "show_values"):
        if name in one.metadata:
            found[name] = translate(one.metadata[name]) if name == "placeholder" else one.metadata[name]
    for rule in one.validators:
        if isinstance(rule, validate.Range):
            found |= {"min": rule.min} if rule.min is not None else {}
            found |= {"max": rule.max} if rule.max is not None else {}
        elif isinstance(rule, validate.Length) and isinstance(one, fields.String) and rule.max is not None:
            found["maxlength"] = rule.max
    return found


def _shown(value: Any, widget: str, zone: str) -> Any:
    if widget == "switch":
        return value in (True, "1", "true", "on")
    if widget == "checkboxes":
        return [str(each) for each in value or []]
    if value is None:
        return ""
    if widget == "password":
        return ""  # never sent back to a browser
    if widget == "datetime-local":
        return _local(value, zone)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list):
        return "\n".join(str(each) for each in value)
    return str(value)


def _local(value: Any, zone: str) -> str:
    """A moment as ``datetime-local`` wants it, in the workspace's zone; broken text goes back as it came."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return str(value)
    if value.tzinfo is not None:
        value = value.astimezone(ZoneInfo(zone))
    return str(value.strftime("%Y-%m-%dT%H:%M"))


def load(schema: Schema, values: Values) -> dict[str, Any]:
    """The values as the schema understands them; raises Invalid, whose ``extra["errors"]`` the form shows."""
    try:
        loaded: dict[str, Any] = schema.load(values)
    except ValidationError as error:
        problems = error.messages
        raise Invalid(fields=problems if isinstance(problems, dict) else {"_schema": problems}) from None
    return loaded


# -- reading what was sent ---------------------------------------------------------------------------


def read_form(
    schema: Schema, sent: MultiDict[str, str], *, zone: str = "UTC", prefix: str = "", currency: str = ""
) -> dict[str, Any]:
    """What a form sent, in the shape ``schema.load`` takes.

    Empty inputs become ``None`` where that is allowed and are left out otherwise; a moment typed in the
    workspace's zone becomes UTC, amounts become minor units and rates basis points.
    """
    values: dict[str, Any] = {}
    currency = form_money.currency_of(schema, sent, prefix, currency)
    for name, one in schema.fields.items():
        if one.dump_only:
            continue
        full = f"{prefix}{name}"
        widget = _widget(one)
        if widget == "switch":
            values[name] = full in sent
        elif widget == "rows":
            values[name] = _read_rows(one, sent, full, zone, currency)
        elif widget == "checkboxes":
            values[name] = sent.getlist(full)
        elif full in sent:
            _read_one(values, name, one, sent[full], widget, zone)
            by = form_money.unit_field(name, one, schema)
            places = form_money.digits(one, sent.get(f"{prefix}{by}", "") if by else "", currency)
            if places is not None and isinstance(values.get(name), str):
                values[name] = form_money.read(values[name], places)
    return values


def _read_one(
    values: dict[str, Any], name: str, one: fields.Field[Any], raw: str, widget: str, zone: str
) -> None:
    text = raw if widget == "password" else raw.strip().replace("\r\n", "\n")
    if isinstance(one, fields.List):
        values[name] = [line.strip() for line in text.split("\n") if line.strip()]
    elif text == "":
        if one.allow_none:
            values[name] = None
        elif isinstance(one, fields.String) and not one.required:
            values[name] = ""
    elif widget == "datetime-local":
        values[name] = _utc(text, zone)
    else:
        values[name] = text


def _utc(text: str, zone: str) -> str:
    try:
        typed = datetime.fromisoformat(text)
    except ValueError:
        return text  # the schema says that it is no time
    if typed.tzinfo is None:
        typed = typed.replace(tzinfo=ZoneInfo(zone))
    return typed.astimezone(ZoneInfo("UTC")).isoformat()


def _read_rows(
    one: fields.Field[Any], sent: MultiDict[str, str], full: str, zone: str, currency: str
) -> list[dict[str, Any]]:
    """Rows in the order of their numbers; those left wholly empty are dropped."""
    assert isinstance(one, fields.List)
    assert isinstance(one.inner, fields.Nested)
    inner = one.inner.schema
    numbers = set()
    for key in sent:
        match = re.fullmatch(re.escape(full) + r"-(\d{1,6})-.+", key)
        if match:
            numbers.add(int(match[1]))
    rows = []
    for number in sorted(numbers)[: MOST_ROWS + 1]:
        prefix = f"{full}-{number}-"
        if any(value.strip() for key, value in sent.items() if key.startswith(prefix)):
            rows.append(read_form(inner, sent, zone=zone, prefix=prefix, currency=currency))
    return rows
