"""Payments through WeChat Pay and messages in a real browser: they fit, and people get done what is to do."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from flask import Flask
from playwright.sync_api import Browser
from sqlalchemy import text
from werkzeug.serving import make_server

from growth_engine.access import sessions
from growth_engine.connections.service import Entered, connect
from growth_engine.context import Parts
from tests.browser.watched import Watched, watched
from tests.engine.web.test_deliveries import Sent
from tests.factories.console import Console
from tests.factories.selling import Shop

pytestmark = pytest.mark.drill

DAY = "2026-11-20"


def fill(parts: Parts, workspace: str) -> dict[str, str]:
    """Payments, refunds and bills in every state; the ids of some."""
    shop = Shop(parts, workspace)
    shop.join("Ann")
    shop.join("Bob", "Ann")
    ids = {}
    with parts.open(workspace) as ctx:
        account = connect(ctx, "wechat_pay", Entered("My merchant account", {"mchid": "1900001"}))
    orders = [shop.order("Bob") for _ in range(5)]
    states = ("disputed", "open", "paid", "surplus", "closed")
    with parts.open(workspace) as ctx:
        for number, (order_id, state) in enumerate(zip(orders, states, strict=True)):
            ctx.session.execute(
                text(
                    "INSERT INTO pay_attempts (number, workspace_id, account_id, order_id, turn, kind,"
                    " mch_id, app_id, openid, amount, currency, description, notify_url, state,"
                    " transaction_id, error, made_at, asked_at) VALUES (:id, :w, :a, :order, 1, 'jsapi',"
                    " '1900001', 'wx1', '', 5900,"
                    " 'CNY', 'A book about growing', '', :state, :told, :error, :at, :at)"
                ),
                {
                    "id": f"{order_id.removeprefix('ord_')}-1", "w": workspace, "a": account,
                    "order": order_id, "state": state, "at": ctx.now(),
                    "told": f"42000012345678901234567890{number}" if state in ("paid", "surplus") else "",
                    "error": {"disputed": "amount is 5901, not 5900", "surplus": "overpaid"}.get(state, ""),
                },
            )  # fmt: skip
            ids[state] = f"{order_id.removeprefix('ord_')}-1"
        for state in ("processing", "done", "abnormal", "failed"):
            ids[f"refund_{state}"] = ctx.new_id("rfd")
            ctx.session.execute(
                text(
                    "INSERT INTO refund_requests (workspace_id, id, order_id, account_id, number, total,"
                    " amount, currency, reason, state, requested_by, requested_at) VALUES (:w, :id, :order,"
                    " :a, :n, 5900, 2950, 'CNY', 'A page was torn out of the copy', :state, 'stf_1', :at)"
                ),
                {"w": workspace, "id": ids[f"refund_{state}"], "order": orders[2], "a": account,
                 "n": ids["paid"], "state": state, "at": ctx.now()},
            )  # fmt: skip
        for day, findings in ((DAY, 2), ("2026-11-21", 0)):
            ctx.session.execute(
                text(
                    "INSERT INTO pay_bills (workspace_id, account_id, day, state, payments, refunds,"
                    " foreign_lines, findings, taken_in, compared_at) VALUES (:w, :a, CAST(:day AS date),"
                    " 'compared', 12, 2, 3, CAST(:f AS jsonb), CAST(:t AS jsonb), :at)"
                ),
                {
                    "w": workspace, "a": account, "day": day, "at": ctx.now(),
                    "f": "[" + ",".join(
                        f'{{"kind": "{kind}", "number": "{ids[state]}", "detail": "5900 fen"}}'
                        for kind, state in (("payment_disputed", "disputed"),
                                            ("payment_not_in_bill", "paid"))[:findings]
                    ) + "]",
                    "t": f'[{{"kind": "payment", "number": "{ids["paid"]}", "amount": 5900}}]',
                },
            )  # fmt: skip
    return {**ids, "account": account}


@pytest.fixture
def seen(
    request: pytest.FixtureRequest, browser: Browser, app: Flask, parts: Parts, workspace: str
) -> Iterator[tuple[Watched, dict[str, str]]]:
    ids = fill(parts, workspace)
    sent = Sent(parts, workspace)
    for name, row in {
        "You are taking part in “A book about growing”. Your own poster follows.": {"state": "sent"},
        "One more friend, and the book is yours": {"waits_for": "person", "reason": "window_closed"},
        "Your commission can be withdrawn": {"waits_for": "staff", "reason": "credentials", "code": "40001"},
        "A friend has bought": {"state": "refused", "reason": "bad_request", "code": "45002"},
        "Thank you for coming": {"state": "unknown"},
    }.items():
        ids[row.get("state") or row["waits_for"]] = sent.add(name, **row)
    console = Console(app, parts, workspace)
    cookie = console.client.get_cookie(sessions.cookie_name(parts))
    assert cookie is not None
    server = make_server("127.0.0.1", 0, app, threaded=True)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    base = f"http://127.0.0.1:{server.port}"
    size, language = getattr(request, "param", ("desk", "en-US"))
    with watched(browser, base, size, language) as page:
        page.page.context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": base}])
        yield page, ids
    server.shutdown()
    serving.join(10)
    server.server_close()


@pytest.mark.parametrize(
    "seen",
    [("phone", "zh-CN"), ("desk", "en-US"), ("phone", "en-US"), ("desk", "zh-CN")],
    indirect=True,
    ids=["phone-zh", "desk-en", "phone-en", "desk-zh"],
)
def test_every_page_fits_its_window(seen: tuple[Watched, dict[str, str]]) -> None:
    watch, ids = seen
    pay = "/console/wechat-pay"
    for path in (
        pay, f"{pay}?group=look", f"{pay}/payments/{ids['disputed']}", f"{pay}/payments/{ids['paid']}",
        f"{pay}/refunds", f"{pay}/refunds/{ids['refund_abnormal']}", f"{pay}/bills",
        f"{pay}/bills/{ids['account']}/{DAY}", "/console/messages", f"/console/messages/{ids['staff']}",
        f"/console/messages/{ids['unknown']}",
    ):  # fmt: skip
        watch.go(path)


def test_a_disputed_payment_is_settled_with_a_reason(seen: tuple[Watched, dict[str, str]]) -> None:
    watch, ids = seen
    page = watch.page
    watch.go("/console/wechat-pay?lang=en")
    watch.click("a.ge-chip:has-text('To look at')")
    assert page.locator("tbody tr").count() == 2
    watch.go(f"/console/wechat-pay/payments/{ids['disputed']}")
    page.click("button:has-text('Mark as settled')")
    assert not page.locator("#confirm").is_visible(), "a reason is needed"
    page.fill("#f-note", "Given back by bank transfer")
    page.click("button:has-text('Mark as settled')")
    assert "Nothing moves in the books" in page.locator("#confirm").inner_text()
    watch.click("[data-confirm-yes]")
    assert "Given back by bank transfer" in page.inner_text("main")
    assert page.locator("#f-note").count() == 0


def test_a_message_that_may_have_arrived_is_tried_again_after_a_warning(
    seen: tuple[Watched, dict[str, str]],
) -> None:
    watch, ids = seen
    page = watch.page
    watch.go(f"/console/messages/{ids['unknown']}?lang=en")
    page.click("button:has-text('Try again')")
    assert "get it twice" in page.locator("#confirm").inner_text()
    watch.click("[data-confirm-yes]")
    assert "Going out" in page.inner_text("h1")
