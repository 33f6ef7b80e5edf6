"""The commands of an operator, on a real database, called as the command line calls them."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from growth_engine import cli
from growth_engine.context import Parts
from growth_engine.events import ContactErased
from growth_engine.kit import jobs, outbox
from growth_engine.kit.outbox import Handler
from growth_engine.settings import Settings
from tests.factories.selling import Shop

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    """``run("token", "create", …)`` -> (exit code, stdout, stderr), with the environment of production."""
    monkeypatch.setenv("DATABASE_URL", settings.database_url)
    monkeypatch.setenv("LEDGER_REDIS_URL", settings.ledger_redis_url)
    monkeypatch.setenv("QUEUE_REDIS_URL", settings.queue_redis_url)
    monkeypatch.setenv("GROWTH_SECRET_KEY", settings.secret_key)
    monkeypatch.setenv("COLUMNS", "250")
    root = logging.getLogger()
    handlers, level, config = root.handlers[:], root.level, structlog.get_config()

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["growth-engine", *arguments])
        with pytest.raises(SystemExit) as left:
            cli.main()
        said = capsys.readouterr()
        return int(left.value.code or 0), said.out, said.err

    yield call
    structlog.configure(**config)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def slug(run: Run, parts: Parts) -> str:
    """A workspace made by the command itself."""
    name = f"shop-{parts.ids.token().lower()}"
    code, out, _ = run("workspace", "create", name, "--name", "Shop", "--email", f"boss@{name}.example")
    assert code == 0
    assert re.fullmatch(r"http://\S+/sign-in/link/\S+\n", out)
    return name


def test_a_token_is_printed_and_nothing_else(run: Run, slug: str, parts: Parts) -> None:
    from growth_engine.access.tokens import authenticate_token

    code, out, err = run("token", "create", "--workspace", slug, "--scopes", "*")
    assert (code, err) == (0, "")
    assert re.fullmatch(r"ge_\S+\n", out)
    workspace_id, actor = authenticate_token(parts, out.strip())
    assert workspace_id.startswith("wsp_")
    assert actor.scopes == {"*"}


def test_an_unknown_scope_or_workspace_is_one_line_on_stderr(run: Run, slug: str) -> None:
    for arguments in (("--workspace", slug, "--scopes", "fly"), ("--workspace", "no-such", "--scopes", "*")):
        code, out, err = run("token", "create", *arguments)
        assert (code, out) == (2, "")
        assert len(err.strip().splitlines()) == 1
        assert err.startswith("growth-engine: ")


def test_a_sign_in_link_is_found_by_email_alone(run: Run, slug: str) -> None:
    code, out, _ = run("staff", "link", "--email", f"Boss@{slug}.example")
    assert code == 0
    assert "/sign-in/link/" in out
    code, _, err = run("staff", "link", "--email", "nobody@nowhere.example")
    assert code == 2
    assert "nobody@nowhere.example" in err


def test_making_a_workspace_twice_is_refused_unless_asked_for(run: Run, slug: str) -> None:
    again = ("workspace", "create", slug, "--name", "Shop", "--email", f"boss@{slug}.example")
    assert run(*again)[0] == 2
    assert run(*again, "--if-missing")[0] == 0
    assert slug in run("workspace", "list")[1]


def test_jobs_routes_and_plays_print_what_was_found(run: Run) -> None:
    listed = run("jobs", "list")[1]
    assert all(name in listed for name in jobs.registry)
    routes = run("routes")[1]
    assert re.search(r"^GET +/healthz +ops\.healthz$", routes, re.MULTILINE)
    assert re.search(r"^referral +", run("plays")[1], re.MULTILINE)


def test_what_is_stuck_is_listed_and_tried_again(
    run: Run, parts: Parts, workspace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(ctx: object, event: object) -> None:
        raise RuntimeError("never")

    len(outbox.registry)
    monkeypatch.setattr(outbox.registry, "_items", {"no": Handler("no", ContactErased, refuse)})
    monkeypatch.setattr(outbox, "ATTEMPTS", 1)
    with parts.open(workspace) as ctx:
        ctx.publish(ContactErased("con_x"))
    jobs.drain(parts, "outbox.drain", workspace)
    code, out, _ = run("jobs", "stuck")
    assert code == 1
    assert "ContactErased" in out
    assert "never" in out
    code, out, _ = run("jobs", "retry", "--workspace", workspace)
    assert (code, out) == (0, "1 try again.\n")


def test_the_books_of_a_workspace_are_verified_and_rebuilt(run: Run, workspace: str) -> None:
    assert run("ledger", "verify", "--workspace", workspace)[:2] == (0, "0 books, 0 entries, 0 faults.\n")
    assert run("ledger", "rebuild", "--workspace", workspace)[0] == 0
    code, _, err = run("ledger", "verify", "--campaign", "cmp_none")
    assert code == 2
    assert "cmp_none" in err


def test_every_book_is_verified_and_named_with_what_is_wrong(run: Run, parts: Parts, workspace: str) -> None:
    parts.mirror.load_functions()
    shop = Shop(parts, workspace)
    shop.join("ann")
    order_id = shop.buy("ann")
    code, out, _ = run("ledger", "verify", "--workspace", workspace)
    *books, all_ = out.splitlines()
    assert (code, all_.partition(",")[0]) == (0, "2 books")
    assert all(line.endswith("  clean") for line in books)
    assert {line.split("  ")[0] for line in books} == {shop.campaign_id, shop.wallet}
    shop.rows("UPDATE orders SET paid = paid - 1 WHERE id = :o RETURNING 1", o=order_id)
    code, out, _ = run("ledger", "verify", "--book", shop.campaign_id)
    assert code == 1
    assert out.endswith("1 books, 3 entries, 2 faults.\n")
    assert f"  orders: order {order_id}: paid 5899" in out


def test_migrations_ask_for_the_owner(run: Run, owner_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    code, _, err = run("db", "upgrade")
    assert code == 2
    assert "MIGRATION_DATABASE_URL" in err
    monkeypatch.setenv("MIGRATION_DATABASE_URL", owner_url)
    code, out, _ = run("db", "upgrade")
    assert code == 0
    assert "revision" in out


def test_a_misused_command_says_how_to_use_it(run: Run) -> None:
    code, _, err = run("token", "create")
    assert code == 2
    assert "--workspace" in err


def test_a_data_folder_where_nothing_runs_is_said(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABASE_URL")
    code, _, err = run("workspace", "list", "--data-dir", str(tmp_path))
    assert code == 2
    assert "make run" in err


def test_a_merchant_becomes_a_member_of_the_platform(run: Run, slug: str) -> None:
    assert f"{slug}  free  Shop" in run("workspace", "list")[1]
    assert run("workspace", "tier", slug, "member") == (0, f"{slug}: member\n", "")
    assert f"{slug}  member  Shop" in run("workspace", "list")[1]
    assert run("workspace", "tier", "no-such", "member")[0] == 2
    assert run("workspace", "tier", slug, "gold")[0] == 2
