"""WeChat Pay in the console: what was paid, given back and billed, and what people do about disagreements."""

from __future__ import annotations

import csv
import html
import io
import re

import pytest
from sqlalchemy import text

from growth_engine.app import create_app
from growth_engine.web.marketer import csv_files
from tests.factories.console import Console
from tests.factories.selling import PRICE
from tests.factories.tills import Till
from tests.factories.workspaces import make_workspace

BASE = "/console/wechat-pay"


@pytest.fixture
def console(till: Till) -> Console:
    return Console(create_app(till.parts), till.parts, till.workspace, "marketer")


def text_of(page: str) -> str:
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)))


def disputed(till: Till) -> str:
    """A payment of another amount than was asked for, as WeChat Pay tells; its number."""
    order_id = till.shop.order("ben", through="ann")
    shown = dict(till.checkout(order_id).data)
    till.shop.rows("UPDATE pay_attempts SET amount = amount + 1 RETURNING 1")
    till.enter_pin("ben", shown)
    till.work()
    (attempt,) = till.attempts(order_id)
    assert attempt.state == "disputed"
    return attempt.number


def order_of(till: Till, number: str) -> str:
    return str(till.shop.rows("SELECT order_id FROM pay_attempts WHERE number = :n", n=number)[0][0])


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_page_renders_empty_and_filled(till: Till, console: Console, lang: str) -> None:
    for path in (BASE, f"{BASE}/refunds", f"{BASE}/bills"):
        console.get(path, lang=lang)
    order_id = till.bought(2)
    till.refund(order_id, PRICE, reason="too many")
    till.work()
    (attempt,), (refund,) = till.attempts(order_id), till.refunds(order_id)
    for path in (
        BASE, f"{BASE}?group=paid", f"{BASE}?group=look", f"{BASE}?q=nothing", f"{BASE}/refunds",
        f"{BASE}/refunds?group=done", f"{BASE}/payments/{attempt.number}", f"{BASE}/refunds/{refund.id}",
    ):  # fmt: skip
        console.get(path, lang=lang)
    assert console.get(f"{BASE}/payments/none", status=404)
    assert console.get(f"{BASE}/refunds/none", status=404)
    assert console.get(f"{BASE}/bills/none/2026-01-01", status=404)
    assert console.get(f"{BASE}/bills/none/yesterday", status=404)


def test_payments_are_found_by_order_and_state_and_taken_along(till: Till, console: Console) -> None:
    order_id, unpaid = till.bought(), till.shop.order("ben")
    till.checkout(unpaid)
    (attempt,) = till.attempts(order_id)
    number = till.order(order_id).number
    page = text_of(console.get(f"{BASE}?q={number}"))
    assert f"Order No. {number}" in page
    assert attempt.transaction_id in page
    assert "Nothing found" in console.get(f"{BASE}?q=999")
    assert attempt.number in console.get(f"{BASE}?q={attempt.transaction_id}")
    open_ = console.get(f"{BASE}?group=open")
    assert f"No. {till.order(unpaid).number}" in open_
    assert f"No. {number}<" not in open_
    file = console.client.get(f"{BASE}/payments.csv?group=paid")
    assert file.mimetype == "text/csv"
    (row,) = csv.DictReader(io.StringIO(file.text.removeprefix("\ufeff")))
    assert (row["order_id"], row["state"], row["amount"]) == (order_id, "paid", "59.00")
    assert row["transaction_id"].lstrip("'") == attempt.transaction_id


def test_lists_go_on_page_by_page(till: Till, console: Console) -> None:
    bought = [till.bought() for _ in range(3)]
    for order_id in bought:
        till.refund(order_id, PRICE)
    till.work()
    for path in (BASE, f"{BASE}/refunds"):
        seen: list[str] = []
        address = f"{path}?limit=2"
        while address:
            page = console.get(address)
            seen += re.findall(r"Order No\. (\d+)", page)
            more = re.search(r'href="([^"]+)">Next', page)
            address = html.unescape(more[1]) if more else ""
        assert sorted(set(seen)) == sorted(str(till.order(one).number) for one in bought)
    console.get(f"{BASE}/refunds?cursor=WyJ4Il0")


def test_files_are_written_batch_by_batch(
    till: Till, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_files, "BATCH", 2)
    bought = [till.bought() for _ in range(4)]
    for order_id in bought:
        till.refund(order_id, PRICE)
    for name in ("payments.csv", "refunds/all.csv"):
        file = console.client.get(f"{BASE}/{name}").text.removeprefix("\ufeff")
        assert sorted(row["order_id"] for row in csv.DictReader(io.StringIO(file))) == sorted(bought)


