"""Processes killed amid joins: each accepted join is posted once, both sides have their days once."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.live import Live, until

pytestmark = pytest.mark.drill

THREADS = 6
VICTIMS = ("web", "worker 1", "Valkey", "web server", "PostgreSQL", "cron", "web")
#: Below the first tier of the template, so that every day comes from an invite.
CHILDREN_EACH = 2


@dataclass
class Storm:
    """Threads that register people, each below an earlier one; a join without an answer is sent again."""

    product: Live
    token: str
    campaign: str
    joined: dict[str, dict[str, Any]] = field(default_factory=dict)
    inviter_of: dict[str, str] = field(default_factory=dict)
    repeated: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _errors: list[BaseException] = field(default_factory=list)

    def begin(self) -> None:
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(THREADS)]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(120)
        assert self._errors == []

    def _run(self, number: int) -> None:
        try:
            people: list[str] = []
            while not self._stop.is_set():
                who = f"t{number}-{len(people)}"
                inviter = people[(len(people) - 1) // CHILDREN_EACH] if people else None
                if inviter:
                    self.inviter_of[who] = inviter
                self.joined[who] = self._join(who, inviter)
                people.append(who)
        except BaseException as error:
            self._errors.append(error)

    def _join(self, who: str, inviter: str | None) -> dict[str, Any]:
        body: dict[str, Any] = {"contact": {"external_id": who, "nickname": who}, "consent": True}
        if inviter:
            body["invite_token"] = self.joined[inviter]["invite_token"]
        deadline = time.monotonic() + 90
        while True:
            try:
                status, answer = call(
                    self.product, self.token, "POST", f"/campaigns/{self.campaign}/participants", body
                )
                if status in (200, 201):
                    return answer
                assert status >= 500 or status == 202, answer
            except (OSError, http.client.HTTPException):
                pass  # nobody listens, or the answer was lost: send it again
            self.repeated += 1
            assert time.monotonic() < deadline, f"{who} could not join"
            time.sleep(0.1)


def call(product: Live, token: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", product.port, timeout=30)
    try:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        connection.request(method, f"/api/v1{path}", json.dumps(body) if body is not None else None, headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read() or b"null")
    finally:
        connection.close()


@pytest.fixture(scope="module")
def product() -> Iterator[Live]:
    made = Live(environment={"GROWTH_API_RATE_PER_MINUTE": "1000000", "GROWTH_LOG_FORMAT": "json"})
    try:
        yield made.start()
    finally:
        made.remove()


def _after_the_storm(product: Live) -> Storm:
    token = product.cli("token", "create", "--workspace", "demo", "--scopes", "*")
    _, draft = call(product, token, "POST", "/campaigns", {"template": "saas-membership"})
    status, found = call(product, token, "POST", f"/campaigns/{draft['id']}/publish", {})
    assert status == 200, found
    storm = Storm(product, token, draft["id"])
    storm.begin()
    try:
        for victim in VICTIMS:
            before = len(storm.joined)
            until(lambda: len(storm.joined) >= before + 40, 90, "joins go on")  # noqa: B023
            product.kill(victim)
    finally:
        storm.end()
    until(product.healthy, 60, "all parts are up again")
    return storm


def test_every_accepted_join_is_posted_once_and_both_sides_have_their_days_once(product: Live) -> None:
    storm = _after_the_storm(product)
    assert storm.repeated, "no join was hit: the drill has drilled nothing"
    assert len({one["id"] for one in storm.joined.values()}) == len(storm.joined)
    numbers = sorted(one["member_no"] for one in storm.joined.values())
    assert numbers == list(range(1, len(numbers) + 1)), "posted once each, without a gap"
    by_id = {one["id"]: who for who, one in storm.joined.items()}
    for who, one in storm.joined.items():
        assert by_id.get(one["inviter_id"]) == storm.inviter_of.get(who)

    children = Counter(storm.inviter_of.values())
    for who in storm.joined:
        wanted = Counter(friend=1 if who in storm.inviter_of else 0, inviter=children[who])
        until(lambda: _days(storm, who) == +wanted, 60, f"{who} has days {wanted}")  # noqa: B023

    assert "0 faults" in product.cli("ledger", "verify")
    assert product.cli("jobs", "stuck") == "Nothing is stuck."


def _days(storm: Storm, who: str) -> Counter[str]:
    """Months delivered to a person, by side; anything not delivered counts as ``waiting``."""
    _, found = call(storm.product, storm.token, "GET", f"/contacts/external_id:{who}/membership")
    return Counter(
        grant["side"] if grant["state"] == "granted" and grant["days"] == 30 else "waiting"
        for grant in found["grants"]
    )
