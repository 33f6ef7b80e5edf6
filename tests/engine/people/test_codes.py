"""Codes by SMS: right once, five tries, five minutes, not too often, also when many try at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import timedelta

import pytest

from growth_engine.channels.sms import ConsoleSms, NoSms, SmsUnavailable
from growth_engine.context import Parts
from growth_engine.kit.clock import FixedClock
from growth_engine.kit.errors import Invalid
from growth_engine.people import codes
from tests.engine.people.test_contacts import at_once

PHONE = "+8613800138000"


@pytest.fixture
def send(parts: Parts, workspace: str) -> Callable[..., str]:
    """Sends a code and reads it from the developer's screen."""

    def send(phone: str = "138 0013 8000", address: str = "10.0.0.1") -> str:
        assert isinstance(parts.sms, ConsoleSms)
        codes.send_code(parts, workspace, phone, address=address, locale="en")
        code = parts.sms.last_code(codes.normalise("phone", phone, "CN"))
        assert code is not None
        assert len(code) == 6
        return code

    return send


Send = Callable[..., str]


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06d}"


def test_the_right_code_works_once(parts: Parts, workspace: str, send: Send) -> None:
    code = send()
    assert not codes.check_code(parts, workspace, PHONE, wrong(code))
    assert codes.check_code(parts, workspace, "13800138000", f" {code[:3]} {code[3:]} ")
    assert not codes.check_code(parts, workspace, PHONE, code)


def test_full_width_digits_are_digits(parts: Parts, workspace: str, send: Send) -> None:
    typed = "".join(chr(ord(digit) + 0xFEE0) for digit in send())
    assert codes.check_code(parts, workspace, PHONE, typed)


def test_after_five_tries_even_the_right_code_is_wrong(parts: Parts, workspace: str, send: Send) -> None:
    code = send()
    for _ in range(5):
        assert not codes.check_code(parts, workspace, PHONE, wrong(code))
    assert not codes.check_code(parts, workspace, PHONE, code)


def test_a_code_is_valid_for_five_minutes(
    parts: Parts, workspace: str, clock: FixedClock, send: Send
) -> None:
    code = send()
    clock.advance(timedelta(minutes=5))
    assert not codes.check_code(parts, workspace, PHONE, code)


def test_a_new_code_voids_the_old_one_and_comes_a_minute_later_at_the_earliest(
    parts: Parts, workspace: str, clock: FixedClock, send: Send
) -> None:
    first = send()
    clock.advance(timedelta(seconds=45.5))
    with pytest.raises(codes.CodeTooSoon) as caught:
        send()
    assert caught.value.extra["retry_after"] == 15
    clock.advance(timedelta(seconds=15))
    second = send()
    assert first == second or not codes.check_code(parts, workspace, PHONE, first)
    assert codes.check_code(parts, workspace, PHONE, second)
    # Using a code does not shorten the wait for the next one.
    with pytest.raises(codes.CodeTooSoon):
        send()


def test_a_code_belongs_to_one_phone_and_one_workspace(parts: Parts, workspace: str, send: Send) -> None:
    code = send()
    assert not codes.check_code(parts, workspace, "13900139000", code)
    assert not codes.check_code(parts, "wsp_other", PHONE, code)
    assert codes.check_code(parts, workspace, PHONE, code)


def test_garbage_is_no_code(parts: Parts, workspace: str, send: Send) -> None:
    send()
    for typed in ("", "abc", "\x00", "\ud800", "9" * 100_000):
        assert not codes.check_code(parts, workspace, "13900139000", typed)
    with pytest.raises(Invalid):
        codes.check_code(parts, workspace, "12", "123456")


def test_one_phone_gets_ten_codes_a_day(parts: Parts, workspace: str, clock: FixedClock, send: Send) -> None:
    for _ in range(codes.MOST_PER_PHONE_AND_DAY):
        send()
        clock.advance(timedelta(seconds=60))
    with pytest.raises(codes.TooManyCodes):
        send()
    clock.advance(timedelta(days=1))
    send()


def test_one_address_asks_for_so_many_codes_a_day(
    parts: Parts, workspace: str, monkeypatch: pytest.MonkeyPatch, send: Send
) -> None:
    monkeypatch.setattr(codes, "MOST_PER_ADDRESS_AND_DAY", 3)
    for n in range(3):
        send(f"1380013801{n}", workspace)
    with pytest.raises(codes.TooManyCodes):
        send("13800138019", workspace)
    send("13800138019", workspace + " other")
    for n in range(5):
        send(f"1390013901{n}", "")


def test_of_many_right_answers_at_once_one_counts(parts: Parts, workspace: str, send: Send) -> None:
    code = send()
    answers = at_once(*[lambda: codes.check_code(parts, workspace, PHONE, code)] * 5)
    assert sorted(answers) == [False] * 4 + [True]


def test_many_guesses_at_once_get_five_tries_in_all(parts: Parts, workspace: str, send: Send) -> None:
    code = send()
    guesses = [wrong(code)] * 8
    assert not any(
        at_once(*(lambda g=guess: codes.check_code(parts, workspace, PHONE, g) for guess in guesses))
    )
    assert not codes.check_code(parts, workspace, PHONE, code)


def test_many_requests_at_once_send_one_message(parts: Parts, workspace: str) -> None:
    def ask() -> None:
        codes.send_code(parts, workspace, PHONE, address="10.0.0.2")

    results = at_once(*[ask] * 6)
    assert results.count(None) == 1
    assert sum(isinstance(one, codes.CodeTooSoon) for one in results) == 5


def test_when_nothing_can_be_sent_the_person_may_try_again_at_once(parts: Parts, workspace: str) -> None:
    mute = dataclasses.replace(parts, sms=NoSms())
    for _ in range(2):
        with pytest.raises(SmsUnavailable):
            codes.send_code(mute, workspace, PHONE, address="10.0.0.3")
    codes.send_code(parts, workspace, PHONE, address="10.0.0.3")


def test_neither_code_nor_phone_nor_address_stands_in_redis(parts: Parts, workspace: str, send: Send) -> None:
    code = send(address="203.0.113.77")
    for key in parts.queue.scan_iter("ge:sms:*"):
        value = parts.queue.hgetall(key) if parts.queue.type(key) == b"hash" else parts.queue.get(key)
        for needle in ("13800138000", "203.0.113.77"):
            assert needle not in f"{key!r} {value!r}"
        if isinstance(value, dict):
            assert code.encode() != value.get(b"hash")
        assert parts.queue.ttl(key) > 0
