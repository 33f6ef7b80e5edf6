"""One seed of the property test: random steps on the product, the auditor beside it after every one."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import text

from growth_engine.context import Parts
from growth_engine.kit.tx import libpq_url
from growth_engine.ledger.contract import Connected, EntryDraft, Event, PayloadMismatch, Posted, Received
from growth_engine.ledger.journal import entries_after
from growth_engine.ledger.mirror import BookKey
from growth_engine.ledger.poster import Poster
from growth_engine.ledger.service import catch_up, rebuild, retry_parked, sweep
from growth_engine.ledger.verify import scope, verify
from growth_engine.people import merging
from growth_engine.plays.posting import CampaignRules
from growth_engine.plays.posting.batch import Rules
from tests.engine.money.auditor import Auditor
from tests.engine.money.streams import Follower, Stream, open_shop, publish, random_config, send_payouts
from tests.factories.workspaces import make_workspace

STEPS = {
    "event": 100, "again": 8, "mismatch": 3, "later": 10, "new_rules": 2, "send_payouts": 5,
    "block_person": 1, "merge": 2, "crash_before_mirror": 4, "poison": 3, "mend": 3, "rewind": 1, "loss": 1,
    "restart": 2, "cut_connection": 2, "burst": 6,
}  # fmt: skip
#: Events a batch of which is written in pieces.
BURST = {"payment": 4, "refund": 3, "cancel": 1}
FEES = {"free": 100}
#: Tries after which the product parks an Event.
PARKED_AFTER = 8


class Machine:
    """A process of the product that can be broken and started again; serves one seed after the other."""

    def __init__(self, parts: Parts) -> None:
        self.base = parts
        self.poisoned: set[str] = set()
        self.deaf = False
        """Whether the mirror hears of nothing, as if the process died right after the commit."""
        self.poster = self._new_poster()
        self.parts = dataclasses.replace(parts, ledger=self.poster)

    def restart(self) -> None:
        self.poster.close()
        self.poster = self._new_poster()
        self.parts = dataclasses.replace(self.base, ledger=self.poster)

    def cut_connection(self, workspace_id: str) -> None:
        """The database hangs up on the poster; the next Event finds out."""
        if self.poster._conn is not None and not self.poster._conn.closed:
            with self.parts.open(workspace_id) as ctx:
                pid = self.poster._conn.info.backend_pid
                ctx.session.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})

    def close(self) -> None:
        self.poster.close()

    def _new_poster(self) -> Poster:
        poisoned = self.poisoned

        class Touchy(CampaignRules):
            """Rules that break on poisoned Events."""

            def decide(self, event: Event, seq: int) -> EntryDraft:
                if event.key in poisoned:
                    raise RuntimeError("the rules broke")
                return super().decide(event, seq)

        parts = self.base
        return Poster(
            libpq_url(parts.db.url),
            clock=parts.clock,
            ids=parts.ids,
            rules=Rules(parts.ids, Touchy, fees=FEES),
            mirrored=self._mirrored,
            ring=lambda *_: None,
            # Small enough for the batches of a run: pieces, and a mirror told beside the next batch.
            piece=2,
            beside=3,
        )

    def _mirrored(self, workspace_id: str, book_id: str, entries: Sequence[tuple[int, list[Any]]]) -> None:
        if self.deaf:
            return
        if self.parts.mirror.apply(BookKey(workspace_id, book_id), entries).gap:
            catch_up(self.parts, workspace_id, book_id)


class Run:
    """A shop, its machine, and the auditor."""

    def __init__(self, machine: Machine, conn: Connected, seed: int) -> None:
        self.machine = machine
        self.conn = conn
        self.pick = random.Random(seed)
        self._checked: list[tuple[int, bytes]] = []
        """Heads of the books when the mirror was last compared."""
        self.shop = open_shop(self.parts, make_workspace(self.parts), self.pick)
        follower = Follower(self.shop, conn, own=True)
        self.auditor = Auditor(follower.engine, conn)
        self.engine = follower.engine
        self.stream = Stream(self.shop, follower, self.pick)
        self.books = [
            BookKey(self.shop.workspace_id, book) for book in (self.shop.campaign_id, self.shop.wallet)
        ]
        self.heard: dict[str, tuple[Event, Posted]] = {}
        self.waiting: list[tuple[str, Event]] = []
        """Stored and not decided: (Event id, Event)."""
        self.merges: list[Event] = []
        """What follows a merge of people, still to come."""
        self.done: Counter[str] = Counter()

    @property
    def parts(self) -> Parts:
        return self.machine.parts

    @property
    def poster(self) -> Poster:
        return self.machine.poster

    def warm_up(self) -> None:
        """Some people and paid orders, in a few batches, so that short lives have something to lose."""
        for kind, times in (("join", 2), ("join", 3), ("join", 3), ("order", 5), ("payment", 7)):
            self._together([self.stream.next({kind: 1}) for _ in range(times)])
        if self.pick.random() < 0.7:
            self.parts.clock.advance(timedelta(days=8))  # type: ignore[attr-defined]
            now = self.parts.clock.now().isoformat()
            self._submit(self.shop.event("mature", {"cutoff": now, "limit": 500}))
            self._together([self.stream.next({"payout_reserve": 1, "payment": 1}) for _ in range(4)])
        self.check()

    def _together(self, events: Sequence[Event]) -> None:
        for event, answer in zip(events, self.poster.submit_many(events), strict=True):
            assert isinstance(answer, Posted)
            self._hear(event, answer)

    # -- steps ----------------------------------------------------------------------------------------

    def step(self) -> None:
        name = self.pick.choices(list(STEPS), list(STEPS.values()))[0]
        steps: Mapping[str, Callable[[], None]] = {
            "event": self._event, "again": self._again, "mismatch": self._mismatch, "later": self._later,
            "new_rules": self._new_rules, "send_payouts": self._send_payouts,
            "block_person": self._block_person, "merge": self._merge, "crash_before_mirror": self._crash,
            "poison": self._poison, "mend": self._mend, "rewind": self._rewind, "loss": self._loss,
            "restart": self._restart, "cut_connection": self._cut, "burst": self._burst,
        }  # fmt: skip
        steps[name]()
        self.done[name] += 1
        self.check(mirror=name in ("rewind", "loss", "crash_before_mirror"))

    def _submit(self, event: Event) -> None:
        answer = self.poster.submit(event)
        assert isinstance(answer, Posted), answer
        self._hear(event, answer)

    def _hear(self, event: Event, answer: Posted) -> None:
        self.auditor.hear(event, answer, self.parts.clock.now())
        self.heard[event.key] = (event, answer)

    def _event(self) -> None:
        if self.merges and self.pick.random() < 0.3:
            self._submit(self.merges.pop(0))
        else:
            self._submit(self.stream.next())

    def _burst(self) -> None:
        self._together([self.stream.next(BURST) for _ in range(self.pick.choice([3, 6]))])

    def _again(self) -> None:
        if self.heard:
            event, first = self.pick.choice(list(self.heard.values()))
            answer = self.poster.submit(event)
            assert isinstance(answer, Posted)
            assert answer.duplicate
            assert (answer.seq, answer.accepted, answer.reasons) == (first.seq, first.accepted, first.reasons)
            assert dict(answer.result) == dict(first.result)

    def _mismatch(self) -> None:
        if self.heard:
            event, _ = self.pick.choice(list(self.heard.values()))
            other = dataclasses.replace(event, facts={**event.facts, "another": 1})
            try:
                self.poster.submit(other)
            except PayloadMismatch:
                return
            raise AssertionError("the same key with other content was taken")

    def _later(self) -> None:
        ahead = timedelta(hours=self.pick.choice([1, 20, 50, 24 * 8, 24 * 31]))
        self.parts.clock.advance(ahead)  # type: ignore[attr-defined]

    def _new_rules(self) -> None:
        publish(self.shop, self.engine, random_config(self.pick))

    def _send_payouts(self) -> None:
        send_payouts(self.shop, self.engine, self.pick)

    def _block_person(self) -> None:
        contacts = self._contacts()
        if not contacts:
            return
        one = self.pick.choice(contacts)
        blocked = one not in self.engine.blocked
        (self.engine.blocked.add if blocked else self.engine.blocked.remove)(one)
        with self.parts.open(self.shop.workspace_id) as ctx:
            at = ctx.now() if blocked else None
            ctx.session.execute(
                text("UPDATE contacts SET blocked_at = :at WHERE id = :id"), {"id": one, "at": at}
            )

    def _contacts(self) -> list[str]:
        return sorted(
            {member["contact"] for member in self.engine.members.values()} - self.engine.merged.keys()
        )

    def _merge(self) -> None:
        """Two contacts turn out to be one person; the Events that follow come whenever they come."""
        contacts = self._contacts()
        if len(contacts) < 4:
            return
        rich = [name[2] for name, amount in self.engine.accounts.items() if name[1] == "available" and amount]
        merged = self.pick.choice([one for one in contacts if one in rich] or contacts)
        kept = self.pick.choice([one for one in contacts if one != merged])
        with self.parts.open(self.shop.workspace_id) as ctx:
            assert merging.merge(ctx, kept, merged) == kept
        self.engine.merge(kept, merged)
        if self.engine.member_of_exactly(merged) is not None:
            told = {"contact_id": merged, "reason": "merged"}
            self.merges.append(self.shop.event("block", told, f"merged:{merged}", source="people"))
        told = {"merged_id": merged, "currency": "CNY"}
        self.merges.append(self.stream.wallet_event("wallet_merge", told))

    def _crash(self) -> None:
        """Committed, and then nothing: the mirror lags, and the next apply or the job catches it up."""
        before = [self.parts.mirror.last_seq(book) for book in self.books]
        self.machine.deaf = True
        for _ in range(self.pick.choice([1, 3])):
            self._submit(self.stream.next())
        self.machine.deaf = False
        assert [self.parts.mirror.last_seq(book) for book in self.books] == before
        self._restart()
        if self.pick.random() < 0.5:
            self._submit(self.stream.next())
        self._catch_up()

    def _catch_up(self) -> None:
        for book in self.books:
            catch_up(self.parts, book.workspace_id, book.campaign_id)

    def _poison(self) -> None:
        event = self.stream.next()
        if event.book_id != self.shop.campaign_id:
            self._submit(event)
            return
        self.machine.poisoned.add(event.key)
        answer = self.poster.submit(event)
        assert isinstance(answer, Received), answer
        self.waiting.append((answer.event_id, event))
        again = self.poster.submit(event)
        assert isinstance(again, Received)
        assert again.event_id == answer.event_id

    def _mend(self) -> None:
        """The rules are put right; what waited, or was parked meanwhile, is posted, in order."""
        workspace, clock = self.shop.workspace_id, self.parts.clock
        if self.waiting and self.pick.random() < 0.3:
            for _ in range(PARKED_AFTER):
                clock.advance(timedelta(hours=2))  # type: ignore[attr-defined]
                sweep(self.parts, workspace)
            with self.parts.open(workspace) as ctx:
                parked = ctx.session.scalar(
                    text("SELECT count(*) FROM pending_events WHERE parked_at IS NOT NULL")
                )
            assert parked == len(self.waiting)
        self.machine.poisoned.clear()
        retry_parked(self.parts, workspace)
        clock.advance(timedelta(hours=3))  # type: ignore[attr-defined]
        assert sweep(self.parts, workspace) == len(self.waiting)
        for _, event in sorted(self.waiting, key=lambda one: one[0]):
            answer = self.poster.submit(event)
            assert isinstance(answer, Posted)
            self._hear(event, answer)
        self.waiting.clear()

    def _rewind(self) -> None:
        """The mirror comes back from an old copy: it holds less than the journal, and catches up."""
        for book in self.books:
            last = self.parts.mirror.last_seq(book)
            kept = self.pick.randrange(last + 1)
            self.parts.mirror.forget(book)
            with self.conn.transaction():
                scope(self.conn, book.workspace_id)
                entries = [
                    (entry.seq, entry.ops()) for entry, _ in entries_after(self.conn, book.campaign_id, 0)
                ]
            self.parts.mirror.apply(book, entries[:kept])
            self.parts.mirror.apply(book, entries[: self.pick.randrange(kept + 1)])  # told again: no effect
            assert self.parts.mirror.last_seq(book) == kept
        if self.pick.random() < 0.5:
            self._submit(self.stream.next())
        self._catch_up()

    def _loss(self) -> None:
        for book in self.books:
            self.parts.mirror.forget(book)
            rebuild(self.parts, book.workspace_id, book.campaign_id)

    def _restart(self) -> None:
        self.machine.restart()
        self.shop.parts = self.parts

    def _cut(self) -> None:
        self.machine.cut_connection(self.shop.workspace_id)
        self._submit(self.stream.next())

    # -- checks ---------------------------------------------------------------------------------------

    def check(self, *, mirror: bool = True) -> None:
        self.auditor.check_invariants()
        self.auditor.check_tables()
        heads = [self.engine.heads.get(book.campaign_id, (0, b"")) for book in self.books]
        for at, book in enumerate(self.books):
            if mirror or not self._checked or heads[at] != self._checked[at]:
                assert self.parts.mirror.digest(book) == self.auditor.digest(book.campaign_id)
        self._checked = heads

    def check_whole(self) -> None:
        """The product's own proof, journal walked from the first Entry."""
        for book in self.books:
            report = verify(self.parts, book.workspace_id, book.campaign_id)
            faults = [fault for fault in report.faults if fault.check != "parked"]
            assert faults == [], faults


def run_seed(
    machine: Machine, conn: Connected, seed: int, steps: int, whole_every: int = 100
) -> Counter[str]:
    """What was done, by kind of step; raises with the seed and the step when something does not hold."""
    run = Run(machine, conn, seed)
    at = 0
    try:
        run.warm_up()
        for at in range(1, steps + 1):
            run.step()
            if at % whole_every == 0:
                run.check_whole()
        run._mend()
        run.check()
        if seed % 5 == 0 or steps > 50:
            run.check_whole()
    except BaseException as error:
        error.add_note(
            f"seed {seed}, step {at}: MONEY_SEED={seed} MONEY_STEPS={at} pytest -k one_seed {__name__}"
        )
        raise
    return run.done + Counter(
        {
            f"entries of {book.campaign_id[:3]}": run.engine.heads.get(book.campaign_id, (0, b""))[0]
            for book in run.books
        }
    )
