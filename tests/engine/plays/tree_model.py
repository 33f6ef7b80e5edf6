"""An independent model of one referral campaign: no batches, no counters, everything counted from scratch."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Person:
    number: int
    parent: int
    state: str = "active"


@dataclass
class Model:
    """People by name; helps as (invitee, inviter) -> counts / gone / moved / void."""

    config: dict[str, Any]
    people: dict[str, Person] = field(default_factory=dict)
    helps: dict[tuple[str, str], str] = field(default_factory=dict)
    days: Counter[tuple[str, str]] = field(default_factory=Counter)
    known: set[str] = field(default_factory=set)
    rewarded: Counter[str] = field(default_factory=Counter)

    def join(self, who: str, inviter: str | None) -> bool:
        if who in self.people:
            return self._again(who, inviter)
        host = self.people[inviter] if inviter else None
        parent = host.number if host and host.state != "blocked" else 0
        self.people[who] = Person(len(self.people) + 1, parent)
        if inviter is None or host is None:
            self.known.add(who)
            return True
        counts = host.state == "active" and (self.config["new_only"] != "workspace" or who not in self.known)
        self.known.add(who)
        self.helps[who, inviter] = "counts" if counts else "refused"
        if counts:
            self.days["friend", who] = self.config["friend_days"]
            self.rewarded[inviter] += 1
            if self.rewarded[inviter] <= self.config["inviter_cap"]:
                self.days["inviter", inviter] += self.config["inviter_days"]
        return counts

    def _again(self, who: str, inviter: str | None) -> bool:
        person = self.people[who]
        if person.state == "blocked":
            return False
        if person.state == "left":
            person.state = "active"
            self._come_back(who, inviter)
            return True
        if inviter is None or not self._may_help(who, inviter) or (who, inviter) in self.helps:
            return False
        if self.config["helps"] != "once_per_inviter" or self.config["new_only"] != "everyone":
            return False
        if self.people[inviter].state != "active":
            return False
        self.helps[who, inviter] = "counts"
        return True

    def _may_help(self, who: str, inviter: str) -> bool:
        return who != inviter and who not in self._line(inviter)

    def _line(self, who: str) -> set[str]:
        names = {person.number: name for name, person in self.people.items()}
        found: set[str] = set()
        number = self.people[who].parent
        while number:
            found.add(names[number])
            number = self.people[names[number]].parent
        return found

    def _come_back(self, who: str, inviter: str | None) -> None:
        gone = [pair for pair, state in self.helps.items() if pair[0] == who and state == "gone"]
        if (
            self.config["refollow"] == "last_scanner"
            and inviter
            and self._may_help(who, inviter)
            and self.people[inviter].state == "active"
            and any(pair[1] != inviter for pair in gone)
        ):
            for pair in gone:
                self.helps[pair] = "moved"
            self.helps[who, inviter] = "counts"
            return
        for pair in gone:
            self.helps[pair] = "counts"

    def leave(self, who: str) -> bool:
        if self.people[who].state != "active":
            return False
        self.people[who].state = "left"
        if self.config["leaving"] == "stops_counting":
            self._turn(who, "counts", "gone")
        return True

    def block(self, who: str) -> bool:
        if self.people[who].state == "blocked":
            return False
        self.people[who].state = "blocked"
        self._turn(who, "counts", "void")
        self._turn(who, "gone", "void")
        return True

    def unblock(self, who: str) -> bool:
        if self.people[who].state != "blocked":
            return False
        self.people[who].state = "active"
        self._turn(who, "void", "counts")
        return True

    def _turn(self, who: str, before: str, after: str) -> None:
        for pair, state in self.helps.items():
            if pair[0] == who and state == before:
                self.helps[pair] = after

    def rows(self) -> list[tuple[int, int, int, int, bool, bool, int]]:
        """As ``ledger.digest`` wants them."""
        ordered = sorted(self.people.items(), key=lambda item: item[1].number)
        numbers = {person.number: person for person in self.people.values()}
        scores = Counter(inviter for (_, inviter), state in self.helps.items() if state == "counts")
        result = []
        for name, person in ordered:
            children = [other for other in numbers.values() if other.parent == person.number]
            here = [other for other in children if other.state != "left"]
            below = {child.number for child in children}
            level2 = [other for other in numbers.values() if other.parent in below and other.state != "left"]
            result.append(
                (
                    person.number, person.parent, len(here), len(level2), person.state != "left",
                    person.state == "blocked", scores[name],
                )
            )  # fmt: skip
        return result
