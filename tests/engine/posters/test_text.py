"""Text for pictures: hostile names come out harmless, lines fit their box, Chinese breaks where it may."""

from __future__ import annotations

import time
import unicodedata
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from growth_engine.posters import fonts
from growth_engine.posters.text import Cluster, Limits, clipped, fitted, wrapped

measure = partial(fonts.width, weight=500)


def shown(text: str, **more: bool) -> str:
    return "".join(piece.text for piece in fonts.pieces_of(text, **more))


def emoji_in(text: str) -> list[str]:
    return [piece.emoji for piece in fonts.pieces_of(text) if piece.emoji]


def lines(text: str, width: float) -> list[str]:
    return ["".join(p.text for p in line) for line in wrapped(fonts.pieces_of(text), measure, width).lines]


@pytest.mark.parametrize(
    ("hostile", "harmless"),
    [
        ("\u202egnp.exe\u202c", "gnp.exe"),
        ("\u2066a\u2069\u200f\u200eb\u061c", "ab"),
        ("a\x00b\x1b[31mc\x7f", "ab[31mc"),
        ("z\u200be\u2060r\ufeffo\u00ad", "zero"),
        ("  a \t\n b  ", "a b"),
        ("\u3164\u115f\u2800\uffa0", ""),
        ("a\u3164\u3164b", "a b"),
        ("\ue000\uf8ff\U000f0000x", "x"),
        ("\ud800x", "x"),
        ("\ufdd0\uffffx", "x"),
        ("\u0301\u0302x", "x"),
        ("e\u0301", "é"),
        ("한\u1100", "한\u1100"),
        ("\u200d\u200d", ""),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("a\u200cb\u200dc", "abc"),
        ("\U000e0041\U000e0042tagged", "tagged"),
    ],
)
def test_tricks_are_taken_out_and_the_name_stays(hostile: str, harmless: str) -> None:
    assert shown(hostile) == harmless


def test_marks_piled_on_a_letter_are_cut() -> None:
    assert len(shown("Z" + "\u0338\u0321\u0322\u031b" * 40)) <= 4


def test_ten_thousand_characters_take_no_time() -> None:
    started = time.thread_time()  # its own work, however busy the machine is
    pieces = fonts.pieces_of("长" * 10_000)
    fit = fitted(pieces, measure, Limits(300, 50, 40, 24, 1, 1.3))
    assert fit.cut
    assert len(fit.lines) == 1
    assert time.thread_time() - started < 2


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("👨‍👩‍👧‍👦", ["1f468-200d-1f469-200d-1f467-200d-1f466"]),
        ("👍🏽", ["1f44d-1f3fd"]),
        ("🇨🇳🇫🇷", ["1f1e8-1f1f3", "1f1eb-1f1f7"]),
        ("1️⃣", ["31-20e3"]),
        ("❤️❤", ["2764", "2764"]),
        ("🏳️‍🌈", ["1f3f3-fe0f-200d-1f308"]),
        ("©", []),
        ("©️", ["a9"]),
        ("❤\ufe0e", []),
        ("🐻🏽", ["1f43b"]),
        ("🐻‍🐼", ["1f43b", "1f43c"]),
        ("😀\u200d", ["1f600"]),
    ],
)
def test_emoji_sequences_are_one_picture_or_fall_apart_gracefully(text: str, names: list[str]) -> None:
    assert emoji_in(text) == names


def test_a_letter_no_font_has_is_left_out_and_the_rest_stays() -> None:
    assert shown("𓀀Bob") == "Bob"
    assert fonts.is_blank("𓀀")
    assert fonts.is_blank("\u200b \u3164")
    assert fonts.is_blank(None)
    assert not fonts.is_blank("😀")


