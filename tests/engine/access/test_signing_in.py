"""Signing in through the pages: passwords, lock-out, sessions, one-time links, CSRF."""

from __future__ import annotations

import re
import threading
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from flask import Flask

from growth_engine.access import links, passwords, rules, service, sessions
from growth_engine.app import create_app
from growth_engine.context import Parts
from growth_engine.kit.clock import FixedClock
from growth_engine.kit.crypto import keyed_digest
from tests.factories.staff import PASSWORD, Browser, make_staff
from tests.factories.workspaces import make_workspace


def _address(parts: Parts) -> str:
    """A network address of this test alone: failures are counted by address."""
    return "2001:db8::" + ":".join(re.findall("....", parts.ids.new("x")[-8:].encode().hex()[:16]))


def _path(url: str) -> str:
    return urlsplit(url).path


# -- passwords ---------------------------------------------------------------------------------------


def test_the_right_password_leads_to_the_console(app: Flask, parts: Parts, workspace: str) -> None:
    staff = make_staff(parts, workspace)
    browser = Browser(app)
    answer = browser.sign_in(f"  {staff.email.upper()} ")
    assert answer.status_code == 302
    assert answer.location == "/console"
    assert browser.is_signed_in()


def test_after_signing_in_one_goes_on_to_the_page_asked_for(app: Flask, parts: Parts, workspace: str) -> None:
    staff = make_staff(parts, workspace)
    browser = Browser(app)
    asked = browser.get("/console/tokens?x=1")
    assert asked.location == "/sign-in?next=/console/tokens?x%3D1"
    answer = browser.sign_in(staff.email, next="/console/tokens?x=1")
    assert answer.location == "/console/tokens?x=1"


@pytest.mark.parametrize(
    "target", ["https://evil.example", "//evil.example", "/\\evil.example", "/\r\nX: y", "javascript:1"]
)
def test_one_is_never_sent_to_another_site(app: Flask, parts: Parts, workspace: str, target: str) -> None:
    staff = make_staff(parts, workspace)
    assert Browser(app).sign_in(staff.email, next=target).location == "/console"


def test_unknown_people_and_wrong_passwords_get_the_same_answer(
    app: Flask, parts: Parts, workspace: str
) -> None:
    staff = make_staff(parts, workspace)
    disabled = make_staff(parts, workspace, role="marketer")
    with parts.open(workspace) as ctx:
        service.disable(ctx, disabled.id)
    without_password = make_staff(parts, workspace, password=None)
    browser = Browser(app, address=_address(parts))
    pages = []
    for email, password in (
        (staff.email, "not the password"),
        ("nobody@example.com", PASSWORD),
        (disabled.email, PASSWORD),
        (without_password.email, PASSWORD),
    ):
        answer = browser.sign_in(email, password)
        assert answer.status_code == 401
        pages.append(answer.text.replace(email, "…"))
    assert len(set(pages)) == 1
    assert PASSWORD not in pages[0]


