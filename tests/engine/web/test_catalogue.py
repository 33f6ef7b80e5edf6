"""The catalogue of translations: compiled from what is written, with the parameters of the original."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from babel.messages import mofile, pofile
from babel.messages.catalog import Catalog

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


def _parameters(text: str) -> set[str]:
    return set(re.findall(r"%\(\w+\)[a-z]|\{\w+\}", text))


def test_a_translation_has_the_parameters_of_its_original() -> None:
    _, catalogue = _written("zh")
    wrong = []
    for message in catalogue:
        originals = [message.id] if isinstance(message.id, str) else list(message.id)
        translations = [message.string] if isinstance(message.string, str) else list(message.string)
        allowed = set().union(*map(_parameters, originals))
        for translation in translations:
            if message.id and translation and not _parameters(translation) <= allowed:
                wrong.append((originals[0], translation))
    assert not wrong
