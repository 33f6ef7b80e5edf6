"""Servers killed amid joins with an Idempotency-Key: each key has one answer, each answer one participant."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import psycopg
import pytest

from growth_engine.kit.idempotency import LEASE
from tests.live import Live, until

pytestmark = pytest.mark.drill

THREADS = 6
VICTIMS = ("web", "PostgreSQL", "Valkey")


@dataclass
class Keyed:
    """Threads that let people join, one key each; what has no answer is sent again until it has one."""

    product: Live
    token: str
    campaign: str
    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)
    inviter: dict[str, Any] = field(default_factory=dict)
    repeated: int = 0
    errors: list[BaseException] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self, number: int) -> None:
        try:
            with self.client() as client:
                count = 0
                while not self.stop.is_set():
                    who = f"k{number}-{count}"
                    self.answers[who] = self.answer(client, who)
                    count += 1
        except BaseException as error:
            self.errors.append(error)

    def client(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.Client(base_url=f"{self.product.url}/api/v1", headers=headers, timeout=30)

    def answer(self, client: httpx.Client, who: str) -> tuple[int, Any]:
        """The final answer to this person's request, however often it takes."""
        deadline = time.monotonic() + 150
        while True:
            answer = self.send(client, who)
            if answer is not None:
                return answer.status_code, answer.json()
            self.repeated += 1
            assert time.monotonic() < deadline, f"{who} has no answer"
            time.sleep(0.2)

    def send(self, client: httpx.Client, who: str) -> httpx.Response | None:
        """One try; ``None`` when it may be answered otherwise later."""
        contact = {"external_id": who, "nickname": who}
        token = None if who == "first" else self.inviter["invite_token"]
        body = {"contact": contact, "consent": True, "invite_token": token}
        path = f"/campaigns/{self.campaign}/participants"
        try:
            answer = client.post(path, json=body, headers={"Idempotency-Key": f"key-{who}"})
        except httpx.TransportError:
            return None
        if answer.status_code in (200, 201):
            return answer
        running = answer.status_code == 409 and answer.json()["code"] == "idempotency_running"
        assert running or answer.status_code == 202 or answer.status_code >= 500, answer.text
        return None


@pytest.fixture
def product() -> Iterator[Live]:
    made = Live(environment={"GROWTH_LOG_FORMAT": "json"})
    try:
        yield made.start()
    finally:
        made.remove()


def published(product: Live) -> Keyed:
    token = product.cli("token", "create", "--workspace", "demo", "--scopes", "*")
    storm = Keyed(product, token, "")
    with storm.client() as client:
        config = {"velocity_limit": 1_000_000}
        draft = client.post("/campaigns", json={"template": "saas-membership", "config": config}).json()
        assert client.post(f"/campaigns/{draft['id']}/publish", json={}).status_code == 200
        storm.campaign = draft["id"]
        storm.answers["first"] = first = storm.answer(client, "first")
        storm.inviter = first[1]
    return storm


def kill(product: Live, victim: str) -> None:
    """Kill it, and wait until it is there again."""
    old = product.pid(victim)
    os.kill(old, signal.SIGKILL)
    until(
        lambda: product.run_json()["children"].get(victim, {}).get("pid", old) != old, 20, "it is restarted"
    )
    until(product.healthy, 60, "all parts are up again")


def let_a_minute_pass(product: Live) -> None:
    """For keys whose request died with its server: they may be tried again after their lease."""
    with psycopg.connect(product.run_json()["migration_database_url"]) as connection:
        connection.execute(
            "UPDATE idempotency_keys SET created_at = created_at - %s WHERE status IS NULL", [LEASE]
        )


def caught_up(client: httpx.Client, campaign: str) -> Any:
    """The campaign's figures, once the mirror has all that is in the journal."""
    answer = client.get(f"/campaigns/{campaign}/stats")
    found = answer.json()
    return found if answer.status_code == 200 and found["as_of_seq"] == found["journal_seq"] else None


def test_each_key_has_one_answer_although_the_servers_are_killed(product: Live) -> None:
    storm = published(product)
    threads = [threading.Thread(target=storm.run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    try:
        for victim in VICTIMS:
            before = len(storm.answers)
            until(lambda: len(storm.answers) >= before + 40, 150, "joins go on")  # noqa: B023
            kill(product, victim)
            let_a_minute_pass(product)
    finally:
        storm.stop.set()
        for thread in threads:
            thread.join(200)
    assert storm.errors == []
    assert storm.repeated, "no request was hit: the drill has drilled nothing"

    with storm.client() as client:
        for who, (status, document) in storm.answers.items():
            again = storm.send(client, who)
            assert again is not None
            assert again.headers["Idempotent-Replayed"] == "true"
            assert (again.status_code, again.json()) == (status, document), who
        stats = until(lambda: caught_up(client, storm.campaign), 30, "the mirror has caught up")
    people = {document["contact_id"] for _, document in storm.answers.values()}
    assert len(people) == len(storm.answers)
    assert stats["totals"]["members"] == len(people), "nobody joined twice, nobody was lost"
    assert stats["totals"]["valid_invites"] == len(people) - 1
    assert "0 faults" in product.cli("ledger", "verify")
