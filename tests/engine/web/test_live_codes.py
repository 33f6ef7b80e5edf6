"""Live codes on the phone, in the console and over REST."""

from __future__ import annotations

import base64
import io
import re
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from growth_engine.access import service as access
from growth_engine.context import Parts
from growth_engine.live_codes import pictures, queries, service
from tests.factories.console import Console
from tests.factories.live_codes import make_live_code, taken
from tests.factories.phones import Phone, publish_campaign
from tests.factories.workspaces import make_workspace


def code_of(page: str) -> str:
    """The address of the code on a scan page."""
    found = re.search(r'class="h5-live-code" src="([^"]+)"', page)
    return found[1] if found else ""


def test_whoever_scans_sees_a_code_to_press_and_the_same_when_they_return(
    app: Flask, parts: Parts, workspace: str
) -> None:
    code = make_live_code(parts, workspace, {"capacity": 1}, {"capacity": 1}, note="Call 400-100")
    ann, ben, cid = Phone(app), Phone(app), Phone(app)
    seen: dict[int, str] = {}
    for phone in (ann, ben, ann):
        phone.get(f"/g/{code.token}")
        assert phone.follow().status_code == 200
        assert "Press the code" in phone.page
        seen[id(phone)] = seen.get(id(phone), code_of(phone.page))
        assert seen[id(phone)] == code_of(phone.page)
    assert len(set(seen.values())) == 2
    picture = ann.get(seen[id(ann)])
    assert picture.mimetype == "image/png"
    cid.get(f"/g/{code.token}")
    cid.follow()
    assert "All groups are full" in cid.page
    assert "Call 400-100" in cid.page
    assert taken(parts, workspace, code) == [1, 1]


@pytest.mark.parametrize(
    "headers",
    [
        {"User-Agent": "TelegramBot (like TwitterBot)"},
        {"User-Agent": "facebookexternalhit/1.1"},
        {"User-Agent": "WhatsApp/2.23 A"},
        {"User-Agent": "python-requests/2.32"},
        {"User-Agent": ""},
        {"Sec-Purpose": "prefetch;prerender"},
        {"Purpose": "prefetch"},
    ],
)
def test_previews_and_prefetches_take_no_place(
    app: Flask, parts: Parts, workspace: str, headers: dict[str, str]
) -> None:
    code = make_live_code(parts, workspace, {"capacity": 1})
    client = app.test_client()
    for _ in range(2):
        seen = client.get(f"/g/{code.token}", headers={"Accept-Language": "en", **headers})
        assert seen.status_code == 200
        assert "Open this link on your phone" in seen.text
    assert client.head(f"/g/{code.token}").status_code == 200
    assert taken(parts, workspace, code) == [0]


def test_what_keeps_no_cookies_takes_no_place_however_often_it_comes(
    app: Flask, parts: Parts, workspace: str
) -> None:
    code = make_live_code(parts, workspace, {"capacity": 2})
    for _ in range(3):
        client = app.test_client(use_cookies=False)
        sent = client.get(f"/g/{code.token}")
        assert (sent.status_code, sent.headers["Location"]) == (303, f"/g/{code.token}?again=1")
        assert "needs cookies" in client.get(sent.headers["Location"], headers={"Accept-Language": "en"}).text
    assert taken(parts, workspace, code) == [0]
    ann = Phone(app)
    ann.get(f"/g/{code.token}")
    ann.follow()
    for _ in range(3):
        assert ann.get(f"/g/{code.token}").status_code == 200, "the browser is known by now"
    assert taken(parts, workspace, code) == [1]


def test_what_is_no_live_code_is_not_there(app: Flask, parts: Parts, workspace: str) -> None:
    code = make_live_code(parts, workspace, {})
    assert Phone(app).get("/g/nothing").status_code == 404
    assert Phone(app).get(f"/g/{code.token}/{'0' * 64}.png").status_code == 404
    assert Phone(app).get(f"/g/{code.token}/..%2f..%2fx").status_code == 404


def test_a_campaigns_live_code_opens_when_the_friends_asked_for_are_there(
    app: Flask, parts: Parts, workspace: str
) -> None:
    campaign = publish_campaign(parts, workspace, template="course-groups")
    code = make_live_code(parts, workspace, {}, campaign_id=campaign)
    path, ann = f"/g/{code.token}", Phone(app)
    assert ann.get(path).headers["Location"] == f"/c/{campaign}", "strangers are led to the campaign"
    token = ann.join(campaign, "13800138001")
    assert "1 more friend, and the group" in ann.page
    assert ann.get(path).headers["Location"] == f"/c/{campaign}/me"
    Phone(app, address="198.51.100.9").join(campaign, "13800138002", "Ben", token)
    ann.get(f"/c/{campaign}/me?i={token}")
    assert f'href="{path}"' in ann.page
    ann.get(path)
    assert code_of(ann.page)
    assert taken(parts, workspace, code) == [1]


def test_a_campaign_that_asks_for_nobody_opens_at_once(app: Flask, parts: Parts, workspace: str) -> None:
    campaign = publish_campaign(parts, workspace, template="neighbour-groups", locale="zh")
    code = make_live_code(parts, workspace, {}, campaign_id=campaign)
    ann = Phone(app)
    ann.join(campaign, "13800138001")
    ann.get(f"/g/{code.token}")
    assert code_of(ann.page)


@pytest.fixture
def console(app: Flask, parts: Parts, workspace: str) -> Console:
    return Console(app, parts, workspace, "marketer")


