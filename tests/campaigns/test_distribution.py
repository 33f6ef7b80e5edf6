"""The distribution play: who earns, at which rate, up to which limit, and that the arithmetic holds."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marshmallow import ValidationError

from campaigns import distribution as play
from growth_engine.ledger.contract import Reason
from growth_engine.plays import worth
from growth_engine.plays.content import fill
from growth_engine.plays.contract import (
    Decision,
    Given,
    HelpCounted,
    HelpWithdrawn,
    Joined,
    PlayEvent,
    SendMessage,
)
from growth_engine.plays.reasons import REASONS
from growth_engine.plays.selling import (
    OrderLine,
    OrderMoved,
    OrderPlaced,
    PinShare,
    Seller,
    SetCommission,
    Share,
)
from growth_engine.plays.words import reason_text

NOW = Given(datetime(2026, 11, 22, tzinfo=UTC), random.Random(1))
PERIODS = ("all", "2026-11", "2026-11-22")
BOOK = OrderLine(1, "book", 1, 5_900)
BUYER, PROMOTER, UPLINE = Seller(3, qualified=False), Seller(2, qualified=True), Seller(1, qualified=True)


def config(**changes: Any) -> dict[str, Any]:
    rates = {"levels": 2, "level1_value": 2000, "level2_value": 500}
    loaded: dict[str, Any] = play.Config().load({**rates, **changes})
    return loaded


def decide(event: PlayEvent, rules: Mapping[str, Any]) -> Decision:
    return play.decide(event, {}, rules, NOW)


def place(
    rules: Mapping[str, Any],
    lines: Sequence[OrderLine] = (BOOK,),
    *,
    buyer: Seller = BUYER,
    promoter: Seller | None = PROMOTER,
    upline: Seller | None = UPLINE,
) -> tuple[dict[int, PinShare], list[Reason]]:
    decision = decide(OrderPlaced("ord_1", buyer, lines, promoter, upline), rules)
    pins = [effect for effect in decision.effects if isinstance(effect, PinShare)]
    assert len(pins) == len(decision.effects)
    return {pin.level: pin for pin in pins}, list(decision.reasons)


def move(
    rules: Mapping[str, Any],
    net: int,
    terms: Mapping[int, Mapping[str, Any]],
    used: Mapping[str, int] | None = None,
) -> tuple[dict[int, SetCommission], list[Reason]]:
    shares = [Share(level, level + 10, one) for level, one in terms.items()]
    sellers = {one.member: Seller(one.member, qualified=True, used=used or {}) for one in shares}
    decision = decide(OrderMoved("ord_1", net, shares, sellers, PERIODS), rules)
    found = [effect for effect in decision.effects if isinstance(effect, SetCommission)]
    return {one.level: one for one in found}, list(decision.reasons)


def earned(rules: Mapping[str, Any], net: int, lines: Sequence[OrderLine] = (BOOK,)) -> dict[int, int]:
    pins, _ = place(rules, lines)
    moved, _ = move(rules, net, {level: pin.terms for level, pin in pins.items()})
    return {level: one.target for level, one in moved.items()}


# -- who earns -------------------------------------------------------------------------------------------


def test_the_book_for_59_yuan_earns_20_and_5_percent() -> None:
    pins, reasons = place(config())
    assert {level: pin.member for level, pin in pins.items()} == {1: 2, 2: 1}
    assert reasons == []
    assert earned(config(), 5_900) == {1: 1_180, 2: 295}


def test_two_bought_and_one_refunded_earn_what_one_earns() -> None:
    two = OrderLine(1, "book", 2, 11_800)
    assert earned(config(), 11_800, [two]) == {1: 2_360, 2: 590}
    assert earned(config(), 5_900, [two]) == earned(config(), 5_900)
    assert earned(config(), 0, [two]) == {1: 0, 2: 0}


def test_one_level_is_the_default_and_pays_nobody_above() -> None:
    rules = play.Config().load({})
    assert rules["levels"] == 1
    assert set(place(rules)[0]) == {1}


def test_whoever_gets_nothing_has_a_reason() -> None:
    blocked = Seller(2, qualified=False, why="promoter_blocked")
    nobody = place(config(), promoter=None, upline=None)
    assert nobody == ({}, [Reason("no_promoter")])
    pins, reasons = place(config(), promoter=Seller(2, qualified=False))
    assert set(pins) == {2}
    assert reasons == [Reason("not_a_promoter", {"level": 1, "member": 2})]
    pins, reasons = place(config(), promoter=blocked, upline=Seller(1, qualified=False))
    assert pins == {}
    assert [one.code for one in reasons] == ["promoter_blocked", "not_a_promoter"]
    pins, reasons = place(config(level2_value=0))
    assert set(pins) == {1}
    assert reasons == [Reason("rate_zero", {"level": 2, "member": 1})]


def test_every_reason_can_be_said() -> None:
    params = {"level": 1, "member": 2, "currency": "CNY", "amount": 100, "due": 250, "left": 3, "until": None}
    params |= {"count": 2, "reason": "why", "by": "stf_1", "tier": "gold", "note": ""}
    params |= {"sku": "book", "name": "Book", "given": "USD", "wanted": "CNY", "cap": 1, "most": 1}
    params |= {
        "paid_out": "CNY",
        "minimum": 100,
        "most_amount": 100,
        "limit": 100,
        "debt": 1,
        "available": 1,
        "pieces": 2,
    }
    for code in REASONS:
        assert reason_text(Reason(code, params))
    said = reason_text(Reason("commission_cap", {"currency": "CNY", "amount": 100, "due": 250}))
    assert said == "A limit was reached: CN¥1.00 instead of CN¥2.50 commission."
    said = reason_text(Reason("binding_expired", {"until": "2026-11-22T05:00:00+00:00"}))
    assert "2026-11-22 05:00 UTC" in said


def test_own_purchases_earn_nothing_by_default() -> None:
    me = Seller(3, qualified=True)
    assert place(config(), buyer=me, promoter=me, upline=None)[1] == [
        Reason("self_purchase", {"level": 1, "member": 3})
    ]


def test_a_buyer_who_brought_their_own_promoter_earns_nothing_from_themselves() -> None:
    """Bound to somebody one invited oneself: the way round is closed, whether rebates are on or not."""
    me = Seller(3, qualified=True)
    for rules in (config(), config(self_rebate=True)):
        pins, reasons = place(rules, buyer=me, promoter=me if rules["self_rebate"] else PROMOTER, upline=me)
        assert set(pins) == {1}
        assert reasons == [Reason("self_purchase", {"level": 2, "member": 3})]


def test_with_a_rebate_the_buyer_takes_the_first_level_and_their_promoter_the_second() -> None:
    rules = config(self_rebate=True)
    pins, _ = place(rules, buyer=Seller(3, qualified=True))
    assert {level: pin.member for level, pin in pins.items()} == {1: 3, 2: 2}
    assert pins[1].terms["own"] is True
    pins, _ = place(rules)  # a buyer who may not promote gets none
    assert {level: pin.member for level, pin in pins.items()} == {1: 2, 2: 1}


def test_taking_part_and_bringing_friends_earns_no_money() -> None:
    for event in (Joined(1), HelpWithdrawn(1, 2, 0)):
        assert decide(event, config()) == Decision({})
    (told,) = decide(HelpCounted(1, 2, 5), config()).effects
    assert isinstance(told, SendMessage)
    assert told.member == 1


# -- at which rate ---------------------------------------------------------------------------------------

TIERS = [{"name": "gold"}, {"name": "silver"}]
OVERRIDES = [
    {"sku": "book", "tier": "gold", "value": 4000},
    {"sku": "book", "value": 0},
    {"tier": "gold", "value": 3000},
    {"sku": "pen", "level": 2, "unit": "fixed", "value": 150},
]


@pytest.mark.parametrize(
    ("sku", "tier", "rate"),
    [
        ("book", "gold", ("bp", 4000, "product_tier")),
        ("book", "silver", ("bp", 0, "product")),
        ("book", "", ("bp", 0, "product")),
        ("pen", "gold", ("bp", 3000, "tier")),
        ("pen", "silver", ("bp", 2000, "base")),
    ],
)
def test_the_most_exact_rate_holds_and_nothing_is_a_rate_too(
    sku: str, tier: str, rate: tuple[str, int, str]
) -> None:
    rules = config(promoter_tiers=TIERS, overrides=OVERRIDES)
    lines = [OrderLine(1, sku, 1, 1_000), OrderLine(2, "other", 1, 1_000)]
    pins, _ = place(rules, lines, promoter=Seller(2, qualified=True, tier=tier))
    line = pins[1].terms["lines"][0]
    assert (line["unit"], line["value"], line["from"]) == rate


def test_an_amount_for_each_piece_shrinks_with_what_was_refunded() -> None:
    rules = config(promoter_tiers=TIERS, overrides=OVERRIDES)
    pens = [OrderLine(1, "pen", 3, 3_000)]
    assert earned(rules, 3_000, pens)[2] == 450
    assert earned(rules, 2_000, pens)[2] == 300
    assert earned(rules, 1_999, pens)[2] == 299


def test_levels_together_never_get_more_than_was_paid() -> None:
    rules = config(level1_unit="fixed", level1_value=5_000, level2_value=5_000)
    assert earned(rules, 5_900) == {1: 5_000, 2: 900}
    assert earned(rules, 1) == {1: 0, 2: 0}
    rules = config(level1_unit="fixed", level1_value=9_000)
    pins, reasons = place(rules)
    assert pins[1].terms["lines"][0]["clipped"] is True
    assert earned(rules, 5_900) == {1: 5_900}
    assert [one.code for one in reasons] == ["rate_zero"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"levels": 3}, "levels"),
        ({"levels": 0}, "levels"),
        ({"level1_value": 10_001}, "level1_value"),
        ({"level2_value": -1}, "level2_value"),
        ({"level1_unit": "percent"}, "level1_unit"),
        ({"overrides": [{"sku": "book", "value": 10_001}]}, "overrides"),
        ({"overrides": [{"value": 5}]}, "overrides"),
        ({"overrides": [{"tier": "gold", "value": 5}]}, "overrides"),
        ({"overrides": [{"sku": "a", "value": 5}, {"sku": "a", "value": 6}]}, "overrides"),
        ({"overrides": [{"sku": "a", "level": 3, "value": 5}]}, "overrides"),
        ({"promoter_tiers": [{"name": "a"}, {"name": "a"}]}, "promoter_tiers"),
        ({"promoter_tiers": [{"name": "A B"}]}, "promoter_tiers"),
        ({"order_cap": 0}, "order_cap"),
        ({"promoter_cap": 0}, "promoter_cap"),
        ({"cap_period": "year"}, "cap_period"),
    ],
)
def test_rules_that_make_no_sense_are_refused(wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        config(**wrong)
    assert isinstance(refused.value.messages, dict)
    assert set(refused.value.messages) == {field}


def test_a_third_level_is_refused_with_the_law() -> None:
    with pytest.raises(ValidationError, match="pyramid selling"):
        config(levels=3)


# -- up to which limit -----------------------------------------------------------------------------------


def terms_of(rules: Mapping[str, Any], lines: Sequence[OrderLine] = (BOOK,)) -> Mapping[str, Any]:
    return place(rules, lines)[0][1].terms


def test_a_limit_per_order() -> None:
    rules = config(order_cap=1_000)
    moved, reasons = move(rules, 5_900, {1: terms_of(rules)})
    assert moved[1].target == 1_000
    assert [one.code for one in reasons] == ["commission_cap"]
    assert move(rules, 4_000, {1: moved[1].terms})[0][1].target == 800


def test_what_is_left_of_a_limit_is_pinned_with_the_first_payment() -> None:
    rules = config(promoter_cap=2_000, cap_period="month")
    moved, reasons = move(rules, 5_900, {1: terms_of(rules)}, {"all": 9_000, "2026-11": 1_500})
    assert moved[1].target == 500
    assert moved[1].terms["allowed"] == 500
    assert reasons[0].params["due"] == 1_180
    # another order's refund makes room; this order's own refund does not bring commission
    again, reasons = move(rules, 5_000, {1: moved[1].terms}, {"2026-11": 0})
    assert again[1].target == 500
    assert again[1].terms is moved[1].terms
    assert reasons == []


def test_a_used_up_limit_leaves_nothing_and_never_less_than_nothing() -> None:
    rules = config(promoter_cap=2_000, cap_period="all")
    moved, _ = move(rules, 5_900, {1: terms_of(rules)}, {"all": 2_500})
    assert moved[1].target == 0


def test_an_order_paid_in_parts_asks_for_room_each_time() -> None:
    rules = config(promoter_cap=1_000, cap_period="day")
    first, _ = move(rules, 2_000, {1: terms_of(rules)})
    assert first[1].target == 400
    # meanwhile another order earned 500 of the day's 1000
    rest, _ = move(rules, 5_900, {1: first[1].terms}, {"2026-11-22": 900})
    assert rest[1].target == 500
    # and on the next day there is room again for what comes then
    rest, _ = move(rules, 5_900, {1: first[1].terms}, {"2026-11-21": 900})
    assert rest[1].target == 1_180


def test_without_limits_the_terms_stay_as_they_were_pinned() -> None:
    rules = config()
    pinned = terms_of(rules)
    moved, reasons = move(rules, 5_900, {1: pinned})
    assert moved[1].terms is pinned
    assert reasons == []


# -- in words --------------------------------------------------------------------------------------------


def test_an_amount_is_explained_step_by_step() -> None:
    rules = config(promoter_cap=1_000)
    lines = [OrderLine(1, "book", 2, 11_800), OrderLine(2, "pen", 1, 1_000)]
    moved, _ = move(rules, 6_400, {1: terms_of(rules, lines)}, {"2026-11": 100})
    steps = play.explain(moved[1].terms, 6_400)
    assert [worth.in_words(step, "CNY", locale="en") for step in steps] == [
        "CN¥64.00 of the order's CN¥128.00 was paid and kept.",
        "book × 2: CN¥59.00 at 20% (the campaign's rate), rounded down: CN¥11.80.",
        "pen × 1: CN¥5.00 at 20% (the campaign's rate), rounded down: CN¥1.00.",
        "Together: CN¥12.80.",
        "Limit of CN¥10.00 a month: CN¥9.00 was left when the order was paid.",
        "Commission of level 1: CN¥9.00.",
    ]


def test_a_cut_rate_and_a_fixed_one_are_explained() -> None:
    rules = config(level1_unit="fixed", level1_value=9_000, order_cap=100)
    moved, _ = move(rules, 5_900, {1: terms_of(rules)})
    said = [worth.in_words(step, "CNY", locale="en") for step in play.explain(moved[1].terms, 5_900)]
    assert "CN¥90.00 a piece" in said[1]
    assert "the rate was cut" in said[2]
    assert said[3] == "An order pays one person CN¥1.00 at most."


def test_copy_names_the_rates_in_words() -> None:
    copy = {
        "reward_inviter": "每卖出一件，得{level1}",
        "rules": ["{level2_rate} 给引荐人", "冻结 {hold_days} 天"],
    }
    filled = fill(copy, play.promise(config()), locale="zh")
    assert filled["reward_inviter"] == "每卖出一件，得实付金额的 20%"
    assert filled["rules"] == ["5% 给引荐人", "冻结 7 天"]
    one = config(levels=1, level1_unit="fixed", level1_value=550, order_cap=100_00)
    filled = fill(copy, play.promise(one), locale="zh")
    assert filled["reward_inviter"] == "每卖出一件，得每件 ¥5.50"
    assert filled["rules"] == ["冻结 7 天"], "a level that is not there is not spoken of"
    assert fill({"title": "{order_cap}"}, play.promise(one), locale="zh")["title"] == "¥100.00"
    assert fill({"title": "{level1}"}, play.promise(config(level1_value=1_250)), locale="en")["title"] == (
        "12.5% of what is paid"
    )


# -- the arithmetic --------------------------------------------------------------------------------------

weights = st.lists(st.integers(1, 2_000_000), min_size=1, max_size=8)
rate = st.one_of(
    st.tuples(st.just("bp"), st.integers(0, 10_000)), st.tuples(st.just("fixed"), st.integers(0, 50_000))
)


@st.composite
def orders(draw: st.DrawFn) -> tuple[dict[str, Any], list[OrderLine]]:
    """Rules with any rates, and an order of a few lines."""
    amounts = draw(st.lists(st.integers(1, 300_000), min_size=1, max_size=5))
    lines = [OrderLine(n, f"s{n}", draw(st.integers(1, 9)), amount) for n, amount in enumerate(amounts, 1)]
    overrides = [
        {"sku": line.sku, "level": level, "unit": unit, "value": value}
        for line in lines
        for level in (1, 2)
        if (chosen := draw(st.none() | rate)) is not None
        for unit, value in [chosen]
    ]
    (unit1, value1), (unit2, value2) = draw(rate), draw(rate)
    base = {"level1_unit": unit1, "level1_value": value1, "level2_unit": unit2, "level2_value": value2}
    return config(**base, overrides=overrides), lines


def total_of(lines: Sequence[OrderLine]) -> int:
    return sum(line.amount for line in lines)


@given(weights, st.data())
def test_a_split_sums_exactly_and_gives_no_line_more_than_it_costs(
    amounts: list[int], data: st.DataObject
) -> None:
    net = data.draw(st.integers(0, sum(amounts)))
    parts = worth.split(net, amounts)
    assert sum(parts) == net
    assert all(0 <= part <= amount for part, amount in zip(parts, amounts, strict=True))
    assert worth.split(sum(amounts), amounts) == amounts


@given(st.lists(st.integers(1, 60), min_size=1, max_size=6))
def test_no_line_loses_when_more_is_paid(amounts: list[int]) -> None:
    before = [0] * len(amounts)
    for net in range(sum(amounts) + 1):
        parts = worth.split(net, amounts)
        assert all(old <= new for old, new in zip(before, parts, strict=True))
        assert sum(parts) == net
        before = parts


@given(weights, st.data())
def test_a_split_is_as_fair_as_whole_numbers_can_be(amounts: list[int], data: st.DataObject) -> None:
    """Webster: no line could hand a unit to another and both be nearer to their due in proportion."""
    net = data.draw(st.integers(0, sum(amounts)))
    parts = worth.split(net, amounts)
    least = (
        min(Fraction(amount, 2 * part - 1) for amount, part in zip(amounts, parts, strict=True) if part)
        if net
        else None
    )
    most = max(Fraction(amount, 2 * part + 1) for amount, part in zip(amounts, parts, strict=True))
    assert least is None or least >= most


def test_largest_remainders_would_let_a_line_shrink_where_this_split_does_not() -> None:
    """The Alabama paradox, and the reason for Webster."""
    amounts = [15, 15, 3]
    shrinks = False
    for net in range(sum(amounts)):
        small, large = _largest_remainder(net, amounts), _largest_remainder(net + 1, amounts)
        shrinks |= any(new < old for old, new in zip(small, large, strict=True))
        one, two = worth.split(net, amounts), worth.split(net + 1, amounts)
        assert all(old <= new for old, new in zip(one, two, strict=True))
    assert shrinks


@given(st.lists(st.integers(1, 100_000), min_size=1, max_size=2), st.data())
def test_with_one_or_two_lines_both_are_the_same(amounts: list[int], data: st.DataObject) -> None:
    net = data.draw(st.integers(0, sum(amounts)))
    assert worth.split(net, amounts) == _largest_remainder(net, amounts)


def _largest_remainder(net: int, amounts: Sequence[int]) -> list[int]:
    total = sum(amounts)
    parts = [net * amount // total for amount in amounts]
    order = sorted(range(len(amounts)), key=lambda at: (-(net * amounts[at] % total), at))
    for at in order[: net - sum(parts)]:
        parts[at] += 1
    return parts


@settings(max_examples=150)
@given(orders(), st.data())
def test_targets_grow_with_what_is_paid_and_never_exceed_it(
    order: tuple[dict[str, Any], list[OrderLine]], data: st.DataObject
) -> None:
    rules, lines = order
    total = total_of(lines)
    some = data.draw(st.lists(st.integers(0, total), min_size=2, max_size=12))
    before = 0
    for net in sorted({0, *some, total}):
        now = sum(earned(rules, net, lines).values())
        assert before <= now <= net
        before = now


@settings(max_examples=150)
@given(orders(), st.data())
def test_a_target_is_the_floor_of_each_lines_cumulative_worth(
    order: tuple[dict[str, Any], list[OrderLine]], data: st.DataObject
) -> None:
    rules, lines = order
    net = data.draw(st.integers(0, total_of(lines)))
    parts = worth.split(net, [line.amount for line in lines])
    pins, _ = place(rules, lines)
    if 1 not in pins:
        return
    expected = 0
    for line, part, pinned in zip(lines, parts, pins[1].terms["lines"], strict=True):
        if pinned["unit"] == "bp":
            expected += part * pinned["value"] // 10_000
        else:
            expected += min(pinned["value"] * line.quantity, line.amount) * part // line.amount
    assert earned(rules, net, lines)[1] == expected


@settings(max_examples=100)
@given(orders(), st.data())
def test_the_order_of_refunds_makes_no_difference(
    order: tuple[dict[str, Any], list[OrderLine]], data: st.DataObject
) -> None:
    """Also under limits: whatever was refunded first, what is left is worth the same."""
    rules, lines = order
    total = total_of(lines)
    rules = {
        **rules,
        "promoter_cap": data.draw(st.integers(1, 400_000)),
        "order_cap": data.draw(st.none() | st.integers(1, 200_000)),
    }
    refunds = data.draw(st.lists(st.integers(1, max(1, total // 6)), max_size=6))
    used = {"2026-11": data.draw(st.integers(0, 300_000))}
    ends = set()
    for shuffled in (refunds, refunds[::-1], data.draw(st.permutations(refunds))):
        terms = {level: pin.terms for level, pin in place(rules, lines)[0].items()}
        net = total
        moved, _ = move(rules, net, terms, used)
        for refund in shuffled:
            net = max(0, net - refund)
            terms = {level: json.loads(json.dumps(one.terms)) for level, one in moved.items()}
            moved, reasons = move(rules, net, terms, {"2026-11": data.draw(st.integers(0, 500_000))})
            assert reasons == []
        ends.add(tuple(one.target for one in moved.values()))
    assert len(ends) == 1


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 20_000)), max_size=40), st.integers(1, 3_000))
def test_limits_are_kept_however_payments_of_several_orders_come(
    payments: list[tuple[int, int]], most: int
) -> None:
    """Four orders of one promoter, paid in any number of parts in any turn."""
    rules = config(levels=1, promoter_cap=most, cap_period="all", order_cap=most)
    terms: dict[int, Any] = {at: terms_of(rules, [OrderLine(1, "a", 1, 20_000)]) for at in range(4)}
    net, posted = [0] * 4, [0] * 4
    for at, amount in payments:
        net[at] = min(20_000, net[at] + amount)
        moved, _ = move(rules, net[at], {1: terms[at]}, {"all": sum(posted)})
        terms[at], target = moved[1].terms, moved[1].target
        assert target >= posted[at], "money that comes takes nothing away"
        posted[at] = target
        assert sum(posted) <= most
    full = sum(worth.uncapped(terms[at], net[at]) for at in range(4))
    assert sum(posted) == min(full, most), "and nothing is withheld that the limit leaves"


@given(orders(), st.data())
def test_every_explanation_ends_with_what_is_posted(
    order: tuple[dict[str, Any], list[OrderLine]], data: st.DataObject
) -> None:
    rules, lines = order
    rules = {**rules, "promoter_cap": data.draw(st.none() | st.integers(1, 10_000))}
    net = data.draw(st.integers(0, total_of(lines)))
    moved, _ = move(rules, net, {level: pin.terms for level, pin in place(rules, lines)[0].items()})
    for one in moved.values():
        steps = play.explain(one.terms, net)
        assert steps[-1].amounts == {"amount": one.target}
        assert all(worth.in_words(step, "CNY", locale=locale) for step in steps for locale in ("zh", "en"))
