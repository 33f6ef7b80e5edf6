"""Messages in the console: what went out, what waits and for what, what was refused, trying again."""

from __future__ import annotations

import html
import re

import pytest
from flask import Flask
from sqlalchemy import text

from growth_engine.channels.contract import Reason
from growth_engine.context import Parts
from growth_engine.people import service as people
from growth_engine.reach import deliveries
from growth_engine.reach.deliveries import To
from growth_engine.web.marketer import deliveries as screen
from growth_engine.web.marketer import message_words
from tests.factories.callbacks import connect_oa
from tests.factories.console import Console
from tests.factories.workspaces import make_workspace

BASE = "/console/messages"


@pytest.fixture
def console(app: Flask, parts: Parts, workspace: str) -> Console:
    return Console(app, parts, workspace, "marketer")


def text_of(page: str) -> str:
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)))


class Sent:
    """Messages to one person through one account."""

    def __init__(self, parts: Parts, workspace: str) -> None:
        self.parts, self.workspace = parts, workspace
        self.account = connect_oa(parts, workspace)
        with parts.open(workspace) as ctx:
            self.ann = people.create_or_update(ctx, {"external_id": "ann"}, nickname="Ann").contact_id

    def add(self, said: str, kind: str = "text", **row: str) -> str:
        """One message, then made to look as ``row`` says; its id."""
        with self.parts.open(self.workspace) as ctx:
            to = To(self.account, "openid-ann", self.ann, ctx.now())
            deliveries.add(ctx, to, kind, said, {"text": said})
            found = str(ctx.session.scalar(text("SELECT id FROM deliveries WHERE key = :k"), {"k": said}))
            for name, value in row.items():
                ctx.session.execute(
                    text(f"UPDATE deliveries SET {name} = :v WHERE id = :id"), {"v": value, "id": found}
                )
            if row.get("state", "waiting") != "waiting" or row.get("waits_for") == "person":
                ctx.session.execute(text("UPDATE deliveries SET next_at = NULL WHERE id = :i"), {"i": found})
        return found

    def state(self, delivery_id: str) -> tuple[str, str, bool]:
        """(state, what it waits for, whether it is due)."""
        with self.parts.open(self.workspace) as ctx:
            row = ctx.session.execute(
                text("SELECT state, waits_for, next_at IS NOT NULL FROM deliveries WHERE id = :id"),
                {"id": delivery_id},
            ).one()
            return row[0], row[1], row[2]


@pytest.fixture
def sent(parts: Parts, workspace: str) -> Sent:
    return Sent(parts, workspace)


@pytest.fixture
def of_every_state(sent: Sent) -> dict[str, str]:
    return {
        "waiting": sent.add("now"),
        "time": sent.add("later", waits_for="time", reason="busy"),
        "person": sent.add("when you write", waits_for="person", reason="window_closed"),
        "staff": sent.add("keys", waits_for="staff", reason="credentials", code="40001"),
        "sent": sent.add("hello Ann", state="sent", reference="msg-1"),
        "refused": sent.add("broken", state="refused", reason="bad_request", code="45002"),
        "gone": sent.add("left", state="refused", reason="not_following"),
        "unknown": sent.add("lost", state="unknown"),
        "welcome": sent.add("welcome!", "welcome", state="refused", reason="too_late"),
    }


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_page_renders(console: Console, of_every_state: dict[str, str], lang: str) -> None:
    for path in (BASE, *(f"{BASE}?group={one}" for one in screen.GROUPS)):
        console.get(path, lang=lang)
    for delivery_id in of_every_state.values():
        console.get(f"{BASE}/{delivery_id}", lang=lang)
    console.get(f"{BASE}/none", status=404)
    assert set(message_words.REASONS) == {reason.value for reason in Reason}


def test_each_message_says_where_it_stands_and_why(
    console: Console, sent: Sent, of_every_state: dict[str, str]
) -> None:
    page = text_of(console.get(BASE))
    for said in (
        "hello Ann", "until the person writes", "has to be corrected first", "does not follow the account",
        "it may have arrived", "did not take it in this form", "Ann",
    ):  # fmt: skip
        assert said in page, said
    person = text_of(console.get(f"{BASE}?group=person"))
    assert "when you write" in person
    assert "hello Ann" not in person
    one = text_of(console.get(f"{BASE}/{of_every_state['staff']}"))
    assert "The account's keys or its list of addresses are wrong." in one
    assert "40001" in one
    assert "hello Ann" in console.get(f"{BASE}?contact={sent.ann}")
    assert "Nothing found" in console.get(f"{BASE}?account={sent.account}&group=sent&cursor=WyIwIl0")


def test_what_may_be_tried_again_is_and_what_may_not_is_not(
    console: Console, sent: Sent, of_every_state: dict[str, str]
) -> None:
    for name, again in (
        ("time", True), ("staff", True), ("refused", True), ("unknown", True), ("gone", False),
        ("welcome", False), ("sent", False), ("person", False),
    ):  # fmt: skip
        delivery_id = of_every_state[name]
        before = sent.state(delivery_id)
        assert (f'action="{BASE}/{delivery_id}/again"' in console.get(f"{BASE}/{delivery_id}")) is again, name
        console.post(f"{BASE}/{delivery_id}/again")
        assert sent.state(delivery_id) == (("waiting", "", True) if again else before), name


def test_everything_that_waits_for_staff_is_tried_at_once(
    console: Console, sent: Sent, of_every_state: dict[str, str]
) -> None:
    more = sent.add("keys too", waits_for="staff", reason="token")
    assert "Try again what waits for you (2)" in console.get(BASE)
    console.post(f"{BASE}/again")
    assert "2 messages are tried again now." in console.get(BASE)
    assert sent.state(more) == sent.state(of_every_state["staff"]) == ("waiting", "", True)
    assert sent.state(of_every_state["person"])[1] == "person"


def test_nothing_sent_yet_says_what_to_do(app: Flask, parts: Parts, workspace: str, console: Console) -> None:
    assert "Ask an administrator to connect an account" in console.get(BASE)
    assert "Connect an account" in Console(app, parts, workspace).get(BASE)
    connect_oa(parts, workspace)
    assert "As soon as somebody comes through" in console.get(BASE)


def test_messages_of_others_are_not_there(
    app: Flask, parts: Parts, sent: Sent, of_every_state: dict[str, str]
) -> None:
    other = Console(app, parts, make_workspace(parts))
    other.get(f"{BASE}/{of_every_state['sent']}", status=404)
    other.post(f"{BASE}/{of_every_state['refused']}/again", status=404)
    assert sent.state(of_every_state["refused"])[0] == "refused"
