"""Wallets and withdrawals over REST."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from growth_engine.access import service as access
from growth_engine.context import Parts
from growth_engine.payouts import sending
from tests.engine.api.conftest import Caller
from tests.factories.people import make_contact
from tests.factories.wallets import check_books, deposit

RULES = {"minimum": 100, "approve_above": 1_000, "second_above": 5_000, "tax_bp": 1_000}


@pytest.fixture
def call(call: Caller) -> Caller:
    """Answers in English."""
    call.client.environ_base["HTTP_ACCEPT_LANGUAGE"] = "en"
    return call


def fan(parts: Parts, workspace: str, amount: int = 10_000) -> str:
    contact = make_contact(parts, workspace, "Ann", external_id="ann")
    deposit(parts, workspace, contact, amount)
    return contact


def send(parts: Parts, workspace: str) -> None:
    while sending.send_due(parts, workspace):
        pass


def test_a_withdrawal_from_asking_to_paid(call: Caller, parts: Parts, workspace: str) -> None:
    contact = fan(parts, workspace)
    assert call.put("/wallet-policy", json=RULES).json["version"] == 1
    made = call.post(
        "/contacts/external_id:ann/payouts", json={"amount": 4_000, "recipient": {"account": "6"}}
    )
    assert made.status_code == 201
    payout = made.json
    assert (payout["state"], payout["amount"], payout["tax"], payout["net"]) == (
        "requested",
        4_000,
        400,
        3_600,
    )
    assert (payout["contact_id"], payout["recipient"]) == (contact, {"account": "6"})
    assert call.post(f"/payouts/{payout['id']}/approve", json={"note": "fine"}).json["state"] == "approved"
    send(parts, workspace)
    assert call.get(f"/payouts/{payout['id']}").json["state"] == "waiting"
    listed = call.get("/payouts/export.csv")
    assert listed.text.startswith("\ufeffpayout_id,")
    assert f"{payout['id']},{contact},,,6,CNY,36.00,4.00," in listed.text
    results = f"payout_id,result,reference\n{payout['id']},paid,T-1\n"
    told = call.post("/payouts/import", json={"csv": results}).json
    assert told == {"paid": 1, "failed": 0, "unchanged": 0, "skipped": 0, "contested": []}
    assert call.post("/payouts/import", json={"csv": results}).json["unchanged"] == 1
    found = call.get(f"/payouts/{payout['id']}").json
    assert (found["state"], found["provider_ref"]) == ("paid", "T-1")
    assert [one["note"] for one in found["verdicts"]] == ["fine"]
    wallet = call.get("/contacts/external_id:ann/wallet").json
    assert wallet == {
        "contact_id": contact,
        "balances": [
            {"currency": "CNY", "pending": 0, "available": 6_000, "reserved": 0, "paid": 4_000,
             "withheld": 400, "debt": 0}
        ],
    }  # fmt: skip
    lines = call.items("/contacts/external_id:ann/wallet/entries", limit=1)
    assert [(one["kind"], one["amount"]) for one in lines] == [
        ("payout_withheld", 0), ("payout_reserve", -4_000), ("other", 10_000),
    ]  # fmt: skip
    assert lines[0]["title"] == "Withdrawal paid: CN¥36.00 received, CN¥4.00 tax and CN¥0.00 fee withheld"
    check_books(parts, workspace)


def test_a_request_under_one_key_is_one_withdrawal(call: Caller, parts: Parts, workspace: str) -> None:
    contact = fan(parts, workspace)
    body = {"amount": 500}
    first = call.post(f"/contacts/{contact}/payouts", json=body, key="k")
    again = call.post(f"/contacts/{contact}/payouts", json=body, key="k")
    assert (first.status_code, again.status_code, again.json) == (201, 201, first.json)
    assert call.post(f"/contacts/{contact}/payouts", json={"amount": 501}, key="k").status_code == 422
    assert len(call.items("/payouts")) == 1


def test_refusals_say_why_in_the_callers_language(call: Caller, parts: Parts, workspace: str) -> None:
    contact = fan(parts, workspace, 900)
    refused = call.post(f"/contacts/{contact}/payouts", json={"amount": 901})
    assert (refused.status_code, refused.json["code"]) == (409, "payout_refused")
    assert refused.json["decision"] == {
        "accepted": False,
        "reasons": [
            {"code": "not_enough", "params": {"available": 900, "currency": "CNY"},
             "message": "CN¥9.00 are available, less than was asked for."}
        ],
    }  # fmt: skip
    other = call.post(f"/contacts/{contact}/payouts", json={"amount": 100, "currency": "USD"})
    assert other.json["decision"]["reasons"][0]["code"] == "currency_not_paid_out"
    for body in ({}, {"amount": 0}, {"amount": "5"}, {"amount": 1.5}, {"amount": 10**13}, {"amount": True}):
        assert call.post(f"/contacts/{contact}/payouts", json=body).status_code == 422, body
    wrong = call.post(f"/contacts/{contact}/payouts", json={"amount": 100, "recipient": {"card": "6"}})
    assert wrong.json["errors"] == {"recipient.card": ["Unknown field."]}
    assert call.post("/contacts/external_id:nobody/payouts", json={"amount": 100}).status_code == 404


def test_no_and_never_mind(call: Caller, parts: Parts, workspace: str) -> None:
    contact = fan(parts, workspace)
    one, two = (call.post(f"/contacts/{contact}/payouts", json={"amount": 500}).json["id"] for _ in "ab")
    assert call.post(f"/payouts/{one}/reject", json={"note": ""}).status_code == 422
    rejected = call.post(f"/payouts/{one}/reject", json={"note": "wrong account"}, key="r")
    assert (rejected.json["state"], rejected.json["error"]) == ("rejected", "wrong account")
    assert call.post(f"/payouts/{one}/reject", json={"note": "wrong account"}, key="r").json == rejected.json
    assert call.post(f"/payouts/{two}/cancel").json["state"] == "cancelled"
    again = call.post(f"/payouts/{two}/cancel")
    assert again.status_code == 409
    assert again.json["decision"]["reasons"][0]["code"] == "payout_ended"
    assert call.post(f"/payouts/{two}/approve").json["code"] == "payout_not_requested"
    assert call.get(f"/contacts/{contact}/wallet").json["balances"][0]["available"] == 10_000


def test_a_token_approves_once_and_tokens_of_the_command_line_are_one_person(
    app: object, call: Caller, parts: Parts, workspace: str
) -> None:
    call.put("/wallet-policy", json=RULES)
    contact = fan(parts, workspace)
    payout = call.post(f"/contacts/{contact}/payouts", json={"amount": 5_001}).json["id"]
    assert call.post(f"/payouts/{payout}/approve").json["state"] == "requested"
    second = Caller(call.app, access.create_token(parts, workspace, ["*"], "second"))
    for one in (call, second):
        assert one.post(f"/payouts/{payout}/approve").json["code"] == "decided_before"
    assert call.get(f"/payouts/{payout}").json["state"] == "requested"


def test_lists_are_filtered_and_paged(call: Caller, parts: Parts, workspace: str) -> None:
    call.put("/wallet-policy", json={"minimum": 1, "daily_count": None})
    contact = fan(parts, workspace)
    ids = [call.post(f"/contacts/{contact}/payouts", json={"amount": 10}).json["id"] for _ in range(5)]
    call.post(f"/payouts/{ids[0]}/cancel")
    assert [one["id"] for one in call.items("/payouts", limit=2)] == sorted(ids, reverse=True)
    assert [one["id"] for one in call.items("/payouts", state="cancelled,paid")] == [ids[0]]
    assert len(call.items("/payouts", contact="external_id:ann", state="requested")) == 4
    assert call.items("/payouts", contact=make_contact(parts, workspace)) == []
    assert call.get("/payouts", query_string={"state": "gone"}).status_code == 422
    assert call.get("/payouts", query_string={"contact": "nobody"}).status_code == 404


def test_a_wrong_file_names_its_lines(call: Caller) -> None:
    refused = call.post("/payouts/import", json={"csv": "payout_id,result\npay_x,paid\npay_y,soon\n"})
    assert (refused.status_code, refused.json["code"]) == (422, "results_refused")
    assert refused.json["errors"] == {
        "line 2": ["There is no such withdrawal."],
        "line 3": ["The result must be paid or failed."],
    }


def test_rules_are_read_changed_and_checked(call: Caller) -> None:
    assert call.get("/wallet-policy").json["version"] == 0
    wrong = call.put("/wallet-policy", json={**RULES, "second_above": 10})
    assert (wrong.status_code, list(wrong.json["errors"])) == (422, ["second_above"])
    assert call.put("/wallet-policy", json={**RULES, "more": 1}).status_code == 422
    changed = call.put("/wallet-policy", json=RULES).json
    assert call.get("/wallet-policy").json == changed
    assert (changed["version"], changed["daily_count"], changed["provider"]) == (1, None, "manual")


def test_scopes_fence_money_off(caller_with: Callable[..., Caller], parts: Parts, workspace: str) -> None:
    contact = fan(parts, workspace)
    reader, other = caller_with("payouts:read"), caller_with("contacts:*", "campaigns:*", "participants:*")
    assert reader.get(f"/contacts/{contact}/wallet").status_code == 200
    for path in (f"/contacts/{contact}/wallet", "/payouts", "/wallet-policy", "/payouts/export.csv"):
        assert other.get(path).status_code == 403, path
    asked = reader.post(f"/contacts/{contact}/payouts", json={"amount": 100})
    assert (asked.status_code, asked.json["scope"]) == (403, "payouts:write")
    assert reader.put("/wallet-policy", json=RULES).status_code == 403
