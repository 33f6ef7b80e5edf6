"""Withdrawals from the command line."""

from __future__ import annotations

from pathlib import Path

from growth_engine.context import Parts
from growth_engine.kit.clock import FixedClock, SystemClock
from tests.engine.cli.test_commands import Run
from tests.engine.cli.test_commands import run as run  # the fixture
from tests.engine.payouts.conftest import Shop
from tests.factories.wallets import payout_row


def test_the_queue_is_worked_through_from_the_command_line(
    run: Run,
    parts: Parts,
    workspace: str,
    clock: FixedClock,
    tmp_path: Path,
) -> None:
    clock.set(SystemClock().now())  # the commands' own
    shop = Shop(parts, workspace)
    shop.policy(approve_above=100, second_above=5_000)
    fan = shop.fan(20_000)
    one, two, large = shop.asked(fan, 1_000), shop.asked(fan, 2_000), shop.asked(fan, 6_000)
    here = ("--workspace", workspace)

    code, out, _ = run("payouts", "list", *here, "--state", "requested")
    assert code == 0
    assert all(id_ in out for id_ in (one, two, large))
    assert run("payouts", "list", *here, "--state", "gone")[0] == 2
    assert run("payouts", "approve", *here, one, "--note", "ok")[1] == "Approved; it is being sent.\n"
    assert run("payouts", "approve", *here, large)[1] == "Noted. 1 more person must approve.\n"
    code, _, err = run("payouts", "approve", *here, large)
    assert (code, "another person" in err) == (2, True)
    assert run("payouts", "reject", *here, two, "--note", "not yours")[0] == 0
    assert run("payouts", "reject", *here, two, "--note", "not yours")[0] == 2
    out = run("payouts", "show", *here, two)[1]
    assert "rejected" in out
    assert "not yours" in out
    assert "payout_void" in out

    clock.set(SystemClock().now())
    shop.send()
    listed = tmp_path / "list.csv"
    assert run("payouts", "export", *here, "--to", str(listed))[0] == 0
    text = listed.read_text("utf-8")
    assert text.count("\n") == 2
    wrong = tmp_path / "wrong.csv"
    wrong.write_text(text.rstrip("\n").removesuffix(",,,") + ",perhaps,,\n", "utf-8")
    code, _, err = run("payouts", "import", *here, str(wrong))
    assert (code, "line 2: The result must be paid or failed." in err) == (2, True)
    listed.write_text(text.rstrip("\n").removesuffix(",,,") + ",paid,T-1,\n", "utf-8")
    code, out, _ = run("payouts", "import", *here, str(listed))
    assert (code, out) == (0, "1 paid, 0 failed, 0 known, 0 blank.\n")
    assert payout_row(parts, workspace, one).state == "paid"
