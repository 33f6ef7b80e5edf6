"""Nothing crosses the border of a workspace: every address is tried with the ids of another one.

Routes are read from the running app, so a new one is covered without being named here; a new variable in
an address must be told what it stands for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text
from werkzeug.routing import Rule

from growth_engine.access import service as access
from growth_engine.connections.service import Entered, connect
from growth_engine.context import Parts
from growth_engine.live_codes.pictures import png
from growth_engine.membership import queries as membership
from growth_engine.posters import queries as posters
from tests.engine.api.conftest import Caller
from tests.factories.selling import Shop
from tests.factories.staff import Browser, make_staff
from tests.factories.wallets import deposit
from tests.factories.workspaces import make_workspace

#: Variables that name something a workspace owns.
OWNED = (
    "account_id", "attempt_no", "book_id", "campaign_id", "commission_id", "contact_id", "delivery_id",
    "live_code_id", "message_id",
    "order_id", "participant_id", "payout_id", "product_id", "ref", "refund_id", "staff_id", "target_id",
    "template_id", "token_id",
)  # fmt: skip
#: Variables that name nothing anybody owns, and a value for each.
FREE = {
    "account": "expense", "day": "2026-01-02", "direction": "up", "locale": "en", "name": "token",
    "number": 1, "slug": "saas-membership", "version": "1",
}  # fmt: skip
#: Phone pages are for everybody who has the link, and act in the campaign's own workspace; callbacks are for
#: whoever knows the account's keys.
PUBLIC = ("h5_", "webhooks.")
#: What an endpoint needs so that it comes as far as looking up what it is about.
BODIES: Mapping[str, Any] = {
    "join_campaign": {"contact": {"external_id": "stranger"}, "consent": True},
    "add_product": {"sku": "pen", "name": "Pen", "price": 100},
    "add_live_code_target": {"name": "Group 2", "content": "https://example.com/g2"},
    "decide_promoter": {"action": "approve"},
    "merge_contact": {"other": "external_id:mine"},
    "request_refund": {"amount": 100},
    "report_payment": {"external_id": "p9", "amount": 100},
    "report_refund": {"external_id": "r9", "amount": 100},
    "reject_payout": {"note": "no"},
    "request_payout": {"amount": 100},
}
#: Values of a variable ``action``: each page has its own.
ACTIONS = ("pause", "show")
#: Pages of campaigns that sell.
SELLING = ("shop_", "simulator.")
#: What is there for withdrawals through WeChat Pay alone (tests/engine/paying).
ELSEWHERE = ("/api/v1/payouts/<payout_id>/transfer",)
#: What an endpoint must be asked for.
QUERIES = {"preview_refund": "?amount=100", "export": "?currency=CNY"}
TABLES = (
    "campaigns", "campaign_versions", "contacts", "contact_identities", "participants", "entries", "staff",
    "api_tokens", "posters", "poster_templates", "poster_template_versions", "membership_plans", "grants",
    "payouts", "payout_approvals", "accounts", "legs", "products", "orders", "order_lines", "payments",
    "refunds", "refund_requests", "commissions", "promoters", "bindings", "channel_accounts",
    "inbox_messages", "live_codes", "live_code_targets", "pay_attempts", "pay_bills", "deliveries",
)  # fmt: skip


class Theirs:
    """A workspace with one of everything."""

    def __init__(self, app: Flask, parts: Parts) -> None:
        self.parts = parts
        self.workspace = make_workspace(parts)
        self.staff = make_staff(parts, self.workspace)
        self.call = Caller(app, access.create_token(parts, self.workspace, ["*"], "theirs"))
        campaign = self.call.post("/campaigns", json={"template": "saas-membership", "locale": "en"}).json
        self.call.post(f"/campaigns/{campaign['id']}/publish")
        participant = self.call.join(campaign["id"], "theirs")
        self.call.post(f"/participants/{participant['id']}/poster")
        deposit(parts, self.workspace, participant["contact_id"], 1_000)
        payout = self.call.post(f"/contacts/{participant['contact_id']}/payouts", json={"amount": 100}).json
        with parts.open(self.workspace) as ctx:
            token_id = ctx.session.scalar(text("SELECT id FROM api_tokens"))
        self.ids = {
            "campaign_id": campaign["id"],
            "contact_id": participant["contact_id"],
            "participant_id": participant["id"],
            "payout_id": payout["id"],
            "ref": participant["contact_id"],
            "staff_id": self.staff.id,
            "template_id": campaign["poster_template_id"],
            "token_id": str(token_id),
            **self._shop(),
            **self._channels(),
        }

    def _shop(self) -> dict[str, str]:
        """A shop's order, half given back, with what it earned."""
        shop = Shop(self.parts, self.workspace)
        shop.join("ann")
        shop.join("bob", "ann")
        order = shop.buy("bob", 2)
        shop.refund(order, 100)
        asked = self.parts.ids.new("rrq")
        with self.parts.open(self.workspace) as ctx:
            ctx.session.execute(
                text(
                    "INSERT INTO refund_requests (workspace_id, id, order_id, account_id, number, total,"
                    " amount, currency, reason, state, requested_by, requested_at)"
                    " VALUES (:w, :id, :order, '', '1', 100, 100, 'CNY', '', 'asked', '', now())"
                ),
                {"w": self.workspace, "id": asked, "order": order},
            )
            attempt = self.parts.ids.new("att")
            ctx.session.execute(
                text(
                    "INSERT INTO pay_attempts (number, workspace_id, account_id, order_id, turn, kind,"
                    " mch_id, app_id, openid, amount, currency, description, notify_url,"
                    " state, made_at, asked_at)"
                    " VALUES (:id, :w, '', :order, 1, 'native', '', '', '', 100, 'CNY', '', '', 'disputed',"
                    " now(), now())"
                ),
                {"w": self.workspace, "id": attempt, "order": order},
            )
            commission = ctx.session.scalar(text("SELECT id FROM commissions"))
            product = ctx.session.scalar(text("SELECT id FROM products"))
            picture = self.parts.storage.put(png("a picture"), "image/png")
            ctx.session.execute(text("UPDATE products SET picture_key = :key"), {"key": picture})
        return {
            "attempt_no": attempt,
            "book_id": shop.campaign_id,
            "commission_id": str(commission),
            "order_id": order,
            "product_id": str(product),
            "refund_id": asked,
        }

    def _channels(self) -> dict[str, str]:
        """A connected account with a message that came, and a live code with a target."""
        with self.parts.open(self.workspace) as ctx:
            account = connect(ctx, "wechat_oa", Entered("Theirs", {"appid": ctx.new_id("wx")}))
            message = ctx.new_id("inb")
            ctx.session.execute(
                text(
                    "INSERT INTO inbox_messages (id, workspace_id, account_id, provider, identity, kind,"
                    " state, request, raw, content_hash, next_at, occurred_at, received_at, last_delivery_at)"
                    " VALUES (:id, :w, :account, 'wechat_oa', :id, 'text', 'done', '{}', '', '', now(),"
                    " now(), now(), now())"
                ),
                {"w": self.workspace, "id": message, "account": account},
            )
            delivery = ctx.new_id("dlv")
            ctx.session.execute(
                text(
                    "INSERT INTO deliveries (id, workspace_id, account_id, person, kind, payload, key, state,"
                    " reason, happened_at, created_at) VALUES (:id, :w, :account, 'openid', 'text',"
                    " '{\"text\": \"hello\"}', :id, 'refused', 'bad_request', now(), now())"
                ),
                {"w": self.workspace, "id": delivery, "account": account},
            )
            ctx.session.execute(
                text(
                    "INSERT INTO pay_bills (workspace_id, account_id, day, state)"
                    " VALUES (:w, :account, '2026-01-02', 'compared')"
                ),
                {"w": self.workspace, "account": account},
            )
        made = self.call.post("/live-codes", json={"name": "Theirs"}).json
        target = self.call.post(
            f"/live-codes/{made['id']}/targets", json={"name": "Group 1", "content": "https://example.com/g"}
        ).json
        return {
            "account_id": account,
            "delivery_id": delivery,
            "live_code_id": made["id"],
            "message_id": message,
            "target_id": target["targets"][0]["id"],
        }

    def rows(self) -> dict[str, str]:
        """A fingerprint of everything they have."""
        with self.parts.open(self.workspace) as ctx:
            return {
                table: str(
                    ctx.session.scalar(
                        text(f"SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {table} t")
                    )
                )
                for table in TABLES
            }


