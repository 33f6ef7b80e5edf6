"""The ready campaigns: each complete, clean, in both languages, and true to its own rules."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from growth_engine.kit.errors import Misconfigured
from growth_engine.plays import compliance
from growth_engine.plays.content import ContentSchema
from growth_engine.plays.registry import play
from growth_engine.plays.selling import sells
from growth_engine.plays.templates import CATEGORIES, Template, UnknownTemplate, load, template, templates
from growth_engine.posters import gallery

FOLDER = Path(__file__).parent.parent.parent / "campaigns" / "templates"
NOW = datetime(2026, 6, 1, tzinfo=UTC)

every = pytest.mark.parametrize("ready", templates().values(), ids=list(templates()))


def document(**changes: Any) -> str:
    made = json.loads((FOLDER / "retail-members.json").read_text(encoding="utf-8"))
    return json.dumps({**made, **changes})


def test_there_are_at_least_six_for_the_promised_lines_of_business() -> None:
    assert len(templates()) >= 6
    assert {one.category for one in templates().values()} == set(CATEGORIES)


def test_every_file_is_found() -> None:
    assert set(templates()) == {path.stem for path in FOLDER.glob("*.json")}


@every
@pytest.mark.parametrize("locale", ["zh", "en"])
def test_each_can_be_published_unchanged(ready: Template, locale: str) -> None:
    start, end = ready.period(NOW)
    assert end - start == timedelta(days=ready.duration_days)
    content = ready.content(locale, brand="山丘生活" if locale == "zh" else "Hillside")
    assert compliance.check(ready.play, ready.config(locale), content, starts_at=start, ends_at=end) == []


@every
@pytest.mark.parametrize("locale", ["zh", "en"])
def test_each_says_everything_and_nothing_is_left_in_braces(ready: Template, locale: str) -> None:
    filled = ready.filled(locale)
    assert set(filled) == set(ContentSchema().fields)
    for name, value in filled.items():
        assert value, f"{name} is empty"
        assert "{" not in str(value).replace("{'", ""), f"{name}: {value}"
    assert len(filled["rules"]) >= 5


@every
def test_the_languages_are_not_mixed_up(ready: Template) -> None:
    assert not any(
        "\u4e00" <= char <= "\u9fff" for char in json.dumps(ready.content("en"), ensure_ascii=False)
    )
    for name, value in ready.content("zh").items():
        assert name == "colour" or any("\u4e00" <= char <= "\u9fff" for char in str(value)), name


@every
def test_config_and_content_survive_being_stored(ready: Template) -> None:
    for locale in ("zh", "en"):
        stored = json.loads(json.dumps(ready.config(locale)))
        assert play(ready.play).Config().load(stored) == stored
        copy = json.loads(json.dumps(ready.content(locale)))
        assert ContentSchema().load(copy) == copy


@every
def test_the_poster_template_exists(ready: Template) -> None:
    assert ready.poster in gallery.slugs()


def test_numbers_in_the_text_follow_changed_rules() -> None:
    ready = template("saas-membership")
    config = {**ready.config("zh"), "friend_days": 45, "tiers": []}
    from growth_engine.plays.content import fill

    filled = fill(ready.content("zh"), play("referral").promise(config), locale="zh")
    assert "45" in filled["reward_friend"]
    assert not any("阶梯" in line for line in filled["rules"]), "a ladder that is not there is not spoken of"


def test_the_workspace_name_takes_the_place_of_the_sample_brand() -> None:
    filled = template("cafe").filled("zh", brand="老街茶馆")
    assert filled["brand"] == "老街茶馆"
    assert "老街茶馆" in filled["share_text"]


def test_what_is_handed_out_is_a_copy() -> None:
    template("cafe").config("zh")["tiers"].clear()
    template("cafe").content("zh")["rules"].clear()
    assert template("cafe").config("zh")["tiers"]
    assert template("cafe").content("zh")["rules"]


def test_an_unknown_name_is_a_404() -> None:
    with pytest.raises(UnknownTemplate):
        template("nothing")


def test_two_of_one_name_stop_the_boot() -> None:
    with pytest.raises(Misconfigured, match="retail-members"):
        load([("retail-members.json", document()), ("retail-members.json", document())])


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"slug": "Bad Slug"}, "slug"),
        ({"play": "nothing"}, "nothing"),
        ({"poster": "nothing"}, "nothing"),
        ({"category": "nothing"}, "category"),
        ({"colour": "#fff"}, "colour"),
        ({"config": {"inviter_days": -1}}, "inviter_days"),
        ({"config": {"typo": 1}}, "typo"),
        ({"name": {"zh": "只有中文"}}, "name"),
        ({"copy": {"zh": {"titel": "x"}, "en": {}}}, "titel"),
        ({"copy": {"zh": {"title": "转发朋友圈领取"}, "en": {}}}, "_missing"),
    ],
)
def test_a_broken_document_stops_the_boot_and_is_named(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(Misconfigured, match=named):
        load([("retail-members.json", document(**changes))])


def test_copy_that_breaks_the_rules_stops_the_boot() -> None:
    copy = json.loads((FOLDER / "retail-members.json").read_text(encoding="utf-8"))["copy"]
    copy["zh"]["subtitle"] = "转发朋友圈领取"
    with pytest.raises(Misconfigured, match="forced_sharing"):
        load([("retail-members.json", document(copy=copy))])


def test_a_file_must_carry_the_name_of_its_slug() -> None:
    with pytest.raises(Misconfigured, match="must be called"):
        load([("other.json", document())])


@every
def test_what_sells_has_something_to_sell_in_both_languages(ready: Template) -> None:
    assert bool(ready.products("zh")) == sells(play(ready.play))
    for locale in ("zh", "en"):
        for product in ready.products(locale):
            assert set(product) == {"sku", "name", "description", "price", "stock"}
            assert product["name"]
            assert product["price"] > 0
    assert [one["sku"] for one in ready.products("zh")] == [one["sku"] for one in ready.products("en")]


def test_there_are_three_ready_campaigns_that_sell_the_first_being_the_book_for_59_yuan() -> None:
    selling = [one for one in templates().values() if one.play == "distribution"]
    assert len(selling) >= 3
    book = selling[0]
    assert book.config("zh")["levels"] == 2
    assert (book.config("zh")["level1_value"], book.config("zh")["level2_value"]) == (2000, 500)
    assert [(one["price"], one["stock"]) for one in book.products("zh")] == [(5900, 8000)]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"products": []}, "products_missing"),
        ({"products": [{"sku": "a"}]}, "products"),
        ({"config": {"levels": 3}}, "levels"),
        ({"config": {"level1_value": 10_000}}, "commission_above_price"),
        ({"config": {"overrides": [{"sku": "gone", "value": 1}]}}, "rate_without_product"),
    ],
)
def test_a_selling_document_that_is_broken_stops_the_boot(changes: dict[str, Any], named: str) -> None:
    made = json.loads((FOLDER / "book-fans.json").read_text(encoding="utf-8"))
    with pytest.raises(Misconfigured, match=named):
        load([("book-fans.json", json.dumps({**made, **changes}))])


def test_two_products_of_one_sku_stop_the_boot() -> None:
    made = json.loads((FOLDER / "book-fans.json").read_text(encoding="utf-8"))
    with pytest.raises(Misconfigured, match="same SKU"):
        load([("book-fans.json", json.dumps({**made, "products": made["products"] * 2}))])
