"""What the phone pages show: invites, states, leaderboard, rules, share tags, posters, colours."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import timedelta

import pytest
from flask import Flask, render_template
from redis.exceptions import ConnectionError as RedisDown
from sqlalchemy import text

from growth_engine.context import Parts
from growth_engine.kit.clock import FixedClock
from growth_engine.kit.i18n import translate
from growth_engine.ledger.contract import Event, Receipt
from growth_engine.ledger.mirror import BookKey, MirrorUnavailable
from growth_engine.people import queries as people
from growth_engine.people import service as people_service
from growth_engine.people.rules import Identity
from growth_engine.plays import participation, queries, service
from growth_engine.plays.contract import Viewer
from growth_engine.plays.registry import play
from growth_engine.web.h5 import visit
from growth_engine.web.h5.landing_view import Visitor, landing_view
from growth_engine.web.h5.notice import NOTICES
from tests.factories.phones import Phone, publish_campaign

RunJobs = Callable[..., int]
A, B = "13800138001", "13800138002"


@pytest.fixture
def campaign(parts: Parts, workspace: str) -> str:
    return publish_campaign(parts, workspace)


def contact_of(parts: Parts, workspace: str, phone: str) -> str:
    with parts.open(workspace) as ctx:
        found = people.by_identity(ctx, Identity("phone", f"+86{phone}"))
        assert found is not None
        return found


@pytest.fixture
def handed_in(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> list[Future[Receipt]]:
    """What the pages hand in without waiting for it (visits)."""
    found: list[Future[Receipt]] = []
    enqueue = parts.ledger.enqueue

    def noted(events: Sequence[Event]) -> list[Future[Receipt]]:
        futures: list[Future[Receipt]] = enqueue(events)
        found.extend(futures)
        return futures

    monkeypatch.setattr(parts.ledger, "enqueue", noted)
    return found


# -- landing -----------------------------------------------------------------------------------------


def test_the_landing_page_says_what_both_get_until_when_and_how(app: Flask, campaign: str) -> None:
    visitor = Phone(app)
    assert visitor.get(f"/c/{campaign}").status_code == 200
    words = visitor.text()
    for part in ("Skiff", "30 days", "Ends in 12 days 00", "How it works", "Team starter", "Register free"):
        assert part in words
    assert "invites you" not in words
    assert f'href="/c/{campaign}/register"' in visitor.page


def test_an_inviter_who_did_not_agree_to_be_named_is_a_friend(
    app: Flask, parts: Parts, workspace: str, campaign: str
) -> None:
    ask = participation.JoinAsk(identities=[Identity("external_id", "u1")], nickname="Shy Person")
    outcome = participation.join(parts, workspace, campaign, ask, source="api", key="1")
    assert outcome.participant is not None
    visitor = Phone(app)
    visitor.get(f"/i/{outcome.participant['invite_token']}")
    assert "A friend invites you" in visitor.text()
    assert "Shy" not in visitor.page


def test_an_erased_inviter_is_a_friend_and_their_own_page_says_so(
    app: Flask, parts: Parts, workspace: str, campaign: str
) -> None:
    ann = Phone(app)
    token = ann.join(campaign, A, "Ann")
    with parts.open(workspace) as ctx:
        people_service.erase(ctx, contact_of(parts, workspace, A))
    visitor = Phone(app)
    visitor.get(f"/i/{token}")
    assert "A friend invites you" in visitor.text()
    assert ann.get(f"/c/{campaign}/me").status_code == 410
    assert "Your data has been erased" in ann.text()
    assert ann.get(f"/c/{campaign}/register").status_code == 200, "they may register afresh"


def test_ones_own_invite_link_is_recognised(app: Flask, campaign: str) -> None:
    ann = Phone(app)
    ann.get(f"/i/{ann.join(campaign, A)}")
    assert "This is your own invite link" in ann.text()
    assert "To my page and poster" in ann.text()
    assert ann.text().index("Your friend gets 30") < ann.text().index("You get 30 days 30 more days")


def test_a_shared_link_has_absolute_addresses_and_the_campaigns_words(app: Flask, campaign: str) -> None:
    ann = Phone(app)
    token = ann.join(campaign, A)
    base = "http://127.0.0.1:8000"
    for path in (f"/i/{token}", f"/c/{campaign}/me?i={token}"):
        ann.get(path)
        assert f'<meta property="og:url" content="{base}/i/{token}">' in ann.page
        assert f'<meta property="og:image" content="{base}/share/4a3fd6.png">' in ann.page
        assert f'<meta itemprop="image" content="{base}/share/4a3fd6.png">' in ann.page
        assert '<meta name="theme-color" content="#4a3fd6">' in ann.page
    title = re.search(r'og:title" content="([^"]+)"', ann.page)
    assert title
    assert "{" not in title[1]
    card = ann.get("/share/4a3fd6.png")
    assert card.mimetype == "image/png"
    assert card.get_data()[:8] == b"\x89PNG\r\n\x1a\n"


def test_my_page_sent_to_a_friend_leads_them_to_the_invite(app: Flask, campaign: str) -> None:
    ann, friend = Phone(app), Phone(app)
    token = ann.join(campaign, A)
    assert ann.answer.request.path == f"/c/{campaign}/me"
    friend.get(f"/c/{campaign}/me?{ann.answer.request.query_string.decode()}")
    assert friend.answer.headers["Location"] == f"/i/{token}"


def test_a_visitor_is_counted_once_and_one_address_cannot_fill_the_books(
    app: Flask,
    parts: Parts,
    workspace: str,
    campaign: str,
    handed_in: list[Future[Receipt]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ann = Phone(app)
    for _ in range(3):
        ann.get(f"/c/{campaign}")
    monkeypatch.setattr("growth_engine.web.h5.limits.take", _counting(most=5))
    for _ in range(20):  # a robot without cookies
        Phone(app, address="203.0.113.9").get(f"/c/{campaign}")
    for posted in handed_in:
        posted.result(15)
    assert parts.mirror.funnel(BookKey(workspace, campaign))["visit"] == 6


def _counting(most: int) -> Callable[..., bool]:
    """``limits.take`` with a smaller limit."""
    from growth_engine.web.h5 import limits

    take = limits.take
    return lambda of, what, whose, _: take(of, what, whose, most)


def test_the_page_is_shown_when_visits_cannot_be_counted(
    app: Flask, parts: Parts, campaign: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object, **__: object) -> None:
        raise RedisDown("gone")

    monkeypatch.setattr(parts.queue, "set", down)
    assert Phone(app).get(f"/c/{campaign}").status_code == 200


def test_pages_do_without_the_mirror(
    app: Flask, parts: Parts, campaign: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = Phone(app)
    ann.join(campaign, A)

    def down(*_: object, **__: object) -> None:
        raise MirrorUnavailable

    for name in ("totals", "member", "leaderboard"):
        monkeypatch.setattr(parts.mirror, name, down)
    assert Phone(app).get(f"/c/{campaign}").status_code == 200
    ann.get(f"/c/{campaign}/me")
    assert ann.follow().status_code == 200
    ann.get(f"/c/{campaign}/leaderboard")
    assert "cannot be shown right now" in ann.text()


def test_a_draft_can_be_previewed_from_plain_values(
    app: Flask, parts: Parts, workspace: str, campaign: str
) -> None:
    with parts.open(workspace) as ctx:
        draft = queries.campaign(ctx, campaign)
        rules = play(draft.play)
        view = landing_view(
            draft,
            rules.promise(draft.config),
            now=ctx.now(),
            brand="Our shop",
            steps=rules.page({}, draft.config, Viewer(0, 0)).steps,
            visitor=Visitor(invited=True, inviter="Ann"),
        )
    with app.test_request_context():
        page = render_template("h5/landing.html", **visit.landing_values(view))
    assert "Ann invites you" in page
    assert campaign not in page, "a preview leads nowhere"


# -- states ------------------------------------------------------------------------------------------


def _in_state(parts: Parts, workspace: str, state: str, clock: FixedClock) -> str:
    if state == "not_started":
        later = clock.now() + timedelta(days=2)
        return publish_campaign(parts, workspace, starts_at=later, ends_at=later + timedelta(days=9))
    if state == "full":
        campaign = publish_campaign(parts, workspace, config={"max_participants": 1})
        ask = participation.JoinAsk(identities=[Identity("external_id", "first")])
        participation.join(parts, workspace, campaign, ask, source="api", key="first")
        return campaign
    campaign = publish_campaign(parts, workspace)
    with parts.open(workspace) as ctx:
        {"paused": service.pause, "ended": service.end}[state](ctx, campaign)
    return campaign


@pytest.mark.parametrize("state", ["not_started", "paused", "ended", "full"])
def test_a_closed_campaign_says_so_in_both_languages_wherever_one_comes_from(
    app: Flask, parts: Parts, workspace: str, clock: FixedClock, state: str
) -> None:
    campaign = _in_state(parts, workspace, state, clock)
    for language in ("en", "zh"):
        title = translate(NOTICES[state].title, locale=language)
        visitor = Phone(app, language=language)
        for path in (f"/c/{campaign}", f"/c/{campaign}/register"):
            assert visitor.get(path).status_code == 200
            assert title in visitor.text()
            assert f'<html lang="{"zh-CN" if language == "zh" else "en"}">' in visitor.page
        for path in ("rules", "leaderboard"):
            assert visitor.get(f"/c/{campaign}/{path}").status_code == 200


@pytest.mark.parametrize("state", ["paused", "ended"])
def test_a_form_sent_after_the_door_closed_is_refused_with_the_reason(
    app: Flask, parts: Parts, workspace: str, campaign: str, state: str
) -> None:
    ann = Phone(app)
    path = ann.open_form(campaign)
    with parts.open(workspace) as ctx:
        {"paused": service.pause, "ended": service.end}[state](ctx, campaign)
    answer = ann.post(path, {**ann.hidden(), "nickname": "Ann", "phone": A, "consent": "yes"})
    assert answer.status_code == 409
    assert NOTICES[state].title in ann.text()


def test_the_last_place_taken_while_typing_is_told(app: Flask, parts: Parts, workspace: str) -> None:
    campaign = publish_campaign(parts, workspace, config={"max_participants": 1})
    ann = Phone(app)
    path = ann.open_form(campaign)
    fields = {**ann.hidden(), "nickname": "Ann", "phone": A, "consent": "yes"}
    Phone(app, address="198.51.100.2").join(campaign, B)
    assert ann.post(path, fields).status_code == 409
    assert "All places are taken" in ann.text()


def test_a_blocked_person_is_told_politely(app: Flask, parts: Parts, workspace: str, campaign: str) -> None:
    ann = Phone(app)
    ann.join(campaign, A)
    participation.block(parts, workspace, contact_of(parts, workspace, A), key="1")
    assert ann.get(f"/c/{campaign}/me").status_code in (302, 403)
    assert ann.follow().status_code == 403
    assert "This account cannot take part" in ann.text()


def test_who_takes_part_keeps_their_page_after_the_end(
    app: Flask, parts: Parts, workspace: str, campaign: str
) -> None:
    ann = Phone(app)
    ann.join(campaign, A)
    with parts.open(workspace) as ctx:
        service.end(ctx, campaign)
    ann.get(f"/c/{campaign}")
    assert "To my page" in ann.text()
    ann.get(f"/c/{campaign}/me")
    assert ann.follow().status_code == 200
    assert "The campaign has ended." in ann.text()


def test_a_draft_and_a_campaign_nobody_knows_are_not_found(
    app: Flask, parts: Parts, workspace: str, campaign: str
) -> None:
    with parts.open(workspace) as ctx:
        draft = service.duplicate(ctx, campaign).id
    for known in (draft, "cmp_nobody"):
        for path in ("", "/register", "/me", "/rules", "/leaderboard", "/code", "/wait", "/leave", "/enter"):
            assert Phone(app).get(f"/c/{known}{path}").status_code == 404


# -- my page, posters, leaderboard -------------------------------------------------------------------


def test_the_poster_is_followed_and_then_served_by_its_hash(
    app: Flask, parts: Parts, workspace: str, campaign: str, run_jobs: RunJobs
) -> None:
    ann = Phone(app)
    ann.join(campaign, A)
    progress = f"/c/{campaign}/me/poster"
    assert ann.get(progress).json == {"state": "queued", "url": ""}
    assert Phone(app).get(progress).status_code == 404
    run_jobs(workspace, "posters.render")
    found = ann.get(progress).json
    assert found is not None
    assert found["state"] == "ready"
    picture = Phone(app).get(found["url"])
    assert picture.mimetype == "image/jpeg"
    assert picture.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    assert picture.get_data()[:2] == b"\xff\xd8"
    name = found["url"].rpartition("/")[2]
    other = publish_campaign(parts, workspace)
    assert Phone(app).get(f"/p/{other}/{name}").status_code == 200, "the same shop"
    assert Phone(app).get(f"/p/cmp_nobody/{name}").status_code == 404
    assert Phone(app).get(f"/p/{campaign}/{'0' * 64}.jpg").status_code == 404
    assert Phone(app).get(f"/p/{campaign}/{'z' * 64}.jpg").status_code == 404


def test_a_poster_that_failed_leaves_the_link(
    app: Flask, parts: Parts, workspace: str, campaign: str
) -> None:
    ann = Phone(app)
    ann.join(campaign, A)
    with parts.open(workspace) as ctx:
        ctx.session.execute(text("UPDATE posters SET state = 'failed', error = 'x'"))
    ann.get(f"/c/{campaign}/me")
    ann.follow()
    assert "The poster could not be made." in ann.text()
    assert ann.invite_token()


def test_who_joined_elsewhere_can_ask_for_a_poster(
    app: Flask, parts: Parts, workspace: str, campaign: str
) -> None:
    ann = Phone(app)
    ann.join(campaign, A)
    with parts.open(workspace) as ctx:
        ctx.session.execute(text("DELETE FROM posters"))
    ann.get(f"/c/{campaign}/me")
    ann.follow()
    assert "Make my poster" in ann.text()
    ann.post(f"/c/{campaign}/me/poster", ann.hidden())
    ann.follow()
    assert "Your poster is being drawn" in ann.text()


def test_the_leaderboard_masks_names_and_marks_ones_own_row(
    app: Flask, parts: Parts, workspace: str, campaign: str
) -> None:
    ann, ben = Phone(app), Phone(app, address="198.51.100.2")
    assert "Nobody has brought a friend yet." in _board(ann, campaign)
    token = ann.join(campaign, A, "Alexandra")
    assert "You are not on the list yet" in _board(ann, campaign)
    ben.join(campaign, B, "Ben", token)
    assert "A**a That is you 1 friend" in _board(ann, campaign)
    seen = _board(ben, campaign)
    assert "A**a 1 friend" in seen
    assert "Alexandra" not in seen


def _board(phone: Phone, campaign: str) -> str:
    assert phone.get(f"/c/{campaign}/leaderboard").status_code == 200
    return phone.text()


def test_an_invite_that_does_not_count_is_explained_to_both(
    app: Flask, parts: Parts, workspace: str, campaign: str
) -> None:
    ann = Phone(app)
    token = ann.join(campaign, A, "Ann")
    ann.client.delete_cookie(f"ge_me_{workspace[-10:]}")
    ann.join(campaign, B, "Ben", token)
    again = Phone(app)
    again.get(f"/c/{campaign}/enter")
    again.post(f"/c/{campaign}/enter", {**again.hidden(), "phone": A})
    again.follow()
    again.post(f"/c/{campaign}/code", {**again.hidden(), "code": parts.sms.last_code(f"+86{A}")})
    again.follow()
    words = again.text()
    assert "B** Another account on the same phone takes part already. Does not count" in words
    assert "B** came through you. It does not count." in words


def test_a_long_list_of_friends_goes_on(app: Flask, parts: Parts, workspace: str, campaign: str) -> None:
    ann = Phone(app)
    token = ann.join(campaign, A)
    for n in range(23):
        ask = participation.JoinAsk(
            identities=[Identity("external_id", f"u{n}")], nickname=f"N{n:02d}x", invite_token=token
        )
        participation.join(parts, workspace, campaign, ask, source="api", key=f"u{n}")
    ann.get(f"/c/{campaign}/me")
    ann.follow()
    assert ann.page.count("h5-people-name") == 20
    more = re.search(r'href="([^"]*before=[^"]*)"', ann.page)
    assert more
    ann.get(html.unescape(more[1]))
    assert ann.page.count("h5-people-name") == 3
    assert ann.get(f"/c/{campaign}/me?i={token}&before=x%27").status_code == 200


def test_the_rules_page_has_rules_privacy_and_whom_to_ask(app: Flask, campaign: str) -> None:
    visitor = Phone(app)
    visitor.get(f"/c/{campaign}/rules")
    for part in ("judged by phone number", "Registering takes a nickname", "Questions and complaints"):
        assert part in visitor.text()


def test_pages_speak_the_visitors_language_and_the_copy_its_own(app: Flask, campaign: str) -> None:
    visitor = Phone(app, language="zh-CN,zh;q=0.9")
    visitor.get(f"/c/{campaign}")
    assert '<html lang="zh-CN">' in visitor.page
    assert '<header class="h5-hero" lang="en">' in visitor.page
    visitor.get(f"/c/{campaign}?lang=en")
    visitor.get(f"/c/{campaign}")
    assert '<html lang="en">' in visitor.page


def test_pages_are_light_and_hold_no_inline_code(app: Flask, campaign: str) -> None:
    ann = Phone(app)
    ann.join(campaign, A)
    own = 0
    for address in set(re.findall(r'(?:href|src)="(/(?:static|theme)/[^"]+\.(?:css|js))"', ann.page)):
        if "vendor" not in address:
            own += len(ann.client.get(address).get_data())
    assert 0 < own < 60_000
    assert not re.search(r"<script(?![^>]*\bsrc=)|\sstyle=|\son[a-z]+=|<style", ann.page)
