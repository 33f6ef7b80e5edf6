"""The same stream of callbacks, one by one and in batches of any size: the same books, people, messages."""

from __future__ import annotations

import itertools
import os
import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from growth_engine.context import Parts
from growth_engine.embedded.up import child_environment
from growth_engine.inbox import jobs
from growth_engine.inbox.reception import Desk
from growth_engine.kit.clock import FixedClock
from growth_engine.ledger.service import verify_all
from growth_engine.people import service as people
from growth_engine.people.rules import Identity
from growth_engine.plays import participation
from growth_engine.posters import service as drawing
from tests.factories.callbacks import Caller, connect_oa
from tests.factories.campaigns import make_campaign
from tests.factories.workspaces import make_workspace

START = 1_714_112_445


class Shop:
    """A merchant whose Official Account carries two campaigns; one is for whoever comes without a code."""

    def __init__(self, parts: Parts, client: FlaskClient) -> None:
        self.parts, self.workspace = parts, make_workspace(parts)
        self.oa = Caller(client, "wechat_oa", connect_oa(parts, self.workspace))
        with parts.open(self.workspace) as ctx:
            template = drawing.default_template(ctx)
        given = {"poster_template_id": template, "channel_account_id": self.oa.account}
        self.campaigns = [
            make_campaign(parts, self.workspace, **given),
            make_campaign(parts, self.workspace, channel_default=True, **given),
        ]
        self.tokens = {"": "", "nobody's": "a-scene-of-another-tool"}
        for number, campaign in enumerate(self.campaigns):
            for name in ("ann", "bob"):
                self.tokens[f"{name}{number}"] = self._inviter(campaign, f"{name}{number}")

    def _inviter(self, campaign: str, name: str) -> str:
        ask = participation.JoinAsk(identities=[Identity("openid", name)])
        found = participation.join(self.parts, self.workspace, campaign, ask, source="test", key=name)
        assert found.participant is not None
        return str(found.participant["invite_token"])

    def hear(self, event: str, who: str, code: str, second: int) -> int:
        scene = self.tokens[code]
        key = f"qrscene_{scene}" if event == "subscribe" and scene else scene
        said = {"Event": event, "FromUserName": who, "EventKey": key, "CreateTime": START + second}
        return self.oa.say(**said).status_code

    def leave_to_the_job(self) -> None:
        with self.parts.open(self.workspace) as ctx:
            ctx.session.execute(
                text("UPDATE inbox_messages SET attempts = 0, next_at = :now WHERE state = 'received'"),
                {"now": ctx.now()},
            )

    def seen(self) -> dict[str, list[Any]]:
        """Everything that follows from callbacks, with people's openids in the place of our ids."""
        names = {token: name for name, token in self.tokens.items() if token}
        with self.parts.open(self.workspace) as ctx:
            found = {name: ctx.session.execute(text(sql)).all() for name, sql in _SEEN.items()}
        hidden = {
            **{campaign: f"campaign {number}" for number, campaign in enumerate(self.campaigns)},
            **names,
            self.oa.account: "the account",
        }
        return {name: sorted(_hide(str(tuple(row)), hidden) for row in rows) for name, rows in found.items()}


def _hide(shown: str, hidden: dict[str, str]) -> str:
    for id_, name in hidden.items():
        shown = shown.replace(id_, name)
    return re.sub(r"evt:[0-9a-f]{32}", "the message", shown)  # made of the code's text, among others


_WHO = "(SELECT value FROM contact_identities i WHERE i.contact_id = {of} AND i.kind = 'openid')"
_SEEN = {
    "participants": "SELECT campaign_id, " + _WHO.format(of="p.contact_id") + ", state, valid_invites,"
    " left_at IS NULL, (SELECT " + _WHO.format(of="b.contact_id") + " FROM participants b"
    "  WHERE b.campaign_id = p.campaign_id AND b.number = p.inviter_number) FROM participants p",
    "edges": "SELECT e.campaign_id, " + _WHO.format(of="p.contact_id") + ", " + _WHO.format(of="b.contact_id")
    + ", e.state, e.reason FROM invite_edges e"
    " JOIN participants p ON p.campaign_id = e.campaign_id AND p.number = e.invitee_number"
    " JOIN participants b ON b.campaign_id = e.campaign_id AND b.number = e.inviter_number",
    "entries": "SELECT book_id, kind, accepted, count(*) FROM entries GROUP BY 1, 2, 3",
    "grants": "SELECT side, days, state, " + _WHO.format(of="grants.contact_id") + " FROM grants",
    "contacts": "SELECT " + _WHO.format(of="c.id") + ", source, left_at IS NULL FROM contacts c",
    "followers": "SELECT person, " + _WHO.format(of="followers.contact_id") + ", ties, here, grants,"
    " profile_next_at IS NULL FROM followers",
    "deliveries": "SELECT person, " + _WHO.format(of="deliveries.contact_id") + ", campaign_id, kind,"
    " payload, key, state, reason, waits_for, next_at IS NULL, happened_at FROM deliveries",
    "messages": "SELECT " + _WHO.format(of="messages.contact_id") + ", campaign_id, template, params->>'name'"
    " FROM messages",
    "inbox": "SELECT sender, kind, identity, state, error, deliveries FROM inbox_messages",
}  # fmt: skip