def target_form(content: str, **changes: str) -> dict[str, object]:
    picture = (io.BytesIO(pictures.png(content)), "code.png")
    form = {"name": "Group A", "kind": "group", "capacity": "100", "position": "0", "weight": "1"}
    return {**form, "weekdays": ["1", "2"], "opens": "", "closes": "", "picture": picture, **changes}


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_console_page_renders(console: Console, parts: Parts, workspace: str, lang: str) -> None:
    console.get("/console/live-codes", lang=lang)
    code = make_live_code(parts, workspace, {"kind": "group", "capacity": 1}, {"fallback": True})
    with parts.open(workspace) as ctx:
        service.show(ctx, code.id, "ann")
        target = queries.targets(ctx, code.id)[0].id
    for path in ("", "/new", f"/{code.id}", f"/{code.id}/edit", f"/{code.id}/targets/new"):
        assert " style=" not in console.get(f"/console/live-codes{path}", lang=lang)
    assert "Group 1" in console.get(f"/console/live-codes/{code.id}/targets/{target}", lang=lang)
    for path in ("qr.png", f"targets/{target}/picture"):
        assert console.client.get(f"/console/live-codes/{code.id}/{path}").mimetype == "image/png"


def test_a_live_code_is_made_filled_and_changed_in_the_console(
    console: Console, parts: Parts, workspace: str
) -> None:
    made = console.post("/console/live-codes/new", {"name": "Tea", "spread": "even", "note": ""})
    here = made.headers["Location"]
    assert "Nothing stands behind it yet" in console.get(here)
    blank = target_form("https://a.cn/g/1")
    del blank["picture"]
    assert "Upload the picture" in console.post(f"{here}/targets/new", blank, status=422).text
    no_code = {**blank, "picture": (io.BytesIO(b"no picture"), "x.png")}
    assert "is-invalid" in console.post(f"{here}/targets/new", no_code, status=422).text
    console.post(f"{here}/targets/new", target_form("https://a.cn/g/1"))
    twice = console.post(f"{here}/targets/new", target_form("https://a.cn/g/1"), status=422)
    assert "shows this very code already" in twice.text
    with parts.open(workspace) as ctx:
        (row,) = queries.targets(ctx, here.rpartition("/")[2])
        ends = row.expires_at
        assert (row.name, row.capacity, row.weekdays, row.content) == (
            "Group A",
            100,
            [1, 2],
            "https://a.cn/g/1",
        )
        assert ends is not None
    page = console.get(f"{here}/targets/{row.id}")
    typed = re.search(r'name="expires_at" value="([^"]+)"', page)
    assert typed
    fresh = target_form("https://a.cn/g/2", name="Group B", expires_at=typed[1])
    console.post(f"{here}/targets/{row.id}", fresh)
    console.post(f"{here}/targets/{row.id}/pause")
    console.post(f"{here}/pause")
    console.post(f"{here}/edit", {"name": "Coffee", "spread": "fill", "note": "Hello"})
    shown = console.get(here)
    assert "Coffee" in shown
    assert "Group B" in shown


def test_live_codes_of_others_are_not_there(app: Flask, parts: Parts, workspace: str) -> None:
    code = make_live_code(parts, workspace, {})
    Console(app, parts, workspace, "sales").get("/console/live-codes", status=403)
    stranger = Console(app, parts, make_workspace(parts))
    for path in ("", "/edit", "/targets/new", "/qr.png"):
        stranger.get(f"/console/live-codes/{code.id}{path}", status=404)


def test_live_codes_over_rest(app: Flask, parts: Parts, workspace: str) -> None:
    def sent(answer: TestResponse, status: int = 200) -> dict[str, Any]:
        assert answer.status_code == status, answer.text
        return dict(answer.json or {})

    token = access.create_token(parts, workspace, ["campaigns:read", "campaigns:write"], "tests")
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    made = sent(client.post("/api/v1/live-codes", json={"name": "Tea"}), 201)
    path = f"/api/v1/live-codes/{made['id']}"
    assert [one["code"] for one in made["warnings"]] == ["no_target"]
    picture = base64.b64encode(pictures.png("https://a.cn/g/1")).decode()
    (target,) = sent(client.post(f"{path}/targets", json={"name": "A", "picture": picture}), 201)["targets"]
    assert (target["content"], target["capacity"], target["hindered_by"]) == ("https://a.cn/g/1", 200, "")
    assert target["expires_at"] is not None
    assert client.post(f"{path}/targets", json={"name": "B"}).status_code == 422
    both = {"name": "B", "picture": picture, "content": "https://a.cn/g/2"}
    assert client.post(f"{path}/targets", json=both).status_code == 422
    assert (
        client.post(f"{path}/targets", json={"name": "B", "content": "https://a.cn/g/1"}).status_code == 422
    )
    assert client.post(f"{path}/targets", json={"name": "B", "picture": "?"}).status_code == 422
    changed = sent(client.patch(f"{path}/targets/{target['id']}", json={"state": "paused"}))
    assert changed["targets"][0]["hindered_by"] == "paused"
    assert sent(client.patch(path, json={"note": "Hello"}))["note"] == "Hello"
    assert [one["id"] for one in sent(client.get("/api/v1/live-codes"))["items"]] == [made["id"]]
    assert sent(client.get(path))["url"] == made["url"]
    assert client.patch(path, json={"campaign_id": "cmp_nothing"}).status_code == 404
