"""The pure parts of the phone pages: readable colours, masked names, history in words."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from growth_engine.web.h5 import history
from growth_engine.web.h5.colours import contrast, palette
from growth_engine.web.h5.names import initial, masked, masked_phone

AT = datetime(2026, 6, 1, tzinfo=UTC)


@given(st.integers(0, 0xFFFFFF))
def test_every_colour_makes_a_palette_people_can_read(number: int) -> None:
    shades = palette(f"#{number:06x}")
    assert contrast(shades.text, "#ffffff") >= 4.5
    assert contrast(shades.accent, shades.on) >= 2.2
    assert contrast(shades.text, shades.soft) >= 3.5


@pytest.mark.parametrize("colour", ["", "red", "#12", "#gggggg", "url(x)", "#07c160;}", "\u0661" * 7])
def test_what_is_no_colour_becomes_green(colour: str) -> None:
    assert palette(colour).accent == "#07c160"


@pytest.mark.parametrize(
    ("nickname", "shown", "letter"),
    [
        ("小明", "小**", "小"),
        ("Alexandra", "A**a", "A"),
        ("", "", ""),
        ("👨‍👩‍👧‍👦 family", "👨‍👩‍👧‍👦**y", "👨‍👩‍👧‍👦"),
        ("ßen", "ß**", "ß"),
        ("bo", "b**", "B"),
    ],
)
def test_names_are_masked_by_what_readers_count_as_letters(nickname: str, shown: str, letter: str) -> None:
    assert masked(nickname) == shown
    assert initial(nickname) == letter


def test_a_phone_number_is_recognised_by_its_owner_only() -> None:
    assert masked_phone("+8613812345678").split() == ["+86", "138", "****", "5678"]
    assert masked_phone("+4915112345678").split() == ["+491", "****", "78"]
    assert " " not in masked_phone("+8613812345678"), "a number stays on one line"


@dataclass
class Entry:
    kind: str
    accepted: bool
    member: int | None
    other: int | None = None
    body: dict[str, Any] = field(default_factory=dict)
    seq: int = 1
    at: datetime = AT


def _joined(*codes: str) -> dict[str, Any]:
    return {"result": {"enrolled": True}, "reasons": [{"code": code} for code in codes]}


def _said(*codes: str) -> dict[str, Any]:
    return {"reasons": [{"code": code} for code in codes]}


@pytest.mark.parametrize(
    ("entry", "text", "reasons"),
    [
        (Entry("join", True, 1, None, _joined()), "You joined.", []),
        (Entry("join", True, 1, 2, _joined()), "You joined through %(name)s.", []),
        (
            Entry("join", False, 1, 2, _joined("not_new")),
            "You joined; the invite does not count.",
            ["not_new"],
        ),
        (Entry("join", True, 1, 2, _said("came_back")), "You came back.", []),
        (Entry("join", False, 1, None, _said("already_joined")), "You registered again.", ["already_joined"]),
        (Entry("join", True, 1, 2, {}), "You helped %(name)s.", []),
        (Entry("join", False, 1, None, _said("blocked")), "You could not join.", ["blocked"]),
        (Entry("leave", True, 1, 2, _said("left")), "You left.", []),
        (Entry("block", True, 1, 2, _said("by_hand")), "Your part was stopped.", []),
        (Entry("unblock", True, 1, 2, _said("unblocked")), "Your part goes on.", []),
        (Entry("join", True, 3, 1, _joined()), "%(name)s came through you. It counts.", []),
        (
            Entry("join", True, 3, 1, _joined("inviter_cap")),
            "%(name)s came through you. It counts.",
            ["inviter_cap"],
        ),
        (
            Entry("join", False, 3, 1, _joined("not_new")),
            "%(name)s came through you. It does not count.",
            ["not_new"],
        ),
        (Entry("join", True, 3, 1, _said("came_back")), "%(name)s came back and counts again.", []),
        (Entry("leave", True, 3, 1, _said("left")), "%(name)s left and no longer counts.", []),
        (Entry("block", True, 3, 1, _said("by_hand")), "%(name)s was blocked and no longer counts.", []),
        (Entry("unblock", True, 3, 1, _said("unblocked")), "%(name)s was unblocked and counts again.", []),
    ],
)
def test_every_entry_is_told_from_the_readers_side(entry: Entry, text: str, reasons: list[str]) -> None:
    (line,) = history.lines([entry], 1, {2: "B**", 3: "C**"})
    assert line.text == text
    assert [reason.code for reason in line.reasons] == reasons
    if "%(name)s" in text:
        assert line.name in ("B**", "C**")


def test_both_sides_of_entries_are_named() -> None:
    assert history.others([Entry("join", True, 3, 1), Entry("join", True, 4, None)]) == {1, 3, 4}
