"""Identities have one spelling; nicknames keep what is seen and lose what tricks."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from growth_engine.kit.errors import Invalid
from growth_engine.people.rules import (
    CONTACT_ID,
    Identity,
    clean_nickname,
    erased_hash,
    graphemes,
    is_virtual_number,
    normalise,
    normalise_all,
)

FAMILY = "👨‍👩‍👧‍👦"
DARK_FARMER = "👩🏿‍🌾"
ENGLAND = "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"


@pytest.mark.parametrize(
    "written",
    [
        "13800138000",
        "138 0013 8000",
        "138-0013-8000",
        "+86 138 0013 8000",
        "0086 13800138000",
        "１３８００１３８０００",
        "\u202a+8613800138000\u202c",
        " 138\u00a00013\u00a08000 ",
    ],
)
def test_one_phone_number_has_one_spelling_however_it_is_written(written: str) -> None:
    assert normalise("phone", written, "CN") == "+8613800138000"


def test_a_number_without_country_code_belongs_to_the_given_region() -> None:
    assert normalise("phone", "020 7946 0018", "GB") == "+442079460018"


@pytest.mark.parametrize(
    "written",
    ["", "1234567", "138001380001", "10000000000", "+86", "+999123456789", "1-800-FLOWERS",
     "13800138000 ext 5", "138\x000013\x008000", "1" * 5000, "+86138\n00138000",
     "tel:+8613800138000;phone-context=x"],
)  # fmt: skip
def test_what_cannot_be_a_phone_number_is_refused_by_name(written: str) -> None:
    with pytest.raises(Invalid) as caught:
        normalise("phone", written, "CN")
    assert list(caught.value.extra["errors"]) == ["phone"]


@pytest.mark.parametrize(
    "phone", ["+8616212345678", "+8616512345678", "+8616712345678", "+8617012345678", "+8617112345678"]
)
def test_virtual_operators_are_known(phone: str) -> None:
    assert is_virtual_number(phone)


@pytest.mark.parametrize(
    "phone", ["+8613800138000", "+8616612345678", "+8617312345678", "+14155550170", "+861701234567"]
)
def test_other_numbers_are_not_virtual(phone: str) -> None:
    assert not is_virtual_number(phone)


def test_other_identities_are_trimmed_and_composed() -> None:
    assert normalise("external_id", "  cafe\u0301 7 ", "CN") == "café 7"
    assert normalise("openid", " oABC-_123 ", "CN") == "oABC-_123"


@pytest.mark.parametrize("kind", ["openid", "unionid", "external_userid", "external_id"])
@pytest.mark.parametrize(
    "value",
    ["", "   ", "a\x00b", "a\nb", "a\u202eb", "a\u200bb", "a\ufeffb", "\u3164", "\ud800", "x" * 129,
     "x" * 100_000, "a\u2028b", "\ue000"],
)  # fmt: skip
def test_hidden_or_endless_identities_are_refused(kind: str, value: str) -> None:
    with pytest.raises(Invalid) as caught:
        normalise(kind, value, "CN")
    assert list(caught.value.extra["errors"]) == [kind]


def test_ids_of_wechat_are_plain_ascii() -> None:
    for value in ("оabc", "a b", "中文"):
        with pytest.raises(Invalid):
            normalise("openid", value, "CN")
    assert normalise("external_id", "客户 42", "CN") == "客户 42"


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(Invalid) as caught:
        normalise("email", "a@b.c", "CN")
    assert "kind" in caught.value.extra["errors"]


def test_all_that_is_wrong_is_said_at_once_and_doubles_count_once() -> None:
    with pytest.raises(Invalid) as caught:
        normalise_all({"phone": "12", "openid": "", "external_id": "fine"}, "CN")
    assert sorted(caught.value.extra["errors"]) == ["openid", "phone"]
    twice = normalise_all([("phone", "13800138000"), ("phone", "+8613800138000")], "CN")
    assert twice == [Identity("phone", "+8613800138000")]


@given(st.text(max_size=200), st.sampled_from(["openid", "external_id", "phone"]))
def test_normalising_is_stable_and_never_lets_a_hidden_character_through(value: str, kind: str) -> None:
    try:
        once = normalise(kind, value, "CN")
    except Invalid:
        return
    assert normalise(kind, once, "CN") == once
    assert once.isprintable()
    assert 1 <= len(once) <= 128


# -- nicknames ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("  小明  同学 ", "小明 同学"),
        ("a\u0000b\u0007c", "abc"),
        ("good\u202egnp.exe", "goodgnp.exe"),
        ("\u2066abc\u2069\u061c", "abc"),
        ("z\u200be\u200cr\u2060o\ufeff", "zero"),
        ("x\u200dy", "xy"),
        ("line\nbreak\ttab\u2028sep", "line break tab sep"),
        ("\u3164\u115f\u2800\u00ad", ""),
        ("", ""),
        ("\u200b\u200d", ""),
        ("cafe\u0301", "café"),
        (FAMILY, FAMILY),
        (DARK_FARMER + "!", DARK_FARMER + "!"),
        ("❤️‍🔥", "❤️‍🔥"),
        (ENGLAND, ENGLAND),
        ("a\U000e0067\U000e007f", "a"),
        ("👍\u200d", "👍"),
        ("\u200d👍", "👍"),
        ("1️⃣", "1️⃣"),
        ("a\ufe0fb", "ab"),
        ("🇨🇳🇩🇪", "🇨🇳🇩🇪"),
        ("\ue001old emoji", "old emoji"),
        ("bro\ud800ken", "broken"),
        ("Tiếng Việt", "Tiếng Việt"),
        ("สวัสดี", "สวัสดี"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
    ],
)
def test_nicknames_keep_what_is_seen(typed: str, kept: str) -> None:
    assert clean_nickname(typed) == kept


def test_a_nickname_has_at_most_thirty_two_graphemes() -> None:
    assert clean_nickname("名" * 40) == "名" * 32
    assert clean_nickname("🇨🇳" * 40) == "🇨🇳" * 32
    assert len(graphemes(clean_nickname(FAMILY * 40))) <= 32
    assert clean_nickname(FAMILY * 3) == FAMILY * 3


def test_stacked_marks_are_thinned() -> None:
    assert clean_nickname("Z" + "\u0300" * 50 + "a") == "Z" + "\u0300" * 3 + "a"


def test_an_endless_emoji_chain_is_dropped_and_the_rest_kept() -> None:
    assert clean_nickname("A " + "\u200d".join(["👩"] * 300)) == "A"


def test_graphemes_are_what_readers_count() -> None:
    assert graphemes("e\u0301" + FAMILY + "🇨🇳🇩🇪" + "👍🏽" + "1️⃣") == [
        "e\u0301", FAMILY, "🇨🇳", "🇩🇪", "👍🏽", "1️⃣",
    ]  # fmt: skip


@given(
    st.text(
        alphabet=st.characters() | st.sampled_from("\u200d\ufe0f👩🏿❤🏴\U000e0067\u0301 \u3164🇨"),
        max_size=300,
    )
)
def test_cleaning_a_nickname_twice_changes_nothing_more(typed: str) -> None:
    once = clean_nickname(typed)
    assert clean_nickname(once) == once
    assert unicodedata.is_normalized("NFC", once)
    assert len(graphemes(once)) <= 32
    assert "\x00" not in once
    assert "\u202e" not in once
    once.encode()


def test_erased_hashes_differ_by_workspace_and_by_kind() -> None:
    phone = Identity("phone", "+8613800138000")
    assert erased_hash("salt", phone) == erased_hash("salt", phone)
    assert erased_hash("salt", phone) != erased_hash("other", phone)
    assert erased_hash("salt", phone) != erased_hash("salt", Identity("external_id", phone.value))


def test_contact_ids_are_recognised() -> None:
    assert CONTACT_ID.fullmatch("con_" + "0" * 26)
    assert not CONTACT_ID.fullmatch("con_short")
