"""Recommending on the phone: what it came to, the wallet in words, withdrawing, and who may recommend."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from flask import Flask

from growth_engine.commissions import service as commissions
from growth_engine.context import Actor, Parts
from growth_engine.kit.clock import FixedClock
from growth_engine.ledger.mirror import MirrorUnavailable
from growth_engine.payouts import service as payouts
from growth_engine.payouts.rules import Policy
from growth_engine.people import service as people_service
from tests.factories.phones import Phone
from tests.factories.store import PRICE, A, B, C, Store
from tests.factories.wallets import deposit

RunJobs = Callable[..., int]
STAFF = Actor("staff", "stf_test")
HOLD = timedelta(days=16)


@pytest.fixture
def store(app: Flask, parts: Parts, workspace: str) -> Store:
    return Store(app, parts, workspace)


@pytest.fixture
def people(store: Store) -> tuple[Phone, Phone, Phone]:
    """Ann brought Bob, and Bob brought Carla, who has not ordered yet."""
    ann, bob, carla = store.phone(1), store.phone(2), store.phone(3)
    token = ann.join(store.id, A, "Annabel")
    bob.join(store.id, B, "Bobby", token)
    return ann, bob, carla


def see(phone: Phone, path: str) -> str:
    """Open a page, follow where it leads, and read it."""
    phone.get(path)
    phone.follow()
    assert phone.answer.status_code == 200, phone.text()
    return phone.text()


def token_of(store: Store, phone: Phone) -> str:
    see(phone, f"/c/{store.id}/me")
    return phone.invite_token()


def contact_of(store: Store, number: int) -> str:
    row = store.rows("SELECT contact_id FROM participants WHERE campaign_id = :id AND number = :n", n=number)
    return str(row[0][0])


def carla_buys_two(store: Store, people: tuple[Phone, Phone, Phone]) -> str:
    """Paid: 118.00; 23.60 for Bob, 5.90 for Ann."""
    _, bob, carla = people
    order_id = store.buy(carla, 2, token_of(store, bob), phone=C, nickname="Carla", consent="yes")
    store.pay(order_id, 2 * PRICE)
    return order_id


def number_of(store: Store, order_id: str) -> int:
    return int(store.rows("SELECT number FROM orders WHERE id = :order", order=order_id)[0][0])


def set_policy(store: Store, **changes: Any) -> None:
    with store.parts.open(store.workspace_id) as ctx:
        payouts.set_policy(ctx, Policy(**changes))


def withdraw(store: Store, phone: Phone, amount: str, **more: str) -> int:
    path = f"/c/{store.id}/wallet/withdraw"
    see(phone, path)
    return phone.post(path, {**phone.hidden(), "amount": amount, **more}).status_code


# -- my page -----------------------------------------------------------------------------------------


def test_every_page_of_an_earner_tells_the_same_numbers_from_order_to_payout(
    store: Store, people: tuple[Phone, Phone, Phone], clock: FixedClock, run_jobs: RunJobs
) -> None:
    ann, bob, _ = people
    order_id = carla_buys_two(store, people)
    number = number_of(store, order_id)
    words = see(bob, f"/c/{store.id}/me")
    for part in ("On hold CN¥23.60", "1 buyer of mine", "1 paid order", "C**a", "Earned here: CN¥23.60"):
        assert part in words, words
    assert "membership" not in words.lower()
    assert "On hold CN¥5.90" in see(ann, f"/c/{store.id}/me")
    assert "level 2" in ann.text()

    store.refund(order_id, PRICE)
    assert "On hold CN¥11.80" in see(bob, f"/c/{store.id}/wallet")
    assert "Nothing has moved yet" in bob.text()
    clock.advance(HOLD)
    run_jobs(store.workspace_id, "commissions.mature")
    words = see(bob, f"/c/{store.id}/wallet")
    for part in (
        "Available CN¥11.80",
        "On hold CN¥0.00",
        f"Commission for order {number}",
        "level 1",
        "+CN¥11.80",
    ):
        assert part in words, words

    assert withdraw(store, bob, "11.80") == 303
    words = see(bob, f"/c/{store.id}/wallet")
    for part in ("Available CN¥0.00", "Being paid out CN¥11.80", "Withdrawal", "-CN¥11.80"):
        assert part in words, words
    assert "Being paid out CN¥11.80" in see(bob, f"/c/{store.id}/me")
    assert "Somebody at the merchant's looks at it first" in see(bob, f"/c/{store.id}/wallet/withdrawals")


def test_a_refund_after_the_withdrawal_is_a_debt_that_is_explained(
    store: Store, people: tuple[Phone, Phone, Phone], clock: FixedClock, run_jobs: RunJobs
) -> None:
    _, bob, _ = people
    order_id = carla_buys_two(store, people)
    number = number_of(store, order_id)
    clock.advance(HOLD)
    run_jobs(store.workspace_id, "commissions.mature")
    assert withdraw(store, bob, "23.60") == 303
    store.refund(order_id, PRICE)
    words = see(bob, f"/c/{store.id}/wallet")
    for part in (
        "Open: CN¥11.80",
        "You need not pay anything",
        f"Taken back: order {number} was refunded",
        "-CN¥11.80",
    ):
        assert part in words, words
    assert "made up for by your next commission" in see(bob, f"/c/{store.id}/me")


def test_how_a_commission_came_about_is_told_to_whoever_earns_it_alone(
    store: Store, people: tuple[Phone, Phone, Phone]
) -> None:
    ann, bob, carla = people
    order_id = carla_buys_two(store, people)
    store.refund(order_id, PRICE)
    see(bob, f"/c/{store.id}/promote")
    found = re.search(r'href="(/c/[^"]+/commissions/com_[^"]+)"', bob.page)
    assert found
    words = see(bob, found[1])
    for part in (
        "CN¥59.00 of the order's CN¥118.00 was paid and kept",
        "at 20%",
        "Commission of level 1: CN¥11.80",
    ):
        assert part in words, words
    assert "+CN¥23.60" in words
    assert "-CN¥11.80" in words
    assert ann.get(found[1]).status_code == 404
    assert carla.get(found[1]).status_code == 404


def test_a_commission_taken_away_by_hand_says_why(
    store: Store, people: tuple[Phone, Phone, Phone], clock: FixedClock, run_jobs: RunJobs
) -> None:
    _, bob, _ = people
    carla_buys_two(store, people)
    clock.advance(HOLD)
    run_jobs(store.workspace_id, "commissions.mature")
    commission = str(store.rows("SELECT id FROM commissions WHERE campaign_id = :id AND level = 1")[0][0])
    commissions.act(
        store.parts, store.workspace_id, store.id, [commission], "void", "bought by yourself", STAFF
    )
    words = see(bob, f"/c/{store.id}/wallet")
    assert "changed by the merchant" in words
    assert "bought by yourself" in words
    words = see(bob, f"/c/{store.id}/commissions/{commission}")
    assert "Taken away" in words
    assert "bought by yourself" in words


def test_my_page_lives_without_the_mirror(
    store: Store, people: tuple[Phone, Phone, Phone], monkeypatch: pytest.MonkeyPatch
) -> None:
    carla_buys_two(store, people)

    def down(*_: object) -> None:
        raise MirrorUnavailable

    monkeypatch.setattr(store.parts.mirror, "member", down)
    assert "– place by friends" in see(people[1], f"/c/{store.id}/me")


def test_movements_go_on_page_by_page_and_are_filtered(
    store: Store, people: tuple[Phone, Phone, Phone], clock: FixedClock, run_jobs: RunJobs
) -> None:
    _, bob, _ = people
    number = number_of(store, carla_buys_two(store, people))
    clock.advance(HOLD)
    run_jobs(store.workspace_id, "commissions.mature")
    set_policy(store, daily_count=None)
    for sent in range(22):
        done = payouts.request(
            store.parts, store.workspace_id, contact_of(store, 2),
            amount=100, currency="CNY", source="test", key=f"w{sent}",
        )  # fmt: skip
        assert done.accepted
    see(bob, f"/c/{store.id}/wallet")
    assert bob.page.count("-CN¥1.00") == 20
    found = re.search(r'href="([^"]*before=[^"]*)"', bob.page)
    assert found
    words = see(bob, unescape(found[1]))
    assert bob.page.count("-CN¥1.00") == 2
    assert f"Commission for order {number}" in words
    words = see(bob, f"/c/{store.id}/wallet?show=earned")
    assert f"Commission for order {number}" in words
    assert "-CN¥1.00" not in words
    see(bob, f"/c/{store.id}/wallet?show=nonsense&before=x.y")
    assert bob.page.count("-CN¥1.00") == 20


# -- withdrawing -------------------------------------------------------------------------------------


@pytest.fixture
def rich(store: Store, people: tuple[Phone, Phone, Phone], clock: FixedClock, run_jobs: RunJobs) -> Phone:
    """Bob with 23.60 that can be withdrawn."""
    carla_buys_two(store, people)
    clock.advance(HOLD)
    run_jobs(store.workspace_id, "commissions.mature")
    return people[1]


def test_tax_fee_and_limits_are_said_before_anything_is_asked_for(store: Store, rich: Phone) -> None:
    set_policy(store, minimum=500, tax_bp=2000, fee_bp=60, fee_fixed=30, daily_amount=2000, daily_count=2)
    words = see(rich, f"/c/{store.id}/wallet/withdraw")
    for part in (
        "At least CN¥5.00 at once", "2 withdrawals a day", "At most CN¥20.00 a day", "20% tax",
        "0.6% and CN¥0.30",
        "You receive CN¥15.58",  # of the 20.00 that are possible today
    ):  # fmt: skip
        assert part in words, words
    rich.get(f"/c/{store.id}/wallet/withdraw/split?amount=10")
    assert "From your wallet CN¥10.00 Tax withheld -CN¥2.00 Fee -CN¥0.36 You receive CN¥7.64" in rich.text()
    rich.get(f"/c/{store.id}/wallet/withdraw/split?amount=3")
    assert "At least CN¥5.00" in rich.text()
    rich.get(f"/c/{store.id}/wallet/withdraw/split?amount=21")
    assert "today CN¥20.00 are left" in rich.text()


@pytest.mark.parametrize(
    ("amount", "said"),
    [
        ("", "Write a number above zero"),
        ("0", "Write a number above zero"),
        ("-5", "Write a number above zero"),
        ("1.234", "at most 2 decimals"),
        ("one", "at most 2 decimals"),
        ("0.50", "At least CN¥1.00"),
        ("23.61", "CN¥23.60 are available"),
        ("999999999999", "CN¥23.60 are available"),
    ],
)
def test_amounts_that_cannot_be_are_refused_in_plain_words(
    store: Store, rich: Phone, amount: str, said: str
) -> None:
    assert withdraw(store, rich, amount) in (409, 422)
    assert said in rich.text()
    assert f'value="{amount}"' in rich.page
    assert store.rows("SELECT 1 FROM payouts") == []


def test_the_same_form_twice_even_at_once_is_one_withdrawal(store: Store, rich: Phone) -> None:
    path = f"/c/{store.id}/wallet/withdraw"
    see(rich, path)
    fields = {**rich.hidden(), "amount": "10"}

    with ThreadPoolExecutor(4) as pool:
        answers = pool.map(
            lambda phone: phone.post(path, fields).status_code, [rich.twin() for _ in range(4)]
        )
        assert set(answers) == {303}
    assert [row[0] for row in store.rows("SELECT amount FROM payouts")] == [1000]
    # Back in the browser, another amount, sent again: still the one that was sent first.
    assert rich.post(path, {**fields, "amount": "5"}).status_code == 303
    assert "This form was sent before" in see(rich, f"/c/{store.id}/wallet/withdrawals")
    assert len(store.rows("SELECT 1 FROM payouts")) == 1


def test_what_the_policy_asks_about_a_recipient_is_asked_and_checked(store: Store, rich: Phone) -> None:
    set_policy(store, identity_check="real_name")
    words = see(rich, f"/c/{store.id}/wallet/withdraw")
    assert "Real name" in words
    assert "Identity number" in words
    assert withdraw(store, rich, "10") == 422
    assert rich.text().count("This is needed") + rich.text().count("characters") >= 2
    assert withdraw(store, rich, "10", name="Bob", id_number="110105194912310020") == 422
    assert "typing error" in rich.text()
    assert 'value="Bob"' in rich.page
    assert withdraw(store, rich, "10", name="Bob", id_number="11010519491231002X") == 303
    kept = store.rows("SELECT recipient FROM payouts")[0][0]
    assert kept == {"name": "Bob", "id_number": "110105********002X"}


def test_a_withdrawal_is_taken_back_once_and_by_its_owner_alone(
    store: Store, people: tuple[Phone, Phone, Phone], rich: Phone
) -> None:
    assert withdraw(store, rich, "10") == 303
    payout = str(store.rows("SELECT id FROM payouts")[0][0])
    path = f"/c/{store.id}/wallet/withdrawals/{payout}/cancel"
    see(people[0], f"/c/{store.id}/wallet/withdrawals")
    see(people[0], f"/c/{store.id}/shop")
    assert people[0].post(path, people[0].hidden()).status_code == 404
    see(rich, f"/c/{store.id}/wallet/withdrawals")
    fields = rich.hidden()
    assert rich.post(path, fields).status_code == 303
    rich.follow()
    assert "You took it back" in rich.text()
    see(rich, f"/c/{store.id}/shop")
    assert rich.post(path, rich.hidden()).status_code == 303
    rich.follow()
    assert "has ended already" in rich.text()
    assert "Available CN¥23.60" in see(rich, f"/c/{store.id}/wallet")


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("unknown", "We are asking whether it has arrived"),
        ("waiting", "It has been handed over for payment"),
        ("rejected", "They say: wrong account"),
        ("failed", "Please try again"),
        ("paid", "The money has been paid to you"),
    ],
)
def test_every_state_of_a_withdrawal_is_told_in_plain_words(
    store: Store, rich: Phone, state: str, said: str
) -> None:
    withdraw(store, rich, "10")
    store.rows(
        "UPDATE payouts SET state = :state, error = 'wrong account' WHERE contact_id = :contact RETURNING id",
        state=state,
        contact=contact_of(store, 2),
    )
    assert said in see(rich, f"/c/{store.id}/wallet/withdrawals")
    assert "Take it back" not in rich.text()


def test_blocked_people_see_their_wallet_and_are_told_why_nothing_leaves_it(
    store: Store, rich: Phone
) -> None:
    with store.parts.open(store.workspace_id) as ctx:
        people_service.block(ctx, contact_of(store, 2), "test")
    assert "Why can I not withdraw it?" in see(rich, f"/c/{store.id}/wallet")
    assert "cannot withdraw" in see(rich, f"/c/{store.id}/wallet/withdraw")


def test_a_wallet_opens_on_its_owners_phone_alone(store: Store) -> None:
    stranger = store.phone(9)
    for page in ("wallet", "wallet/withdraw", "wallet/withdraw/split", "wallet/withdrawals"):
        assert stranger.get(f"/c/{store.id}/{page}").headers["Location"].endswith("/enter"), page


def test_money_in_a_currency_that_is_not_paid_out_is_shown_and_explained(store: Store, rich: Phone) -> None:
    deposit(store.parts, store.workspace_id, contact_of(store, 2), 700, "USD")
    words = see(rich, f"/c/{store.id}/wallet")
    assert "$7.00" in words
    assert "Withdrawals are made in CNY, not in USD" in words


# -- who may recommend -------------------------------------------------------------------------------


def test_applicants_apply_once_wait_and_have_their_poster_once_approved(
    app: Flask, parts: Parts, workspace: str
) -> None:
    store = Store(app, parts, workspace, who_promotes="approved")
    bob = store.phone(1)
    path = f"/c/{store.id}/register"
    bob.get(path)
    bob.post(path, {**bob.hidden(), "nickname": "Bob", "phone": B, "consent": "yes"})
    bob.follow()
    assert "The merchant chooses who recommends" in bob.text()
    assert "My poster" not in bob.text()
    assert 'id="invite-link"' not in bob.page
    fields = {**bob.hidden(), "note": "I run a reading circle"}
    for _ in range(2):
        assert bob.post(f"/c/{store.id}/promote", fields).status_code == 303
    words = see(bob, f"/c/{store.id}/promote")
    assert "Your application is with the merchant" in words
    assert "I run a reading circle" in words
    decide(store, 1, "reject", note="Not now")
    assert "turned down" in see(bob, f"/c/{store.id}/me")
    assert "Not now" in bob.text()
    decide(store, 1, "approve")
    see(bob, f"/c/{store.id}/me")
    assert "My poster" in bob.text()
    assert bob.invite_token()
    decide(store, 1, "block")
    assert "You cannot recommend any more" in see(bob, f"/c/{store.id}/me")


def decide(store: Store, number: int, action: str, **more: Any) -> None:
    commissions.decide_promoter(
        store.parts, store.workspace_id, store.id, contact_of(store, number), action, STAFF, **more
    )


def test_buyers_and_regular_customers_are_told_what_is_missing(
    app: Flask, parts: Parts, workspace: str
) -> None:
    store = Store(app, parts, workspace, who_promotes="buyers")
    bob = store.phone(1)
    order_id = store.introduce(bob, B, "Bob")
    assert "Here buyers recommend" in see(bob, f"/c/{store.id}/me")
    store.pay(order_id, PRICE)
    assert "My poster" in see(bob, f"/c/{store.id}/me")

    spenders = Store(app, parts, workspace, who_promotes="spenders", spend_threshold=10000)
    order_id = spenders.buy(bob, 1, consent="yes")
    spenders.pay(order_id, PRICE)
    words = see(bob, f"/c/{spenders.id}/me")
    assert "CN¥100.00. CN¥41.00 are missing" in words
    spenders.pay(spenders.buy(bob, 1), PRICE)
    assert "My poster" in see(bob, f"/c/{spenders.id}/me")


def test_the_rules_say_levels_time_on_hold_and_what_a_refund_does(store: Store) -> None:
    words = see(store.phone(1), f"/c/{store.id}/rules")
    for part in (
        "whoever brought the buyer earns 20% of what is paid", "whoever brought that person earns 5%",
        "on hold for 15 days", "goes back in proportion", "later commission makes up for it",
        "No income is promised",
    ):  # fmt: skip
        assert part in words, words
