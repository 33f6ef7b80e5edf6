"""The console's pages about withdrawals: the queue, one of them, results by hand, the rules."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from flask import Flask

from growth_engine.context import Parts
from growth_engine.kit.clock import FixedClock
from growth_engine.payouts import providers, sending, service, sheets
from growth_engine.payouts.providers import Ask, Unknown
from growth_engine.payouts.rules import Policy
from growth_engine.web.marketer.payouts import GROUPS
from tests.factories.console import Console, form_of
from tests.factories.people import make_contact
from tests.factories.selling import PRICE, Shop
from tests.factories.wallets import check_books, deposit, payout_row
from tests.factories.workspaces import make_workspace

QUEUE = "/console/payouts"


@pytest.fixture
def console(app: Flask, parts: Parts, workspace: str) -> Console:
    parts.mirror.load_functions()
    return Console(app, parts, workspace)


def text_of(page: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


class Fans:
    """People with money, who ask for it."""

    def __init__(self, parts: Parts, workspace: str) -> None:
        self.parts, self.workspace = parts, workspace

    def policy(self, **changes: Any) -> None:
        with self.parts.open(self.workspace) as ctx:
            service.set_policy(ctx, Policy(**{"daily_count": None, **changes}))

    def fan(self, name: str = "Ann", amount: int = 100_000) -> str:
        contact = make_contact(self.parts, self.workspace, nickname=name)
        deposit(self.parts, self.workspace, contact, amount)
        return contact

    def asks(self, contact: str, amount: int, account: str = "6222 0210 0112 3456") -> str:
        """Ask for money; the withdrawal's id. Ids are in the order of time only if some goes by."""
        self.parts.clock.advance(timedelta(milliseconds=5))  # type: ignore[attr-defined]
        outcome = service.request(
            self.parts, self.workspace, contact, amount=amount, currency="CNY",
            told={"account": account}, source="test", key=self.parts.ids.new("key"),
        )  # fmt: skip
        assert outcome.payout_id, outcome.reasons
        return outcome.payout_id

    def state(self, payout_id: str) -> str:
        return payout_row(self.parts, self.workspace, payout_id).state

    def send(self) -> None:
        sending.send_due(self.parts, self.workspace)


@pytest.fixture
def fans(parts: Parts, workspace: str) -> Iterator[Fans]:
    yield Fans(parts, workspace)
    check_books(parts, workspace)


# -- the queue ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_page_renders_in_both_languages(console: Console, fans: Fans, lang: str) -> None:
    fans.policy(tax_bp=2000, fee_bp=100, fee_fixed=50)
    payout_id = fans.asks(fans.fan(), 10_000)
    paths = [f"{QUEUE}?tab={tab}" for tab in GROUPS]
    for path in [*paths, f"{QUEUE}/{payout_id}", f"{QUEUE}/results", f"{QUEUE}/rules"]:
        page = console.get(path, lang=lang)
        assert "<style" not in page, path
        assert " style=" not in page, path
        assert not re.search(r"<script(?![^>]* src=)", page), path
        assert "%(" not in text_of(page), path


def test_the_tabs_say_how_many_there_are_and_what_they_come_to(console: Console, fans: Fans) -> None:
    assert "Nothing to decide" in console.get(QUEUE)
    ann, bob = fans.fan("Ann"), fans.fan("Bob")
    first, second = fans.asks(ann, 10_000), fans.asks(bob, 5_050)
    page = text_of(console.get(QUEUE))
    assert "To decide 2 CN¥150.50" in page
    assert page.index("Ann") < page.index("Bob"), "the oldest is decided first"
    console.post(f"{QUEUE}/decide", {"ids": [first], "action": "approve"})
    page = text_of(console.get(QUEUE))
    assert "To decide 1 CN¥50.50 Approved 1 CN¥100.00" in page
    assert f"/payouts/{first}" in console.get(f"{QUEUE}?tab=approved")
    assert f"/payouts/{second}" not in console.get(f"{QUEUE}?tab=approved")
    assert "To decide 1" in text_of(console.get(f"{QUEUE}?tab=nonsense"))


