"""Reading the books: trial balance, statements, legs, and the commands that prove and export them."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest
import structlog
from click.testing import CliRunner

from growth_engine.cli import cli
from growth_engine.context import Parts
from growth_engine.ledger import queries
from growth_engine.settings import Settings
from tests.engine.ledger.conftest import Do
from tests.factories.selling import Shop


def test_a_trial_balance_sums_to_zero_and_is_what_the_legs_say(parts: Parts, shop: Shop) -> None:
    shop.mature_all()
    with parts.open(shop.workspace_id) as ctx:
        lines = queries.trial_balance(ctx)
        assert lines == queries.recounted_balance(ctx)
        of_one = queries.trial_balance(ctx, shop.campaign_id)
    for book in (shop.campaign_id, shop.wallet):
        assert sum(line.balance for line in lines if line.book_id == book) == 0
    assert [(line.account, line.owners, line.credited, line.debited, line.balance) for line in of_one] == [
        ("expense", 1, 1180, 2360, -1180),
        ("fee", 1, 59, 118, -59),
        ("pending", 1, 2360, 2360, 0),
        ("platform", 1, 118, 59, 59),
        ("wallet", 1, 1180, 0, 1180),
    ]


def test_a_statement_runs_backwards_from_the_balance_in_pages(parts: Parts, shop: Shop) -> None:
    for _ in range(3):
        shop.refund(shop.buy("bob"), 100)
    owner = str(shop.numbers["ann"])
    with parts.open(shop.workspace_id) as ctx:
        whole = queries.account_statement(ctx, shop.campaign_id, "pending", owner, limit=100)
        pages, before = [], None
        while page := queries.account_statement(
            ctx, shop.campaign_id, "pending", owner, currency="CNY", before=before, limit=3
        ):
            pages += page
            before = (page[-1].seq, page[-1].line)
        assert queries.account_statement(ctx, shop.campaign_id, "pending", "99") == []
    assert pages == list(whole)
    assert [line.amount for line in whole] == [-20, 1180, -20, 1180, -20, 1180, -1180, 2360]
    assert [line.balance for line in reversed(whole)] == [2360, 1180, 2360, 2340, 3520, 3500, 4680, 4660]
    assert whole[0].kind == "refund"
    assert whole[0].balance == shop.pending("ann")


def test_one_entry_may_move_an_account_twice_and_the_statement_keeps_their_order(
    parts: Parts, workspace: str
) -> None:
    shop = Shop(parts, workspace, {"clawback": "absorb"})
    shop.join("ann")
    shop.join("bob", "ann")
    order = shop.buy("bob")
    shop.mature_all()
    shop.act("void", shop.rows("SELECT id FROM commissions")[0][0])
    with parts.open(workspace) as ctx:
        lines = queries.account_statement(ctx, shop.wallet, "available", shop.contacts["ann"], limit=1)
        assert len(lines) == 1
        seqs = [line.seq for line in queries.account_statement(
            ctx, shop.wallet, "available", shop.contacts["ann"])]  # fmt: skip
        legs = queries.legs_of(ctx, shop.wallet, [*seqs, 999])
    assert order
    assert legs[999] == []
    for seq in seqs:
        assert sum(leg.amount for leg in legs[seq]) == 0
        assert [leg.line for leg in legs[seq]] == list(range(1, len(legs[seq]) + 1))


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., tuple[int, str]]]:
    monkeypatch.setenv("DATABASE_URL", settings.database_url)
    monkeypatch.setenv("LEDGER_REDIS_URL", settings.ledger_redis_url)
    monkeypatch.setenv("QUEUE_REDIS_URL", settings.queue_redis_url)
    monkeypatch.setenv("GROWTH_SECRET_KEY", settings.secret_key)
    monkeypatch.setenv("GROWTH_DATA_DIR", str(settings.data_dir))

    monkeypatch.setenv("COLUMNS", "200")
    root = logging.getLogger()
    handlers, level, config = root.handlers[:], root.level, structlog.get_config()

    def run_(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(cli, ["ledger", *arguments])
        return result.exit_code, result.output

    yield run_
    structlog.configure(**config)
    root.handlers[:] = handlers
    root.setLevel(level)


def test_the_commands_prove_list_and_export(
    run: Callable[..., tuple[int, str]], shop: Shop, as_owner: Do, tmp_path: Path
) -> None:
    here = ("--workspace", shop.workspace_id)
    code, out = run("verify", *here)
    assert (code, out.splitlines()[-1]) == (0, "2 books, 5 entries, 0 faults.")
    code, out = run("trial-balance", *here)
    assert code == 0
    assert "11.80" in out
    assert re.search(rf"{shop.campaign_id}: \D*0\.00 in all", out)
    code, out = run("heads", *here)
    assert code == 0
    assert f"  {shop.campaign_id}  5  " in out
    file = tmp_path / "journal.jsonl"
    code, out = run("export", *here, "--book", shop.campaign_id, "--out", str(file))
    assert (code, out) == (0, f"5 entries of {shop.campaign_id} written to {file}.\n")
    check_chain(file)
    as_owner("accounts", "UPDATE accounts SET balance = balance + 1, credited = credited + 1"
             " WHERE book_id = %(b)s AND account = 'fee'", b=shop.campaign_id)  # fmt: skip
    assert run("trial-balance", *here)[0] == 1
    code, out = run("verify", *here)
    assert code == 1
    assert "balanced: the accounts together stand at 1 CNY" in out
    assert "Stop payouts" in out


def check_chain(file: Path) -> None:
    """As somebody outside would: with nothing but SHA-256."""
    previous = bytes(32)
    for line in file.read_bytes().splitlines():
        inside = line[len(b'{"entry":') : line.rindex(b',"hash":')]
        previous = hashlib.sha256(previous + inside).digest()
        assert orjson.loads(line)["hash"] == previous.hex()
