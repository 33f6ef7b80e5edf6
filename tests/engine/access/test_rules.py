"""Pure rules of access."""

from __future__ import annotations

import pytest

from growth_engine.access import rules


@pytest.mark.parametrize(
    ("held", "needed", "allowed"),
    [
        ({"*"}, "contacts:write", True),
        ({"contacts:*"}, "contacts:write", True),
        ({"contacts:write"}, "contacts:write", True),
        ({"contacts:write"}, "contacts:read", False),
        ({"campaigns:*"}, "contacts:read", False),
        (set(), "contacts:read", False),
    ],
)
def test_a_scope_is_held_by_name_by_group_or_by_star(held: set[str], needed: str, allowed: bool) -> None:
    assert rules.allows(held, needed) is allowed


def test_unknown_scopes_are_named() -> None:
    assert rules.unknown_scopes(["campaigns:read", "contacts:*", "*", "money:print", "x"]) == [
        "money:print",
        "x",
    ]


@pytest.mark.parametrize("failures", [1, 4])
def test_the_first_failures_cost_no_wait(failures: int) -> None:
    assert rules.lock_seconds("email", failures) == 0


def test_the_wait_doubles_with_every_further_failure_up_to_a_quarter_of_an_hour() -> None:
    waits = [rules.lock_seconds("email", failures) for failures in range(5, 14)]
    assert waits == [15, 30, 60, 120, 240, 480, 900, 900, 900]
    assert rules.lock_seconds("email", 10**9) == 900


@pytest.mark.parametrize(
    ("password", "good"),
    [
        ("short", False),
        ("1234567890", False),
        ("aaaaaaaaaaaaaaa", False),
        ("lin@example.com", False),
        ("x" * 150 + "abcdef" * 20, False),
        ("我喜欢在早晨喝茶看书", True),
        ("correct horse battery", True),
    ],
)
def test_a_password_is_long_and_not_well_known(password: str, good: bool) -> None:
    assert (rules.password_problem(password, "lin@example.com") is None) is good


@pytest.mark.parametrize(
    ("email", "good"),
    [
        ("lin@example.com", True),
        ("a.b+c@mail.example.co.uk", True),
        ("lin@example", False),
        ("@example.com", False),
        ("lin example@example.com", False),
        ("lin\x00@example.com", False),
        ("l" * 70 + "@example.com", False),
        ("lin@" + "a" * 260 + ".com", False),
    ],
)
def test_email_addresses_are_checked_for_form(email: str, good: bool) -> None:
    assert rules.is_email(email) is good


def test_an_email_is_tidied_before_it_is_looked_up() -> None:
    assert rules.tidy_email("  Ｌin@Example.COM ") == "lin@example.com"


def test_a_masked_email_shows_little() -> None:
    assert rules.masked_email("linxiao@example.com") == "li***@example.com"