def test_the_queue_goes_on_page_by_page(console: Console, fans: Fans) -> None:
    ann = fans.fan()
    made = [fans.asks(ann, 1_000 + n) for n in range(3)]
    page = console.get(f"{QUEUE}?limit=2")
    assert [f"/payouts/{one}" in page for one in made] == [True, True, False]
    following = re.search(r'href="([^"]+cursor=[^"]+)"', page)
    assert following
    assert f"/payouts/{made[2]}" in console.get(unescape(following[1]))


def test_many_are_approved_at_once_and_twice_changes_nothing(console: Console, fans: Fans) -> None:
    ann = fans.fan()
    made = [fans.asks(ann, 1_000) for _ in range(3)]
    console.post(f"{QUEUE}/decide", {"ids": made, "action": "approve"})
    assert "3 withdrawals are approved" in console.get(QUEUE)
    assert {fans.state(one) for one in made} == {"approved"}
    console.post(f"{QUEUE}/decide", {"ids": made, "action": "approve"})
    assert "does not wait for approval any more. (3×)" in console.get(QUEUE)
    console.post(f"{QUEUE}/decide", {"action": "approve"})
    assert "Choose at least one" in console.get(QUEUE)
    console.post(f"{QUEUE}/decide", {"ids": ["pay_no"], "action": "approve"})
    assert "There is no such withdrawal" in console.get(QUEUE)


def test_a_rejection_needs_a_reason_and_gives_the_money_back(console: Console, fans: Fans) -> None:
    payout_id = fans.asks(fans.fan(), 4_000)
    console.post(f"{QUEUE}/decide", {"ids": [payout_id], "action": "reject", "note": "  "})
    assert "Say why, in a few words." in console.get(QUEUE)
    assert fans.state(payout_id) == "requested"
    form = {"ids": [payout_id], "action": "reject", "note": "looks odd", "key": "key_12345678"}
    console.post(f"{QUEUE}/decide", form)
    assert "the money is back in the wallet" in console.get(QUEUE)
    console.post(f"{QUEUE}/decide", form)  # the button pressed twice
    assert fans.state(payout_id) == "rejected"
    page = text_of(console.get(f"{QUEUE}/{payout_id}"))
    assert "Mia said no. looks odd" in page
    assert "Not approved; the money is back in the wallet. looks odd" in page
    console.post(f"{QUEUE}/decide", {"ids": [payout_id], "action": "reject", "note": "again"})
    assert "has ended already" in console.get(QUEUE)


def test_two_people_must_agree_above_the_second_threshold(
    console: Console, app: Flask, parts: Parts, workspace: str, fans: Fans
) -> None:
    fans.policy(second_above=5_000)
    payout_id = fans.asks(fans.fan(), 6_000)
    assert "Needs two people." in console.get(QUEUE)
    console.post(f"{QUEUE}/decide", {"ids": [payout_id], "action": "approve"})
    page = console.get(QUEUE)
    assert "needs a second person" in page
    assert "You said yes; a second person is needed." in page
    console.post(f"{QUEUE}/decide", {"ids": [payout_id], "action": "approve"})
    assert "the second word must be another person" in unescape(console.get(QUEUE))
    second = Console(app, parts, workspace)
    assert "Needs a second person: Mia approved." in second.get(QUEUE)
    second.post(f"{QUEUE}/decide", {"ids": [payout_id], "action": "approve"})
    assert fans.state(payout_id) == "approved"