@pytest.fixture
def theirs(app: Flask, parts: Parts) -> Theirs:
    return Theirs(app, parts)


def _guarded(app: Flask) -> list[Rule]:
    """Every rule with something owned in its address, but those of phone pages."""
    found = []
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith(PUBLIC) or not rule.arguments & set(OWNED):
            continue
        unknown = rule.arguments - set(OWNED) - set(FREE) - {"action"}
        assert not unknown, f"{rule.rule}: what does {unknown} stand for? Add it to OWNED or FREE."
        found.append(rule)
    return found


def _address(rule: Rule, ids: Mapping[str, str]) -> str:
    if rule.endpoint.startswith(SELLING):
        ids = {**ids, "campaign_id": ids["book_id"]}
    for action in ACTIONS:
        values = {**FREE, "action": action, **ids}
        try:
            built = rule.build({name: values[name] for name in rule.arguments}, append_unknown=False)
        except ValueError:  # an action of other pages
            continue
        assert built is not None
        return str(built[1]) + QUERIES.get(rule.endpoint.rpartition(".")[2], "")
    raise AssertionError(f"{rule.rule}: which action?")


def test_the_api_knows_nothing_of_another_workspace(app: Flask, call: Caller, theirs: Theirs) -> None:
    call.post("/contacts", json={"external_id": "mine"})
    before = theirs.rows()
    tried = 0
    for rule in _guarded(app):
        if not rule.rule.startswith("/api/"):
            continue
        for method in sorted((rule.methods or set()) - {"OPTIONS", "HEAD"}):
            body = BODIES.get(rule.endpoint.rpartition(".")[2], {})
            more = {} if method in ("GET", "DELETE") else {"json": body}
            answer = call(method, _address(rule, theirs.ids).removeprefix("/api/v1"), **more)
            assert answer.status_code in (403, 404, 405), (method, rule.rule, answer.text)
            tried += 1

    assert tried >= 20
    assert theirs.rows() == before
    for path in ("/campaigns", "/contacts", "/payouts"):
        assert not {one["id"] for one in call.items(path)} & set(theirs.ids.values())


