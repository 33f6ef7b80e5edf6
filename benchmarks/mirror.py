"""Speed and size of the mirror at a million members: `python benchmarks/mirror.py [members]`."""

from __future__ import annotations

import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import redis

from growth_engine.embedded.valkey import valkey
from growth_engine.ledger.digest import digest_rows
from growth_engine.ledger.mirror import BookKey, Entry, Mirror

BOOK = BookKey("wsp_bench", "cmp_bench")
BATCH = 5000
SAMPLES = 20_000


def journal(members: int, seed: int = 7) -> Iterator[Entry]:
    """A believable campaign: hot inviters, long chains, most people inviting few, one in 50 leaving."""
    rng = random.Random(seed)
    parents = [0]
    seq = 0
    for number in range(1, members + 1):
        roll = rng.random()
        if number == 1 or roll < 0.01:
            parent = 0
        elif roll < 0.25:
            parent = parents[rng.randint(1, number - 1)] or 1  # whoever has many gets more
        elif roll < 0.35:
            parent = number - 1
        else:
            parent = rng.randint(max(1, number - 50_000), number - 1)
        parents.append(parent)
        date = f"2026-{1 + number * 6 // (members + 1):02}-{1 + number % 28:02}"
        ops: list[list[object]] = [["m", number, parent, date], ["f", "joined", 1]]
        if parent:
            ops.append(["s", parent, 1, f"2026-{1 + parent * 6 // (members + 1):02}-{1 + parent % 28:02}"])
        seq += 1
        yield seq, ops
        if parent and roll > 0.98:
            seq += 1
            yield seq, [["l", number]]


def batches(entries: Iterator[Entry]) -> Iterator[list[Entry]]:
    batch: list[Entry] = []
    for entry in entries:
        batch.append(entry)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def feed(mirror: Mirror, members: int, epoch: int | None = None) -> tuple[int, float, float]:
    """(entries, seconds inside apply, seconds in all)."""
    began, inside, entries = time.perf_counter(), 0.0, 0
    for batch in batches(journal(members)):
        at = time.perf_counter()
        mirror.apply(BOOK, batch, epoch=epoch)
        inside += time.perf_counter() - at
        entries += len(batch)
    return entries, inside, time.perf_counter() - began


def sample(call: Callable[[], object], count: int = SAMPLES) -> list[float]:
    taken = []
    for _ in range(count):
        at = time.perf_counter()
        call()
        taken.append((time.perf_counter() - at) * 1000)
    return sorted(taken)


def server_p99(client: redis.Redis) -> str:
    """Upper bound (power of two) of the server's own time for 99 % of the calls since the last reset."""
    reply = client.execute_command("LATENCY", "HISTOGRAM", "fcall_ro", "ping")
    pairs = reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))
    details = next(iter(pairs.values()))
    details = details if isinstance(details, dict) else dict(zip(details[::2], details[1::2], strict=True))
    steps = details[b"histogram_usec"]
    steps = steps if isinstance(steps, dict) else dict(zip(steps[::2], steps[1::2], strict=True))
    return str(next(usec for usec, calls in steps.items() if calls >= details[b"calls"] * 0.99))


def reads(mirror: Mirror, client: redis.Redis, members: int) -> None:
    rng = random.Random(1)
    hot = [number for number, _ in mirror.leaderboard(BOOK, 1000)]

    def anyone() -> int:
        return rng.randint(1, members)

    calls: dict[str, Callable[[], object]] = {
        "PING": client.ping,
        "member": lambda: mirror.member(BOOK, anyone()),
        "rank (behind the board)": lambda: mirror.rank(BOOK, anyone()),
        "rank (on the board)": lambda: mirror.rank(BOOK, rng.choice(hot)),
        "children, page of 20": lambda: mirror.children(BOOK, rng.choice(hot), 0, 20),
        "ancestors": lambda: mirror.ancestors(BOOK, anyone()),
        "members, 20": lambda: mirror.members(BOOK, [anyone() for _ in range(20)]),
        "leaderboard, 100": lambda: mirror.leaderboard(BOOK, 100),
        "totals": lambda: mirror.totals(BOOK),
    }
    measure_calls(client, calls)