def test_risks_are_named_as_long_as_something_can_be_done(
    console: Console, parts: Parts, workspace: str, clock: FixedClock
) -> None:
    shop = Shop(parts, workspace)
    for who, inviter in (("Ann", None), ("Bob", "Ann"), ("Cid", "Bob")):
        shop.join(who, inviter)
    orders = [shop.buy("Cid", 5) for _ in range(2)]
    shop.mature_all()
    fans = Fans(parts, workspace)
    first = fans.asks(shop.contacts["Bob"], 1_000, "same")
    page = text_of(console.get(QUEUE))
    assert "new account" in page
    assert "first withdrawal" in page
    assert "refund since" not in page
    clock.advance(timedelta(minutes=30))
    shop.refund(orders[0], PRICE)
    shop.rows(
        "UPDATE contacts SET first_seen_at = first_seen_at - interval '30 days' WHERE id = :id RETURNING id",
        id=shop.contacts["Ann"],
    )
    fans.asks(shop.contacts["Ann"], 1_000, "same")
    with parts.open(workspace) as ctx:
        from growth_engine.people import service as people

        people.block(ctx, shop.contacts["Ann"], "odd")
    page = text_of(console.get(QUEUE))
    assert "1 refund since" in page
    assert page.count("account of 1 other person") == 2
    assert page.count("blocked") == 1
    assert page.count("new account") == 1, "only who was new when they asked"
    console.post(f"{QUEUE}/decide", {"ids": [first], "action": "approve"})
    fans.send()
    console.post(f"{QUEUE}/{first}/result", {"outcome": "paid", "detail": "R1"})
    assert "refund since" not in text_of(console.get(f"{QUEUE}?tab=paid")), "nothing is left to weigh"


def test_marketers_look_and_administrators_decide(
    app: Flask, parts: Parts, workspace: str, fans: Fans, console: Console
) -> None:
    payout_id = fans.asks(fans.fan(), 4_000)
    marketer = Console(app, parts, workspace, "marketer")
    page = marketer.get(QUEUE)
    assert "Withdrawals are decided by administrators." in page
    assert 'name="ids"' not in page
    page = marketer.get(f"{QUEUE}/{payout_id}?reveal=1")
    assert "6222 0210" not in page
    assert 'value="approve"' not in page
    assert "These rules are set by administrators." in marketer.get(f"{QUEUE}/rules")
    for path in (f"{QUEUE}/pay-list.csv", f"{QUEUE}/results"):
        marketer.get(path, status=403)
    for path in ("decide", "results", "results/take", "rules", f"{payout_id}/result"):
        marketer.post(f"{QUEUE}/{path}", {"ids": [payout_id], "action": "approve"}, status=403)
    assert fans.state(payout_id) == "requested"
    seller = Console(app, parts, workspace, "sales")
    for path in (QUEUE, f"{QUEUE}/{payout_id}", f"{QUEUE}/rules"):
        seller.get(path, status=403)


def test_another_workspaces_withdrawals_are_not_there(app: Flask, parts: Parts, fans: Fans) -> None:
    payout_id = fans.asks(fans.fan(), 4_000)
    stranger = Console(app, parts, make_workspace(parts))
    stranger.get(f"{QUEUE}/{payout_id}", status=404)
    stranger.post(f"{QUEUE}/{payout_id}/result", {"outcome": "paid"}, status=404)
    stranger.post(f"{QUEUE}/decide", {"ids": [payout_id], "action": "approve"})
    stranger.post(f"{QUEUE}/decide", {"ids": [payout_id], "action": "reject", "note": "no"})
    assert "There is no such withdrawal" in stranger.get(QUEUE)
    assert fans.state(payout_id) == "requested"
    assert payout_id not in stranger.get(QUEUE)


# -- one of them -------------------------------------------------------------------------------------


def test_the_arithmetic_of_what_is_withheld_is_shown(console: Console, fans: Fans) -> None:
    fans.policy(tax_bp=2000, fee_bp=60, fee_fixed=50)
    payout_id = fans.asks(fans.fan(), 10_001)
    page = text_of(console.get(f"{QUEUE}/{payout_id}"))
    assert "Asked for CN¥100.01 Tax, 20% of it, rounded down −CN¥20.00" in page
    assert "Fee, 0.6% of it and CN¥0.50 −CN¥1.10 Arrives CN¥78.91" in page
    assert "by the rules of version 1" in page


