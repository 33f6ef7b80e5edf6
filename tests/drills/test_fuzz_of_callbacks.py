"""20,000 inputs thrown at every parser of what comes from outside."""

from __future__ import annotations

import pytest

from tests.webhooks.fuzzing import fuzz

# Ten minutes on two busy cores.
pytestmark = [pytest.mark.drill, pytest.mark.timeout(1800)]


def test_no_input_of_many_crashes_a_parser_or_makes_it_slow() -> None:
    fuzz(20_000)