def test_a_disputed_payment_is_asked_about_again_and_taken_once_it_agrees(
    till: Till, console: Console
) -> None:
    number = disputed(till)
    page = text_of(console.get(f"{BASE}/payments/{number}"))
    assert "Does not agree" in page
    assert "Amount: WeChat Pay says CN¥59.00, we asked for CN¥59.01." in page
    console.post(f"{BASE}/payments/{number}/ask")
    assert "still says something else" in console.get(f"{BASE}/payments/{number}")
    assert till.alerts() == ["wechat_pay.payment_disputed"]
    with till.parts.open(till.workspace) as ctx:
        ctx.session.execute(
            text("UPDATE pay_attempts SET amount = amount - 1 WHERE number = :n"), {"n": number}
        )
    console.post(f"{BASE}/payments/{number}/ask")
    assert "says it is paid, and the books have it" in console.get(f"{BASE}/payments/{number}")
    assert till.alerts() == []
    assert [one for (one,) in till.shop.rows("SELECT amount FROM payments")] == [PRICE]
    till.check()


def test_a_disputed_payment_is_settled_by_hand_with_a_reason_and_stays_so(
    till: Till, console: Console
) -> None:
    number = disputed(till)
    address = f"{BASE}/payments/{number}"
    console.post(f"{address}/settle", {"note": "  "})
    assert "Say how it was dealt with" in console.get(address)
    assert till.alerts() == ["wechat_pay.payment_disputed"]
    console.post(f"{address}/settle", {"note": "given back by bank"})
    page = text_of(console.get(address))
    assert "It is marked as settled." in page
    assert "given back by bank" in page
    assert till.alerts() == []
    console.post(f"{address}/settle", {"note": "once more"})
    assert "given back by bank" in console.get(address)
    assert f"/payments/{number}" not in console.get(f"{BASE}?group=look")
    assert f"/payments/{number}" in console.get(f"{BASE}?group=settled")
    console.post(f"{address}/ask")
    assert till.alerts() == [], "what people have settled raises no alarm again"
    assert till.checkout(order_of(till, number)).kind == "jsapi", "the buyer can pay again"
    paid = till.bought()
    (attempt,) = till.attempts(paid)
    console.post(f"{BASE}/payments/{attempt.number}/settle", {"note": "no need"})
    assert "Only what is disputed" in console.get(f"{BASE}/payments/{attempt.number}")


def test_a_refund_under_way_is_asked_about(till: Till, console: Console) -> None:
    order_id = till.bought()
    till.refund(order_id, PRICE, reason="broken")
    (refund,) = till.refunds(order_id)
    console.post(f"{BASE}/refunds/{refund.id}/ask")
    till.advance(seconds=5)
    till.work()
    page = text_of(console.get(f"{BASE}/refunds/{refund.id}"))
    assert "Given back" in page
    assert "broken" in page
    console.post(f"{BASE}/refunds/{refund.id}/settle", {"note": "x"})
    assert "Only what is disputed" in console.get(f"{BASE}/refunds/{refund.id}")
    file = console.client.get(f"{BASE}/refunds/all.csv")
    (row,) = csv.DictReader(io.StringIO(file.text.removeprefix("\ufeff")))
    assert (row["state"], row["amount"], row["reason"]) == ("done", "59.00", "broken")


def test_a_bill_shows_what_does_not_agree_and_is_compared_again(till: Till, console: Console) -> None:
    day = till.today()
    order_id = till.bought()
    (attempt,) = till.attempts(order_id)
    till.advance(hours=36)
    till.work("paying.bills")
    with till.parts.open(till.workspace) as ctx:
        finding = f'[{{"kind": "payment_not_in_bill", "number": "{attempt.number}", "detail": "5900 fen"}}]'
        ctx.session.execute(
            text("UPDATE pay_bills SET findings = CAST(:f AS jsonb) WHERE day = :day"),
            {"f": finding, "day": day},
        )
    address = f"{BASE}/bills/{till.account}/{day.isoformat()}"
    assert f"/bills/{till.account}/{day.isoformat()}" in console.get(f"{BASE}/bills")
    for lang in ("zh", "en"):
        page = console.get(address, lang=lang)
    assert "In our books, missing on the bill" in page
    assert f"/payments/{attempt.number}" in page
    console.post(f"{address}/again")
    till.work("paying.bills")
    page = text_of(console.get(address))
    assert "Everything agrees" in page


def test_who_is_not_connected_is_told_what_to_do(till: Till) -> None:
    app = create_app(till.parts)
    for role, said in (("admin", "Connect an account"), ("marketer", "Ask an administrator")):
        other = Console(app, till.parts, make_workspace(till.parts), role)
        for path in (BASE, f"{BASE}/refunds", f"{BASE}/bills"):
            assert said in other.get(path)
