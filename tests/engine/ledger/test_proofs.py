"""What cron proves and says: alerts that come and go, and what fails until it is mended."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from growth_engine.context import Parts
from growth_engine.kit import jobs
from growth_engine.kit.clock import FixedClock
from growth_engine.kit.errors import GrowthError
from growth_engine.ledger import alerts, heads, proofs, queries
from growth_engine.ledger.mirror import BookKey
from growth_engine.ledger.verify import verify
from tests.engine.ledger.conftest import Do
from tests.factories.selling import Shop


def open_topics(parts: Parts, workspace: str) -> list[tuple[str, str]]:
    with parts.open(workspace) as ctx:
        return sorted((alert.topic, alert.subject) for alert in queries.open_alerts(ctx))


# -- alerts ----------------------------------------------------------------------------------------------


def prove(parts: Parts, workspace: str) -> None:
    """An hour later."""
    parts.clock.advance(timedelta(hours=1))  # type: ignore[attr-defined]
    while proofs.prove_next(parts, workspace):
        pass


def test_an_alert_is_raised_once_seen_again_and_cleared(
    parts: Parts, workspace: str, clock: FixedClock
) -> None:
    with parts.open(workspace) as ctx:
        assert alerts.raise_alert(ctx, "payouts.unknown", "pay_1", "no answer")
        [first] = queries.open_alerts(ctx)
    clock.advance(timedelta(minutes=5))
    with parts.open(workspace) as ctx:
        assert not alerts.raise_alert(ctx, "payouts.unknown", "pay_1", "still no answer")
        [again] = queries.open_alerts(ctx, topic="payouts.unknown", subject="pay_1")
        assert (again.id, again.detail) == (first.id, "still no answer")
        assert again.seen_at - again.raised_at == timedelta(minutes=5)
        assert queries.open_alerts(ctx, subject="pay_2") == []
        assert alerts.clear(ctx, "payouts.unknown", "pay_1")
        assert not alerts.clear(ctx, "payouts.unknown", "pay_1")
    with parts.open(workspace) as ctx:
        assert queries.open_alerts(ctx) == []
        assert [alert.id for alert in queries.past_alerts(ctx)] == [first.id]
        assert alerts.raise_alert(ctx, "payouts.unknown", "pay_1", "again"), "a new one after it was over"


def test_a_fault_raises_an_alert_and_mending_it_clears_it(parts: Parts, shop: Shop, as_owner: Do) -> None:
    workspace = shop.workspace_id
    proofs.check_often(parts, workspace)
    prove(parts, workspace)
    assert open_topics(parts, workspace) == []
    wrong = "UPDATE accounts SET balance = balance + %(by)s, credited = credited + %(by)s" \
        " WHERE book_id = %(book)s AND account = 'platform'"  # fmt: skip
    as_owner("accounts", wrong, by=7, book=shop.campaign_id)
    assert proofs.check_often(parts, workspace) == 0, "no book has moved: the hourly proof will see it"
    prove(parts, workspace)
    failing = [(f"ledger.{check}", shop.campaign_id) for check in ("accounts", "balanced", "tables")]
    assert open_topics(parts, workspace) == failing
    assert alerts.open_in_all(parts.queue) >= 3
    proofs.check_often(parts, workspace)
    assert open_topics(parts, workspace) == failing, "the quick look does not clear what it does not look at"
    as_owner("accounts", wrong, by=-7, book=shop.campaign_id)
    proofs.check_often(parts, workspace)
    assert ("ledger.balanced", shop.campaign_id) not in open_topics(parts, workspace)
    prove(parts, workspace)
    assert open_topics(parts, workspace) == []


def test_books_that_moved_are_looked_at_again(parts: Parts, shop: Shop, as_owner: Do) -> None:
    workspace = shop.workspace_id
    proofs.check_often(parts, workspace)
    as_owner(
        "accounts",
        "UPDATE accounts SET balance = balance + 1, credited = credited + 1"
        " WHERE book_id = %(book)s AND account = 'platform'",
        book=shop.campaign_id,
    )
    shop.buy("bob")
    assert proofs.check_often(parts, workspace) == 1
    assert open_topics(parts, workspace) == [("ledger.balanced", shop.campaign_id)]


def test_each_book_is_proven_once_an_hour_the_longest_unproven_first(
    parts: Parts, shop: Shop, clock: FixedClock
) -> None:
    workspace = shop.workspace_id
    key = f"{proofs.PROVEN_KEY}:{workspace}"
    assert proofs.prove_next(parts, workspace) == 1
    [(first, _)] = parts.queue.hgetall(key).items()
    clock.advance(timedelta(minutes=30))
    assert jobs.drain(parts, "ledger.verify", workspace) == (1, True), (
        "the other one; the first was just proven"
    )
    clock.advance(timedelta(minutes=30))
    assert proofs.prove_next(parts, workspace) == 1
    assert float(parts.queue.hget(key, first)) == clock.now().timestamp()
    assert proofs.prove_next(parts, workspace) == 0
    clock.advance(timedelta(minutes=60))
    assert jobs.drain(parts, "ledger.verify", workspace) == (2, True)


def test_a_mirror_that_is_away_is_an_alert_until_it_is_back(
    parts: Parts, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Away(GrowthError):
        code = "mirror_unavailable"

    def away(*_: object, **__: object) -> None:
        raise Away("gone")

    with monkeypatch.context() as patch:
        for name in ("last_seq", "digest"):
            patch.setattr(type(parts.mirror), name, away)
        prove(parts, shop.workspace_id)
    books = sorted((shop.campaign_id, shop.wallet))
    assert open_topics(parts, shop.workspace_id) == [("ledger.mirror", book) for book in books]
    prove(parts, shop.workspace_id)
    assert open_topics(parts, shop.workspace_id) == []


def test_long_books_are_proven_from_their_last_exported_head(
    parts: Parts, shop: Shop, as_owner: Do, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, book = shop.workspace_id, shop.campaign_id
    heads.export(parts, workspace)
    shop.buy("bob")
    monkeypatch.setattr(proofs, "WHOLE", 0)
    report = verify(parts, workspace, book, whole=False)
    assert report.clean
    assert report.entries == 2, "an order and a payment since"
    assert report.digest == parts.mirror.digest(BookKey(workspace, book))
    as_owner("entries", "UPDATE entries SET accepted = NOT accepted WHERE book_id = %(b)s AND seq = %(s)s",
             b=book, s=shop.rows("SELECT last_seq FROM books WHERE id = :campaign")[0][0])  # fmt: skip
    prove(parts, workspace)
    assert open_topics(parts, workspace) == [("ledger.chain", book)]


def test_metrics_count_open_alerts(parts: Parts, workspace: str, client: FlaskClient) -> None:
    def told() -> float:
        lines = client.get("/metrics").text.splitlines()
        return float(next(line.split()[1] for line in lines if line.startswith("ge_alerts_open ")))

    before = told()
    with parts.open(workspace) as ctx:
        alerts.raise_alert(ctx, "x.y", "z", "")
    assert alerts.publish_count(parts, workspace) == 1
    assert told() == before + 1
    with parts.open(workspace) as ctx:
        alerts.clear(ctx, "x.y", "z")
    alerts.publish_count(parts, workspace)
    assert told() == before