def test_recipients_are_half_hidden_until_an_administrator_asks(console: Console, fans: Fans) -> None:
    payout_id = fans.asks(fans.fan(), 4_000)
    for path in (QUEUE, f"{QUEUE}/{payout_id}"):
        page = console.get(path)
        assert "6222 0210 0112 3456" not in page
        assert "622********456" in page
    assert "6222 0210 0112 3456" in console.get(f"{QUEUE}/{payout_id}?reveal=1")


def test_what_had_filled_the_wallet_leads_to_the_commissions(
    console: Console, parts: Parts, workspace: str
) -> None:
    shop = Shop(parts, workspace)
    for who, inviter in (("Ann", None), ("Bob", "Ann")):
        shop.join(who, inviter)
    shop.buy("Bob", 2)
    shop.mature_all()
    payout_id = Fans(parts, workspace).asks(shop.contacts["Ann"], 2_000)
    share = shop.rows("SELECT id FROM commissions WHERE campaign_id = :campaign")[0][0]
    page = console.get(f"{QUEUE}/{payout_id}")
    assert f"/campaigns/{shop.campaign_id}/commissions/{share}" in page
    assert re.search(r"Commission for order \d+", page)
    assert f"/books/{shop.wallet}/accounts/available?owner={shop.contacts['Ann']}" in unescape(page)
    assert f"/books/{shop.wallet}?entry=" in page


class Silent:
    """A provider that never answers."""

    name = "silent"
    title = "Silent"
    by_hand = False

    def send(self, parts: Parts, ask: Ask) -> Unknown:
        return Unknown("timeout")

    query = send


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    if "silent" not in providers.registry:
        providers.registry.add("silent", Silent())


def test_an_unknown_answer_is_shown_as_such(
    console: Console, fans: Fans, silent: None, clock: FixedClock
) -> None:
    fans.policy(provider="silent")
    payout_id = fans.asks(fans.fan(), 4_000)
    console.post(f"{QUEUE}/decide", {"ids": [payout_id], "action": "approve"})
    fans.send()
    page = text_of(console.get(f"{QUEUE}?tab=unknown"))
    assert "No answer yet asked again at 2026-06-01 10:00:15" in page
    assert "nobody is paid twice" in page
    page = text_of(console.get(f"{QUEUE}/{payout_id}"))
    assert "has not answered after 1 question: asked again at" in page
    assert "Say so only if you know it from the provider itself." in page
    console.post(f"{QUEUE}/{payout_id}/result", {"outcome": "paid", "detail": "T-77"})
    assert fans.state(payout_id) == "paid"
    assert "Reference T-77" in console.get(f"{QUEUE}/{payout_id}")


# -- by hand -----------------------------------------------------------------------------------------


def waiting(console: Console, fans: Fans, count: int) -> list[str]:
    ann = fans.fan()
    made = [fans.asks(ann, 1_000 * (n + 1)) for n in range(count)]
    console.post(f"{QUEUE}/decide", {"ids": made, "action": "approve"})
    fans.send()
    return made


