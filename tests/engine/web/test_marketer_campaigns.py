"""Marketer pages about campaigns: gallery, editor, list, overview, tree, entries, rewards, versions."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from growth_engine.context import Parts
from growth_engine.kit.clock import FixedClock
from growth_engine.orders import queries as orders
from growth_engine.people.rules import Identity
from growth_engine.plays import participation, queries, service
from growth_engine.plays.templates import templates
from tests.conftest import START
from tests.factories.console import Console, form_of
from tests.factories.workspaces import make_workspace

TITLE = "Bring a friend"


@pytest.fixture
def console(app: Flask, parts: Parts, workspace: str) -> Console:
    parts.mirror.load_functions()
    return Console(app, parts, workspace, "marketer")


def draft(parts: Parts, workspace: str, *, slug: str = "community", **changes: Any) -> str:
    template = templates()[slug]
    content = {**template.content("en", brand="Test shop"), **changes.pop("content", {})}
    config = {**template.config("en"), **changes.pop("config", {})}
    with parts.open(workspace) as ctx:
        made = service.create_campaign(
            ctx,
            play_slug="referral",
            title=changes.pop("title", TITLE),
            locale="en",
            config=config,
            content=content,
            template=slug,
            ends_at=changes.pop("ends_at", START + timedelta(days=30)),
        )
        return made.id


def published(parts: Parts, workspace: str, **changes: Any) -> str:
    campaign_id = draft(parts, workspace, **changes)
    with parts.open(workspace) as ctx:
        service.publish(ctx, campaign_id, accept_warnings=True)
    return campaign_id


def join(
    parts: Parts, workspace: str, campaign_id: str, who: str, token: str | None = None
) -> dict[str, Any]:
    ask = participation.JoinAsk(
        identities=[Identity("external_id", who)], nickname=who, consent="v1", invite_token=token
    )
    outcome = participation.join(parts, workspace, campaign_id, ask, source="test", key=who)
    assert outcome.participant is not None
    return dict(outcome.participant)


@pytest.fixture
def busy(parts: Parts, workspace: str) -> tuple[str, dict[str, dict[str, Any]]]:
    """A live campaign: Ann brought Bob and Cid, Bob brought Dot, Cid has left."""
    parts.mirror.load_functions()
    campaign_id = published(parts, workspace)
    people: dict[str, dict[str, Any]] = {}
    for who, inviter in (("Ann", ""), ("Bob", "Ann"), ("Cid", "Ann"), ("Dot", "Bob")):
        token = people[inviter]["invite_token"] if inviter else None
        people[who] = join(parts, workspace, campaign_id, who, token)
    participation.leave(parts, workspace, people["Cid"]["contact_id"], source="test", key="l")
    return campaign_id, people


# -- every page, both languages ----------------------------------------------------------------------

PAGES = [
    "/console/gallery",
    "/console/gallery?category=saas",
    "/console/gallery?category=nothing",
    "/console/gallery/cafe",
    "/console/campaigns",
    "/console/campaigns?q=bring&state=live",
    "/console/campaigns?q=zzz",
    "/console/campaigns/new?template=cafe",
    "/console/campaigns/new?template=cafe&locale=zh",
    "/console/campaigns/{id}",
    "/console/campaigns/{id}/edit",
    "/console/campaigns/{id}/tree",
    "/console/campaigns/{id}/tree?member=4",
    "/console/campaigns/{id}/tree?member=999",
    "/console/campaigns/{id}/tree?q=an",
    "/console/campaigns/{id}/tree?q=nobody",
    "/console/campaigns/{id}/tree/1/children",
    "/console/campaigns/{id}/entries",
    "/console/campaigns/{id}/entries?answer=no&kind=join&member=1",
    "/console/campaigns/{id}/entries?kind=mark",
    "/console/campaigns/{id}/rewards",
    "/console/campaigns/{id}/rewards?state=stuck",
    "/console/campaigns/{id}/versions",
]

ACTIONS = [
    "publish", "pause", "resume", "end", "discard", "duplicate", "edit", "rewards/retry", "posters/retry",
]  # fmt: skip


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_page_renders_in_both_languages(console: Console, busy: tuple[str, Any], lang: str) -> None:
    for path in PAGES:
        page = console.get(path.format(id=busy[0]), lang=lang)
        assert "<style" not in page, path
        assert " style=" not in re.sub(r'srcdoc="[^"]*"', "", page), path
        assert not re.search(r"<script(?![^>]* src=)", page), path


def test_sales_staff_are_kept_out(app: Flask, parts: Parts, workspace: str) -> None:
    campaign_id = draft(parts, workspace)
    seller = Console(app, parts, workspace, "sales")
    for path in PAGES:
        seller.get(path.format(id=campaign_id), status=403)
    for action in ACTIONS:
        seller.post(f"/console/campaigns/{campaign_id}/{action}", status=403)


def test_another_workspaces_campaign_is_not_there(app: Flask, parts: Parts, workspace: str) -> None:
    other = make_workspace(parts)
    foreign = published(parts, other)
    admin = Console(app, parts, workspace)
    for path in PAGES:
        if "{id}" in path:
            admin.get(path.format(id=foreign), status=404)
    for action in ACTIONS:
        admin.post(f"/console/campaigns/{foreign}/{action}", status=404)
    with parts.open(other) as ctx:
        assert queries.campaign(ctx, foreign).state == "live"


def test_strangers_are_led_to_the_sign_in(app: Flask, parts: Parts, workspace: str) -> None:
    response = app.test_client().get("/console/campaigns", headers={"Accept": "text/html"})
    assert response.status_code in (302, 303)
    assert "/sign-in" in response.headers["Location"]


def test_changing_needs_the_csrf_token(console: Console, parts: Parts, workspace: str) -> None:
    campaign_id = published(parts, workspace)
    response = console.client.post(f"/console/campaigns/{campaign_id}/end", data={})
    assert response.status_code == 403
    with parts.open(workspace) as ctx:
        assert queries.campaign(ctx, campaign_id).state == "live"


# -- gallery and editor ------------------------------------------------------------------------------


def test_the_gallery_shows_every_template_with_phone_page_and_poster(console: Console) -> None:
    page = console.get("/console/gallery")
    for slug, template in templates().items():
        assert template.name("en") in unescape(page)
        one = console.get(f"/console/gallery/{slug}?locale=zh")
        frame = re.search(r'srcdoc="([^"]*)"', one)
        assert frame is not None
        assert template.filled("zh", brand="Test shop")["reward_friend"] in unescape(unescape(frame[1]))
    picture = console.client.get("/console/gallery/cafe/poster.zh.jpg")
    assert picture.mimetype == "image/jpeg"
    assert picture.data[:2] == b"\xff\xd8"


def test_an_unknown_template_leads_back_to_the_gallery(console: Console) -> None:
    response = console.client.get("/console/campaigns/new?template=nothing")
    assert response.headers["Location"].endswith("/console/gallery")
    console.get("/console/gallery/nothing", status=404)


def test_a_ready_campaign_that_sells_can_be_published_as_it_came(
    console: Console, parts: Parts, workspace: str
) -> None:
    for locale in ("en", "zh"):
        form = form_of(console.get(f"/console/campaigns/new?template=book-fans&locale={locale}"))
        made = console.post("/console/campaigns/new", form).headers["Location"].rsplit("/", 1)[1]
        with parts.open(workspace) as ctx:
            [book] = orders.products(ctx, made)
            assert (book.sku, book.price, book.currency) == ("book", 5900, "CNY")
            service.publish(ctx, made)


def test_a_template_saved_unchanged_is_ready_to_publish(
    console: Console, parts: Parts, workspace: str
) -> None:
    form = form_of(console.get("/console/campaigns/new?template=gym&locale=zh"))
    assert form["rules-tiers-0-invites"] == "3"
    response = console.post("/console/campaigns/new", form)
    campaign_id = response.headers["Location"].rsplit("/", 1)[1]
    with parts.open(workspace) as ctx:
        made = queries.campaign(ctx, campaign_id)
    expected = templates()["gym"]
    assert made.config == expected.config("zh")
    assert made.content == expected.content("zh", brand="Test shop")
    assert (made.locale, made.template, made.state) == ("zh", "gym", "draft")
    assert made.ends_at is not None
    assert timedelta(days=29) < made.ends_at - START <= timedelta(days=30)
    assert "The check found nothing" in console.get(f"/console/campaigns/{campaign_id}")
    console.post(f"/console/campaigns/{campaign_id}/publish")
    with parts.open(workspace) as ctx:
        assert queries.campaign(ctx, campaign_id).state == "live"


def test_a_template_keeps_its_poster_when_it_is_used_again(
    console: Console, parts: Parts, workspace: str, clock: FixedClock
) -> None:
    made = []
    for slug in ("saas-membership", "cafe", "cafe"):
        clock.advance(timedelta(minutes=1))
        form = form_of(console.get(f"/console/campaigns/new?template={slug}"))
        made.append(console.post("/console/campaigns/new", form).headers["Location"].rsplit("/", 1)[1])
    with parts.open(workspace) as ctx:
        other, first, again = (queries.campaign(ctx, one).poster_template_id for one in made)
    assert first == again != other


def test_times_are_typed_and_shown_in_the_workspace_zone(
    console: Console, parts: Parts, workspace: str
) -> None:
    form = form_of(console.get("/console/campaigns/new?template=cafe"))
    form |= {"starts_at": "2026-06-10T09:30", "ends_at": "2026-07-01T18:00"}
    campaign_id = console.post("/console/campaigns/new", form).headers["Location"].rsplit("/", 1)[1]
    with parts.open(workspace) as ctx:
        made = queries.campaign(ctx, campaign_id)
        assert made.starts_at is not None
        assert made.starts_at.isoformat() == "2026-06-10T01:30:00+00:00"
    again = form_of(console.get(f"/console/campaigns/{campaign_id}/edit"))
    assert (again["starts_at"], again["ends_at"]) == ("2026-06-10T09:30", "2026-07-01T18:00")


def test_a_wrong_field_is_named_and_nothing_typed_is_lost(
    console: Console, parts: Parts, workspace: str
) -> None:
    form = form_of(console.get("/console/campaigns/new?template=community&locale=en"))
    form |= {
        "title": "",
        "rules-inviter_days": "many",
        "rules-tiers-1-invites": "2",
        "copy-colour": "red",
        "copy-rules": "My own rule\nAnd a second one",
        "copy-title": "x" * 61,
    }
    page = unescape(console.post("/console/campaigns/new", form, status=422).text)
    assert page.count("invalid-feedback") >= 4
    for words in (
        "This is not a whole number.",
        "A colour is written like #1a2b3c.",
        "At most 60 characters",
    ):
        assert words in page
    kept = form_of(page)
    for name in ("rules-inviter_days", "rules-tiers-1-invites", "copy-title", "copy-rules"):
        assert kept[name] == form[name]
    with parts.open(workspace) as ctx:
        assert queries.campaigns_page(ctx)[0] == []


def test_an_end_before_the_start_is_an_error_beside_the_field(console: Console) -> None:
    form = form_of(console.get("/console/campaigns/new?template=cafe"))
    form |= {"starts_at": "2026-06-10T09:30", "ends_at": "2026-06-09T09:30"}
    assert (
        "The end must come after the start." in console.post("/console/campaigns/new", form, status=422).text
    )


def test_rows_of_the_ladder_can_be_added_and_removed(console: Console, parts: Parts, workspace: str) -> None:
    campaign_id = draft(parts, workspace)
    form = form_of(console.get(f"/console/campaigns/{campaign_id}/edit"))
    for name in [one for one in form if one.startswith("rules-tiers-0-")]:
        del form[name]
    form |= {"rules-tiers-7-invites": "20", "rules-tiers-7-days": "200", "rules-tiers-7-label": "Star"}
    console.post(f"/console/campaigns/{campaign_id}/edit", form)
    with parts.open(workspace) as ctx:
        tiers = queries.campaign(ctx, campaign_id).config["tiers"]
    assert [tier["invites"] for tier in tiers] == [10, 20]


def test_the_preview_shows_what_is_typed_and_survives_nonsense(console: Console) -> None:
    form = form_of(console.get("/console/campaigns/new?template=community&locale=en"))
    form |= {"copy-title": "Come <b>in</b>", "rules-friend_days": "45", "csrf_token": console.csrf()}
    page = unescape(console.client.post("/console/campaigns/preview/referral", data=form).text)
    assert "Come &lt;b&gt;in" in page
    assert "45" in page
    assert "data:image/jpeg;base64," in page
    assert "<script" not in page
    form |= {"rules-friend_days": "x", "ends_at": "x", "rules-tiers-0-days": "", "poster": "gallery:nothing"}
    answer = console.client.post("/console/campaigns/preview/referral", data=form)
    assert answer.status_code == 200
    assert "Come" in answer.text


def test_anothers_poster_template_cannot_be_chosen(console: Console, parts: Parts, workspace: str) -> None:
    from growth_engine.posters import service as posters

    with parts.open(make_workspace(parts)) as ctx:
        foreign = posters.from_gallery(ctx, "mint")
    form = form_of(console.get("/console/campaigns/new?template=cafe")) | {"poster": foreign}
    console.post("/console/campaigns/new", form, status=404)


# -- publishing --------------------------------------------------------------------------------------


def test_an_error_finding_blocks_publishing_and_says_where(
    console: Console, parts: Parts, workspace: str
) -> None:
    campaign_id = draft(parts, workspace, content={"title": "Share it on your WeChat Moments"})
    page = unescape(console.get(f"/console/campaigns/{campaign_id}"))
    assert "Share it on your WeChat Moments" in page
    assert "Sharing must not be the condition" in page
    assert f"/console/campaigns/{campaign_id}/edit#f-copy-title" in page
    assert 'id="f-copy-title"' in console.get(f"/console/campaigns/{campaign_id}/edit")
    answer = console.post(f"/console/campaigns/{campaign_id}/publish", {"accept": "1"}, status=422)
    assert "Sharing must not be the condition" in answer.text
    with parts.open(workspace) as ctx:
        assert queries.campaign(ctx, campaign_id).state == "draft"


def test_a_warning_needs_a_tick(console: Console, parts: Parts, workspace: str) -> None:
    campaign_id = draft(parts, workspace, config={"inviter_cap": None})
    assert "I have read the warnings" in console.get(f"/console/campaigns/{campaign_id}")
    console.post(f"/console/campaigns/{campaign_id}/publish", status=422)
    console.post(f"/console/campaigns/{campaign_id}/publish", {"accept": "1"})
    with parts.open(workspace) as ctx:
        assert queries.campaign(ctx, campaign_id).state == "live"


def test_pause_go_on_and_end(console: Console, parts: Parts, workspace: str) -> None:
    campaign_id = published(parts, workspace)
    for action, state in (("pause", "paused"), ("resume", "live"), ("end", "ended"), ("pause", "ended")):
        console.post(f"/console/campaigns/{campaign_id}/{action}")
        with parts.open(workspace) as ctx:
            assert queries.campaign(ctx, campaign_id).state == state
    assert "cannot be done" in console.get(f"/console/campaigns/{campaign_id}")
    response = console.client.get(f"/console/campaigns/{campaign_id}/edit")
    assert response.status_code == 302


def test_editing_a_live_campaign_waits_for_the_next_version(
    console: Console, parts: Parts, workspace: str
) -> None:
    campaign_id = published(parts, workspace)
    form = form_of(console.get(f"/console/campaigns/{campaign_id}/edit")) | {"rules-friend_days": "45"}
    console.post(f"/console/campaigns/{campaign_id}/edit", form)
    page = console.get(f"/console/campaigns/{campaign_id}")
    assert "Changes not published yet" in page
    assert "Publish version 2" in page
    with parts.open(workspace) as ctx:
        version = queries.version(ctx, campaign_id, 1)
        assert version is not None
        assert version.config["friend_days"] == 30
    console.post(f"/console/campaigns/{campaign_id}/publish")
    versions = console.get(f"/console/campaigns/{campaign_id}/versions")
    assert "Days for the invited friend" in versions
    assert "Changes not published yet" not in console.get(f"/console/campaigns/{campaign_id}")


def test_copying_and_deleting_a_draft(console: Console, parts: Parts, workspace: str) -> None:
    campaign_id = published(parts, workspace)
    target = console.post(f"/console/campaigns/{campaign_id}/duplicate").headers["Location"]
    copy_id = target.split("/")[-2]
    with parts.open(workspace) as ctx:
        copied = queries.campaign(ctx, copy_id)
        assert (copied.state, copied.ends_at, copied.rule_version) == ("draft", None, 0)
    console.post(f"/console/campaigns/{copy_id}/discard")
    console.get(f"/console/campaigns/{copy_id}", status=404)
    console.post(f"/console/campaigns/{campaign_id}/discard")
    console.get(f"/console/campaigns/{campaign_id}")


# -- a campaign with people --------------------------------------------------------------------------


def test_the_overview_shows_figures_link_code_and_leaders(console: Console, busy: tuple[str, Any]) -> None:
    campaign_id, _people = busy
    page = unescape(console.get(f"/console/campaigns/{campaign_id}"))
    assert f"/c/{campaign_id}" in page
    assert "Ann" in page
    assert "Cid left" in page
    chart = re.search(r'data-chart="([^"]*)"', console.get(f"/console/campaigns/{campaign_id}"))
    assert chart is not None
    assert "Registered" in unescape(chart[1])


def test_the_code_of_the_link_can_be_scanned(console: Console, parts: Parts, workspace: str) -> None:
    import io

    import zxingcpp
    from PIL import Image

    campaign_id = published(parts, workspace)
    answer = console.client.get(f"/console/campaigns/{campaign_id}/qr.png?download=1")
    assert "attachment" in answer.headers["Content-Disposition"]
    found = zxingcpp.read_barcode(Image.open(io.BytesIO(answer.data)).convert("L"))
    assert found is not None
    assert found.text == f"{parts.settings.public_url}/c/{campaign_id}"
    console.get(f"/console/campaigns/{draft(parts, workspace)}/qr.png", status=404)


def test_the_tree_opens_level_by_level(console: Console, busy: tuple[str, Any]) -> None:
    campaign_id, people = busy
    top = console.get(f"/console/campaigns/{campaign_id}/tree")
    assert "Ann" in top
    assert "Bob" not in top
    assert "1 direct" in top or "2 direct" in top
    number = people["Ann"]["member_no"]
    level = console.get(f"/console/campaigns/{campaign_id}/tree/{number}/children", htmx=True)
    assert "Bob" in level
    assert "Cid" in level
    assert "Has left" in level
    assert "<html" not in level


def test_long_levels_come_in_pages(console: Console, parts: Parts, workspace: str) -> None:
    campaign_id = published(parts, workspace, config={"inviter_cap": None})
    ann = join(parts, workspace, campaign_id, "Ann")
    for number in range(23):
        join(parts, workspace, campaign_id, f"P{number:02}", ann["invite_token"])
    first = console.get(f"/console/campaigns/{campaign_id}/tree/1/children")
    more = re.search(r'hx-get="([^"]*after[^"]*)"', first)
    assert more is not None
    second = console.get(unescape(more[1]))
    names = re.findall(r"P\d\d(?=</a>)", first + second)
    assert len(names) == len(set(names)) == 23
    roots = console.get(f"/console/campaigns/{campaign_id}/tree/0/children")
    assert "Ann" in roots


def test_the_path_to_a_person_is_shown(console: Console, busy: tuple[str, Any]) -> None:
    campaign_id, people = busy
    page = console.get(f"/console/campaigns/{campaign_id}/tree?member={people['Dot']['member_no']}")
    path = re.search(r'<ol class="ge-path">(.*?)</ol>', page, re.DOTALL)
    assert path is not None
    assert re.findall(r"Ann|Bob|Dot", path[1]) == ["Ann", "Bob", "Dot"]


def test_entries_say_why_and_can_be_filtered(console: Console, parts: Parts, busy: tuple[str, Any]) -> None:
    campaign_id, people = busy
    with parts.open(parts_workspace(parts, campaign_id)) as ctx:
        workspace = ctx.workspace_id
    ask = participation.JoinAsk(
        identities=[Identity("external_id", "Ann")], consent="v1", invite_token=people["Ann"]["invite_token"]
    )
    participation.join(parts, workspace, campaign_id, ask, source="test", key="self")
    page = unescape(console.get(f"/console/campaigns/{campaign_id}/entries"))
    assert "Bob registered through Ann" in page
    assert "Left the campaign." in page
    refused = unescape(console.get(f"/console/campaigns/{campaign_id}/entries?answer=no"))
    assert "One cannot invite oneself." in refused
    assert "Left the campaign." not in refused
    first = console.get(f"/console/campaigns/{campaign_id}/entries?limit=2")
    more = re.search(r'href="([^"]*cursor=[^"]*)"', first)
    assert more is not None
    assert "Ann" in console.get(unescape(more[1]))


def parts_workspace(parts: Parts, campaign_id: str) -> str:
    found = queries.workspace_of_campaign(parts.db, campaign_id)
    assert found is not None
    return found


def test_stuck_rewards_are_shown_and_tried_again(
    console: Console, parts: Parts, workspace: str, busy: tuple[str, Any]
) -> None:
    campaign_id, _people = busy
    with parts.open(workspace) as ctx:
        ctx.session.execute(
            text("UPDATE grants SET state = 'stuck', error = 'plan is gone' WHERE campaign_id = :id"),
            {"id": campaign_id},
        )
    page = console.get(f"/console/campaigns/{campaign_id}/rewards")
    assert "plan is gone" in page
    assert "could not be delivered" in page
    console.post(f"/console/campaigns/{campaign_id}/rewards/retry")
    with parts.open(workspace) as ctx:
        states = ctx.session.scalars(
            text("SELECT DISTINCT state FROM grants WHERE campaign_id = :id"), {"id": campaign_id}
        ).all()
    assert states == ["pending"]


def test_failed_posters_are_shown_and_drawn_again(
    console: Console, parts: Parts, workspace: str, busy: tuple[str, Any]
) -> None:
    from growth_engine.plays.invites import request_poster

    campaign_id, people = busy
    with parts.open(workspace) as ctx:
        request_poster(ctx, people["Ann"]["id"])
        ctx.session.execute(text("UPDATE posters SET state = 'failed', error = 'storage is away'"))
    assert "storage is away" in console.get(f"/console/campaigns/{campaign_id}/rewards")
    console.post(f"/console/campaigns/{campaign_id}/posters/retry")
    assert "storage is away" not in console.get(f"/console/campaigns/{campaign_id}/rewards")


def test_pages_say_so_when_the_live_figures_are_away(
    console: Console, busy: tuple[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from growth_engine.ledger.mirror import Mirror, MirrorUnavailable

    def away(*_: object, **__: object) -> None:
        raise MirrorUnavailable

    for name in ("totals", "last_seq", "members", "member", "children", "leaderboard"):
        monkeypatch.setattr(Mirror, name, away)
    assert "cannot be read right now" in console.get(f"/console/campaigns/{busy[0]}")
    assert TITLE in console.get("/console/campaigns")
    assert "Ann" in console.get(f"/console/campaigns/{busy[0]}/tree")
    console.get(f"/console/campaigns/{busy[0]}/tree?member=1", status=503)


def test_the_list_pages_and_finds(console: Console, parts: Parts, workspace: str) -> None:
    for number in range(5):
        draft(parts, workspace, title=f"Round {number}")
    first = console.get("/console/campaigns?limit=3")
    more = re.search(r'href="([^"]*cursor=[^"]*)"', first)
    assert more is not None
    second = console.get(unescape(more[1]))
    assert set(re.findall(r"Round \d(?=</a>)", first + second)) == {f"Round {n}" for n in range(5)}
    assert re.findall(r"Round \d(?=</a>)", console.get("/console/campaigns?q=round+3")) == ["Round 3"]
    assert "Round" not in re.sub(r"<select.*?</select>", "", console.get("/console/campaigns?state=live"))


def test_an_empty_list_leads_to_the_gallery(console: Console) -> None:
    page = console.get("/console/campaigns")
    assert "Your first campaign" in page
    assert "/console/gallery" in page


def test_a_mirror_that_lost_the_campaign_is_not_shown_as_an_empty_one(
    console: Console, parts: Parts, workspace: str, busy: tuple[str, Any]
) -> None:
    from growth_engine.ledger.mirror import BookKey

    campaign_id, _people = busy
    parts.mirror.forget(BookKey(workspace, campaign_id))
    assert "cannot be read right now" in console.get(f"/console/campaigns/{campaign_id}")
    console.get(f"/console/campaigns/{campaign_id}/tree/1/children", status=503)
    row = console.get("/console/campaigns")
    assert '<td class="ge-num" data-label="People"><span class="ge-quiet">–</span>' in row
