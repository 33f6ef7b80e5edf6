"""A short fuzz run over every parser; ``tests/drills/test_fuzz_of_callbacks.py`` is the long one."""

from __future__ import annotations

from tests.webhooks.fuzzing import fuzz


def test_no_input_crashes_a_parser_or_makes_it_slow() -> None:
    fuzz(2_000)
