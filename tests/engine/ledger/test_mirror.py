"""The mirror, one promise at a time."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import redis

from growth_engine.embedded.valkey import valkey
from growth_engine.kit.errors import Invalid, Misconfigured
from growth_engine.kit.redis import ledger_client
from growth_engine.ledger.digest import digest_rows
from growth_engine.ledger.fold import Fold
from growth_engine.ledger.mirror import (
    LIBRARY,
    Applied,
    BookKey,
    BookMoved,
    Earned,
    MemberView,
    Mirror,
    MirrorBroken,
    MirrorUnavailable,
    OpRefused,
    StaleEpoch,
    library,
)
from tests.engine.ledger.mirror_model import Model, Traffic, assert_equal

DAY = "2026-05-01"
_books = count(1)


@pytest.fixture
def book() -> BookKey:
    return BookKey("wsp_mirror", f"cmp_{next(_books)}")


@pytest.fixture
def mirror(valkey: str) -> Iterator[Mirror]:
    mirror = Mirror.connect(valkey)
    mirror.load_functions()
    yield mirror
    mirror.close()


def family() -> list[tuple[int, list[list[Any]]]]:
    """1 invited 2 and 3; 2 invited 4."""
    return [
        (1, [["m", 1, 0, DAY]]),
        (2, [["m", 2, 1, DAY], ["s", 1, 1, DAY], ["f", "joined", 1]]),
        (3, [["m", 3, 1, "2026-05-02"], ["s", 1, 1, DAY], ["f", "joined", 1]]),
        (4, [["m", 4, 2, "2026-05-02"], ["s", 2, 1, DAY], ["f", "joined", 1]]),
    ]


def raw(mirror: Mirror, book: BookKey) -> dict[bytes, bytes | None]:
    """Every key of the book, as the server would dump it."""
    client = mirror._redis
    prefix = book.redis_key.split("}")[0] + "}*"
    return {key: client.dump(key) for key in client.scan_iter(prefix, count=1000)}


def contents(mirror: Mirror, book: BookKey) -> dict[str, Any]:
    """Every value of the live epoch by the end of its key, free of how the server encodes it."""
    client: Any = mirror._redis
    found = {}
    for key in raw(mirror, book):
        kind = client.type(key)
        if kind == b"string":
            value = client.get(key)
        elif kind == b"hash":
            value = client.hgetall(key)
        else:
            value = client.zrange(key, 0, -1, withscores=True)
        found[key.decode().split("}:")[1]] = value
    return found


def test_a_book_the_mirror_does_not_hold_reads_as_empty(mirror: Mirror, book: BookKey) -> None:
    assert mirror.last_seq(book) == 0
    assert mirror.member(book, 1) is None
    assert mirror.children(book, 1) == mirror.ancestors(book, 1) == mirror.leaderboard(book) == []
    assert mirror.funnel(book) == {}
    assert mirror.cohorts(book) == []
    assert mirror.digest(book) == digest_rows([], 0, {}, [])


def test_a_family_is_counted_by_level(mirror: Mirror, book: BookKey) -> None:
    assert mirror.apply(book, family()) == Applied(4, gap=False)
    assert mirror.member(book, 1) == MemberView(1, 0, 2, 1, active=True, blocked=False, score=2, rank=1)
    assert mirror.children(book, 1) == [3, 2]
    assert mirror.ancestors(book, 4) == [2, 1]
    assert mirror.leaderboard(book) == [(1, 2), (2, 1)]
    assert mirror.funnel(book) == {"joined": 3}
    assert mirror.cohorts(book) == [(DAY, 2, 3), ("2026-05-02", 2, 0)]
    assert mirror.rank(book, 4) is None


def test_who_leaves_is_no_longer_counted_but_keeps_children(mirror: Mirror, book: BookKey) -> None:
    mirror.apply(book, [*family(), (5, [["l", 2], ["s", 1, -1, DAY]])])
    one, two = mirror.members(book, [1, 2])
    assert (one.level1, one.level2, one.score, two.active) == (1, 1, 1, False)
    assert mirror.children(book, 2) == [4]
    mirror.apply(book, [(6, [["r", 2], ["s", 1, 1, DAY]])])
    assert [v.level1 for v in mirror.members(book, [1, 2])] == [2, 1]


def test_the_blocked_are_off_the_leaderboard_until_unblocked(mirror: Mirror, book: BookKey) -> None:
    mirror.apply(book, [*family(), (5, [["b", 1]])])
    assert mirror.leaderboard(book) == [(2, 1)]
    assert mirror.rank(book, 1) is None
    assert mirror.rank(book, 2) == 1
    mirror.apply(book, [(6, [["s", 1, 1, DAY]]), (7, [["u", 1]])])
    assert mirror.leaderboard(book) == [(1, 3), (2, 1)]


def test_of_equals_the_one_who_joined_first_stands_first(mirror: Mirror, book: BookKey) -> None:
    mirror.apply(book, [(n, [["m", n, 0, DAY]]) for n in range(1, 300)])
    mirror.apply(book, [(300, [["s", 257, 1, DAY]]), (301, [["s", 2, 1, DAY]]), (302, [["s", 1, 2, DAY]])])
    assert mirror.leaderboard(book) == [(1, 2), (2, 1), (257, 1)]


def test_entries_already_applied_are_skipped(mirror: Mirror, book: BookKey) -> None:
    mirror.apply(book, family())
    before = raw(mirror, book)
    assert mirror.apply(book, family()[1:3]) == Applied(4, gap=False)
    assert raw(mirror, book) == before


def test_a_gap_stops_the_fold_and_is_reported(mirror: Mirror, book: BookKey) -> None:
    entries = family()
    assert mirror.apply(book, [entries[0], entries[1], entries[3]]) == Applied(2, gap=True)
    assert mirror.apply(book, entries[3:]) == Applied(2, gap=True)
    assert mirror.apply(book, entries) == Applied(4, gap=False)


def test_no_entries_tell_where_the_book_stands(mirror: Mirror, book: BookKey) -> None:
    mirror.apply(book, family())
    assert mirror.apply(book, []) == Applied(4, gap=False)


IMPOSSIBLE: list[Any] = [
    [],
    ["x", 1],
    [None, 1],
    ["m", 6, 0, DAY],
    ["m", 4, 0, DAY],
    ["m", 5, 5, DAY],
    ["m", 5, -1, DAY],
    ["m", 5, 1, "yesterday"],
    ["m", 5, 1],
    ["m", 5, None, DAY],
    ["l", 5],
    ["l", 0],
    ["l", 1.5],
    ["l", "1"],
    ["l", True],
    ["l", [1]],
    ["r", 2],
    ["b", 3],
    ["u", 1],
    ["s", 1, -3, DAY],
    ["s", 1, 1 << 31, DAY],
    ["s", 1, 1, None],
    ["f", "", 1],
    ["f", "no spaces", 1],
    ["f", "加入", 1],
    ["f", "joined", 0.5],
    ["a", "pending", "1", "CNY"],
    ["a", "Pending", "1", "CNY", 1],
    ["a", "pending", "no spaces", "CNY", 1],
    ["a", "pending", "1", "yuan", 1],
    ["a", "pending", "1", "CNY", 1.5],
    ["a", "pending", "1", "CNY", None],
    ["a", "pending", "1", "CNY", 1 << 63],
    ["a", "pending", "1", "CNY", -(1 << 63)],
    ["a", "pending", "1", "CNY", "1e3"],
    ["e", 5, 1],
    ["e", 1, -1],
    ["e", 1, 1 << 53],
    ["e", 1, 0.5],
    ["v", 5, 1],
    ["v", 0, 1],
    ["v", 4, "many"],
    ["v", 4, 1 << 63],
]


@pytest.mark.parametrize("op", IMPOSSIBLE, ids=repr)
def test_an_impossible_op_is_refused_and_nothing_is_written(mirror: Mirror, book: BookKey, op: Any) -> None:
    mirror.apply(book, [*family(), (5, [["b", 3]])])
    before = raw(mirror, book)
    with pytest.raises(OpRefused, match="entry 7, op 2"):
        mirror.apply(book, [(6, [["l", 1]]), (7, [["f", "joined", 1], op])])
    assert raw(mirror, book) == before


IMPOSSIBLE_MONEY = [op for op in IMPOSSIBLE if op[:1] in (["e"], ["v"])]


@pytest.mark.parametrize("op", IMPOSSIBLE_MONEY, ids=repr)
def test_what_the_mirror_refuses_the_fold_refuses(op: Any) -> None:
    fold = Fold()
    for seq, ops in family():
        fold.apply(seq, ops)
    with pytest.raises(ValueError, match=r"there is|no such op|would stand|no member|whole"):
        fold.apply(5, [op])


@pytest.mark.parametrize("sign", [1, -1])
def test_sums_are_exact_to_the_last_of_64_bits_and_refused_beyond(
    mirror: Mirror, book: BookKey, sign: int
) -> None:
    most = sign * (2**63 - 1)
    parts = [most - sign * 10**18, sign * (10**18 - 7), sign * 7]
    moves = [["a", "available", "con_1", "CNY", part] for part in parts]
    mirror.apply(book, [*family(), (5, moves), (6, [["v", 4, most]])])
    assert mirror.balance(book, "available", "con_1", "CNY") == most
    assert mirror.branch(book, [1, 2, 3]) == {1: most, 2: most, 3: 0}
    for op in (["a", "available", "con_1", "CNY", sign], ["v", 4, sign]):
        before = raw(mirror, book)
        with pytest.raises(OpRefused, match="64 bits"):
            mirror.apply(book, [(7, [["a", "tax", "", "CNY", 5], op])])
        assert raw(mirror, book) == before
    mirror.apply(book, [(7, [["a", "available", "con_1", "CNY", -2 * sign]])])
    assert mirror.balance(book, "available", "con_1", "CNY") == most - 2 * sign


def test_of_equal_earners_the_one_who_joined_first_stands_first(mirror: Mirror, book: BookKey) -> None:
    mirror.apply(book, [*family(), (5, [["e", 4, 300], ["e", 2, 300], ["e", 3, 500]]), (6, [["e", 3, -500]])])
    assert mirror.earned(book) == [(2, 300), (4, 300)]
    assert mirror.earned(book, 1, first=1) == [(4, 300)]
    assert mirror.earned_of(book, [4, 3, 99]) == [Earned(4, 300, 2), Earned(3, 0, None), Earned(99, 0, None)]
    mirror.apply(book, [(7, [["e", 2, 2**53 - 301]])])
    assert mirror.earned(book, 1) == [(2, 2**53 - 1)]


def test_an_account_at_zero_leaves_no_trace_but_reads_as_zero(mirror: Mirror, book: BookKey) -> None:
    name = ("reserved", "con_1", "CNY")
    mirror.apply(book, [(1, [["a", *name, 5]]), (2, [["a", *name, -5]])])
    assert mirror.balances(book, [name]) == {name: 0}
    assert mirror.digest(book).accounts == 0
    empty = BookKey("wsp_mirror", "wal_none")
    assert mirror.balances(empty, [name]) == {name: 0}
    assert mirror.earned(empty) == []
    assert mirror.earned_of(empty, [1]) == [Earned(1, 0, None)]
    assert mirror.branch(empty, [1]) == {1: 0}


def test_an_impossible_sequence_number_is_refused(mirror: Mirror, book: BookKey) -> None:
    for seq in (0, -1, 1.5, "1", None):
        with pytest.raises(OpRefused):
            mirror.apply(book, [(seq, [])])  # type: ignore[list-item]
    assert raw(mirror, book) == {}


def test_a_first_entry_that_is_refused_leaves_no_key(mirror: Mirror, book: BookKey) -> None:
    with pytest.raises(OpRefused):
        mirror.apply(book, [(1, [["l", 1]])])
    assert raw(mirror, book) == {}


def test_children_come_newest_first_in_pages(mirror: Mirror, book: BookKey) -> None:
    mirror.apply(book, [(1, [["m", 1, 0, DAY]]), *((n, [["m", n, 1, DAY]]) for n in range(2, 1402))])
    pages, after = [], 0
    while page := mirror.children(book, 1, after, 500):
        pages.append(len(page))
        assert page == list(range(page[0], page[0] - len(page), -1))
        after = page[-1]
    assert pages == [500, 500, 400]
    with pytest.raises(Invalid):
        mirror.children(book, 2, 1401)
    with pytest.raises(Invalid):
        mirror.children(book, 1, 5000)


def test_a_long_chain_has_all_its_ancestors(mirror: Mirror, book: BookKey) -> None:
    mirror.apply(book, [(n, [["m", n, n - 1, DAY]]) for n in range(1, 1200)])
    assert mirror.ancestors(book, 1199, 1000) == list(range(1198, 198, -1))
    assert mirror.ancestors(book, 3) == [2, 1]


def test_batches_make_no_difference_to_what_is_stored(mirror: Mirror) -> None:
    model = Model()
    journal = list(Traffic(5, model).entries(1500))
    whole, single = (BookKey("wsp_mirror", f"cmp_{next(_books)}") for _ in range(2))
    mirror.apply(whole, journal)
    for entry in journal:
        mirror.apply(single, [entry])
    stored = contents(mirror, whole)
    assert stored == contents(mirror, single)
    assert {key.split(":")[1] for key in stored} >= {"rec", "meta", "board", "hist", "funnel", "cohort"}
    assert mirror.digest(whole) == mirror.digest(single) == model.digest()


def test_a_digest_is_of_one_sequence_number_or_none(
    mirror: Mirror, book: BookKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror.apply(book, family())
    call, moves = library.call, count(5)

    def moving(client: Any, name: str, book: BookKey, *arguments: Any, write: bool = False) -> Any:
        if name == "buckets" and (seq := next(moves)) < stop:
            call(client, "apply", book, "", f"[{seq},0]", write=True)
        return call(client, name, book, *arguments, write=write)

    monkeypatch.setattr(library, "call", moving)
    stop = 7
    assert mirror.digest(book).last_seq == 6
    moves, stop = count(7), 1000
    with pytest.raises(BookMoved):
        mirror.digest(book)


def test_rows_that_cannot_be_a_book_have_no_digest() -> None:
    with pytest.raises(ValueError, match="dense"):
        digest_rows([(2, 0, 0, 0, True, False, 0)], 1, {}, [])
    with pytest.raises(ValueError, match="parent"):
        digest_rows([(1, 1, 0, 0, True, False, 0)], 1, {}, [])


def test_any_difference_in_content_changes_the_digest() -> None:
    rows = [(1, 0, 1, 0, True, False, 1), (2, 1, 0, 0, True, False, 0)]
    funnel, cohorts = {"joined": 1, "left": 0}, [(DAY, 2, 1)]
    digest = digest_rows(rows, 2, funnel, cohorts)
    assert digest == digest_rows(iter(rows), 2, {"joined": 1}, cohorts)
    others = [digest_rows(rows, 2, {"joined": 2}, cohorts), digest_rows(rows, 2, funnel, [(DAY, 2, 0)])]
    for at in range(1, 7):
        changed = list(rows[1])
        changed[at] = not changed[at] if at in (4, 5) else 1 - int(changed[at])
        others.append(digest_rows([rows[0], tuple(changed)], 2, funnel, cohorts))  # type: ignore[arg-type]
    assert len({other.content_sha256 for other in [digest, *others]}) == 9


def test_a_server_that_lost_the_functions_gets_them_again(mirror: Mirror, book: BookKey, valkey: str) -> None:
    with redis.Redis.from_url(valkey) as client:
        client.function_delete(LIBRARY)
    assert mirror.apply(book, family()).last_seq == 4
    with redis.Redis.from_url(valkey) as client:
        client.function_delete(LIBRARY)
    assert mirror.last_seq(book) == 4


def test_a_book_with_a_missing_key_says_it_is_broken(mirror: Mirror, book: BookKey) -> None:
    mirror.apply(book, family())
    mirror._redis.delete(book.redis_key.replace(":0:book:0", ":1:rec:0"))
    with pytest.raises(MirrorBroken):
        mirror.member(book, 1)
    with pytest.raises(MirrorBroken):
        mirror.apply(book, [(5, [["l", 1]])])


def test_a_server_that_is_away_is_said_to_be_away(book: BookKey) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        mirror = Mirror.connect(f"redis://127.0.0.1:{free.getsockname()[1]}")
        with pytest.raises(MirrorUnavailable):
            mirror.totals(book)
    mirror.close()


def test_a_client_that_decodes_is_refused(valkey: str) -> None:
    with pytest.raises(ValueError, match="decode_responses"):
        Mirror(ledger_client(valkey, decode_responses=True))


def test_a_book_id_cannot_break_the_hash_tag() -> None:
    with pytest.raises(ValueError, match="ids"):
        BookKey("wsp}", "cmp")
    with pytest.raises(ValueError, match="ids"):
        BookKey("", "cmp")


def test_the_boot_check_wants_noeviction_and_functions(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror.check_server()
    client = mirror._redis
    try:
        client.config_set("maxmemory-policy", "allkeys-lru")
        with pytest.raises(Misconfigured, match="noeviction"):
            mirror.check_server()
    finally:
        client.config_set("maxmemory-policy", "noeviction")
    monkeypatch.setattr(client, "info", lambda *_: {"redis_version": "6.2.14"})
    with pytest.raises(Misconfigured, match="Redis 7"):
        mirror.check_server()


def test_after_a_restart_without_data_a_replay_restores_everything(tmp_path: Path, book: BookKey) -> None:
    model = Model()
    journal = list(Traffic(9, model).entries(400))
    server = valkey(tmp_path, hasty=True)

    def start() -> Any:
        process = server.start()
        while not server.ready():
            assert process.poll() is None, server.complaint()
        return process

    process = start()
    mirror = Mirror.connect(server.url())
    try:
        mirror.apply(book, journal[:300])
        process.kill()
        process.wait()
        process = start()
        assert mirror.apply(book, journal[300:]) == Applied(0, gap=True)
        mirror.apply(book, journal)
        assert_equal(mirror, book, model)
    finally:
        mirror.close()
        process.kill()
        process.wait()


def test_forgetting_a_book_leaves_no_key(mirror: Mirror, book: BookKey) -> None:
    mirror.apply(book, family())
    mirror.begin_rebuild(book)
    mirror.forget(book)
    assert raw(mirror, book) == {}
    assert mirror.totals(book).epoch == 0


def test_readers_see_the_old_epoch_until_the_new_one_is_finished(mirror: Mirror, book: BookKey) -> None:
    mirror.apply(book, family())
    epoch = mirror.begin_rebuild(book)
    assert mirror.totals(book).building == epoch
    mirror.apply(book, family()[:2], epoch=epoch)
    assert mirror.last_seq(book) == 4
    assert not mirror.finish_rebuild(book, epoch)
    mirror.apply(book, family(), epoch=epoch)
    before = mirror.digest(book)
    assert mirror.finish_rebuild(book, epoch)
    assert mirror.totals(book).epoch == epoch
    assert mirror.digest(book) == before
    epochs = {key.split(b":")[2] for key in raw(mirror, book)}
    assert epochs == {b"0", str(epoch).encode()}


def test_a_second_rebuild_sends_the_first_away(mirror: Mirror, book: BookKey) -> None:
    mirror.apply(book, family())
    first = mirror.begin_rebuild(book)
    mirror.apply(book, family(), epoch=first)
    second = mirror.begin_rebuild(book)
    with pytest.raises(StaleEpoch):
        mirror.apply(book, family(), epoch=first)
    with pytest.raises(StaleEpoch):
        mirror.finish_rebuild(book, first)
    mirror.abandon_rebuild(book, second)
    with pytest.raises(StaleEpoch):
        mirror.apply(book, family(), epoch=second)
    assert mirror.last_seq(book) == 4


def test_a_mirror_ahead_of_the_journal_is_replaced_by_force(mirror: Mirror, book: BookKey) -> None:
    mirror.apply(book, family())
    epoch = mirror.begin_rebuild(book)
    mirror.apply(book, family()[:3], epoch=epoch)
    assert not mirror.finish_rebuild(book, epoch)
    assert mirror.finish_rebuild(book, epoch, force=True)
    assert mirror.last_seq(book) == 3


def test_a_big_book_is_deleted_in_pieces(mirror: Mirror, book: BookKey) -> None:
    members = 585 * 300
    for start in range(1, members + 1, 20_000):
        numbers = range(start, min(start + 20_000, members + 1))
        mirror.apply(book, [(n, [["m", n, n // 2, DAY]]) for n in numbers])
    mirror.forget(book)
    assert raw(mirror, book) == {}


def test_a_book_full_of_money_is_deleted_in_pieces(mirror: Mirror, book: BookKey) -> None:
    members = 2000
    entries: list[Any] = [(n, [["m", n, n // 3, DAY]]) for n in range(1, members + 1)]
    for n in range(4, members + 1):
        entries.append(
            (members + n - 3, [["v", n, 100], ["e", n, n], ["a", "available", f"con_{n}", "CNY", n]])
        )
    mirror.apply(book, entries)
    kinds = {key.decode().split(":")[-2] for key in raw(mirror, book)}
    assert kinds >= {"balance", "branch", "earned", "balance_map", "branch_map"}
    epoch = mirror.begin_rebuild(book)
    mirror.apply(book, entries, epoch=epoch)
    assert mirror.finish_rebuild(book, epoch)
    assert {key.split(b":")[2] for key in raw(mirror, book)} == {b"0", str(epoch).encode()}
    assert mirror.digest(book).accounts == members - 3
    mirror.forget(book)
    assert raw(mirror, book) == {}


def test_a_rebuild_loses_nothing_that_is_written_meanwhile(
    mirror: Mirror, book: BookKey, valkey: str
) -> None:
    model = Model()
    journal = list(Traffic(3, model).entries(4000))
    mirror.apply(book, journal[:2000])
    done = threading.Event()

    def write() -> None:
        writer = Mirror.connect(valkey)
        for start in range(2000, 4000, 5):
            assert not writer.apply(book, journal[start : start + 5]).gap
        writer.close()
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    rounds = 0
    while not done.is_set() or rounds == 0:
        epoch = mirror.begin_rebuild(book)
        while not mirror.finish_rebuild(book, epoch):
            built = mirror.apply(book, [], epoch=epoch).last_seq
            mirror.apply(book, journal[built : max(mirror.last_seq(book), built + 500)], epoch=epoch)
        rounds += 1
    thread.join()
    # What was posted between the last look and the switch went to the old epoch or to the new one.
    mirror.apply(book, journal[mirror.last_seq(book) :])
    assert_equal(mirror, book, model)
