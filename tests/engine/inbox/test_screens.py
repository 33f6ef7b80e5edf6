"""The inbox in the console and on the command line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from growth_engine.cli import _product
from growth_engine.cli import inbox as cli
from growth_engine.context import Parts
from growth_engine.inbox import queries
from growth_engine.inbox.models import InboxMessage
from tests.factories.callbacks import OPENID, Caller, connect_oa
from tests.factories.console import Console
from tests.factories.workspaces import make_workspace


@pytest.fixture
def console(app: Flask, parts: Parts, workspace: str) -> Console:
    return Console(app, parts, workspace, "marketer")


@pytest.fixture
def oa(parts: Parts, workspace: str, client: FlaskClient) -> Caller:
    return Caller(client, "wechat_oa", connect_oa(parts, workspace))


@pytest.fixture
def filled(oa: Caller, parts: Parts, workspace: str) -> dict[str, InboxMessage]:
    """One message of each state."""
    oa.say(Event="debug_demo", debug_str="<b>hello</b>")
    oa.say(MsgType="text", Content="多谢", MsgId=1)
    oa.say(Event="VIEW", EventKey="https://example.com")
    oa.say(Event="CLICK", EventKey="x")
    oa.post(b"<xml>\xff</xml>", {"signature": "forged"})
    with parts.open(workspace) as ctx:
        for kind, state in (("text", "failed"), ("menu_view", "received"), ("menu_click", "done")):
            ctx.session.execute(
                text("UPDATE inbox_messages SET state = :state, error = :error WHERE kind = :kind"),
                {"kind": kind, "state": state, "error": "Boom" if state == "failed" else None},
            )
    with parts.open(workspace) as ctx:
        return {one.state: one for one in queries.page(ctx)}


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_page_renders_in_both_languages(
    console: Console, filled: dict[str, InboxMessage], lang: str
) -> None:
    assert set(filled) == {"received", "done", "unknown", "failed", "refused"}
    console.get("/console/inbox", lang=lang)
    for state, message in filled.items():
        assert message.id in console.get(f"/console/inbox?state={state}", lang=lang)
        console.get(f"/console/inbox/{message.id}", lang=lang)
    console.get("/console/inbox?account=nobody&state=nonsense", lang=lang)
    console.get("/console/inbox/inb_0", lang=lang, status=404)


def test_an_empty_inbox_leads_on(app: Flask, console: Console, parts: Parts, workspace: str) -> None:
    assert "Ask an administrator" in console.get("/console/inbox")
    admin = Console(app, parts, workspace)
    assert "/console/channels" in admin.get("/console/inbox")
    connect_oa(parts, workspace)
    assert "what it sends appears here" in admin.get("/console/inbox")


def test_what_it_says_is_shown_and_never_as_markup(console: Console, filled: dict[str, InboxMessage]) -> None:
    assert "多谢" in console.get(f"/console/inbox/{filled['failed'].id}")
    page = console.get(f"/console/inbox/{filled['unknown'].id}")
    assert "&lt;b&gt;hello" in page
    assert "<b>hello" not in page
    assert OPENID in page


def test_a_message_is_tried_again_by_hand(
    console: Console,
    filled: dict[str, InboxMessage],
    parts: Parts,
    workspace: str,
    run_jobs: Callable[..., int],
) -> None:
    console.post(f"/console/inbox/{filled['failed'].id}/replay")
    run_jobs(workspace, "inbox.interpret")
    with parts.open(workspace) as ctx:
        assert queries.message(ctx, filled["failed"].id).state == "done"
    answer = console.post(f"/console/inbox/{filled['refused'].id}/replay")
    assert "refused again" in console.get(answer.location)


def test_everything_that_failed_is_tried_again_at_once(
    console: Console, filled: dict[str, InboxMessage], parts: Parts, workspace: str
) -> None:
    assert "Try 1 failed again" in console.get("/console/inbox")
    console.post("/console/inbox/replay")
    with parts.open(workspace) as ctx:
        assert queries.message(ctx, filled["failed"].id).state == "received"


def test_pages_turn(console: Console, oa: Caller) -> None:
    for number in range(5):
        oa.say(MsgType="text", Content="x", MsgId=number)
    first = console.get("/console/inbox?limit=3")
    following = re.search(r"cursor=([\w-]+)", first)
    assert following
    second = console.get(f"/console/inbox?limit=3&cursor={following[1]}")
    ids = [set(re.findall(r"/console/inbox/(inb_\w+)", page)) for page in (first, second)]
    assert [len(one) for one in ids] == [3, 2]
    assert not ids[0] & ids[1]


def test_others_do_not_see_it(
    app: Flask, filled: dict[str, InboxMessage], parts: Parts, workspace: str
) -> None:
    seller = Console(app, parts, workspace, "sales")
    seller.get("/console/inbox", status=403)
    stranger = Console(app, parts, make_workspace(parts))
    for message in filled.values():
        stranger.get(f"/console/inbox/{message.id}", status=404)
        stranger.post(f"/console/inbox/{message.id}/replay", status=404)
    assert "inb_" not in stranger.get("/console/inbox")


# -- the command line --------------------------------------------------------------------------------


def test_the_command_line_lists_shows_and_replays(
    filled: dict[str, InboxMessage], parts: Parts, workspace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def these(_: Path) -> Iterator[Parts]:
        yield parts

    monkeypatch.setattr(_product, "parts_at", these)

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(cli.command, [*arguments, "--workspace", workspace])
        assert result.exit_code == 0, result.output
        return result.output

    listed = run("list")
    assert all(message.id in listed for message in filled.values())
    assert filled["failed"].id in run("list", "--state", "failed")
    assert filled["done"].id not in run("list", "--state", "failed")
    shown = run("show", filled["failed"].id)
    assert "Boom" in shown
    assert "多谢" in shown
    assert run("replay", "--failed") == "1 try again.\n"
    assert run("replay", filled["unknown"].id, filled["done"].id) == "2 try again.\n"
    assert run("list", "--state", "done") == "Nothing.\n"
    nothing = CliRunner().invoke(cli.command, ["replay", "--workspace", workspace])
    assert nothing.exit_code == 2
