"""Random joins, leaves, re-joins, blocks and duplicates: SQL, mirror and model equal after every step."""

from __future__ import annotations

import random
from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import text

from growth_engine.context import Parts
from growth_engine.ledger import tree
from growth_engine.ledger.contract import Connected, Event, Posted
from growth_engine.ledger.digest import Digest, digest_rows
from growth_engine.ledger.mirror import BookKey
from growth_engine.ledger.service import rebuild
from growth_engine.ledger.verify import scope, verify
from tests.engine.plays.tree_model import Model
from tests.factories.campaigns import contact_event, join_event, make_campaign
from tests.factories.workspaces import make_workspace

SEEDS = 240
BLOCK = 24
"""Seeds to a test case, so that workers can share them."""
STEPS = 14


class Run:
    """One seed: the same random actions on the product and on the model."""

    def __init__(self, parts: Parts, conn: Connected, seed: int) -> None:
        self.parts = parts
        self.random = random.Random(seed)
        pick = self.random.choice
        self.config = {
            "new_only": pick(["workspace", "campaign", "everyone"]),
            "helps": pick(["once_per_campaign", "once_per_inviter"]),
            "refollow": pick(["first_inviter", "last_scanner"]),
            "leaving": pick(["stops_counting", "count_regardless"]),
            "inviter_cap": pick([1, 2, 100]),
            "inviter_days": 30,
            "friend_days": 20,
        }
        self.workspace_id = make_workspace(parts)
        self.campaign_id = make_campaign(parts, self.workspace_id, self.config)
        self.key = BookKey(self.workspace_id, self.campaign_id)
        self.model = Model(self.config)
        self.tokens: dict[str, str] = {}
        self.contacts: dict[str, str] = {}
        self.sent: list[tuple[Event, Posted]] = []
        self.conn = conn

    def step(self) -> None:
        kind = self.random.choices(["join", "leave", "block", "unblock", "repeat"], [10, 3, 1, 2, 2])[0]
        if kind == "repeat" and self.sent:
            event, first = self.random.choice(self.sent)
            again = self.parts.ledger.submit(event)
            assert again.duplicate
            assert (again.seq, again.accepted, again.reasons) == (first.seq, first.accepted, first.reasons)
        elif kind == "join" or not self.contacts:
            self._join()
        else:
            who = self.random.choice(sorted(self.contacts))
            action = kind if kind != "repeat" else "leave"
            event = contact_event(self.parts, self.workspace_id, self.campaign_id, action, self.contacts[who])
            self._send(event, getattr(self.model, action)(who))

    def _join(self) -> None:
        who = f"p{self.random.randrange(9)}"
        inviter = self.random.choice([None, *sorted(self.tokens)])
        token = self.tokens.get(inviter) if inviter else None
        event = join_event(self.parts, self.workspace_id, self.campaign_id, who, token)
        posted = self._send(event, self.model.join(who, inviter))
        self.tokens[who] = posted.answer["invite_token"]
        self.contacts[who] = posted.answer["contact_id"]

    def _send(self, event: Event, wanted: bool) -> Posted:
        posted: Posted = self.parts.ledger.submit(event)
        assert posted.accepted == wanted, (event, posted)
        assert posted.accepted or posted.reasons, "every refusal has a reason"
        self.sent.append((event, posted))
        return posted

    def digests(self) -> tuple[Digest, Digest]:
        """Of the tables and of the mirror."""
        with self.conn.transaction():
            scope(self.conn, self.workspace_id)
            found = tree.digest(self.conn, self.campaign_id, len(self.sent))
        return found, self.parts.mirror.digest(self.key)

    def check(self) -> None:
        tables, mirror = self.digests()
        assert tables == mirror
        funnel, cohorts = self.parts.mirror.funnel(self.key), self.parts.mirror.cohorts(self.key)
        assert digest_rows(self.model.rows(), len(self.sent), funnel, cohorts) == mirror
        scores = sum(row[6] for row in self.model.rows())
        assert funnel.get("joined", 0) == len(self.model.people)
        assert funnel.get("helped", 0) == scores == sum(invites for _, _, invites in cohorts)

    def check_days(self) -> None:
        names = {contact_id: who for who, contact_id in self.contacts.items()}
        with self.parts.open(self.workspace_id) as ctx:
            rows = ctx.session.execute(
                text("SELECT side, contact_id, sum(days) FROM grants GROUP BY side, contact_id")
            )
            found = {(side, names[contact_id]): int(days) for side, contact_id, days in rows}
        assert found == {pair: days for pair, days in self.model.days.items() if days}


@pytest.fixture
def conn(pg_url: str) -> Iterator[Connected]:
    with psycopg.connect(pg_url) as opened:
        yield opened


@pytest.mark.parametrize("block", range(SEEDS // BLOCK))
def test_tables_mirror_and_model_agree_after_every_step(parts: Parts, conn: Connected, block: int) -> None:
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        run = Run(parts, conn, seed)
        for _ in range(STEPS):
            run.step()
            run.check()
        run.check_days()
        report = verify(parts, run.workspace_id, run.campaign_id)
        assert report.clean, (seed, report.faults)


@pytest.mark.parametrize("seed", [1001, 1002, 1003])
def test_an_emptied_mirror_is_rebuilt_identically(parts: Parts, conn: Connected, seed: int) -> None:
    """Acceptance case 6."""
    run = Run(parts, conn, seed)
    for _ in range(60):
        run.step()
    before = run.digests()[1]
    board = parts.mirror.leaderboard(run.key)
    parts.mirror.forget(run.key)
    assert parts.mirror.totals(run.key).members == 0
    rebuild(parts, run.workspace_id, run.campaign_id)
    assert parts.mirror.digest(run.key) == before
    assert parts.mirror.leaderboard(run.key) == board
