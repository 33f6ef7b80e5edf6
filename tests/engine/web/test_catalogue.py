"""The catalogue of translations: compiled from what is written, with the parameters of the original."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages import mofile, pofile
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir

from growth_engine.kit.i18n import CATALOGUE


def _written(locale: str) -> tuple[Path, Catalog]:
    path = CATALOGUE / locale / "LC_MESSAGES" / "messages.po"
    with path.open("rb") as file:
        return path, pofile.read_po(file, locale=locale)


@pytest.mark.parametrize("locale", ["zh", "en"])
def test_what_is_compiled_is_what_is_written(locale: str) -> None:
    path, catalogue = _written(locale)
    compiled = io.BytesIO()
    mofile.write_mo(compiled, catalogue)
    kept = path.with_suffix(".mo").read_bytes()
    assert _words(kept) == _words(compiled.getvalue()), "run `make i18n`"


def _words(compiled: bytes) -> dict[object, object]:
    return {str(message.id): message.string for message in mofile.read_mo(io.BytesIO(compiled)) if message.id}


class Anything(dict[str, int]):
    """Parameters of every name."""

    def __missing__(self, key: str) -> int:
        return 1


def _parameters(text: str) -> set[str]:
    return set(re.findall(r"%\(\w+\)[a-z]|\{\w+\}", text))


def _pairs(locale: str) -> Iterator[tuple[Message, tuple[str, ...], tuple[str, ...]]]:
    """Every message with its forms in the code and in the language."""
    for message in _written(locale)[1]:
        if message.id:
            forms = (message.id, message.string)
            originals, translations = ((one,) if isinstance(one, str) else tuple(one or ()) for one in forms)
            yield message, originals, translations


def test_everything_is_said_in_chinese() -> None:
    """No message is empty, and none is a guess of ``pybabel update``."""
    left = [originals[0] for one, originals, said in _pairs("zh") if one.fuzzy or not said or not all(said)]
    assert not left, "translate these in growth_engine/translations/zh"


def test_no_english_message_is_a_guess() -> None:
    assert not [originals[0] for one, originals, _ in _pairs("en") if one.fuzzy]


def test_a_translation_has_the_parameters_of_its_original() -> None:
    """All of them; a singular such as "one friend" may have fewer than its plural."""
    wrong = [
        (originals[-1], one)
        for _, originals, translations in _pairs("zh")
        for one in translations
        if _parameters(one) != _parameters(originals[-1])
    ]
    assert not wrong


def test_a_translation_survives_being_filled() -> None:
    """Jinja's gettext fills every message, so a lone percent sign is a page that breaks."""
    known = Anything()
    for locale in ("zh", "en"):
        for _, originals, translations in _pairs(locale):
            for one in (*originals, *translations):
                assert one % known is not None


def test_the_catalogue_knows_every_message_of_the_code() -> None:
    """What ``make i18n`` would gather is what is there."""
    root = CATALOGUE.parent.parent
    keywords = {**DEFAULT_KEYWORDS, "N_": None, "_l": None, "lazy_gettext": None}
    methods = [("**.py", "python"), ("**.html", "jinja2")]
    options = {"**.html": {"trim_blocks": "true", "lstrip_blocks": "true", "silent": "false"}}
    gathered = {
        message if isinstance(message, str) else message[0]
        for package in ("growth_engine", "campaigns", "webhooks")
        for _, _, message, _, _ in extract_from_dir(
            root / package, methods, options, keywords, strip_comment_tags=True
        )
    }
    known = {originals[0] for _, originals, _ in _pairs("zh")}
    assert gathered == known, "run `make i18n`, then translate what is new"