def test_the_console_knows_nothing_of_another_workspace(
    app: Flask, parts: Parts, workspace: str, theirs: Theirs
) -> None:
    browser = Browser(app)
    browser.sign_in(make_staff(parts, workspace).email)
    assert browser.is_signed_in()
    before = theirs.rows()
    tried = 0
    for rule in _guarded(app):
        if rule.rule.startswith("/api/"):
            continue
        for method in sorted((rule.methods or set()) - {"OPTIONS", "HEAD"}):
            path = _address(rule, theirs.ids)
            answer = browser.get(path) if method == "GET" else browser.post(path, role="sales")
            # 422: the form was refused before anybody looked for what it is about.
            allowed = (403, 404, 405) if method == "GET" else (403, 404, 405, 422)
            assert answer.status_code in allowed, (method, rule.rule, answer.status_code)
            tried += 1

    assert tried >= 20
    assert theirs.rows() == before


def test_their_own_people_see_what_the_strangers_could_not(app: Flask, theirs: Theirs) -> None:
    """The ids of the walk are real: with them the owners are let in."""
    browser = Browser(app)
    browser.sign_in(theirs.staff.email)
    for rule in _guarded(app):
        if "GET" not in (rule.methods or set()) or rule.rule in ELSEWHERE:
            continue
        path = _address(rule, theirs.ids)
        if path.startswith("/api/"):
            answer = theirs.call.get(path.removeprefix("/api/v1"))
        else:
            answer = browser.client.get(path)
        assert answer.status_code < 400, (rule.rule, answer.status_code, answer.data[:300])


def test_ids_in_bodies_are_looked_up_in_the_callers_workspace(
    app: Flask, call: Caller, campaign: str, parts: Parts, theirs: Theirs
) -> None:
    with parts.open(theirs.workspace) as ctx:
        plan = membership.plans(ctx)[0].id
        template = posters.templates(ctx)[0].id
    call.post("/contacts", json={"external_id": "mine"})
    before = theirs.rows()
    stranger = theirs.ids["contact_id"]
    path = f"/campaigns/{campaign}/participants"

    by_id = call.post(path, json={"contact": {"id": stranger}, "consent": True})
    assert by_id.status_code == 422
    by_identity = call.post(path, json={"contact": {"external_id": "theirs"}, "consent": True})
    assert by_identity.json["contact_id"] != stranger
    token = theirs.call.get(f"/participants/{theirs.ids['participant_id']}").json["invite_token"]
    invited = call.post(
        path, json={"contact": {"external_id": "x"}, "consent": True, "invite_token": token}
    ).json
    assert invited["inviter_id"] is None
    assert invited["decision"]["reasons"][0]["code"] == "unknown_invite"
    assert call.post("/contacts/mine/merge", json={"other": stranger}).status_code == 404
    for field, value in (("plan_id", plan), ("poster_template_id", template)):
        assert call.patch(f"/campaigns/{campaign}", json={field: value}).status_code == 422
    assert theirs.rows() == before


def test_a_kept_answer_is_not_shown_to_another_workspace(app: Flask, call: Caller, theirs: Theirs) -> None:
    body = {"external_id": "same", "name": "Mine"}
    mine = call.post("/contacts", json=body, key="same-key").json
    their = theirs.call.post("/contacts", json={**body, "name": "Theirs"}, key="same-key")

    assert their.status_code == 201
    assert their.json["id"] != mine["id"]