def stream(seed: int, length: int = 70) -> list[tuple[str, str, str, int]]:
    """(event, who, whose code, second): newcomers, those who scan again, leave, come back, told late."""
    rng = random.Random(seed)
    codes = ["", "nobody's", "ann0", "bob0", "ann1", "bob1"]
    crowd = [f"p{number}" for number in range(25)]
    told = []
    for second in range(length):
        event = rng.choices(["subscribe", "SCAN", "unsubscribe"], [6, 3, 2])[0]
        late = rng.choice([0, 0, 0, 0, 5])
        who = rng.choice([*crowd, "ann0"])
        told.append((event, who, "" if event == "unsubscribe" else rng.choice(codes), max(0, second - late)))
    return told


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_batches_of_any_size_decide_as_one_by_one(
    parts: Parts, client: FlaskClient, clock: FixedClock, monkeypatch: pytest.MonkeyPatch, seed: int,
    run_jobs: Callable[..., int],
) -> None:  # fmt: skip
    # The clock stands still: ids in the order they are made, as in life, or "joined last" would be chance.
    ticks = itertools.count(random.getrandbits(70))
    monkeypatch.setattr(parts.ids, "_bits", lambda bits: next(ticks) % (1 << bits))
    one_by_one, batched = Shop(parts, client), Shop(parts, client)
    for attempt in ("_begin", "_interpret"):
        monkeypatch.setattr(Desk, attempt, lambda *_: None)
    for said in stream(seed):
        clock.advance(timedelta(milliseconds=10))  # the job takes them in the order they came
        assert {shop.hear(*said) for shop in (one_by_one, batched)} == {200}
    for shop in (one_by_one, batched):
        shop.leave_to_the_job()
    rng = random.Random(seed)
    sizes: list[int] = []
    tried = jobs.handling.interpret_together

    def noted(*args: Any) -> Any:
        sizes.append(len(args[3]))
        return tried(*args)

    monkeypatch.setattr(jobs.handling, "interpret_together", noted)
    while jobs.interpret(parts, batched.workspace):
        monkeypatch.setattr(jobs, "BATCH", rng.randint(1, 30))
    assert max(sizes) > 3, "there were batches"
    monkeypatch.setattr(jobs, "together_of", lambda *_: None)
    while jobs.interpret(parts, one_by_one.workspace):
        pass
    expected, found = one_by_one.seen(), batched.seen()
    for name, rows in expected.items():
        assert Counter(found[name]) - Counter(rows) == Counter(), name
        assert Counter(rows) - Counter(found[name]) == Counter(), name
    assert any("'left'" in row for row in expected["participants"])
    for shop in (one_by_one, batched):
        assert all(report.clean for report in verify_all(parts, shop.workspace))


