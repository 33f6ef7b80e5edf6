"""The console's pages about the books: where they stand, journal, balance, statements, proofs, alerts."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta
from html import unescape

import pytest
from flask import Flask

from growth_engine.context import Parts
from growth_engine.kit import jobs
from growth_engine.kit.clock import FixedClock
from growth_engine.ledger import alerts, heads, invariants, proofs, queries
from growth_engine.ledger.invariants import Invariant
from growth_engine.paying import attempts, bills, calls, interpreters, refunding, remedies, transfers
from growth_engine.payouts import sending, service
from tests.factories.console import Console
from tests.factories.selling import PRICE, Shop
from tests.factories.wallets import deposit
from tests.factories.workspaces import make_workspace

BOOKS = "/console/books"


@pytest.fixture
def console(app: Flask, parts: Parts, workspace: str) -> Console:
    parts.mirror.load_functions()
    return Console(app, parts, workspace)


@pytest.fixture
def shop(parts: Parts, workspace: str) -> Shop:
    """Ann brought Bob, Bob brought Cid, who bought two books and gave one back; Bob withdrew 5.00."""
    parts.mirror.load_functions()
    made = Shop(parts, workspace)
    for who, inviter in (("Ann", None), ("Bob", "Ann"), ("Cid", "Bob")):
        made.join(who, inviter)
    made.refund(made.buy("Cid", 2), PRICE)
    made.mature_all()
    payout_id = withdraw(made, "Bob", 500)
    with parts.open(workspace) as ctx:
        service.approve(ctx, payout_id)
    sending.send_due(parts, workspace)
    sending.finish(parts, workspace, payout_id, paid=True, detail="R-1")
    return made


def withdraw(shop: Shop, who: str, amount: int) -> str:
    outcome = service.request(
        shop.parts, shop.workspace_id, shop.contacts[who], amount=amount, currency="CNY",
        source="test", key=shop.parts.ids.new("key"),
    )  # fmt: skip
    assert outcome.payout_id, outcome.reasons
    return outcome.payout_id


def text_of(page: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def paths(shop: Shop) -> list[str]:
    bob, wallet, campaign = shop.contacts["Bob"], shop.wallet, shop.campaign_id
    return [
        BOOKS,
        f"{BOOKS}/balance",
        f"{BOOKS}/balance?recount=1",
        f"{BOOKS}/heads",
        f"{BOOKS}/{wallet}",
        f"{BOOKS}/{campaign}",
        f"{BOOKS}/{campaign}?kind=payment&answer=yes",
        f"{BOOKS}/{campaign}?entry=3",
        f"{BOOKS}/{wallet}?who=Bob&kind=payout_reserve",
        f"{BOOKS}/{campaign}/accounts/pending",
        f"{BOOKS}/{campaign}/accounts/pending?owner={shop.numbers['Bob']}",
        f"{BOOKS}/{campaign}/accounts/expense",
        f"{BOOKS}/{wallet}/accounts/available",
        f"{BOOKS}/{wallet}/accounts/available?owner={bob}",
        f"{BOOKS}/{wallet}/accounts/available.csv?owner={bob}&currency=CNY",
        f"{BOOKS}/{wallet}/accounts/campaign",
        "/console/alerts",
    ]


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_page_renders_in_both_languages(console: Console, shop: Shop, lang: str) -> None:
    heads.export(shop.parts, shop.workspace_id)
    for path in paths(shop):
        page = console.get(path, lang=lang)
        assert "<style" not in page, path
        assert " style=" not in page, path
        assert not re.search(r"<script(?![^>]* src=)", page), path
        assert "%(" not in text_of(page), path


def test_only_those_may_look_who_work_here(app: Flask, parts: Parts, workspace: str, shop: Shop) -> None:
    seller = Console(app, parts, workspace, "sales")
    stranger = Console(app, parts, make_workspace(parts))
    marketer = Console(app, parts, workspace, "marketer")
    for path in paths(shop):
        seller.get(path, status=403)
        marketer.get(path)
        if shop.wallet in path or shop.campaign_id in path:
            stranger.get(path, status=404)
    page = stranger.get(f"{BOOKS}/balance")
    assert "No money has moved yet" in page
    assert "No books yet" in stranger.get(BOOKS)
    assert "No heads yet" in stranger.get(f"{BOOKS}/heads")
    assert "Nothing is wrong" in stranger.get("/console/alerts")
    console_post = {"owner": shop.contacts["Bob"], "currency": "CNY", "amount": "1", "note": "x"}
    stranger.post(f"{BOOKS}/{shop.wallet}/accounts/available/write-off", console_post, status=404)
    marketer.post(f"{BOOKS}/{shop.wallet}/accounts/available/write-off", console_post, status=403)


def test_what_is_not_there_is_not_found(console: Console, shop: Shop) -> None:
    for path in (
        "wal_nobody",
        f"{shop.wallet}/accounts/nothing",
        f"{shop.wallet}/accounts/available?owner=con_nobody",
        f"{shop.wallet}/accounts/available.csv?owner=con_nobody&currency=CNY",
        f"{shop.wallet}/accounts/available.csv?owner={shop.contacts['Bob']}&currency=USD",
    ):
        console.get(f"{BOOKS}/{path}", status=404)


# -- the journal -------------------------------------------------------------------------------------


def entries(page: str) -> list[int]:
    return [int(one) for one in re.findall(r'<article class="[^"]*" id="e(\d+)"', page)]


def test_every_entry_is_told_with_what_moved_and_its_hash(console: Console, shop: Shop) -> None:
    page = console.get(f"{BOOKS}/{shop.wallet}")
    text = text_of(page)
    assert "A withdrawal of CN¥5.00 by Bob was paid" in text
    assert "Bob asked for CN¥5.00" in text
    assert "Commission of CN¥14.75 became payable to" in text
    assert "Reserved for payouts Bob -CN¥5.00" in text
    hashes = dict(
        shop.rows("SELECT seq, encode(hash, 'hex') FROM entries WHERE book_id = :book", book=shop.wallet)
    )
    newest = max(hashes)
    alone = console.get(f"{BOOKS}/{shop.wallet}?entry={newest}")
    assert entries(alone) == [newest]
    assert hashes[newest] in alone
    assert hashes[newest - 1] in alone
    assert "none, it is the first" in console.get(f"{BOOKS}/{shop.wallet}?entry=1")
    campaign = text_of(console.get(f"{BOOKS}/{shop.campaign_id}"))
    assert "Money went back for an order of Cid" in campaign
    assert "Bob loses CN¥11.80 again (level 1)." in campaign
    assert "Commissions on hold Bob +CN¥23.60" in campaign


def test_a_refused_withdrawal_says_who_and_why(console: Console, shop: Shop) -> None:
    outcome = service.request(
        shop.parts,
        shop.workspace_id,
        shop.contacts["Bob"],
        amount=10**6,
        currency="CNY",
        source="test",
        key="k1",
    )
    assert not outcome.accepted
    page = text_of(console.get(f"{BOOKS}/{shop.wallet}?answer=no"))
    assert "wanted to withdraw" in page
    assert "are available, less than was asked for." in page


def test_the_journal_is_filtered(console: Console, shop: Shop) -> None:
    campaign = f"{BOOKS}/{shop.campaign_id}"
    order_id, number = shop.rows("SELECT id, number FROM orders WHERE campaign_id = :campaign")[0]
    wanted = ["order", "payment", "refund", "mature"]
    about = "SELECT seq FROM entries WHERE book_id = :campaign AND kind = ANY(:kinds)"
    of_order = {seq for (seq,) in shop.rows(about, kinds=wanted)}
    assert set(entries(console.get(f"{campaign}?order={order_id}"))) == of_order
    assert set(entries(console.get(f"{campaign}?order={number}"))) == of_order
    kinds = dict(shop.rows("SELECT seq, kind FROM entries WHERE book_id = :campaign"))
    assert {kinds[one] for one in entries(console.get(f"{campaign}?kind=payment"))} == {"payment"}
    assert entries(console.get(f"{campaign}?answer=no")) == []
    anns = entries(console.get(f"{campaign}?who=Ann"))
    assert anns == entries(console.get(f"{campaign}?who={shop.numbers['Ann']}"))
    assert 0 < len(anns) < len(kinds)
    wallet = f"{BOOKS}/{shop.wallet}"
    assert len(entries(console.get(f"{wallet}?who=Bob"))) == 3
    assert len(entries(console.get(f"{wallet}?who=Ann"))) == 1
    assert len(entries(console.get(f"{wallet}?order={order_id}"))) == 1
    for query in ("who=Nobody", "order=nothing", "kind=payout_reserve&order=" + order_id):
        assert "No entry fits this filter." in console.get(f"{wallet}?{query}")
    assert entries(console.get(f"{campaign}?kind=nonsense")) == sorted(kinds, reverse=True)


def test_the_journal_goes_on_page_by_page(console: Console, shop: Shop) -> None:
    page = console.get(f"{BOOKS}/{shop.campaign_id}?limit=2")
    assert len(entries(page)) == 2
    following = re.search(r'href="([^"]+cursor=[^"]+)"', page)
    assert following
    assert max(entries(console.get(unescape(following[1])))) == min(entries(page)) - 1


# -- balance and statements --------------------------------------------------------------------------


def test_the_trial_balance_sums_to_zero_and_agrees_with_the_legs(console: Console, shop: Shop) -> None:
    page = text_of(console.get(f"{BOOKS}/balance"))
    assert "Sum of every book zero" in page
    assert "Kept balances and legs agree" in page
    assert "Commission expense 1 CN¥14.75 CN¥29.50 -CN¥14.75 -CN¥14.75" in page
    assert "Paid out 1 CN¥5.00 CN¥0.00 CN¥5.00" in page
    assert page.count("Together") == 3, "all books, the wallets, the campaign"


def test_a_balance_that_does_not_agree_is_told(
    console: Console, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def off_by_one(ctx: object, book_id: str | None = None) -> list[queries.BalanceLine]:
        kept = queries.trial_balance(ctx, book_id)  # type: ignore[arg-type]
        one = kept[0]
        wrong = queries.BalanceLine(
            one.book_id, one.account, one.currency, 1, one.credited + 1, one.debited, one.balance + 1
        )
        return [wrong, *kept[1:]]

    monkeypatch.setattr(queries, "recounted_balance", off_by_one)
    page = text_of(console.get(f"{BOOKS}/balance"))
    assert "Kept balances and legs differ" in page


def test_long_books_are_added_up_only_when_asked(
    console: Console, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("growth_engine.web.marketer.books.RECOUNT_AT_ONCE", 1)
    page = console.get(f"{BOOKS}/balance")
    assert "not compared" in page
    assert "recount=1" in page
    assert "not compared" not in console.get(f"{BOOKS}/balance?recount=1")


def test_a_statement_runs_on_with_its_balance_and_leaves_as_csv(console: Console, shop: Shop) -> None:
    base, bob = f"{BOOKS}/{shop.wallet}/accounts/available", shop.contacts["Bob"]
    page = text_of(console.get(f"{base}?owner={bob}"))
    assert "Available to promoters: Bob" in page
    assert "Balance CN¥6.80" in page
    assert "-CN¥5.00 CN¥6.80" in page
    assert "+CN¥11.80 CN¥11.80" in page
    first = console.get(f"{base}?owner={bob}&limit=1")
    following = re.search(r'href="([^"]+cursor=[^"]+)"', first)
    assert following
    assert "+CN¥11.80 CN¥11.80" in text_of(console.get(unescape(following[1])))
    written = console.client.get(f"{base}.csv?owner={bob}&currency=CNY").text.removeprefix("\ufeff")
    rows = list(csv.DictReader(io.StringIO(written)))
    assert [(row["amount"], row["balance"], row["currency"]) for row in rows] == [
        ("-5.00", "6.80", "CNY"),
        ("11.80", "11.80", "CNY"),
    ]
    owners = text_of(console.get(base))
    assert owners.index("Bob") < owners.index("Ann"), "the largest balance first"
    assert "Test" in text_of(console.get(f"{BOOKS}/{shop.wallet}/accounts/campaign"))


def test_a_debt_is_let_go_by_an_administrator(console: Console, shop: Shop) -> None:
    bob = shop.contacts["Bob"]
    deposit(shop.parts, shop.workspace_id, bob, -1_000)
    path = f"{BOOKS}/{shop.wallet}/accounts/available"
    page = console.get(f"{path}?owner={bob}")
    assert "Let the debt go" in page
    assert 'name="amount" value="3.20"' in page
    form = {"owner": bob, "currency": "CNY", "amount": "3.20", "note": "goodwill", "key": "key_debt_1"}
    console.post(f"{path}/write-off", {**form, "note": ""})
    assert "Say why" in console.get(f"{path}?owner={bob}")
    console.post(f"{path}/write-off", {**form, "amount": "4"})
    assert "The debt is only CN¥3.20." in console.get(f"{path}?owner={bob}")
    console.post(f"{path}/write-off", {**form, "amount": "x"})
    console.post(f"{path}/write-off", {**form, "key": "key_debt_2"})
    console.post(f"{path}/write-off", {**form, "key": "key_debt_2"})
    assert shop.available("Bob") == 0
    assert "A debt of CN¥3.20 was let go for Bob" in text_of(console.get(f"{BOOKS}/{shop.wallet}"))


# -- proofs ------------------------------------------------------------------------------------------


def test_books_are_verified_when_somebody_asks(console: Console, shop: Shop, clock: FixedClock) -> None:
    page = text_of(console.get(BOOKS))
    assert "not yet" in page
    assert "up to date" in page
    console.post(f"{BOOKS}/verify")
    page = console.get(BOOKS)
    assert text_of(page).count("waits for its turn") == 2
    assert 'hx-trigger="every 2s"' in page
    jobs.drain(shop.parts, "ledger.verify", shop.workspace_id)
    piece = console.get(BOOKS, htmx=True)
    assert "<html" not in piece
    assert "hx-trigger" not in piece
    assert text_of(piece).count("whole") == 2
    clock.advance(timedelta(minutes=5))
    console.post(f"{BOOKS}/verify", {"book_id": shop.wallet})
    assert proofs.prove_next(shop.parts, shop.workspace_id) == 1
    assert proofs.prove_next(shop.parts, shop.workspace_id) == 0, "the other was proven minutes ago"
    at = proofs.standings(shop.parts, shop.workspace_id, [shop.wallet, shop.campaign_id])
    assert at[shop.wallet].proven_at == clock.now()
    assert at[shop.campaign_id].proven_at == clock.now() - timedelta(minutes=5)


def test_another_workspaces_books_cannot_be_asked_for(app: Flask, parts: Parts, shop: Shop) -> None:
    stranger = Console(app, parts, make_workspace(parts))
    stranger.post(f"{BOOKS}/verify", {"book_id": shop.wallet})
    assert proofs.standings(parts, shop.workspace_id, [shop.wallet])[shop.wallet].asked_at is None


def test_how_far_a_long_proof_is(console: Console, shop: Shop) -> None:
    console.post(f"{BOOKS}/verify", {"book_id": shop.wallet})
    shop.parts.queue.hset(f"{proofs.WALKED_KEY}:{shop.workspace_id}", shop.wallet, "1000/4000")
    page = console.get(BOOKS)
    assert "entry 1,000 of 4,000" in page
    assert '<progress class="progress progress-sm" value="1000" max="4000"' in page


def test_a_proof_that_breaks_off_says_why(console: Console, shop: Shop) -> None:
    field = f"ledger.verify {shop.workspace_id}"
    shop.parts.queue.hset(jobs.ERRORS_KEY, field, "2026-06-01T02:00:00Z OSError: disk")
    assert "OSError: disk" in console.get(BOOKS)
    shop.parts.queue.hdel(jobs.ERRORS_KEY, field)
    assert "broke off" not in console.get(BOOKS)


def test_a_fault_is_told_on_the_first_page_with_what_to_do(
    console: Console, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = Invariant("accounts", "SELECT 'account expense keeps 1' AS what")
    monkeypatch.setattr(invariants, "INVARIANTS", (wrong,))
    console.post(f"{BOOKS}/verify", {"book_id": shop.campaign_id})
    proofs.prove_next(shop.parts, shop.workspace_id)
    assert "1 fault" in console.get(BOOKS)
    for path in ("/console/campaigns", "/console/payouts"):
        assert "1 alert is open" in console.get(path)
    page = text_of(console.get("/console/alerts"))
    assert "Does not hold: Every account stands at the sum of its legs" in page
    assert "account expense keeps 1" in page
    assert "Stop payouts and compare the rows named" in page
    monkeypatch.undo()
    console.post(f"{BOOKS}/verify", {"book_id": shop.campaign_id})
    proofs.prove_next(shop.parts, shop.workspace_id)
    page = text_of(console.get("/console/alerts"))
    assert "Nothing is wrong" in page
    assert "Over What Where From Until Every account stands at the sum of its legs" in page
    assert "alert is open" not in console.get("/console/campaigns")


def test_an_alert_nobody_has_words_for_shows_itself(console: Console, parts: Parts, workspace: str) -> None:
    with parts.open(workspace) as ctx:
        alerts.raise_alert(ctx, "payouts.stuck", "pay_1", "no answer for a day")
    page = text_of(console.get("/console/alerts"))
    assert "payouts.stuck pay_1 no answer for a day" in page


def test_every_alert_about_wechat_pay_says_what_it_is_and_what_to_do(
    console: Console, parts: Parts, workspace: str
) -> None:
    rooms = [attempts, bills, calls, interpreters, refunding, transfers]
    found = {
        value
        for room in rooms
        for value in vars(room).values()
        if isinstance(value, str) and value.startswith("wechat_pay.")
    }
    assert found == set(remedies.WORDS)
    with parts.open(workspace) as ctx:
        for topic in sorted(found):
            alerts.raise_alert(ctx, topic, "number-1", "detail")
    page = text_of(console.get("/console/alerts"))
    assert "wechat_pay." not in page
    for words in remedies.WORDS.values():
        assert words.title in page
        assert words.remedy in page


def test_daily_heads_are_listed_with_their_hashes(console: Console, shop: Shop) -> None:
    heads.export(shop.parts, shop.workspace_id)
    head = shop.rows("SELECT encode(head, 'hex') FROM books WHERE id = :campaign")[0][0]
    page = console.get(f"{BOOKS}/heads")
    assert head in page
    assert "Jun 1, 2026" in page