def test_one_is_marked_as_paid_or_failed_by_hand(console: Console, fans: Fans) -> None:
    paid, failed, early = *waiting(console, fans, 2), fans.asks(fans.fan("Bob"), 3_000)
    assert 'value="paid"' not in console.get(f"{QUEUE}/{early}")
    console.post(f"{QUEUE}/{early}/result", {"outcome": "paid"})
    assert "has not been sent yet" in console.get(f"{QUEUE}/{early}")
    console.post(f"{QUEUE}/{paid}/result", {"outcome": "paid", "detail": "=B 1"})
    assert "Marked as paid." in console.get(f"{QUEUE}/{paid}")
    assert payout_row(fans.parts, fans.workspace, paid).provider_ref == "=B 1"
    console.post(f"{QUEUE}/{failed}/result", {"outcome": "failed"})
    assert "Say why it failed" in console.get(f"{QUEUE}/{failed}")
    console.post(f"{QUEUE}/{failed}/result", {"outcome": "failed", "detail": "account closed"})
    assert [fans.state(one) for one in (paid, failed, early)] == ["paid", "failed", "requested"]
    console.post(f"{QUEUE}/{paid}/result", {"outcome": "failed", "detail": "oh"})
    assert "has ended already" in console.get(f"{QUEUE}/{paid}")
    assert fans.state(paid) == "paid"


def filled(exported: str, **results: str) -> bytes:
    """The list with its last columns filled in, by payout."""
    rows = list(csv.DictReader(io.StringIO(exported.removeprefix("\ufeff"))))
    for row in rows:
        result, _, told = results.get(row["payout_id"], "").partition(":")
        row |= {"result": result, "reference" if result == "paid" else "reason": told}
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def test_results_are_looked_through_before_they_are_taken(console: Console, fans: Fans) -> None:
    first, second, third = waiting(console, fans, 3)
    exported = console.client.get(f"{QUEUE}/pay-list.csv")
    assert exported.mimetype == "text/csv"
    file = filled(exported.text, **{first: "paid:B-1", second: "failed:closed"})
    answer = console.post(f"{QUEUE}/results", {"file": (io.BytesIO(file), "list.csv")}, status=200)
    page = text_of(answer.text)
    assert "Paid 1 CN¥10.00" in page
    assert "Failed 1" in page
    assert "Without a result 1" in page
    assert "The money goes back to the wallet." in page
    assert {fans.state(one) for one in (first, second, third)} == {"waiting"}, "nothing is done yet"
    content = re.search(r'<textarea name="content" hidden>(.*?)</textarea>', answer.text, re.DOTALL)
    assert content
    assert "6222" not in content[1], "no recipient travels back and forth"
    console.post(f"{QUEUE}/results/take", {"content": unescape(content[1])})
    assert [fans.state(one) for one in (first, second, third)] == ["paid", "failed", "waiting"]
    page = console.get(f"{QUEUE}?tab=paid")
    assert "1 withdrawal is paid." in page
    assert "1 withdrawal has failed" in page
    answer = console.post(f"{QUEUE}/results", {"file": (io.BytesIO(file), "list.csv")}, status=200)
    assert "Known already 2" in text_of(answer.text)
    assert 'name="content"' not in answer.text
    console.post(f"{QUEUE}/results/take", {"content": unescape(content[1])})
    assert "known already" in console.get(QUEUE)


def test_wrong_lines_are_named_and_nothing_is_taken(console: Console, fans: Fans) -> None:
    [payout_id] = waiting(console, fans, 1)
    file = f"payout_id,result,reference,reason\n{payout_id},paid,B,\npay_no,paid,,\n,paid,,\nx,maybe,,\n"
    page = console.post(f"{QUEUE}/results", {"file": (io.BytesIO(file.encode()), "l.csv")}, status=200).text
    assert "3 lines are not right" in page
    for words in ("There is no such withdrawal.", "The payout_id is missing.", "must be paid or failed"):
        assert words in page
    assert 'name="content"' not in page
    console.post(f"{QUEUE}/results/take", {"content": file})
    assert "There is no such withdrawal." in console.get(f"{QUEUE}/results")
    assert fans.state(payout_id) == "waiting"


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "Choose the list"),
        (b"\x89PNG\x00\x00", "This is no text file"),
        (b"a,b\n1,2\n", "The first line must name the columns"),
        (b"payout_id,result\n" + b"x" * 3_000, "This file is too large"),
    ],
)
def test_a_file_that_is_no_list_is_refused(
    console: Console, raw: bytes, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sheets, "MOST_BYTES", 2_000)
    page = console.post(f"{QUEUE}/results", {"file": (io.BytesIO(raw), "l.csv")}, status=422).text
    assert said in page