def money(mirror: Mirror, client: redis.Redis, members: int) -> None:
    """As many sales as members, with commissions of two levels and their legs; then reads of money."""
    rng = random.Random(2)
    seq = mirror.last_seq(BOOK)
    began, before = time.perf_counter(), client.info("memory")["used_memory"]
    batch: list[Entry] = []
    for sale in range(1, members + 1):
        buyer, first, second = (1 + int(rng.random() ** 2 * (members - 1)) for _ in range(3))
        ops: list[list[object]] = [
            ["f", "paid", 1],
            ["v", buyer, 5900],
            ["e", first, 1180],
            ["e", second, 295],
        ]
        for member, amount in ((first, 1180), (second, 295)):
            ops += [["a", "expense", "", "CNY", -amount], ["a", "pending", str(member), "CNY", amount]]
        batch.append((seq + sale, ops))
        if len(batch) == BATCH or sale == members:
            mirror.apply(BOOK, batch)
            batch = []
    took, used = time.perf_counter() - began, client.info("memory")["used_memory"] - before
    earners = client.zcard(
        f"ge:{{{BOOK.workspace_id}.{BOOK.campaign_id}}}:{mirror.totals(BOOK).epoch}:earned:0"
    )
    print(
        f"\nmoney: {members / took:,.0f} sales/s of 8 ops, "
        f"{used / earners:.0f} bytes for each of {earners:,} who earned"
    )

    def some(count: int) -> list[int]:
        return [rng.randint(1, members) for _ in range(count)]

    measure_calls(client, {
        "PING": client.ping,
        "balances, 4": lambda: mirror.balances(BOOK, [("pending", str(n), "CNY") for n in some(4)]),
        "earned and rank": lambda: mirror.earned_of(BOOK, some(1)),
        "earned and rank, 20": lambda: mirror.earned_of(BOOK, some(20)),
        "branch sales, 20": lambda: mirror.branch(BOOK, some(20)),
        "ranking by earnings, 100": lambda: mirror.earned(BOOK, 100),
    })  # fmt: skip
    at = time.perf_counter()
    digest = mirror.digest(BOOK)
    print(f"digest with money: {time.perf_counter() - at:.2f} s, {digest.accounts:,} accounts")


def measure_calls(client: redis.Redis, calls: dict[str, Callable[[], object]]) -> None:
    baseline = 0.0
    heads = f"{'p50 ms':>9}{'p99 ms':>9}{'p50 : PING':>12}{'server p99 ≤ µs':>18}"
    print(f"\n{f'read, {SAMPLES} samples':<28}{heads}")
    for name, call in calls.items():
        client.config_resetstat()
        taken = sample(call)
        middle, high = statistics.median(taken), taken[int(len(taken) * 0.99)]
        baseline = baseline or middle
        print(f"{name:<28}{middle:>9.3f}{high:>9.3f}{middle / baseline:>12.2f}{server_p99(client):>18}")


def single_applies(mirror: Mirror, members: int) -> None:
    seq = mirror.last_seq(BOOK)
    taken = []
    for i in range(1, 5001):
        number, parent = members + i, random.Random(i).randint(1, members)
        ops = [["m", number, parent, "2026-01-01"], ["f", "joined", 1], ["s", parent, 1, "2026-01-01"]]
        at = time.perf_counter()
        mirror.apply(BOOK, [(seq + i, ops)])
        taken.append((time.perf_counter() - at) * 1000)
    taken.sort()
    print(f"{'apply of one join':<28}{statistics.median(taken):>9.3f}{taken[int(len(taken) * 0.99)]:>9.3f}")


def rebuild(mirror: Mirror, members: int) -> None:
    began = time.perf_counter()
    epoch = mirror.begin_rebuild(BOOK)
    entries, inside, _ = feed(mirror, members, epoch)
    assert mirror.finish_rebuild(BOOK, epoch)
    total = time.perf_counter() - began
    print(f"rebuild of {entries:,} entries: {total:.1f} s, of which {inside:.1f} s in the mirror")


def measure(client: redis.Redis, members: int) -> None:
    mirror = Mirror(client)
    mirror.check_server()
    mirror.load_functions()
    before = client.info("memory")["used_memory"]
    entries, inside, _ = feed(mirror, members)
    used = client.info("memory")["used_memory"] - before
    board = client.memory_usage(f"ge:{{{BOOK.workspace_id}.{BOOK.campaign_id}}}:1:board:0") or 0
    print(f"apply: {entries:,} entries, {members / inside:,.0f} members/s, {entries / inside:,.0f} entries/s")
    print(f"memory: {used / members:.1f} bytes a member, board included ({board / 1024:.0f} KiB)")
    reads(mirror, client, members)
    at = time.perf_counter()
    digest = mirror.digest(BOOK)
    print(f"\ndigest of the mirror: {time.perf_counter() - at:.2f} s")
    rows = [
        (v.number, v.parent, v.level1, v.level2, v.active, v.blocked, v.score)
        for start in range(1, members + 1, 1000)
        for v in mirror.members(BOOK, range(start, min(start + 1000, members + 1)))
    ]
    at = time.perf_counter()
    same = digest_rows(rows, digest.last_seq, mirror.funnel(BOOK), mirror.cohorts(BOOK)) == digest
    print(f"digest of the rows: {time.perf_counter() - at:.2f} s, equal: {same}")
    del rows
    rebuild(mirror, members)
    print(f"same digest after the rebuild: {mirror.digest(BOOK) == digest}")
    single_applies(mirror, members)
    money(mirror, client, members)


def main() -> None:
    members = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    folder = Path(tempfile.mkdtemp(prefix="ge-bench-mirror-"))
    server = valkey(folder, hasty=True)
    process = server.start()
    try:
        while not server.ready():
            time.sleep(0.05)
        with redis.Redis.from_url(server.url()) as client:
            measure(client, members)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