def test_a_storm_through_the_front_door_loses_and_mixes_up_nothing(parts: Parts, client: FlaskClient) -> None:
    """Sixty newcomers of two merchants and two campaigns, each told twice, from sixteen threads; meanwhile
    somebody is merged."""
    shops = [Shop(parts, client), Shop(parts, client)]
    codes = ["ann0", "bob0", "ann1", "bob1", "nobody's", ""]
    asked = [(shop, f"p{n}", codes[n % 6]) for n in range(30) for shop in shops for _ in range(2)]
    random.Random(7).shuffle(asked)
    app = client.application

    def hear(one: tuple[Shop, str, str]) -> int:
        shop, who, code = one
        scene = shop.tokens[code]
        caller = Caller(app.test_client(), "wechat_oa", shop.oa.account)
        key = f"qrscene_{scene}" if scene else ""
        return caller.say(Event="subscribe", FromUserName=who, EventKey=key, CreateTime=START).status_code

    def merge(_: int) -> None:
        with parts.open(shops[0].workspace) as ctx:
            pairs = [("openid", "ann0"), ("phone", "13800138000")]
            people.create_or_update(ctx, pairs, source="test", proven=True)

    with ThreadPoolExecutor(17) as pool:
        merging = pool.submit(merge, 0)
        assert set(pool.map(hear, asked)) == {200}
        merging.result()
    for shop in shops:
        seen = shop.seen()
        joined = [row for row in seen["participants"] if "'p" in row]
        # Codes of nobody lead nowhere for a newcomer but into the channel's own campaign.
        assert len(joined) == 30
        assert sum("'valid'" in row for row in seen["edges"]) == 20
        assert len([row for row in seen["followers"] if "True" in row]) == 30
        assert len([row for row in seen["deliveries"] if "'poster'" in row]) == 30
        assert all("'done'" in row for row in seen["inbox"])
        for row in seen["inbox"]:
            assert row.endswith(", 2)"), row
        for name in ("ann0", "bob0", "ann1", "bob1"):
            assert sum(f"'{name}', 'valid'" in row for row in seen["edges"]) == 5
        assert all(report.clean for report in verify_all(parts, shop.workspace))


def test_whoever_unfollowed_before_we_heard_that_they_came_is_gone_without_any_campaign(
    parts: Parts, client: FlaskClient
) -> None:
    """Nothing to take part in, and the events overtook each other."""
    workspace = make_workspace(parts)
    oa = Caller(client, "wechat_oa", connect_oa(parts, workspace))
    oa.say(Event="unsubscribe", FromUserName="b", CreateTime=START + 10)
    oa.say(Event="subscribe", FromUserName="b", EventKey="", CreateTime=START)
    with parts.open(workspace) as ctx:
        states = ctx.session.scalars(text("SELECT state FROM inbox_messages")).all()
        left = ctx.session.scalars(text("SELECT left_at IS NOT NULL FROM contacts")).all()
        here = ctx.session.scalars(text("SELECT here FROM followers")).all()
    assert (states, left, here) == (["done", "done"], [True], [False])


_DIES = """
import os, sys
from growth_engine import settings
from growth_engine.app import build_parts
from growth_engine.inbox import jobs
from growth_engine.plays import participation

def join_and_die(*args):
    found = join_many(*args)
    assert len(found) > 1
    os._exit(9)  # the books have decided, and nothing else is written

join_many, participation.join_many = participation.join_many, join_and_die
jobs.interpret(build_parts(settings.from_env(os.environ)), sys.argv[1])
"""


@pytest.mark.drill
def test_a_process_killed_in_the_middle_of_a_batch_leaves_it_to_the_next(
    parts: Parts, client: FlaskClient, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(parts, client)
    monkeypatch.setattr(Desk, "_interpret", lambda *_: None)
    for number in range(6):
        shop.hear("subscribe", f"p{number}", "ann0", number)
    with parts.open(shop.workspace) as ctx:
        # The other process lives in the present, this one in the tests' time.
        ctx.session.execute(text("UPDATE inbox_messages SET attempts = 0, next_at = '2000-01-01Z'"))
    environment = {**os.environ, **child_environment(parts.settings)}
    command = [sys.executable, "-c", _DIES, shop.workspace]
    died = subprocess.run(command, env=environment, timeout=60, check=False)
    assert died.returncode == 9
    assert sum("'p" in row for row in shop.seen()["participants"]) == 6, "decided before the end"
    assert not shop.seen()["followers"]
    with parts.open(shop.workspace) as ctx:
        attempts = ctx.session.scalars(text("SELECT attempts FROM inbox_messages")).all()
        ctx.session.execute(text("UPDATE inbox_messages SET next_at = :now"), {"now": ctx.now()})
    assert attempts == [1] * 6
    assert jobs.interpret(parts, shop.workspace) == 6
    seen = shop.seen()
    assert sum("'p" in row for row in seen["participants"]) == 6
    assert sum("'valid'" in row for row in seen["edges"]) == 6
    assert (len(seen["followers"]), len(seen["grants"])) == (6, 12)
    assert all("'done'" in row for row in seen["inbox"])
    assert all(report.clean for report in verify_all(parts, shop.workspace))