def test_an_unknown_email_costs_the_same_work_as_a_known_one(
    parts: Parts, workspace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = make_staff(parts, workspace).email
    without_password = make_staff(parts, workspace, password=None).email
    checked: list[str] = []
    hasher = passwords._hasher

    class Watched:
        def verify(self, password_hash: str, password: str) -> bool:
            checked.append(password_hash.rsplit("$", 2)[0])
            return hasher.verify(password_hash, password)

        def hash(self, password: str) -> str:
            return hasher.hash(password)

    monkeypatch.setattr(passwords, "_hasher", Watched())
    for email in (known, without_password, "nobody-at-all@example.com"):
        with pytest.raises(service.WrongCredentials):
            service.check_password(parts, email, "not the password", _address(parts))
    assert checked == ["$argon2id$v=19$m=19456,t=2,p=1"] * 3


def test_an_email_of_two_workspaces_asks_where_to_go(app: Flask, parts: Parts, workspace: str) -> None:
    here = make_staff(parts, workspace)
    there = make_staff(parts, make_workspace(parts), email=here.email, role="sales")
    browser = Browser(app)
    page = browser.sign_in(here.email)
    choices = re.findall(r'name="choice" value="([^"]+)"', page.text)
    assert len(choices) == 2
    answer = browser.post("/sign-in/workspace", choice=choices[1])
    assert answer.location == "/console"
    assert there.email in browser.get("/console/profile").text
    stranger = Browser(app)
    assert stranger.post("/sign-in/workspace", choice=choices[0]).location == "/sign-in"
    assert not stranger.is_signed_in()


# -- lock-out ----------------------------------------------------------------------------------------


def test_repeated_failures_lock_an_email_and_say_for_how_long(
    app: Flask, parts: Parts, workspace: str
) -> None:
    staff = make_staff(parts, workspace)
    for _ in range(rules.FREE_FAILURES["email"]):
        assert Browser(app, address=_address(parts)).sign_in(staff.email, "wrong").status_code == 401
    answer = Browser(app, address=_address(parts)).sign_in(staff.email)
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= 15
    assert re.search(r"Please wait 0:\d\d and try again", answer.text)


def test_the_wait_grows_and_ends(parts: Parts, workspace: str) -> None:
    staff = make_staff(parts, workspace)
    for _ in range(rules.FREE_FAILURES["email"]):
        with pytest.raises(service.WrongCredentials):
            service.check_password(parts, staff.email, "wrong", _address(parts))
    name = keyed_digest(parts.settings.secret_key, f"signin:{staff.email}")
    lock = f"ge:signin:lock:email:{name}"
    assert 14_000 < parts.queue.pttl(lock) <= 15_000
    parts.queue.delete(lock)  # as if the time were over
    with pytest.raises(service.WrongCredentials):
        service.check_password(parts, staff.email, "wrong", _address(parts))
    assert 29_000 < parts.queue.pttl(lock) <= 30_000
    parts.queue.delete(lock)
    assert service.check_password(parts, staff.email, PASSWORD, _address(parts))
    assert not parts.queue.exists(lock, f"ge:signin:failures:email:{name}")


def test_unknown_emails_lock_just_like_known_ones(app: Flask, parts: Parts) -> None:
    email = f"{parts.ids.new('nobody')}@example.com"
    for _ in range(rules.FREE_FAILURES["email"]):
        assert Browser(app, address=_address(parts)).sign_in(email, "wrong").status_code == 401
    assert Browser(app, address=_address(parts)).sign_in(email, "wrong").status_code == 429


def test_many_failures_from_one_address_lock_the_address(parts: Parts, workspace: str) -> None:
    staff = make_staff(parts, workspace)
    address = _address(parts)
    name = keyed_digest(parts.settings.secret_key, f"signin:{address}")
    parts.queue.set(f"ge:signin:failures:address:{name}", rules.FREE_FAILURES["address"] - 1, ex=60)
    with pytest.raises(service.WrongCredentials):
        service.check_password(parts, "nobody-here@example.com", "wrong", address)
    with pytest.raises(Exception, match="Please wait"):
        service.check_password(parts, staff.email, PASSWORD, address)
    assert service.check_password(parts, staff.email, PASSWORD, _address(parts))


def test_guessing_in_parallel_gains_nothing(parts: Parts, workspace: str) -> None:
    staff = make_staff(parts, workspace)
    answers: list[str] = []
    start = threading.Barrier(20)

    def guess(number: int) -> None:
        start.wait()
        try:
            service.check_password(parts, staff.email, f"guess number {number}", f"10.9.{number}.1")
        except Exception as error:
            answers.append(type(error).__name__)

    threads = [threading.Thread(target=guess, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers.count("WrongCredentials") <= rules.FREE_FAILURES["email"]
    assert answers.count("LockedOut") == 20 - answers.count("WrongCredentials")


# -- sessions ----------------------------------------------------------------------------------------


def test_the_session_cookie_is_opaque_and_guarded(app: Flask, parts: Parts, workspace: str) -> None:
    staff = make_staff(parts, workspace)
    answer = Browser(app).sign_in(staff.email)
    (cookie,) = [value for value in answer.headers.getlist("Set-Cookie") if value.startswith("ge_session=")]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    value = cookie.split("=")[1].split(";")[0]
    assert len(value) == 43
    assert not any(value.encode() in key for key in parts.queue.scan_iter("ge:session:*"))


def test_under_https_cookies_are_secure_and_bound_to_the_host(parts: Parts, workspace: str) -> None:
    secure = replace(parts, settings=replace(parts.settings, public_url="https://grow.example"))
    staff = make_staff(parts, workspace)
    answer = Browser(create_app(secure)).sign_in(staff.email)
    cookies = answer.headers.getlist("Set-Cookie")
    assert any(cookie.startswith("__Host-ge_session=") and "Secure" in cookie for cookie in cookies)
    assert all("Secure" in cookie for cookie in cookies)
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=31536000")


def test_signing_in_rotates_the_session(app: Flask, parts: Parts, workspace: str) -> None:
    staff = make_staff(parts, workspace)
    browser = Browser(app)
    browser.client.set_cookie("ge_session", "planted-by-somebody-else")
    browser.sign_in(staff.email)
    first = browser.session
    assert first != "planted-by-somebody-else"
    browser.post("/sign-in", email=staff.email, password=PASSWORD)
    assert browser.session != first
    thief = Browser(app)
    thief.client.set_cookie("ge_session", str(first))
    assert not thief.is_signed_in()


def test_signing_out_ends_the_session_on_the_server(app: Flask, parts: Parts, workspace: str) -> None:
    staff = make_staff(parts, workspace)
    browser = Browser(app)
    browser.sign_in(staff.email)
    kept = str(browser.session)
    assert browser.post("/sign-in/out").location == "/sign-in"
    browser.client.set_cookie("ge_session", kept)
    assert not browser.is_signed_in()


def test_signing_out_everywhere_ends_every_device(app: Flask, parts: Parts, workspace: str) -> None:
    staff = make_staff(parts, workspace)
    colleague = make_staff(parts, workspace)
    phone, desk, other = Browser(app), Browser(app), Browser(app)
    for browser, one in ((phone, staff), (desk, staff), (other, colleague)):
        browser.sign_in(one.email)
    assert phone.post("/sign-in/out-everywhere").location == "/sign-in"
    assert not phone.is_signed_in()
    assert not desk.is_signed_in()
    assert other.is_signed_in()
    phone.sign_in(staff.email)
    assert phone.is_signed_in()


def test_a_session_ends_after_thirty_days_however_busy(
    app: Flask, parts: Parts, workspace: str, clock: FixedClock
) -> None:
    staff = make_staff(parts, workspace)
    browser = Browser(app)
    browser.sign_in(staff.email)
    clock.advance(sessions.ABSOLUTE)
    assert browser.is_signed_in()
    clock.advance(timedelta(seconds=1))
    assert not browser.is_signed_in()


def test_an_idle_session_is_forgotten_by_redis(app: Flask, parts: Parts, workspace: str) -> None:
    staff = make_staff(parts, workspace)
    browser = Browser(app)
    browser.sign_in(staff.email)
    key = next(
        key for key in parts.queue.scan_iter("ge:session:*") if staff.id.encode() in parts.queue.get(key)
    )
    parts.queue.expire(key, 60)
    assert browser.is_signed_in()
    assert parts.queue.ttl(key) > 60  # used: the idle time starts anew


def test_a_disabled_person_is_out_at_once(app: Flask, parts: Parts, workspace: str) -> None:
    staff = make_staff(parts, workspace, role="marketer")
    make_staff(parts, workspace)
    browser = Browser(app)
    browser.sign_in(staff.email)
    with parts.open(workspace) as ctx:
        service.disable(ctx, staff.id)
    assert not browser.is_signed_in()


def test_a_changed_password_ends_other_sessions_and_keeps_this_one(
    app: Flask, parts: Parts, workspace: str
) -> None:
    staff = make_staff(parts, workspace)
    here, there = Browser(app), Browser(app)
    here.sign_in(staff.email)
    there.sign_in(staff.email)
    wrong = here.post("/console/profile/password", current="not it", password="a new long password")
    assert wrong.status_code == 422
    assert "This is not your present password." in wrong.text
    weak = here.post("/console/profile/password", current=PASSWORD, password="short")
    assert weak.status_code == 422
    done = here.post("/console/profile/password", current=PASSWORD, password="a new long password")
    assert done.status_code == 302
    assert here.is_signed_in()
    assert not there.is_signed_in()
    assert Browser(app).sign_in(staff.email, "a new long password").status_code == 302


# -- CSRF --------------------------------------------------------------------------------------------


def test_a_form_without_the_token_is_refused(app: Flask, parts: Parts, workspace: str) -> None:
    staff = make_staff(parts, workspace)
    browser = Browser(app)
    browser.sign_in(staff.email)
    for token in (None, "", "0" * 32, "é"):
        answer = browser.post("/console/staff/new", csrf_token=token, name="x", email="x@example.com")
        assert answer.status_code == 403
        assert "This page was open for too long" in answer.text


def test_the_token_of_another_visitor_or_session_is_refused(app: Flask, parts: Parts, workspace: str) -> None:
    mine, theirs = make_staff(parts, workspace), make_staff(parts, workspace)
    attacker, victim = Browser(app), Browser(app)
    attacker.sign_in(mine.email)
    victim.sign_in(theirs.email)
    stolen = attacker._token
    assert victim.post("/sign-in/out", csrf_token=stolen).status_code == 403
    before = victim._token
    victim.post("/sign-in", email=theirs.email, password=PASSWORD)
    assert victim.post("/sign-in/out", csrf_token=before).status_code == 403


def test_htmx_sends_the_token_in_a_header(app: Flask, parts: Parts, workspace: str) -> None:
    staff = make_staff(parts, workspace)
    browser = Browser(app)
    browser.sign_in(staff.email)
    headers = {"X-CSRF-Token": browser._token, "HX-Request": "true"}
    assert browser.client.post("/sign-in/out", headers=headers).status_code == 302


def test_a_cross_site_request_is_refused_even_with_the_token(
    app: Flask, parts: Parts, workspace: str
) -> None:
    staff = make_staff(parts, workspace)
    browser = Browser(app)
    browser.sign_in(staff.email)
    answer = browser.client.post(
        "/sign-in/out", data={"csrf_token": browser._token}, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert answer.status_code == 403
    assert browser.is_signed_in()


# -- one-time links ----------------------------------------------------------------------------------


def test_a_link_signs_in_once_and_looking_at_it_does_not_use_it(
    app: Flask, parts: Parts, workspace: str
) -> None:
    staff = make_staff(parts, workspace, email=f"{parts.ids.new('li')}@example.com", password=None)
    path = _path(links.create_sign_in_link(parts, workspace, staff.email))
    preview = Browser(app)
    for _ in range(3):
        page = preview.get(path)
        assert page.status_code == 200
        assert staff.email not in page.text
    person = Browser(app)
    person.get(path)
    assert person.post(path).location == "/console/profile"  # no password yet: set one
    assert person.is_signed_in()
    again = Browser(app)
    assert again.get(path).status_code == 410
    assert "This link no longer works" in again.post(path).text


def test_a_link_opened_by_twenty_at_once_lets_exactly_one_in(parts: Parts, workspace: str) -> None:
    staff = make_staff(parts, workspace)
    token = links.create_sign_in_link(parts, workspace, staff.email).rsplit("/", 1)[1]
    results: list[str] = []
    start = threading.Barrier(20)

    def use() -> None:
        start.wait()
        try:
            results.append(links.use(parts, token).id)
        except links.LinkSpent:
            results.append("spent")

    threads = [threading.Thread(target=use) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == sorted([staff.id] + ["spent"] * 19)


def test_links_are_kept_hashed_and_for_a_short_time(parts: Parts, workspace: str) -> None:
    staff = make_staff(parts, workspace)
    token = links.create_sign_in_link(parts, workspace, staff.email, ttl=timedelta(days=9)).rsplit("/", 1)[1]
    keys = [key for key in parts.queue.scan_iter("ge:link:*") if staff.id.encode() in parts.queue.get(key)]
    assert len(token) == 43
    assert all(token.encode() not in key for key in keys)
    assert all(0 < parts.queue.ttl(key) <= 24 * 3600 for key in keys)


def test_a_link_of_somebody_disabled_meanwhile_is_spent(parts: Parts, workspace: str) -> None:
    make_staff(parts, workspace)
    staff = make_staff(parts, workspace, role="sales")
    token = links.create_sign_in_link(parts, workspace, staff.email).rsplit("/", 1)[1]
    with parts.open(workspace) as ctx:
        service.disable(ctx, staff.id)
    with pytest.raises(links.LinkSpent):
        links.use(parts, token)
    with pytest.raises(links.StaffDisabled):
        links.create_sign_in_link(parts, workspace, staff.email)
    with pytest.raises(links.NoSuchStaff):
        links.create_sign_in_link(parts, workspace, "nobody@example.com")
