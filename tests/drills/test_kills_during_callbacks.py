"""Processes killed amid a storm of follows: each follower is there once, with the inviter they scanned."""

from __future__ import annotations

import http.client
import itertools
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlencode

import pytest
from sqlalchemy import text

from growth_engine.app import build_parts
from growth_engine.context import Parts
from growth_engine.embedded import run_file
from growth_engine.people.rules import Identity
from growth_engine.plays import participation, service, starting
from tests.factories.callbacks import Caller, connect_oa, document
from tests.live import Live, until

pytestmark = pytest.mark.drill

THREADS, INVITERS = 12, 10
VICTIMS = ("callbacks", "web server", "callbacks", "Valkey", "web", "PostgreSQL", "callbacks")


@pytest.fixture(scope="module")
def product() -> Iterator[Live]:
    made = Live(environment={"GROWTH_LOG_FORMAT": "json"})
    try:
        yield made.start()
    finally:
        made.remove()


@pytest.fixture(scope="module")
def parts(product: Live) -> Iterator[Parts]:
    """Of our own, on the running product's servers."""
    made = build_parts(run_file.settings_at(product.data_dir, {}))
    yield made
    made.close()


@dataclass
class Storm:
    """A platform that sends each event again until it is answered with 200."""

    product: Live
    caller: Caller
    tokens: list[str]
    inviter_of: dict[str, int] = field(default_factory=dict)
    repeated: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _errors: list[BaseException] = field(default_factory=list)

    def rage(self, number: int) -> None:
        try:
            for one in itertools.count():
                if self._stop.is_set():
                    return
                who, inviter = f"o{number:02d}-{one}", (number + one) % len(self.tokens)
                self._follow(who, self.tokens[inviter])
                self.inviter_of[who] = inviter
        except BaseException as error:
            self._errors.append(error)

    def _follow(self, who: str, token: str) -> None:
        said = self.caller.message(Event="subscribe", FromUserName=who, EventKey=f"qrscene_{token}")
        deadline = time.monotonic() + 90
        while not self._answered(*self.caller.encrypted_body(document("xml", said))):
            self.repeated += 1
            assert time.monotonic() < deadline, f"nobody takes the callback of {who}"
            time.sleep(0.1)

    def _answered(self, body: bytes, query: dict[str, str]) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.product.port, timeout=10)
        try:
            address = f"{self.caller.path}?{urlencode(query)}"
            connection.request("POST", address, body, {"Content-Type": "text/xml"})
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return False  # nobody listens, or the answer was lost
        finally:
            connection.close()
        assert status == 200 or status >= 500, status
        return status == 200

    def end(self, threads: list[threading.Thread]) -> None:
        self._stop.set()
        for thread in threads:
            thread.join(120)
        assert self._errors == []


def _staged(product: Live, parts: Parts, workspace_id: str) -> Storm:
    account = connect_oa(parts, workspace_id)
    with parts.open(workspace_id) as ctx:
        campaign = starting.create_from_template(ctx, "saas-membership", locale="en")
        config = {**campaign.config, "velocity_limit": 1_000_000, "inviter_cap": None}
        service.update_draft(ctx, campaign.id, {"config": config, "channel_account_id": account})
        service.publish(ctx, campaign.id, accept_warnings=True)
        campaign_id = campaign.id
    tokens = []
    for number in range(INVITERS):
        ask = participation.JoinAsk(identities=[Identity("openid", f"inviter{number}")])
        found = participation.join(parts, workspace_id, campaign_id, ask, source="drill", key=f"i{number}")
        assert found.participant is not None
        tokens.append(str(found.participant["invite_token"]))
    return Storm(product, Caller(None, "wechat_oa", account), tokens)  # type: ignore[arg-type]


_FOUND = text(
    "SELECT m.sender, m.state, b.invite_token, e.state AS edge,"
    "  (SELECT count(*) FROM participants x WHERE x.contact_id = i.contact_id) AS parts,"
    "  (SELECT count(*) FROM deliveries d WHERE d.participant_id = p.id AND d.kind = 'poster') AS posters"
    " FROM inbox_messages m"
    " LEFT JOIN contact_identities i ON i.workspace_id = m.workspace_id AND i.kind = 'openid'"
    "  AND i.value = m.sender"
    " LEFT JOIN participants p ON p.contact_id = i.contact_id"
    " LEFT JOIN invite_edges e ON e.campaign_id = p.campaign_id AND e.invitee_number = p.number"
    " LEFT JOIN participants b ON b.campaign_id = e.campaign_id AND b.number = e.inviter_number"
    " WHERE m.kind = 'follow'"
)


def test_every_follower_is_there_once_with_the_inviter_they_scanned(product: Live, parts: Parts) -> None:
    with parts.db.transaction(None) as session:
        (workspace_id,) = session.scalars(text("SELECT ge_workspaces()")).all()
    storm = _staged(product, parts, workspace_id)
    threads = [threading.Thread(target=storm.rage, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    try:
        for victim in VICTIMS:
            before = len(storm.inviter_of)
            until(lambda: len(storm.inviter_of) >= before + 200, 90, "callbacks go on")  # noqa: B023
            product.kill(victim)
    finally:
        storm.end(threads)
    until(product.healthy, 60, "all parts are up again")
    assert storm.repeated, "no callback was hit: the drill has drilled nothing"

    def open_() -> int:
        with parts.open(workspace_id) as ctx:
            waiting = text("SELECT count(*) FROM inbox_messages WHERE state <> 'done'")
            return int(ctx.session.scalar(waiting) or 0)

    # A first attempt that died is tried again when its lease is over.
    until(lambda: open_() == 0, 120, "all are understood")
    with parts.open(workspace_id) as ctx:
        rows = ctx.session.execute(_FOUND).all()
    assert len(rows) == len(storm.inviter_of)
    for row in rows:
        wanted = storm.tokens[storm.inviter_of[row.sender]]
        assert (row.invite_token, row.edge, row.parts, row.posters) == (wanted, "valid", 1, 1), row
    assert "0 faults" in product.cli("ledger", "verify")
