"""Lists on paper: harmless in a spreadsheet, read back whole or not at all, and never twice."""

from __future__ import annotations

import csv
import io
import threading

import pytest

from growth_engine.context import SYSTEM, Actor
from growth_engine.kit.errors import Invalid
from growth_engine.payouts import sheets
from growth_engine.payouts.service import NotAnApprover
from growth_engine.payouts.sheets import Imported, ResultsRefused
from growth_engine.people import service as people_service
from tests.engine.payouts.conftest import Shop
from tests.factories.wallets import check_books, payout_row
from tests.factories.workspaces import make_workspace


def exported(shop: Shop, *states: str) -> list[dict[str, str]]:
    with shop.parts.open(shop.workspace) as ctx:
        text = sheets.export(ctx, states or ("waiting",))
    assert text.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


def sheet(*rows: tuple[str, str, str, str]) -> str:
    """Rows of payout_id, result, reference, reason."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["payout_id", "result", "reference", "reason"])
    writer.writerows(rows)
    return out.getvalue()


def take(shop: Shop, text: str | bytes, by: Actor = SYSTEM) -> Imported:
    raw = text if isinstance(text, bytes) else text.encode()
    return sheets.take_results(shop.parts, shop.workspace, raw, by=by)


def waiting(shop: Shop, count: int, amount: int = 1_000) -> list[str]:
    ids = [shop.asked(shop.fan(amount), amount) for _ in range(count)]
    while shop.send():
        pass
    return ids


def states(shop: Shop, ids: list[str]) -> list[str]:
    return [payout_row(shop.parts, shop.workspace, one).state for one in ids]


def test_the_list_says_whom_to_pay_how_much_and_is_no_program(shop: Shop) -> None:
    shop.policy(tax_bp=1_000, identity_check="real_name")
    fan = shop.fan(10_050)
    told = {"name": "=HYPERLINK(1)", "id_number": "E12345678", "account": "@SUM(A1)"}
    payout_id = shop.asked(fan, 10_050, told=told)
    assert exported(shop) == []
    shop.send()
    [row] = exported(shop)
    assert tuple(row) == sheets.COLUMNS
    assert (row["payout_id"], row["contact_id"], row["state"]) == (payout_id, fan, "waiting")
    assert (row["amount"], row["withheld"], row["currency"]) == ("90.45", "10.05", "CNY")
    assert (row["name"], row["account"]) == ("'=HYPERLINK(1)", "'@SUM(A1)")
    assert (row["result"], row["reference"], row["reason"]) == ("", "", "")


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "＝1", "＠x"])
def test_formulas_become_text(cell: str) -> None:
    assert sheets.harmless(cell) == f"'{cell}"
    assert sheets.harmless(f"a{cell}") == f"a{cell}"


def test_results_end_payouts_as_they_say(shop: Shop) -> None:
    paid, failed, open_ = waiting(shop, 3)
    done = take(shop, sheet((paid, "PAID", "T-1", ""), (failed, "failed", "", "closed"), (open_, "", "", "")))
    assert done == Imported(paid=1, failed=1, skipped=1)
    assert states(shop, [paid, failed, open_]) == ["paid", "failed", "waiting"]
    rows = [payout_row(shop.parts, shop.workspace, one) for one in (paid, failed)]
    assert (rows[0].provider_ref, rows[1].error) == ("T-1", "closed")
    check_books(shop.parts, shop.workspace)


def test_the_exported_file_itself_can_be_filled_in_and_sent_back_even_from_excel(shop: Shop) -> None:
    [payout_id] = waiting(shop, 1)
    with shop.parts.open(shop.workspace) as ctx:
        text = sheets.export(ctx)
    head, line, _ = text.split("\r\n")
    filled = line.removesuffix(",,,") + ",paid,'=已付-1,"
    assert take(shop, f"{head}\r\n{filled}\r\n".removeprefix("\ufeff").encode("gb18030")) == Imported(paid=1)
    assert payout_row(shop.parts, shop.workspace, payout_id).provider_ref == "=已付-1"


def test_one_wrong_line_and_nothing_of_the_file_is_done(shop: Shop) -> None:
    good, other = waiting(shop, 2)
    shop.policy(approve_above=0)
    unapproved = shop.asked(shop.fan(), 100)
    elsewhere = Shop(shop.parts, make_workspace(shop.parts))
    elsewhere.policy()
    [foreign] = waiting(elsewhere, 1)
    text = sheet(
        (good, "paid", "T", ""),
        (other, "maybe", "", ""),
        (good, "paid", "T", ""),
        ("", "paid", "T", ""),
        (other, "failed", "", " "),
        (unapproved, "paid", "T", ""),
        (foreign, "paid", "T", ""),
        ("pay_none", "paid", "T", ""),
    )
    with pytest.raises(ResultsRefused) as refused:
        take(shop, text)
    wrong = refused.value.extra["errors"]
    assert wrong == {
        "line 3": ["The result must be paid or failed."],
        "line 4": ["This payout stands in line 2 already."],
        "line 5": ["The payout_id is missing."],
        "line 6": ["Say in the column reason why it failed."],
        "line 7": ["This withdrawal has not been sent yet."],
        "line 8": ["There is no such withdrawal."],
        "line 9": ["There is no such withdrawal."],
    }
    assert refused.value.params == {"wrong": 7}
    assert states(shop, [good, other, unapproved]) == ["waiting", "waiting", "requested"]
    assert states(elsewhere, [foreign]) == ["waiting"]


def test_the_same_file_again_does_nothing_and_another_story_is_refused(shop: Shop) -> None:
    paid, failed = waiting(shop, 2)
    text = sheet((paid, "paid", "T", ""), (failed, "failed", "", "closed"))
    take(shop, text)
    assert take(shop, text) == Imported(unchanged=2)
    with pytest.raises(ResultsRefused) as refused:
        take(shop, sheet((paid, "failed", "", "no"), (failed, "paid", "T", "")))
    assert refused.value.extra["errors"] == {
        "line 2": ["This withdrawal has ended already: Paid."],
        "line 3": ["This withdrawal has ended already: Failed."],
    }
    check_books(shop.parts, shop.workspace)


def test_files_that_contradict_each_other_at_once_leave_one_truth(shop: Shop) -> None:
    ids = waiting(shop, 20, 100)
    stories = [
        sheet(*((one, "paid", "T", "") for one in ids)), sheet(*((one, "failed", "", "no") for one in ids)),
    ]  # fmt: skip
    start, done = threading.Barrier(2), []

    def run(text: str) -> None:
        start.wait()
        try:
            done.append(take(shop, text))
        except ResultsRefused as refused:
            done.append(refused)

    threads = [threading.Thread(target=run, args=(text,)) for text in stories]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 2
    assert set(states(shop, ids)) <= {"paid", "failed"}
    contested = sum(len(one.contested) for one in done if isinstance(one, Imported))
    refused = sum(len(one.extra["errors"]) for one in done if isinstance(one, ResultsRefused))
    assert contested + refused == len(ids), "each payout contradicted somebody"
    check_books(shop.parts, shop.workspace)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "results_unreadable"),
        (b"id,state\r\nx,paid\r\n", "results_unreadable"),
        (b'payout_id,result\r\n"pay_1,paid\r\n', "results_unreadable"),
        (b"PK\x03\x04\x00\x00\x08\x00", "results_unreadable"),
        (b"\xff\xfe\x00", "results_unreadable"),
        (b"x" * (sheets.MOST_BYTES + 1), "results_too_large"),
        (b"payout_id,result\n" + b"a,paid\n" * (sheets.MOST_LINES + 1), "results_too_large"),
    ],
)
def test_what_is_no_list_is_said_to_be_none(shop: Shop, raw: bytes, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        take(shop, raw)
    assert refused.value.code == code


def test_only_administrators_bring_results(shop: Shop) -> None:
    [payout_id] = waiting(shop, 1)
    with pytest.raises(NotAnApprover):
        take(shop, sheet((payout_id, "paid", "T", "")), Actor("staff", "stf_none"))
    assert take(shop, sheet((payout_id, "paid", "T", "")), shop.admin()).paid == 1


def test_recipients_of_erased_people_stay_on_the_list_until_they_are_paid(shop: Shop) -> None:
    fan = shop.fan(1_000)
    payout_id = shop.asked(fan, 1_000, told={"account": "6222 0001"})
    shop.send()
    with shop.parts.open(shop.workspace) as ctx:
        people_service.erase(ctx, fan)
    [row] = exported(shop)
    assert row["account"] == "6222 0001"
    take(shop, sheet((payout_id, "paid", "T", "")))
    [row] = exported(shop, "paid")
    assert row["account"] == ""
