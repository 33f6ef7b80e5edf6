"""Forms drawn from schemas and read back: what is shown, what is sent, what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from marshmallow import EXCLUDE, Schema, fields, validate
from werkzeug.datastructures import MultiDict

from growth_engine.kit.errors import Invalid
from growth_engine.kit.i18n import in_locale
from growth_engine.web import forms


class Tier(Schema):
    invites = fields.Integer(required=True, validate=validate.Range(min=1))
    label = fields.String(load_default="")


class Config(Schema):
    class Meta:
        unknown = EXCLUDE

    title = fields.String(
        required=True, validate=validate.Length(max=20), metadata={"label": "Title", "help": "Short."}
    )
    days = fields.Integer(
        load_default=30,
        validate=validate.Range(min=1, max=365),
        metadata={"unit": "days", "section": "reward"},
    )
    most = fields.Integer(load_default=None, allow_none=True)
    open = fields.Boolean(load_default=True)
    mode = fields.String(load_default="a", validate=validate.OneOf(["a", "b"], labels=["Apple", "Banana"]))
    starts_at = fields.AwareDateTime(load_default=None, allow_none=True, default_timezone=UTC)
    tiers = fields.List(fields.Nested(Tier), load_default=list)
    words = fields.List(fields.String(), load_default=list)
    kinds = fields.List(fields.String(validate=validate.OneOf(["x", "y"])), load_default=list)


@pytest.fixture(autouse=True)
def _english() -> Iterator[None]:
    with in_locale("en"):
        yield


def _by_name(found: list[forms.FormField]) -> dict[str, forms.FormField]:
    return {one.name: one for one in found}


def test_each_kind_of_field_has_its_widget_and_its_limits() -> None:
    form = _by_name(forms.form_fields(Config(), {}))
    assert {name: one.widget for name, one in form.items()} == {
        "title": "text",
        "days": "number",
        "most": "number",
        "open": "switch",
        "mode": "select",
        "starts_at": "datetime-local",
        "tiers": "rows",
        "words": "textarea",
        "kinds": "checkboxes",
    }
    assert form["title"].label == "Title"
    assert form["title"].required
    assert form["title"].attributes["maxlength"] == 20
    assert form["days"].value == "30"
    assert form["days"].attributes == {"step": 1, "inputmode": "numeric", "min": 1, "max": 365}
    assert form["days"].required
    assert not form["most"].required
    assert form["mode"].options == [("a", "Apple"), ("b", "Banana")]
    assert list(forms.sections(list(form.values()))) == ["", "reward"]


def test_a_time_is_typed_and_shown_in_the_zone_of_the_workspace() -> None:
    zone = "Asia/Shanghai"
    sent = MultiDict({"title": "x", "starts_at": "2026-06-01T10:00"})
    loaded = forms.load(Config(), forms.read_form(Config(), sent, zone=zone))
    assert loaded["starts_at"] == datetime(2026, 6, 1, 2, 0, tzinfo=UTC)
    shown = _by_name(forms.form_fields(Config(), loaded, zone=zone))["starts_at"].value
    assert shown == "2026-06-01T10:00"


def test_rows_are_read_in_order_and_empty_ones_are_dropped() -> None:
    sent = MultiDict(
        {
            "title": "x",
            "tiers-7-invites": "5",
            "tiers-7-label": "five",
            "tiers-2-invites": "3",
            "tiers-3-invites": " ",
            "tiers-3-label": "",
        }
    )
    loaded = forms.load(Config(), forms.read_form(Config(), sent))
    assert loaded["tiers"] == [{"invites": 3, "label": ""}, {"invites": 5, "label": "five"}]


def test_what_was_sent_wrong_comes_back_with_the_reason_beside_it() -> None:
    sent = MultiDict(
        {"title": "t" * 30, "days": "many", "mode": "z", "tiers-0-invites": "0", "starts_at": "soon"}
    )
    values = forms.read_form(Config(), sent)
    with pytest.raises(Invalid) as refused:
        forms.load(Config(), values)
    form = _by_name(forms.form_fields(Config(), values, refused.value.extra["errors"]))
    assert form["title"].errors == ["At most 20 characters or rows."]
    assert form["days"].errors == ["This is not a whole number."]
    assert form["days"].value == "many"
    assert form["mode"].errors == ["Choose one from the list."]
    assert form["starts_at"].value == "soon"
    assert form["starts_at"].errors == ["This is not a date with a time."]
    assert form["tiers"].errors == ()
    assert form["tiers"].rows[0][0].errors == ["Must be at least 1."]
    assert form["tiers"].rows[0][0].name == "tiers-0-invites"
    assert form["tiers"].blank[0].name == "tiers-__n__-invites"


def test_reasons_are_told_in_the_reader_s_language() -> None:
    with in_locale("zh"):
        form = _by_name(
            forms.form_fields(
                Config(), {}, {"days": ["Must be greater than or equal to 1 and less than or equal to 365."]}
            )
        )
    assert form["days"].errors == ["必须在 1 到 365 之间。"]


def test_empty_inputs_are_none_where_that_is_allowed_and_left_out_otherwise() -> None:
    values = forms.read_form(
        Config(), MultiDict({"title": " ", "days": "", "most": "", "words": "a\r\n\r\n b "})
    )
    assert values == {"most": None, "open": False, "tiers": [], "words": ["a", "b"], "kinds": []}


def test_a_flood_of_rows_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = MultiDict({f"tiers-{number}-invites": "1" for number in range(500)})
    assert len(forms.read_form(Config(), sent)["tiers"]) == forms.MOST_ROWS + 1


class Rate(Schema):
    unit = fields.String(load_default="bp", validate=validate.OneOf(["bp", "fixed"]))
    value = fields.Integer(
        required=True, validate=validate.Range(min=0, max=10_000), metadata={"hundredths": True}
    )


class Selling(Schema):
    currency = fields.String(load_default="CNY", validate=validate.OneOf(["CNY", "JPY"]))
    spent = fields.Integer(
        load_default=0, validate=validate.Range(min=0, max=100_000), metadata={"money": True}
    )
    cap = fields.Integer(load_default=None, allow_none=True, metadata={"money": True})
    first_unit = fields.String(load_default="bp", validate=validate.OneOf(["bp", "fixed"]))
    first_value = fields.Integer(load_default=1000, metadata={"hundredths": True})
    others = fields.List(fields.Nested(Rate), load_default=list)


def test_amounts_and_rates_are_shown_as_people_write_them() -> None:
    values = {
        "spent": 5900,
        "first_value": 1250,
        "others": [{"unit": "bp", "value": 2000}, {"unit": "fixed", "value": 500}],
    }
    form = _by_name(forms.form_fields(Selling(), values))
    assert (form["spent"].value, form["spent"].unit) == ("59.00", "CNY")
    assert form["spent"].attributes == {"inputmode": "decimal", "autocomplete": "off"}
    assert form["cap"].value == ""
    assert (form["first_value"].value, form["first_value"].unit) == ("12.5", "%")
    assert form["first_value"].follows == "f-first_unit"
    share, amount = form["others"].rows
    assert (share[1].value, share[1].unit) == ("20", "%")
    assert (amount[1].value, amount[1].unit) == ("5.00", "CNY")


def test_a_currency_without_decimals_has_none() -> None:
    values = {"currency": "JPY", "spent": 5900, "first_unit": "fixed", "first_value": 300}
    form = _by_name(forms.form_fields(Selling(), values))
    assert (form["spent"].value, form["spent"].unit) == ("5900", "JPY")
    assert form["first_value"].value == "300"
    sent = MultiDict({"currency": "JPY", "spent": "1,200", "first_unit": "fixed", "first_value": "300"})
    loaded = forms.load(Selling(), forms.read_form(Selling(), sent))
    assert (loaded["spent"], loaded["first_value"]) == (1200, 300)


def test_amounts_and_rates_are_read_exactly() -> None:
    sent = MultiDict(
        {
            "spent": "1,0.29",
            "cap": "",
            "first_unit": "bp",
            "first_value": "33.33",
            "others-0-unit": "fixed",
            "others-0-value": "５.1",
        }
    )
    loaded = forms.load(Selling(), forms.read_form(Selling(), sent))
    assert loaded["spent"] == 1029
    assert loaded["cap"] is None
    assert loaded["first_value"] == 3333
    assert loaded["others"] == [{"unit": "fixed", "value": 510}]


@pytest.mark.parametrize("typed", ["12.345", "1e5", "many", "1.2.3", "0x10", "--5", "1" * 400])
def test_what_is_no_amount_comes_back_as_it_was_typed(typed: str) -> None:
    values = forms.read_form(Selling(), MultiDict({"spent": typed}))
    with pytest.raises(Invalid) as refused:
        forms.load(Selling(), values)
    field = _by_name(forms.form_fields(Selling(), values, refused.value.extra["errors"]))["spent"]
    assert field.value == typed
    assert field.errors


@pytest.mark.parametrize("typed", ["1_000", "+7", "٧", " 7 ", "-3"])
def test_nothing_that_reads_as_a_whole_number_slips_through_as_minor_units(typed: str) -> None:
    found = forms.read_form(Selling(), MultiDict({"spent": typed}))["spent"]
    assert found in (100_000, 700, -300)


def test_limits_of_amounts_are_told_as_people_write_them() -> None:
    values = forms.read_form(Selling(), MultiDict({"spent": "5000"}))
    with pytest.raises(Invalid) as refused:
        forms.load(Selling(), values)
    field = _by_name(forms.form_fields(Selling(), values, refused.value.extra["errors"]))["spent"]
    assert field.errors == ["Must be between 0.00 and 1000.00."]
    assert field.value == "5000.00"


def test_a_choice_that_always_holds_offers_no_none() -> None:
    form = _by_name(forms.form_fields(Config(), {}))
    assert form["mode"].settled