# -- the rules ---------------------------------------------------------------------------------------


def test_rules_are_typed_in_whole_units_and_percent_and_listed(console: Console, fans: Fans) -> None:
    page = console.get(f"{QUEUE}/rules")
    assert "Nobody has set any rules yet" in page
    form = form_of(page)
    assert (form["minimum"], form["tax_bp"], form["daily_count"]) == ("1.00", "0", "3")
    form |= {"minimum": "10", "tax_bp": "20", "fee_bp": "0.6", "second_above": "500", "daily_count": ""}
    console.post(f"{QUEUE}/rules", form)
    with fans.parts.open(fans.workspace) as ctx:
        from growth_engine.payouts import queries

        now = queries.policy(ctx)
    assert (now.version, now.minimum, now.tax_bp, now.fee_bp) == (1, 1_000, 2_000, 60)
    assert (now.second_above, now.daily_count) == (50_000, None)
    page = text_of(console.get(f"{QUEUE}/rules"))
    assert "Version 1 in force" in page
    assert "Tax withheld 0% 20%" in page
    assert "Two people approve above never CN¥500.00" in page
    console.post(f"{QUEUE}/rules", form)
    assert "These rules hold already." in console.get(f"{QUEUE}/rules")


def test_what_is_wrong_with_rules_stands_beside_the_field(console: Console, fans: Fans) -> None:
    form = form_of(console.get(f"{QUEUE}/rules"))
    for wrong, said in (
        ({"minimum": ""}, "This is needed."),
        ({"minimum": "1.234"}, "at most 2 decimals"),
        ({"tax_bp": "100"}, "Must be between 0.00 and 99.99."),
        ({"approve_above": "50", "second_above": "20"}, "cannot lie below the first"),
        ({"daily_amount": "0.5"}, "this is below the minimum"),
        ({"provider": "nobody"}, "Choose one from the list."),
    ):
        page = console.post(f"{QUEUE}/rules", form | wrong, status=422).text
        assert said in unescape(page), said
    page = console.post(f"{QUEUE}/rules", form | {"minimum": "1.234"}, status=422).text
    assert 'name="minimum" value="1.234"' in page, "what was typed is not lost"
    assert "Nobody has set any rules yet" in console.get(f"{QUEUE}/rules")


def test_the_example_follows_what_is_typed(
    console: Console, app: Flask, parts: Parts, workspace: str
) -> None:
    form = form_of(console.get(f"{QUEUE}/rules"))
    form |= {"minimum": "10", "tax_bp": "20", "fee_fixed": "2", "example": "100"}
    form |= {"approve_above": "50", "second_above": "80"}
    path = f"{QUEUE}/rules/example"

    def said(**changes: str) -> str:
        sent = {"csrf_token": console.csrf(), **form, **changes}
        return text_of(console.client.post(path, data=sent, headers={"HX-Request": "true"}).text)

    assert said() == (
        "Asked for CN¥100.00 Tax −CN¥20.00 Fee −CN¥2.00 Arrives CN¥78.00 Two people have to approve it."
    )
    assert "One person has to approve it." in said(example="60")
    assert "it is paid at once" in said(example="40.5")
    assert "the least is CN¥10.00" in said(example="0.5")
    assert "the most a day is CN¥90.00" in said(daily_amount="90")
    assert "Give an amount above zero." in said(example="x")
    assert "Correct the rules first" in said(minimum="x")
    assert "Nothing of the minimum would be left" in said(minimum="2")
    assert "<h1" in console.post(path, form, status=200).text, "a page of its own without scripts"
    marketer = Console(app, parts, workspace, "marketer")
    assert "Arrives CN¥50.00" in text_of(marketer.post(path, {"example": "50"}, status=200).text)
