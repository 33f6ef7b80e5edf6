"""Plays a scenario against a campaign: eight at a time, in order, counting what comes of it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from growth_engine.demo.client import Api, Phones
from growth_engine.demo.scenario import Person, Scenario, Step
from growth_engine.plays.reasons import REASONS

THREADS = 8
_UNKNOWN_TOKEN = "000000000000"  # noqa: S105 - nobody's invite


@dataclass(slots=True)
class Tally:
    """What came of a demo."""

    visits: int = 0
    joined: int = 0
    by_form: int = 0
    counted: int = 0
    """Joined through an invite that counts."""
    left: int = 0
    returned: int = 0
    blocked: int = 0
    posters: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    """By reason code, or what the page said."""

    def add(self, other: Tally) -> None:
        for name in ("visits", "joined", "by_form", "counted", "left", "returned", "blocked", "posters"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.refused += other.refused


class Player:
    """One scenario in one campaign. ``run`` names this performance: every request's key starts with it."""

    def __init__(
        self, api: Api, phones: Phones, scenario: Scenario, campaign: str, *, run: str, seed: int
    ) -> None:
        self.tally = Tally()
        self._api = api
        self._phones = phones
        self._scenario = scenario
        self._campaign = campaign
        self._run = run
        self._seed = seed
        self._tokens: dict[int, str] = {}
        self._participants: dict[int, str] = {}
        self._lock = threading.Condition()
        self._next = 0
        self._done = [False] * len(scenario.steps)
        self._waits = _dependencies(scenario)
        self._broken: BaseException | None = None

    def play(self, advanced: Callable[[], None], *, seconds: float = 0.0) -> Tally:
        """Do everything; ``advanced`` is called after each step. ``seconds``: spread over that long.

        Raises DemoStopped when the product stops answering or refuses what it should take.
        """
        began = time.monotonic()
        threads = [
            threading.Thread(target=self._work, args=(began, seconds, advanced), name=f"demo-{n}")
            for n in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        except BaseException as error:  # Ctrl-C: nobody begins another step
            self._stop(error)
            raise
        if self._broken is not None:
            raise self._broken
        return self.tally

    # -- in order ------------------------------------------------------------------------------------

    def _work(self, began: float, seconds: float, advanced: Callable[[], None]) -> None:
        try:
            while (index := self._take()) is not None:
                step = self._scenario.steps[index]
                time.sleep(max(0.0, began + step.at * seconds - time.monotonic()))
                self._do(step)
                with self._lock:
                    self._done[index] = True
                    self._lock.notify_all()
                    advanced()
        except BaseException as error:
            self._stop(error)

    def _take(self) -> int | None:
        """The next step, once what it depends on has happened; those come earlier, so somebody is at it."""
        with self._lock:
            index = self._next
            if index == len(self._scenario.steps) or self._broken:
                return None
            self._next += 1
            self._lock.wait_for(lambda: self._broken or all(self._done[one] for one in self._waits[index]))
            return None if self._broken else index

    def _stop(self, error: BaseException) -> None:
        with self._lock:
            self._broken = self._broken or error
            self._lock.notify_all()

    # -- what people do ------------------------------------------------------------------------------

    def _do(self, step: Step) -> None:
        person = self._scenario.people[step.who]
        key = f"{self._run}:{step.number}"
        match step.kind:
            case "meet":
                self._api.need("/contacts", {**self._identity(person), "nickname": person.nickname}, key)
            case "visit":
                token = self._token(step.other)
                path = f"/i/{token}" if token else f"/c/{self._campaign}"
                self._phones.look(person.address, path, person.locale)
                self._count(visits=1)
            case "poster":
                if participant := self._participants.get(person.number):
                    self._api.need(f"/participants/{participant}/poster", None, key)
                    self._count(posters=1)
            case "leave":
                self._api.need(f"/contacts/{self._reference(person)}/leave", None, key)
                self._count(left=1)
            case "block":
                self._api.need(f"/contacts/{self._reference(person)}/block", {"reason": "demo"}, key)
                self._count(blocked=1)
            case "join" if person.way == "form":
                self._fill_in(person, self._token(step.other))
            case "join" | "forged" | "again" | "self_invite" | "loop" | "retry" | "back":
                token = _UNKNOWN_TOKEN if step.kind == "forged" else self._token(step.other)
                self._join(person, token, key)

    def _join(self, person: Person, token: str, key: str) -> None:
        contact = {**self._identity(person), "nickname": person.nickname, "locale": person.locale}
        body: dict[str, Any] = {"contact": contact, "consent": True}
        if token:
            body["invite_token"] = token
        status, found = self._api.post(f"/campaigns/{self._campaign}/participants", body, key)
        if status not in (200, 201) and "decision" not in found:
            self._api.need(f"/campaigns/{self._campaign}/participants", body, key)  # says why
        decision = found["decision"]
        codes = [reason["code"] for reason in decision["reasons"]]
        if status in (200, 201):
            self._tokens[person.number] = found["invite_token"]
            self._participants[person.number] = found["id"]
        self._count(
            joined=status == 201,
            counted=status == 201 and decision["accepted"] and found["inviter_id"] is not None,
            returned="came_back" in codes,
            refused=() if decision["accepted"] else codes[-1:],  # the first only says that they joined before
        )

    def _fill_in(self, person: Person, token: str) -> None:
        found = self._phones.register(person.address, self._campaign, token, person.nickname, person.phone)
        why = next((code for code, words in REASONS.items() if words in found.why), found.why)
        if found.token:
            self._tokens[person.number] = found.token
        self._count(
            visits=1,
            joined=bool(found.token),
            by_form=bool(found.token),
            counted=bool(found.token and token and not why),
            refused=[why] if why else (),
        )

    def _count(self, *, refused: Any = (), **more: int) -> None:
        with self._lock:
            self.tally.add(
                Tally(**{name: int(value) for name, value in more.items()}, refused=Counter(refused))
            )

    def _token(self, number: int | None) -> str:
        """Empty for nobody, and for an inviter who was not let in."""
        return "" if number is None else self._tokens.get(number, "")

    def _identity(self, person: Person) -> dict[str, str]:
        if person.phone:
            return {"phone": person.phone}
        return {"external_id": f"demo-{self._campaign[-10:]}-{self._seed}-{person.number}"}

    def _reference(self, person: Person) -> str:
        [(kind, value)] = self._identity(person).items()
        return f"{kind}:{value}"


def _dependencies(scenario: Scenario) -> list[list[int]]:
    """For each step the earlier ones it must wait for: the same person's last, and the inviter's joining."""
    last: dict[int, int] = {}
    joined: dict[int, int] = {}
    found: list[list[int]] = []
    for index, step in enumerate(scenario.steps):
        wanted = [last.get(step.who)] if step.kind != "visit" else []
        wanted += [joined.get(step.other)] if step.other is not None else []
        found.append([one for one in wanted if one is not None])
        if step.kind != "visit":
            last[step.who] = index
        if step.kind in ("join", "forged"):
            joined[step.who] = index
    return found
