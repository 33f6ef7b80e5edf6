"""Handing money to a provider that may not answer, and to one whose every step may be the last."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from growth_engine.context import SYSTEM, Parts
from growth_engine.kit.clock import FixedClock
from growth_engine.kit.errors import Unavailable
from growth_engine.payouts import providers, queries, rules, sending, sheets
from growth_engine.payouts.providers import Ask, Failed, Paid, Unknown, Unseen, Waiting
from growth_engine.people import queries as people
from growth_engine.people import service as people_service
from tests.engine.payouts.conftest import Shop
from tests.factories.wallets import balance, check_books, payout_row

NAME = "test_bank"


@dataclass
class Bank:
    """A provider as good ones are: a number is paid once, however often it is sent."""

    name: str = NAME
    title: str = "Bank"
    by_hand: bool = False
    paid: dict[str, int] = field(default_factory=dict)
    """What each number was paid."""
    sent: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)
    """What to answer next instead of the truth; an exception is raised, a function called."""
    lose: bool = False
    """Requests do not even arrive."""

    def send(self, parts: Parts, ask: Ask) -> Any:
        self.sent.append(ask.id)
        if not self.lose:
            assert self.paid.setdefault(ask.id, ask.amount) == ask.amount, "the same number, another amount"
        return self._answer(ask, Paid(f"T-{ask.id}"))

    def query(self, parts: Parts, ask: Ask) -> Any:
        self.asked.append(ask.id)
        return self._answer(ask, Paid(f"T-{ask.id}") if ask.id in self.paid else Unseen())

    def _answer(self, ask: Ask, truth: Any) -> Any:
        answer = self.answers.pop(0) if self.answers else truth
        if isinstance(answer, BaseException):
            raise answer
        return answer(ask) if callable(answer) else answer


class Dies(BaseException):
    """The process ends here: nothing of ours gets to say goodbye."""


@pytest.fixture
def bank() -> Iterator[Bank]:
    made = Bank()
    providers.add(made)
    yield made
    providers.registry._items.pop(NAME)  # type: ignore[attr-defined]


@pytest.fixture
def shop(shop: Shop, bank: Bank) -> Shop:
    shop.policy(provider=NAME, tax_bp=1_000)
    return shop


def row(shop: Shop, payout_id: str) -> Any:
    return payout_row(shop.parts, shop.workspace, payout_id)


def test_what_is_paid_leaves_the_wallet_and_what_is_withheld_is_set_apart(shop: Shop, bank: Bank) -> None:
    fan = shop.fan(5_000)
    payout_id = shop.asked(fan, 5_000)
    assert shop.send() == 1
    assert shop.send() == 0
    found = row(shop, payout_id)
    assert (found.state, found.provider_ref, found.next_at) == ("paid", f"T-{payout_id}", None)
    assert bank.paid == {payout_id: 4_500}
    assert (shop.available(fan), shop.reserved(fan)) == (0, 0)
    accounts = [balance(shop.parts, shop.workspace, one) for one in ("clearing", "tax", "payout_fee")]
    assert accounts == [4_500, 500, 0]
    with shop.parts.open(shop.workspace) as ctx:
        [message] = people.messages_of(ctx, fan)
        assert (message.template, message.params) == ("payout_paid", {"amount": 4_500, "currency": "CNY"})
    check_books(shop.parts, shop.workspace)


def test_what_fails_comes_back_and_the_person_is_told(shop: Shop, bank: Bank) -> None:
    fan = shop.fan(5_000)
    payout_id = shop.asked(fan, 5_000)
    bank.answers = [Failed("no such account")]
    shop.send()
    found = row(shop, payout_id)
    assert (found.state, found.error) == ("failed", "no such account")
    assert (shop.available(fan), shop.reserved(fan)) == (5_000, 0)
    with shop.parts.open(shop.workspace) as ctx:
        assert [one.template for one in people.messages_of(ctx, fan)] == ["payout_failed"]
    check_books(shop.parts, shop.workspace)


@pytest.mark.parametrize(
    "silence", [Unknown("502"), Unavailable(), TimeoutError("read timed out"), ConnectionResetError()]
)
def test_an_unknown_answer_stays_reserved_is_asked_about_and_never_sent_twice(
    shop: Shop, bank: Bank, clock: FixedClock, silence: Any
) -> None:
    fan = shop.fan(5_000)
    payout_id = shop.asked(fan, 5_000)
    bank.answers = [silence] * 7
    waits = []
    for _ in range(7):
        assert shop.send() == 1
        assert shop.send() == 0, "not before its time"
        found = row(shop, payout_id)
        assert (found.state, shop.reserved(fan)) == ("unknown", 5_000)
        assert found.error
        waits.append(int((found.next_at - clock.now()).total_seconds()))
        clock.set(found.next_at)
    assert waits == [15, 30, 60, 120, 240, 480, 960]
    clock.advance(timedelta(days=30))  # no timer gives it back
    assert shop.reserved(fan) == 5_000
    assert shop.send() == 1
    assert row(shop, payout_id).state == "paid"
    assert (bank.sent, len(bank.asked)) == ([payout_id], 7)
    check_books(shop.parts, shop.workspace)


def test_what_never_arrived_is_sent_again_under_the_same_number(
    shop: Shop, bank: Bank, clock: FixedClock
) -> None:
    payout_id = shop.asked(shop.fan(5_000), 5_000)
    bank.lose, bank.answers = True, [ConnectionRefusedError()]
    shop.send()
    assert row(shop, payout_id).state == "unknown"
    bank.lose = False
    clock.advance(timedelta(minutes=1))
    shop.send()
    assert row(shop, payout_id).state == "paid"
    assert bank.sent == [payout_id, payout_id]
    assert list(bank.paid) == [payout_id]


def test_a_transfer_the_recipient_must_confirm_waits_and_comes_back_when_it_expires(
    shop: Shop, bank: Bank, clock: FixedClock
) -> None:
    fan = shop.fan(5_000)
    payout_id = shop.asked(fan, 5_000)
    bank.answers = [
        Waiting("W1", timedelta(minutes=5)),
        Waiting("W1", timedelta(minutes=5)),
        Failed("expired"),
    ]
    for _ in range(2):
        shop.send()
        found = row(shop, payout_id)
        assert (found.state, found.provider_ref) == ("waiting", "W1")
        assert found.next_at == clock.now() + timedelta(minutes=5)
        clock.set(found.next_at)
    shop.send()
    assert (row(shop, payout_id).state, shop.available(fan)) == ("failed", 5_000)
    check_books(shop.parts, shop.workspace)


# -- the end may come at any point -------------------------------------------------------------------


@pytest.mark.parametrize("point", ["before the call", "during the call", "after the call", "after the books"])
def test_wherever_a_worker_dies_the_next_one_asks_first_and_pays_once(
    shop: Shop, bank: Bank, clock: FixedClock, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    fan = shop.fan(5_000)
    payout_id = shop.asked(fan, 5_000)
    with monkeypatch.context() as patch:
        if point == "before the call":
            patch.setattr(sending, "_call", _dying())
        elif point == "during the call":
            bank.answers = [Dies()]
        elif point == "after the call":
            patch.setattr(sending, "settle", _dying())
        else:
            patch.setattr(sending, "settle", _dying(after=sending.settle))
        with pytest.raises(Dies):
            shop.send()
    if point == "after the books":
        assert row(shop, payout_id).state == "paid"
    else:
        assert (row(shop, payout_id).state, shop.reserved(fan)) == ("sending", 5_000)
        assert shop.send() == 0, "somebody may still be at it"
        clock.advance(rules.LEASE)
        assert shop.send() == 1
        assert bank.asked == [payout_id], "the provider is asked first"
    assert row(shop, payout_id).state == "paid"
    assert bank.paid == {payout_id: 4_500}
    assert bank.sent == [payout_id], "sent once"
    assert shop.reserved(fan) == 0
    check_books(shop.parts, shop.workspace)


def _dying(after: Any = None) -> Any:
    def die(*arguments: Any) -> None:
        if after is not None:
            after(*arguments)
        raise Dies

    return die


def test_two_workers_who_hold_one_payout_tell_the_books_once(shop: Shop, clock: FixedClock) -> None:
    """A worker stuck longer than its lease comes back with another word than the one who took over."""
    fan = shop.fan(5_000)
    payout_id = shop.asked(fan, 5_000)
    slow = sending.claim(shop.parts, shop.workspace)
    clock.advance(rules.LEASE)
    quick = sending.claim(shop.parts, shop.workspace)
    assert slow is not None
    assert quick is not None
    assert (slow.was, quick.was) == ("approved", "sending")
    sending.settle(shop.parts, shop.workspace, quick, Paid("T1"))
    for late in (Paid("T1"), Paid("T2"), Failed("no"), Unknown("?"), Waiting("W")):
        sending.settle(shop.parts, shop.workspace, slow, late)
    found = row(shop, payout_id)
    assert (found.state, found.provider_ref) == ("paid", "T1")
    assert shop.available(fan) == 0
    check_books(shop.parts, shop.workspace)


def test_many_workers_send_every_payout_once(shop: Shop, bank: Bank) -> None:
    ids = [shop.asked(shop.fan(1_000), 1_000) for _ in range(30)]
    start, errors = threading.Barrier(4), []

    def work() -> None:
        start.wait()
        try:
            while shop.send():
                pass
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(bank.sent) == sorted(ids)
    assert {row(shop, one).state for one in ids} == {"paid"}
    check_books(shop.parts, shop.workspace)


def test_a_broken_provider_stops_no_other_payout(shop: Shop, bank: Bank) -> None:
    first, second = shop.asked(shop.fan(1_000), 1_000), shop.asked(shop.fan(1_000), 1_000)
    bank.answers = [ValueError("a defect")]
    assert shop.send() == 2
    assert sorted((row(shop, first).state, row(shop, second).state)) == ["paid", "unknown"]
    with shop.parts.open(shop.workspace) as ctx:
        assert len(queries.stuck(ctx, 1)) == 1
        assert queries.stuck(ctx, 2) == []


def test_whoever_is_blocked_after_asking_gets_nothing_until_a_person_has_looked(
    shop: Shop, bank: Bank, clock: FixedClock
) -> None:
    fan = shop.fan(3_000)
    asked, under_way = shop.asked(fan, 1_000), shop.asked(fan, 2_000)
    with shop.parts.open(shop.workspace) as ctx:
        ctx.session.execute(text("UPDATE payouts SET next_at = NULL WHERE id = :id"), {"id": asked})
    bank.answers = [Unknown("?")]
    shop.send()
    with shop.parts.open(shop.workspace) as ctx:
        ctx.session.execute(text("UPDATE payouts SET next_at = :now WHERE id = :id"),
                            {"id": asked, "now": ctx.now()})  # fmt: skip
        people_service.block(ctx, fan, "farm")
    clock.advance(timedelta(hours=1))
    assert shop.send() == 1
    assert (row(shop, under_way).state, row(shop, asked).state) == ("paid", "approved")
    with shop.parts.open(shop.workspace) as ctx:
        people_service.unblock(ctx, fan)
    assert shop.send() == 1
    assert row(shop, asked).state == "paid"


def test_a_provider_that_is_no_longer_there_leaves_the_money_reserved(shop: Shop) -> None:
    payout_id = shop.asked(shop.fan(1_000), 1_000)
    with shop.parts.open(shop.workspace) as ctx:
        ctx.session.execute(text("UPDATE payouts SET provider = 'gone'"))
    shop.send()
    assert (row(shop, payout_id).state, row(shop, payout_id).error) == ("unknown", "KeyError: 'gone'")
    # Its results come from people then.
    results = f"payout_id,result\n{payout_id},paid\n".encode()
    assert sheets.take_results(shop.parts, shop.workspace, results, by=SYSTEM).paid == 1


def test_people_say_what_a_silent_provider_told_them_and_nothing_of_one_that_answers(
    shop: Shop, bank: Bank, clock: FixedClock
) -> None:
    fan = shop.fan(1_000)
    payout_id = shop.asked(fan, 1_000)
    bank.answers = [Waiting("W", timedelta(minutes=1)), Unknown("?"), Failed("late")]
    shop.send()
    results = f"payout_id,result\n{payout_id},paid\n".encode()
    with pytest.raises(sheets.ResultsRefused) as refused:
        sheets.take_results(shop.parts, shop.workspace, results, by=SYSTEM)
    assert refused.value.extra["errors"] == {"line 2": ["The result of this one comes from its provider."]}
    clock.advance(timedelta(minutes=1))
    late = sending.claim(shop.parts, shop.workspace)
    assert late is not None
    sending.settle(shop.parts, shop.workspace, late, Unknown("?"))
    mia = shop.admin()
    assert sheets.take_results(shop.parts, shop.workspace, results, by=mia).paid == 1
    # The provider's own word comes too late to change it.
    sending.settle(shop.parts, shop.workspace, late, Failed("late"))
    assert (row(shop, payout_id).state, shop.available(fan)) == ("paid", 0)
    with shop.parts.open(shop.workspace) as ctx:
        told = ctx.session.scalar(text("SELECT facts FROM events WHERE kind = 'payout_confirm'"))
        assert told["by"] == mia.id, "the books know who said so"
    check_books(shop.parts, shop.workspace)


def test_books_that_cannot_be_written_now_are_written_later(
    shop: Shop, bank: Bank, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The outcome is stored, not posted; the sweep or the next question posts the very same Event."""
    from growth_engine.ledger import service as ledger
    from growth_engine.payouts import decisions

    fan = shop.fan(5_000)
    payout_id = shop.asked(fan, 5_000)

    def broken(case: Any) -> None:
        raise RuntimeError("a defect of ours")

    with monkeypatch.context() as patch:
        patch.setitem(decisions.KINDS, "payout_confirm", broken)  # type: ignore[arg-type]
        shop.send()
    assert (row(shop, payout_id).state, shop.reserved(fan)) == ("sending", 5_000)
    clock.advance(timedelta(seconds=30))
    ledger.sweep(shop.parts, shop.workspace)
    assert (row(shop, payout_id).state, shop.reserved(fan)) == ("paid", 0)
    clock.advance(rules.LEASE)
    assert shop.send() == 0
    assert bank.sent == [payout_id]
    check_books(shop.parts, shop.workspace)
