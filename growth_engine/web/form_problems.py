"""Marshmallow's validation messages in the reader's words: its English templates mapped to message ids."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from growth_engine.kit.errors import GrowthError
from growth_engine.kit.i18n import N_, translate
from growth_engine.web import form_money

#: Templates of marshmallow 4 (``fields.py``, ``validate.py``) with values in them.
_TEMPLATES = [
    (
        r"Must be greater than or equal to (?P<least>\S+) and less than or equal to (?P<most>\S+)\.",
        N_("Must be between %(least)s and %(most)s."),
    ),
    (r"Must be greater than or equal to (?P<least>\S+)\.", N_("Must be at least %(least)s.")),
    (r"Must be less than or equal to (?P<most>\S+)\.", N_("Must be at most %(most)s.")),
    (r"Must be greater than (?P<least>\S+)\.", N_("Must be more than %(least)s.")),
    (r"Must be less than (?P<most>\S+)\.", N_("Must be less than %(most)s.")),
    (
        r"Length must be between (?P<least>\d+) and (?P<most>\d+)\.",
        N_("Between %(least)s and %(most)s characters or rows."),
    ),
    (r"Shorter than minimum length (?P<least>\d+)\.", N_("At least %(least)s characters or rows.")),
    (r"Longer than maximum length (?P<most>\d+)\.", N_("At most %(most)s characters or rows.")),
    (r"Length must be (?P<just>\d+)\.", N_("Exactly %(just)s characters or rows.")),
    (r"Must be one of: .*", N_("Choose one from the list.")),
    (r"One or more of the choices you made was not in: .*", N_("Choose from the list.")),
]
_PLAIN = {
    "Missing data for required field.": N_("This is needed."),
    "Field may not be null.": N_("This is needed."),
    "Invalid value.": N_("This is not valid."),
    "Unknown field.": N_("This field is not known."),
    "Not a valid string.": N_("This is not text."),
    "Not a valid integer.": N_("This is not a whole number."),
    "Not a valid number.": N_("This is not a number."),
    "Number too large.": N_("This number is too large."),
    "Not a valid boolean.": N_("This is neither yes nor no."),
    "Not a valid datetime.": N_("This is not a date with a time."),
    "Not a valid date.": N_("This is not a date."),
    "Not a valid email address.": N_("This is not an email address."),
    "Not a valid URL.": N_("This is not a web address."),
    "Not a valid list.": N_("This is not a list."),
    "String does not match expected pattern.": N_("This does not have the right form."),
}
_COMPILED = [(re.compile(pattern), message) for pattern, message in _TEMPLATES]


#: Said of a whole number, which is what an amount is kept as; people are told how to write it instead.
_NO_NUMBER = "Not a valid integer."


def in_words(problem: Any, places: int | None = None) -> list[str]:
    """One field's problems (a text, a list, or a nested mapping) as translated sentences.

    ``places``: the field is an amount or a rate written with so many decimals; limits are told likewise.
    """
    if not problem:
        return []
    if isinstance(problem, str):
        return [_sentence(problem, places)]
    inner = problem.values() if isinstance(problem, Mapping) else problem
    return [text for one in inner for text in in_words(one, places)]


def problem_of(error: GrowthError) -> str:
    """What was wrong, in one line: the fields' own words where there are some."""
    return " ".join(in_words(error.extra.get("errors"))) or translate(error.message, error.params)


def _sentence(message: str, places: int | None) -> str:
    if places is not None and message == _NO_NUMBER:
        return translate(N_("Write a number with at most %(places)s decimals."), {"places": places})
    if message in _PLAIN:
        return translate(_PLAIN[message])
    for pattern, words in _COMPILED:
        match = pattern.fullmatch(message)
        if match:
            return translate(words, {name: _limit(one, places) for name, one in match.groupdict().items()})
    return translate(message)


def _limit(number: str, places: int | None) -> str:
    whole = number.lstrip("-").isdecimal()
    return form_money.written(int(number), places) if places is not None and whole else number