@pytest.mark.parametrize(
    "text",
    ["Ωμέγα", "Привет", "สวัสดี", "नमस्ते", "שלום", "مرحبا", "გამარჯობა", "ሰላም", "한국어", "ありがとう", "☃★"],
)
def test_other_scripts_have_letters(text: str) -> None:
    assert shown(text) == unicodedata.normalize("NFC", text)
    assert all(fonts.width(piece, 500) > 0 for piece in fonts.pieces_of(text))


def test_chinese_punctuation_never_starts_a_line_and_brackets_never_end_one() -> None:
    text = "邀请好友，一起学习。双方（你和好友）各得「三十天」会员！"
    for width in range(3, 20):
        for line in lines(text, width):
            assert line[0] not in "，。！）」", (width, line)
            assert line[-1] not in "（「", (width, line)


def test_latin_words_stay_whole_while_they_fit() -> None:
    text = "Invite a friend and both of you get membership"
    for width in (8, 10, 15):
        assert " ".join(lines(text, width)) == text
    assert wrapped(fonts.pieces_of("Incomprehensibilities"), measure, 4).torn


@pytest.mark.parametrize("text", ["双方各得30天专业版会员", "双方各得 30 天专业版会员"])
def test_a_number_stays_with_its_unit(text: str) -> None:
    for width in (4, 5, 6, 7, 8):
        assert not any(line.endswith("30") or line.startswith("天") for line in lines(text, width)), width


def test_a_chinese_clause_gets_a_line_of_its_own() -> None:
    fit = fitted(
        fonts.pieces_of("邀请好友一起成长，限时领取年度会员福利"), measure, Limits(630, 250, 92, 40, 2, 1.24)
    )
    assert ["".join(p.text for p in line) for line in fit.lines] == [
        "邀请好友一起成长，",
        "限时领取年度会员福利",
    ]


def test_cut_text_ends_with_the_ellipsis_of_its_script() -> None:
    chinese = clipped(fonts.pieces_of("一二三四五六七八"), measure, 4)
    latin = clipped(fonts.pieces_of("Maximilian the Great"), measure, 4)
    assert "".join(p.text for p in chinese) == "一二三…"
    assert latin[-1].text == "..."
    assert latin[-2].text != " "


anything = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from("，。（）、a b-c 30天👨\u200d👩👍🏽🇨🇳\u202e\u200b\u0301好"),
    ),
    max_size=60,
)


@settings(max_examples=300)
@given(anything, st.integers(40, 700), st.integers(1, 4), st.integers(20, 90))
def test_whatever_the_text_the_lines_fit_the_box(text: str, width: int, rows: int, size: int) -> None:
    pieces = fonts.pieces_of(text)
    limits = Limits(width, size * 1.3 * rows, size, 18, rows, 1.3)
    fit = fitted(pieces, measure, limits)
    assert len(fit.lines) <= rows
    assert 18 <= fit.size <= size
    for line in fit.lines:
        # A single letter wider than the box (a ligature of a whole phrase) cannot be broken further.
        widest = max(map(measure, line))
        assert sum(map(measure, line)) * fit.size <= max(width, widest * fit.size) + 0.01


@settings(max_examples=300)
@given(anything, st.floats(1.5, 30))
def test_wrapping_loses_and_adds_no_letter(text: str, width: float) -> None:
    pieces = fonts.pieces_of(text)
    kept = [p for line in wrapped(pieces, measure, width).lines for p in line if not p.is_space]
    assert kept == [p for p in pieces if not p.is_space]


@settings(max_examples=300)
@given(st.text(max_size=80))
def test_cleaning_twice_is_cleaning_once_and_leaves_nothing_invisible(text: str) -> None:
    once = shown(text)
    assert shown(once) == once
    for piece in fonts.pieces_of(text):
        if not piece.emoji:
            assert not any(unicodedata.category(c) in ("Cc", "Cs", "Co", "Zl", "Zp") for c in piece.text)
            assert not any("\u202a" <= c <= "\u202e" or "\u2066" <= c <= "\u2069" for c in piece.text)
            assert piece == Cluster(" ") or fonts.face_for(piece.text) is not None
