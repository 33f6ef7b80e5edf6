"""Heads of the books are exported every day, and whoever rewrites history is found out."""

from __future__ import annotations

from datetime import timedelta

import orjson
import pytest

from growth_engine.channels.storage import StorageUnavailable
from growth_engine.context import Parts
from growth_engine.kit.clock import FixedClock
from growth_engine.ledger import heads, journal, proofs, queries
from growth_engine.ledger.models import BookHead
from growth_engine.ledger.remedies import words_of
from growth_engine.ledger.service import verify_all
from growth_engine.ledger.verify import snapshot, verify
from tests.engine.ledger.conftest import Do
from tests.factories.selling import Shop


def exported_rows(parts: Parts, workspace: str) -> list[tuple[str, str, int]]:
    with parts.open(workspace) as ctx:
        rows = ctx.session.query(BookHead).order_by(BookHead.day, BookHead.book_id)
        return [(row.day.isoformat(), row.book_id, row.seq) for row in rows]


def test_heads_are_exported_once_a_day_for_books_that_moved(
    parts: Parts, shop: Shop, clock: FixedClock
) -> None:
    workspace = shop.workspace_id
    assert heads.export(parts, workspace) == 1
    seq = shop.rows("SELECT last_seq FROM books WHERE id = :campaign")[0][0]
    shop.buy("bob")
    assert heads.export(parts, workspace) == 0, "today's are out already"
    assert exported_rows(parts, workspace) == [("2026-06-01", shop.campaign_id, seq)]
    clock.advance(timedelta(days=1))
    assert heads.export(parts, workspace) == 1
    clock.advance(timedelta(days=1))
    assert heads.export(parts, workspace) == 0, "nothing has moved"
    assert exported_rows(parts, workspace)[1:] == [("2026-06-02", shop.campaign_id, seq + 2)]
    document = orjson.loads(parts.storage.document(f"heads/{workspace}/2026-06-02.json"))
    assert [(one["book"], one["seq"]) for one in document["books"]] == [(shop.campaign_id, seq + 2)]


def test_a_document_that_could_not_be_stored_is_stored_later(
    parts: Parts, shop: Shop, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StorageUnavailable(params={"place": "x", "reason": "the disk is full"})

    with monkeypatch.context() as patch:
        patch.setattr(type(parts.storage), "put_document", full)
        with pytest.raises(StorageUnavailable):
            heads.export(parts, shop.workspace_id)
    assert len(exported_rows(parts, shop.workspace_id)) == 1
    clock.advance(timedelta(days=1))
    assert heads.export(parts, shop.workspace_id) == 1
    assert list(heads.exported(parts.storage, shop.workspace_id)) == [shop.campaign_id]


def rewrite(parts: Parts, shop: Shop, as_owner: Do) -> None:
    """History told anew from the third entry on, every hash fitting, as somebody clever would."""
    with snapshot(parts, shop.workspace_id) as conn:
        entries = list(journal.entries_after(conn, shop.campaign_id, 0))
    previous = entries[1][1]
    for entry, _ in entries[2:]:
        body = {**entry.body, "source": "forged"}
        forged = journal.Entry(
            entry.book_id, entry.seq, entry.event_id, entry.kind, entry.accepted, entry.member, entry.other,
            entry.rule_version, entry.at, body,
        )  # fmt: skip
        previous = forged.chained(previous)
        as_owner(
            "entries",
            "UPDATE entries SET body = %(body)s::jsonb, hash = %(hash)s"
            " WHERE book_id = %(b)s AND seq = %(s)s",
            body=orjson.dumps(body).decode(), hash=previous, b=entry.book_id, s=entry.seq,
        )  # fmt: skip
    as_owner("books", "UPDATE books SET head = %(h)s WHERE id = %(b)s", h=previous, b=shop.campaign_id)


def test_a_rewritten_history_shows_in_table_and_storage(parts: Parts, shop: Shop, as_owner: Do) -> None:
    workspace = shop.workspace_id
    rewrite(parts, shop, as_owner)
    assert all(report.clean for report in verify_all(parts, workspace)), "nobody could know: nothing was out"
    heads.export(parts, workspace)
    assert all(report.clean for report in verify_all(parts, workspace))
    shop.buy("bob")
    forged = "UPDATE book_heads SET head = decode(repeat('11', 32), 'hex') WHERE book_id = %(b)s"
    as_owner("book_heads", forged, b=shop.campaign_id)
    report = verify(parts, workspace, shop.campaign_id)
    assert [fault.detail.split(":")[0] for fault in report.faults] == ["the table"]
    as_owner("book_heads", "DELETE FROM book_heads WHERE book_id = %(b)s", b=shop.campaign_id)
    assert verify(parts, workspace, shop.campaign_id).clean, "the document in storage still fits"
    name = f"heads/{workspace}/2026-06-01.json"
    document = orjson.loads(parts.storage.document(name))
    document["books"][0]["head"] = "22" * 32
    parts.storage.put_document(name, orjson.dumps(document))
    [fault] = verify(parts, workspace, shop.campaign_id).faults
    assert fault.check == "heads"
    assert "the documents in storage: on 2026-06-01 entry" in fault.detail


def test_history_rewritten_after_an_export_shows(parts: Parts, shop: Shop, as_owner: Do) -> None:
    heads.export(parts, shop.workspace_id)
    rewrite(parts, shop, as_owner)
    as_owner("book_heads", "DELETE FROM book_heads WHERE book_id = %(b)s", b=shop.campaign_id)
    [fault] = verify(parts, shop.workspace_id, shop.campaign_id).faults
    assert (fault.check, "had another hash" in fault.detail) == ("heads", True)
    while proofs.prove_next(parts, shop.workspace_id):
        pass
    with parts.open(shop.workspace_id) as ctx:
        assert [(one.topic, one.subject) for one in queries.open_alerts(ctx)] == [
            ("ledger.heads", shop.campaign_id)
        ]


def test_a_document_that_was_tampered_with_is_a_fault_and_an_alert(parts: Parts, shop: Shop) -> None:
    heads.export(parts, shop.workspace_id)
    for broken in (
        b"",
        b"{}",
        b'{"books": [1]}',
        b'{"day": "x", "books": [{"book": "b", "seq": 1, "head": "zz"}]}',
    ):
        parts.storage.put_document(f"heads/{shop.workspace_id}/2026-06-01.json", broken)
        [fault] = verify(parts, shop.workspace_id, shop.campaign_id).faults
        assert (fault.check, "2026-06-01.json" in fault.detail) == ("heads", True)
    while proofs.prove_next(parts, shop.workspace_id):
        pass
    with parts.open(shop.workspace_id) as ctx:
        alerts = queries.open_alerts(ctx)
    assert {alert.topic for alert in alerts} == {"ledger.heads"}
    assert all(words_of(alert.topic) for alert in alerts)
    assert words_of("payouts.unknown") is None
