"""Who lets money go: one person above a threshold, two different ones above another, and everybody's no."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import text

from growth_engine.access import service as access
from growth_engine.context import SYSTEM, Actor, Parts
from growth_engine.kit.errors import Invalid
from growth_engine.payouts import queries, sending, service
from growth_engine.payouts.service import DecidedBefore, NotAnApprover, NotRequested
from growth_engine.people import queries as people
from tests.engine.payouts.conftest import Shop
from tests.factories.staff import make_staff
from tests.factories.wallets import check_books, payout_row
from tests.factories.workspaces import make_workspace


@pytest.fixture
def strict(shop: Shop) -> Shop:
    """One person from 1,000 on, two from 5,000 on."""
    shop.policy(approve_above=1_000, second_above=5_000)
    return shop


def state(shop: Shop, payout_id: str) -> str:
    return payout_row(shop.parts, shop.workspace, payout_id).state


def test_small_amounts_go_by_themselves_larger_ones_wait_for_a_person(strict: Shop) -> None:
    fan = strict.fan(20_000)
    small, large = strict.asked(fan, 1_000), strict.asked(fan, 1_001)
    assert (state(strict, small), state(strict, large)) == ("approved", "requested")
    assert strict.send() == 1
    assert (state(strict, small), state(strict, large)) == ("waiting", "requested")
    assert strict.approve(large, strict.admin(), "seen") == 0
    row = payout_row(strict.parts, strict.workspace, large)
    assert (row.state, row.decided_at) == ("approved", strict.parts.clock.now())
    assert strict.send() == 1
    with strict.parts.open(strict.workspace) as ctx:
        [verdict] = queries.verdicts_of(ctx, [large])[large]
        assert (verdict.name, verdict.verdict, verdict.note) == ("Lin", "approve", "seen")


def test_the_largest_need_two_different_people(strict: Shop) -> None:
    payout_id = strict.asked(strict.fan(20_000), 5_001)
    first = strict.admin()
    assert strict.approve(payout_id, first) == 1
    with pytest.raises(DecidedBefore):
        strict.approve(payout_id, first)
    assert state(strict, payout_id) == "requested"
    assert strict.approve(payout_id, strict.admin()) == 0
    assert state(strict, payout_id) == "approved"
    with pytest.raises(NotRequested):
        strict.approve(payout_id, strict.admin())


def test_a_person_with_tokens_is_still_one_person(strict: Shop) -> None:
    payout_id = strict.asked(strict.fan(20_000), 5_001)
    mia = strict.admin()

    def token_of(maker: Actor) -> Actor:
        with strict.parts.open(strict.workspace, maker) as ctx:
            name = ctx.new_id("name")
            access.issue_token(ctx, ["payouts:write"], name)
            ctx.session.flush()
            made = ctx.session.scalar(text("SELECT id FROM api_tokens WHERE name = :name"), {"name": name})
        return Actor("token", str(made), scopes=frozenset({"payouts:write"}))

    one, two = token_of(mia), token_of(mia)
    assert strict.approve(payout_id, one) == 1
    for same in (two, mia):
        with pytest.raises(DecidedBefore):
            strict.approve(payout_id, same)
    # The command line is one person too, however many tokens were made there.
    assert strict.approve(payout_id, token_of(SYSTEM)) == 0


def test_only_administrators_who_are_still_here_decide(strict: Shop) -> None:
    fan = strict.fan(20_000)
    payout_id = strict.asked(fan, 2_000)
    marketer = Actor("staff", make_staff(strict.parts, strict.workspace, role="marketer").id)
    stranger = Actor("staff", make_staff(strict.parts, make_workspace(strict.parts)).id)
    gone = strict.admin()
    with strict.parts.open(strict.workspace) as ctx:
        ctx.session.execute(
            text("UPDATE staff SET disabled_at = :now WHERE id = :id"), {"now": ctx.now(), "id": gone.id}
        )
    for actor in (marketer, stranger, gone, Actor("contact", fan), Actor("token", "tok_none")):
        with pytest.raises(NotAnApprover):
            strict.approve(payout_id, actor)
        with pytest.raises(NotAnApprover):
            strict.reject(payout_id, actor)
        with pytest.raises(NotAnApprover), strict.parts.open(strict.workspace, actor) as ctx:
            service.set_policy(ctx, queries.policy(ctx))
    assert state(strict, payout_id) == "requested"


def test_rejected_money_is_back_with_the_reason_and_the_person_is_told(strict: Shop) -> None:
    fan = strict.fan(2_000)
    payout_id = strict.asked(fan, 2_000)
    with pytest.raises(Invalid):
        strict.reject(payout_id, strict.admin(), "  \n ")
    mia = strict.admin()
    assert strict.reject(payout_id, mia, "The\naccount is another person's").accepted
    row = payout_row(strict.parts, strict.workspace, payout_id)
    assert (row.state, row.error) == ("rejected", "The account is another person's")
    assert row.finished_at == strict.parts.clock.now()
    assert (strict.available(fan), strict.reserved(fan)) == (2_000, 0)
    with strict.parts.open(strict.workspace) as ctx:
        [verdict] = queries.verdicts_of(ctx, [payout_id])[payout_id]
        assert (verdict.staff_id, verdict.verdict, verdict.note) == (mia.id, "reject", row.error)
        [message] = people.messages_of(ctx, fan)
        assert (message.template, message.params) == (
            "payout_rejected", {"amount": 2_000, "currency": "CNY"},
        )  # fmt: skip
    again = strict.reject(payout_id, mia)
    assert [reason.code for reason in again.reasons] == ["payout_ended"]
    check_books(strict.parts, strict.workspace)


def test_whoever_approved_first_may_still_say_no(strict: Shop) -> None:
    fan = strict.fan(6_000)
    payout_id, mia = strict.asked(fan, 6_000), strict.admin()
    strict.approve(payout_id, mia)
    assert strict.reject(payout_id, mia).accepted
    assert strict.available(fan) == 6_000


def test_the_owner_may_cancel_until_somebody_has_approved(strict: Shop) -> None:
    fan = strict.fan(8_000)
    waiting, approved = strict.asked(fan, 2_000), strict.asked(fan, 3_000)
    assert strict.cancel(waiting, fan).accepted
    strict.approve(approved, strict.admin())
    late = strict.cancel(approved, fan)
    assert (late.accepted, [reason.code for reason in late.reasons]) == (False, ["payout_under_way"])
    assert (state(strict, waiting), state(strict, approved)) == ("cancelled", "approved")
    # Until it is sent an administrator may still stop it.
    assert strict.reject(approved, strict.admin()).accepted
    assert strict.available(fan) == 8_000
    check_books(strict.parts, strict.workspace)


def test_nobody_cancels_what_is_anothers(strict: Shop) -> None:
    fan, stranger = strict.fan(2_000), strict.fan(0)
    payout_id = strict.asked(fan, 2_000)
    with pytest.raises(queries.UnknownPayout):
        strict.cancel(payout_id, stranger)
    assert strict.cancel(payout_id, fan).accepted


def test_what_is_sent_can_no_longer_be_stopped(strict: Shop) -> None:
    payout_id = strict.asked(strict.fan(1_000), 1_000)
    assert sending.claim(strict.parts, strict.workspace) is not None
    for outcome in (strict.reject(payout_id), strict.cancel(payout_id)):
        assert [reason.code for reason in outcome.reasons] == ["payout_under_way"]
    assert state(strict, payout_id) == "sending"


def test_unknown_payouts_and_those_of_another_workspace_are_nowhere(strict: Shop) -> None:
    payout_id = strict.asked(strict.fan(2_000), 2_000)
    other = Shop(strict.parts, make_workspace(strict.parts))
    for one in (payout_id, "pay_none", "\x00", "\ud800"):
        for act in (other.approve, other.reject, other.cancel):
            with pytest.raises(queries.UnknownPayout):
                act(one)
    assert state(strict, payout_id) == "requested"


def test_two_who_decide_at_once_decide_once(strict: Shop) -> None:
    """Approve, reject and cancel race; whoever comes first wins, and the books agree with the row."""
    for _ in range(8):
        fan = strict.fan(2_000)
        payout_id = strict.asked(fan, 2_000)
        start, found = threading.Barrier(3), []

        def act(how: Any, start: threading.Barrier = start, found: list[Any] = found) -> None:
            start.wait()
            try:
                found.append(how())
            except (NotRequested, DecidedBefore) as refused:
                found.append(refused)

        hows = [
            lambda p=payout_id: strict.approve(p, SYSTEM), lambda p=payout_id: strict.reject(p),
            lambda p=payout_id: strict.cancel(p),
        ]  # fmt: skip
        threads = [threading.Thread(target=act, args=(how,)) for how in hows]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 3
        assert state(strict, payout_id) in ("approved", "rejected", "cancelled")
    check_books(strict.parts, strict.workspace)


def test_approving_rings_for_the_job(strict: Shop, parts: Parts) -> None:
    payout_id = strict.asked(strict.fan(2_000), 2_000)
    parts.queue.delete(f"ge:bell:payouts.send:{strict.workspace}")
    strict.approve(payout_id)
    assert parts.queue.exists(f"ge:bell:payouts.send:{strict.workspace}")
