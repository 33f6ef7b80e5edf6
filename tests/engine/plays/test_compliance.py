"""The check before publishing: what it finds, what it leaves alone, in both languages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from growth_engine.plays import compliance, wording
from growth_engine.plays.compliance import Finding
from growth_engine.plays.content import ContentSchema
from growth_engine.plays.registry import play
from growth_engine.plays.templates import templates

START = datetime(2026, 6, 1, tzinfo=UTC)
END = START + timedelta(days=30)


def check(
    config: dict[str, Any] | None = None, *, ends_at: datetime | None = END, locale: str = "zh", **copy: Any
) -> list[Finding]:
    """The findings about a clean campaign changed in one place."""
    template = templates()["retail-members"]
    content = ContentSchema().load({**template.content(locale), **copy})
    rules = play("referral").Config().load({**template.config(locale), **(config or {})})
    return compliance.check("referral", rules, content, starts_at=START, ends_at=ends_at)


def codes(found: list[Finding]) -> set[tuple[str, str]]:
    return {(one.code, one.severity) for one in found}


def in_words(text: str) -> set[str]:
    return {hit.ban.code for hit in wording.hits(text)}


FORBIDDEN = [
    ("转发朋友圈后领取会员", "forced_sharing"),
    ("分享到朋友圈才能领取", "forced_sharing"),
    ("分享到 3 个群即可获得 30 天", "forced_sharing"),
    ("分享到微信群，即可领取奖励", "forced_sharing"),
    ("领取前请先分享给好友", "forced_sharing"),
    ("必须转发本海报", "forced_sharing"),
    ("转发有礼", "forced_sharing"),
    ("转·发·到·朋友圈", "forced_sharing"),
    ("轉發朋友圈領取", "forced_sharing"),
    ("转\u200b发 朋 友 圈，立即领取", "forced_sharing"),
    ("You must share this page first", "forced_sharing"),
    ("Share this poster to claim your days", "forced_sharing"),
    ("Post it on your WeChat Moments", "forced_sharing"),
    ("分享越多机会越多", "share_for_chances"),
    ("每分享一次多一次抽奖机会", "share_for_chances"),
    ("The more you share, the more you win", "share_for_chances"),
    ("集满 38 个赞", "task_wording"),
    ("集讚換購", "task_wording"),
    ("请好友助力", "task_wording"),
    ("帮我砍一刀", "task_wording"),
    ("集福迎新年", "task_wording"),
    ("邀请好友得红包", "task_wording"),
    ("Collect 20 likes", "task_wording"),
    ("不转不是中国人", "pressure_to_share"),
    ("转疯了！都在看", "pressure_to_share"),
    ("看完必转", "pressure_to_share"),
    ("关注公众号后领取", "forced_follow"),
    ("领取需先关注我们", "forced_follow"),
    ("Follow our account to get the gift", "forced_follow"),
    ("支付 99 元加入推广计划", "pay_to_join"),
    ("缴纳入会费", "pay_to_join"),
    ("Pay $9 to become a promoter", "pay_to_join"),
    ("每邀请一人奖励 5 元", "head_count_pay"),
    ("按人头结算", "head_count_pay"),
    ("邀请好友返现", "head_count_pay"),
    ("$5 for every friend you bring", "head_count_pay"),
    ("支持三级分销", "multi_level"),
    ("发展下线，坐享收益", "multi_level"),
    ("好友的好友下单你也有提成", "multi_level"),
    ("Earn team commission from your downline", "multi_level"),
    ("保底收入每月 3000", "earnings_promise"),
    ("加入就有稳定收入", "earnings_promise"),
    ("月入三万不是梦", "earnings_promise"),
    ("日赚 500 元", "earnings_promise"),
    ("每月轻松赚 2000", "earnings_promise"),
    ("保证你赚", "earnings_promise"),
    ("稳赚不赔", "earnings_promise"),
    ("穩 賺 不 賠", "earnings_promise"),
    ("Guaranteed income for every promoter", "earnings_promise"),
    ("Earn $500 a week from home", "earnings_promise"),
    ("Your earnings are guaranteed", "earnings_promise"),
    ("微信官方活动", "impersonation"),
    ("国家级品质", "absolute_banned"),
    ("全网最低价", "absolute_banned"),
    ("全国销量第一", "absolute_banned"),
    ("包过班，不过退款", "guaranteed_result"),
    ("100%有效", "guaranteed_result"),
    ("Guaranteed results in a week", "guaranteed_result"),
    ("欢迎转发", "share_request"),
    ("最好的健身房", "absolute_claim"),
    ("唯一的选择", "absolute_claim"),
    ("The best coffee in town", "absolute_claim"),
    ("在家躺赚", "quick_riches"),
    ("Passive income for everyone", "quick_riches"),
    ("最后一天，手慢无", "pressure"),
    ("Last chance, act now", "pressure"),
    ("请填写身份证号", "sensitive_data"),
    ("Upload your passport number", "sensitive_data"),
]


@pytest.mark.parametrize(("text", "code"), FORBIDDEN, ids=[text for text, _ in FORBIDDEN])
def test_forbidden_wording_is_found(text: str, code: str) -> None:
    assert code in in_words(text)


HARMLESS = [
    "无需转发，也不用集赞，注册就到账",
    "不需要分享到朋友圈",
    "本活动不要求关注公众号，也不收取入会费",
    "把好东西分享给朋友",
    "分享得很开心",
    "收集，赞美，感谢",
    "征集赞助商",
    "收集卡片的人",
    "礼包过期作废",
    "确保过程顺利",
    "第一次来，第一步先注册",
    "最多可得 12 次奖励，最近一次 3 月",
    "周末最好提前预约",
    "每人唯一的邀请码",
    "会员可以加速吗？不可以",
    "添加微信客服咨询",
    "特别感谢老会员",
    "无需身份证",
    "推荐的人购买，得 11 元佣金",
    "每推荐一位朋友下单，得 11 元",
    "钱包收入一目了然",
    "每件固定佣金 5 元",
    "每日入场 100 人",
    "佣金每月 5 日结算",
    "不承诺任何收入，也没有保底收入",
    "No guaranteed income: you earn when a book is sold",
    "You get 20% a piece",
    "A share of the table",
    "You do not have to share anything",
    "Never pay to join",
    "We make no guaranteed returns",
    "The best time to start is today",
    "Good things are for sharing",
    "Tell a friend about us",
]


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_wording_is_left_alone(text: str) -> None:
    assert in_words(text) == set()


def test_the_excerpt_shows_the_words_as_they_were_written() -> None:
    (found,) = check(title="朋友们，转·發到朋友圈 ，马上领取！")
    assert found.code == "forced_sharing"
    assert (found.severity, found.field) == ("error", "title")
    assert found.excerpt.startswith("转·發到朋友圈")


def test_a_clean_campaign_has_no_findings() -> None:
    for locale in ("zh", "en"):
        assert check(locale=locale) == []


@pytest.mark.parametrize("locale", ["zh", "en"])
@pytest.mark.parametrize("name", ["brand", "title", "rules", "privacy"])
def test_what_people_must_be_told_cannot_be_missing(name: str, locale: str) -> None:
    empty: Any = [] if name == "rules" else ""
    assert (f"{name}_missing", "error") in codes(check(locale=locale, **{name: empty}))


def test_a_way_to_complain_is_asked_for() -> None:
    assert codes(check(contact="")) == {("contact_missing", "warning")}


def test_a_campaign_must_end() -> None:
    assert codes(check(ends_at=None)) == {("ends_missing", "error")}
    assert codes(check(ends_at=START)) == {("ends_before_start", "error")}
    assert codes(check(ends_at=START + timedelta(days=400))) == {("too_long", "warning")}


@pytest.mark.parametrize(
    ("copy", "excerpt"),
    [
        ({"reward_friend": "注册即得 60 天会员"}, "60 天"),
        ({"reward_friend": "注册即得九十天会员"}, "九十天"),
        ({"poster_reward": "送你一年会员"}, "一年"),
        ({"title": "送三个月会员"}, "三个月"),
        ({"reward_inviter": "每人再得 7 天"}, "7 天"),
        ({"share_title": "Here are 45 days for you"}, "45 days"),
        ({"share_title": "Two friends, 1 year free"}, "1 year"),
    ],
)
def test_a_reward_the_rules_do_not_pay_is_an_error(copy: dict[str, str], excerpt: str) -> None:
    (found,) = check(**copy)
    assert (found.code, found.severity, found.excerpt) == ("reward_differs", "error", excerpt)
    assert found.message_id % found.params


@pytest.mark.parametrize(
    "copy",
    [
        {"reward_friend": "注册即得 30 天会员"},
        {"reward_friend": "注册即得三十天会员"},
        {"poster_reward": "送你一个月会员"},
        {"reward_inviter": "得 30 天，满 5 位再得 60 天"},
        {"body": ["注册后 7 天内到账，支持 15 天无理由"]},
        {"rules": ["参与者须年满 18 周岁", "奖励在 24 小时内到账", "3 天后可查看"]},
        {
            "rules": [
                "Aged 18 or over",
                "Rewards arrive within 3 days",
                "No more than 2 days after registering",
            ]
        },
    ],
)
def test_numbers_that_are_paid_or_no_rewards_are_left_alone(copy: dict[str, Any]) -> None:
    assert check(**copy) == []


def test_numbers_in_the_small_print_are_a_warning_only() -> None:
    assert codes(check(body=["学习 14 天，看得见的变化"])) == {("reward_differs", "warning")}


def test_placeholders_follow_the_rules_and_unknown_ones_are_named() -> None:
    assert check({"friend_days": 45}) == []
    (found,) = check(title="送你 {freind_days} 天")
    assert (found.code, found.field, found.excerpt) == ("unknown_placeholder", "title", "{freind_days}")


def test_minors_need_a_guardian_and_an_age_is_named() -> None:
    assert codes(check(title="中学生暑期课", rules=["学生本人注册"])) == {
        ("minors_without_guardian", "error")
    }
    assert check(title="儿童绘本馆", rules=["须由监护人注册并同意，年满 18 周岁"]) == []
    assert codes(check(rules=["新会员以手机号为准。"])) == {("age_missing", "warning")}


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ({"inviter_cap": None}, "no_cap"),
        ({"new_only": "everyone"}, "everyone_counts"),
        ({"same_device": False}, "same_device_counts"),
    ],
)
def test_rules_that_invite_abuse_are_warned_about(config: dict[str, Any], code: str) -> None:
    (found,) = check(config)
    assert (found.code, found.severity, found.field) == (code, "warning", f"config.{next(iter(config))}")


def test_only_the_inviter_rewarded_is_warned_about() -> None:
    found = check(
        {"friend_days": 0}, subtitle="", body=["欢迎"], reward_friend="", share_title="", poster_reward=""
    )
    assert codes(found) == {("friend_gets_nothing", "warning")}


def test_paying_for_heads_stays_forbidden_whatever_is_sold_beside() -> None:
    assert "head_count_pay" in in_words("每邀请一位朋友奖励 5 元，购买更多优惠")


def selling(
    products: list[dict[str, Any]] | None = None, copy: dict[str, Any] | None = None, **config: Any
) -> list[Finding]:
    """The findings about a clean selling campaign changed in one place."""
    template = templates()["book-fans"]
    content = ContentSchema().load({**template.content("zh"), **(copy or {})})
    rules = play("distribution").Config().load({**template.config("zh"), **config})
    known = template.products("zh") if products is None else products
    return compliance.check("distribution", rules, content, starts_at=START, ends_at=END, products=known)


_TIERS = {"promoter_tiers": [{"name": "gold"}]}


@pytest.mark.parametrize(
    ("config", "code", "severity"),
    [
        ({"level1_value": 0, "level2_value": 500}, "recruiting_pays", "error"),
        ({"level1_value": 500, "level2_value": 500}, "level2_high", "warning"),
        ({"who_promotes": "buyers"}, "buy_to_promote", "warning"),
        ({"who_promotes": "spenders", "spend_threshold": 100}, "buy_to_promote", "warning"),
        ({"hold_days": 0}, "no_hold", "warning"),
        ({"level1_value": 6000}, "commission_high", "warning"),
        ({"level1_value": 9700}, "commission_above_price", "error"),
        ({"level1_unit": "fixed", "level1_value": 5900}, "commission_above_price", "error"),
        ({"level1_unit": "fixed", "level1_value": 3500}, "commission_high", "warning"),
        ({**_TIERS, "overrides": [{"tier": "gold", "value": 9900}]}, "commission_above_price", "error"),
        ({"overrides": [{"sku": "gone", "value": 0}]}, "rate_without_product", "warning"),
    ],
)
def test_rules_of_selling_that_break_law_or_arithmetic_are_found(
    config: dict[str, Any], code: str, severity: str
) -> None:
    found = {(one.code, one.severity) for one in selling(**config) if one.field != "reward_inviter"}
    assert (code, severity) in found
    assert all(one.as_json()["message"] for one in selling(**config))


def test_rates_are_judged_without_products_as_far_as_they_can_be() -> None:
    template = templates()["book-fans"]
    for rules, expected in (
        ({"level1_value": 9900}, {"commission_above_price"}),
        ({"level1_unit": "fixed", "level1_value": 99_000_000}, set()),
    ):
        config = play("distribution").Config().load({**template.config("zh"), **rules})
        content = template.content("zh")
        found = compliance.check("distribution", config, content, starts_at=START, ends_at=END)
        assert {one.code for one in found} == expected


def test_a_selling_campaign_needs_something_to_sell() -> None:
    assert codes(selling([])) == {("products_missing", "error")}


def test_two_lawful_levels_are_no_finding_where_something_is_sold() -> None:
    assert selling() == []


@pytest.mark.parametrize(
    ("copy", "expected"),
    [
        ({"reward_inviter": "每卖出一本得 30% 佣金"}, {("commission_differs", "error")}),
        ({"rules": ["须年满 18 周岁", "一级佣金 25.5%"]}, {("commission_differs", "warning")}),
        ({"reward_inviter": "每卖出一本得 20% 佣金"}, set()),
        ({"body": ["100% 再生纸印刷"]}, set()),
        ({"body": ["30 天读完一本书"]}, set()),
    ],
)
def test_percentages_of_pay_in_the_copy_are_those_of_the_rules(
    copy: dict[str, Any], expected: set[tuple[str, str]]
) -> None:
    assert codes(selling(copy=copy)) == expected


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"levels": 3}, {("levels", "error")}),
        ({"levels": 2}, {("levels", "warning")}),
        ({"levels": 1}, set()),
        ({"entry_fee": 9900}, {("pay_to_join", "error")}),
    ],
)
def test_levels_and_entry_fees_of_any_play_are_checked(
    config: dict[str, Any], expected: set[tuple[str, str]]
) -> None:
    template = templates()["retail-members"]
    rules = {**template.config("zh"), **config}
    found = compliance.check("referral", rules, template.content("zh"), starts_at=START, ends_at=END)
    assert codes(found) == expected


def test_errors_come_first() -> None:
    found = check({"inviter_cap": None}, title="转发朋友圈领取", contact="")
    assert [one.severity for one in found] == ["error", "warning", "warning"]


def test_a_finding_can_be_sent_as_json() -> None:
    (found,) = check(reward_friend="注册即得 60 天会员")
    assert found.as_json() == {
        "code": "reward_differs",
        "severity": "error",
        "field": "reward_friend",
        "excerpt": "60 天",
        "message": "The rules pay 30 days, the text says otherwise. Write {inviter_days} or {friend_days}.",
    }
