"""Registering on the phone pages: the loop without scripts, known numbers, forms sent twice, waiting."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import text

from growth_engine.app import create_app
from growth_engine.channels.sms import NoSms
from growth_engine.context import Parts
from growth_engine.ledger.contract import Received
from growth_engine.membership import queries as membership
from growth_engine.people import queries as people
from growth_engine.people.rules import Identity
from growth_engine.plays import participation
from growth_engine.posters.models import Poster
from tests.factories.phones import Phone, publish_campaign

RunJobs = Callable[..., int]
A, B, C = "13800138001", "13800138002", "13800138003"


@pytest.fixture
def campaign(parts: Parts, workspace: str) -> str:
    return publish_campaign(parts, workspace)


def contact_of(parts: Parts, workspace: str, phone: str) -> str:
    with parts.open(workspace) as ctx:
        found = people.by_identity(ctx, Identity("phone", f"+86{phone}"))
        assert found is not None
        return found


def days_of(parts: Parts, workspace: str, phone: str) -> int:
    contact_id = contact_of(parts, workspace, phone)
    with parts.open(workspace) as ctx:
        return sum(one["days_left"] for one in membership.standing_of(ctx, contact_id))


def joins(parts: Parts, workspace: str, campaign_id: str) -> int:
    with parts.open(workspace) as ctx:
        statement = text("SELECT count(*) FROM participants WHERE campaign_id = :id")
        return int(ctx.session.scalar(statement, {"id": campaign_id}) or 0)


def test_a_registers_b_comes_through_the_invite_and_both_have_their_days(
    app: Flask, parts: Parts, workspace: str, campaign: str, run_jobs: RunJobs
) -> None:
    ann, ben = Phone(app), Phone(app, address="198.51.100.2")
    token = ann.join(campaign, A, "Ann")
    assert "Your poster is being drawn" in ann.text()
    run_jobs(workspace, "posters.render", "grants.drain")
    assert ben.get(f"/i/{token}").status_code == 200
    assert "Ann invites you" in ben.text()
    ben.join(campaign, B, "Ben", token)
    run_jobs(workspace, "posters.render", "grants.drain", "outbox.drain")
    assert (days_of(parts, workspace, A), days_of(parts, workspace, B)) == (30, 30)
    ann.get(f"/c/{campaign}/me")
    ann.follow()
    assert "30 days left" in ann.text()
    assert "B** " in ann.text()
    assert "1 friend counts" in ann.text()
    assert 'src="/p/' in ann.page


def test_registering_asks_for_a_poster_that_carries_the_invite_link(
    app: Flask, parts: Parts, workspace: str, campaign: str
) -> None:
    token = Phone(app).join(campaign, A)
    with parts.open(workspace) as ctx:
        poster = ctx.session.query(Poster).filter_by(campaign_id=campaign).one()
        assert poster.qr_content.endswith(f"/i/{token}")
        assert poster.personal["headline"] == "Good tools are better with friends"
        assert poster.personal["nickname"] == "Ann"


def test_consent_is_recorded_with_the_version_of_the_wording(
    app: Flask, parts: Parts, workspace: str, campaign: str
) -> None:
    Phone(app).join(campaign, A)
    contact_id = contact_of(parts, workspace, A)
    with parts.open(workspace) as ctx:
        (consent,) = people.consents_of(ctx, contact_id)
        assert consent.wording_version == f"h5-1:{campaign}:1"
        assert consent.purpose == participation.CONSENT_PURPOSE


WRONG: list[tuple[dict[str, str], str]] = [
    ({"nickname": ""}, "How may we call you?"),
    ({"nickname": "\u200b\u202e\u2066"}, "How may we call you?"),
    ({"nickname": "x" * 10_000}, "This name is too long."),
    ({"phone": ""}, "Please enter your phone number."),
    ({"phone": "12"}, "This is not a phone number."),
    ({"consent": ""}, "Please agree to the rules"),
]


def test_a_field_that_is_wrong_is_said_beside_it_and_what_was_typed_stays(
    app: Flask, parts: Parts, workspace: str, campaign: str
) -> None:
    phone = Phone(app)
    for change, complaint in WRONG:
        fields = {"nickname": "Ann", "phone": A, "consent": "yes", **change}
        path = phone.open_form(campaign)
        assert phone.post(path, {**phone.hidden(), **fields}).status_code == 422
        assert complaint in phone.text()
        for name in {"nickname", "phone"} - change.keys():
            assert f'value="{fields[name]}"' in phone.page
    assert joins(parts, workspace, campaign) == 0


def test_a_form_sent_twice_registers_once_and_shows_the_page_both_times(
    app: Flask, parts: Parts, workspace: str, campaign: str
) -> None:
    phone = Phone(app)
    path = phone.open_form(campaign)
    fields = {**phone.hidden(), "nickname": "Ann", "phone": A, "consent": "yes"}
    for _ in range(2):
        phone.client.delete_cookie(f"ge_me_{workspace[-10:]}")  # the first answer never arrived
        assert "/me" in phone.post(path, fields).headers["Location"]
    assert joins(parts, workspace, campaign) == 1


def test_a_form_sent_many_times_at_once_registers_once(
    app: Flask, parts: Parts, workspace: str, campaign: str
) -> None:
    first = Phone(app)
    path = first.open_form(campaign)
    fields = {**first.hidden(), "nickname": "Ann", "phone": A, "consent": "yes"}
    visitor = first.client.get_cookie("ge_visitor")
    assert visitor is not None
    phones = [Phone(app) for _ in range(8)]
    for phone in phones:
        phone.client.set_cookie("ge_visitor", visitor.value)
    start = threading.Barrier(len(phones))

    def send(phone: Phone) -> None:
        start.wait()
        phone.post(path, fields)

    threads = [threading.Thread(target=send, args=(phone,)) for phone in phones]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {phone.answer.status_code for phone in phones} == {303}
    assert all("/me" in phone.answer.headers["Location"] for phone in phones)
    assert joins(parts, workspace, campaign) == 1


def test_two_browsers_with_one_new_number_at_once_do_not_both_get_the_page(
    app: Flask, parts: Parts, workspace: str, campaign: str
) -> None:
    phones = [Phone(app, address=f"198.51.100.{n}") for n in range(4)]
    forms = []
    for phone in phones:
        path = phone.open_form(campaign)
        forms.append((path, {**phone.hidden(), "nickname": "Ann", "phone": A, "consent": "yes"}))
    start = threading.Barrier(len(phones))

    def send(phone: Phone, form: tuple[str, dict[str, str]]) -> None:
        start.wait()
        phone.post(*form)

    threads = [threading.Thread(target=send, args=pair) for pair in zip(phones, forms, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    places = sorted(phone.answer.headers["Location"].rpartition("/")[2] for phone in phones)
    assert places == ["code", "code", "code", "me"]
    assert joins(parts, workspace, campaign) == 1


def test_typing_somebody_elses_number_leads_to_a_code_and_not_to_their_page(
    app: Flask, parts: Parts, workspace: str, campaign: str
) -> None:
    token = Phone(app).join(campaign, A, "Ann")
    mallory = Phone(app, address="198.51.100.9")
    assert mallory.register(campaign, A, "Mallory").headers["Location"].endswith("/code")
    mallory.follow()
    assert "+86 138 **** 8001" in mallory.text()
    assert token not in mallory.page
    mallory.get(f"/c/{campaign}/me")
    assert mallory.answer.status_code == 302
    assert "/me" not in mallory.answer.headers["Location"]


def test_the_code_opens_the_page_in_another_browser_and_proves_the_number(
    app: Flask, parts: Parts, workspace: str, campaign: str
) -> None:
    token = Phone(app).join(campaign, A, "Ann")
    other = Phone(app, address="198.51.100.9")
    other.register(campaign, A, "Ann again")
    other.follow()
    wrong = other.post(f"/c/{campaign}/code", {**other.hidden(), "code": "000000"})
    assert wrong.status_code == 422
    assert "wrong or no longer valid" in other.text()
    form = {**other.hidden(), "code": parts.sms.last_code(f"+86{A}")}
    right = other.post(f"/c/{campaign}/code", form)
    assert right.status_code == 303
    other.follow()
    assert other.invite_token() == token
    contact_id = contact_of(parts, workspace, A)
    with parts.open(workspace) as ctx:
        ((identity,),) = people.identities_of(ctx, [contact_id]).values()
        assert identity.verified_at is not None
    again = other.post(f"/c/{campaign}/code", form)
    assert again.headers["Location"].endswith("/register"), "the code and the draft are used up"


def test_a_person_of_another_campaign_joins_this_one_with_a_code(
    app: Flask, parts: Parts, workspace: str, campaign: str
) -> None:
    Phone(app).join(publish_campaign(parts, workspace), A, "Ann")
    other = Phone(app)
    assert other.register(campaign, A, "Ann").headers["Location"].endswith("/code")
    assert joins(parts, workspace, campaign) == 0, "nobody is enrolled by a stranger who types a number"
    other.follow()
    other.post(f"/c/{campaign}/code", {**other.hidden(), "code": parts.sms.last_code(f"+86{A}")})
    assert other.answer.status_code == 303
    assert joins(parts, workspace, campaign) == 1


def test_the_same_browser_joins_a_second_campaign_without_a_code(
    app: Flask, parts: Parts, workspace: str, campaign: str
) -> None:
    ann = Phone(app)
    first = ann.join(publish_campaign(parts, workspace), A)
    assert ann.join(campaign, A) != first
    assert joins(parts, workspace, campaign) == 1


def test_without_text_messages_a_known_number_is_told_to_use_its_own_phone(
    parts: Parts, workspace: str, campaign: str
) -> None:
    app = create_app(replace(parts, sms=NoSms()))
    Phone(app).join(campaign, A)
    other = Phone(app)
    assert other.register(campaign, A).status_code == 409
    assert "This number is registered already" in other.text()


def test_a_campaign_may_ask_everybody_for_a_code(app: Flask, parts: Parts, workspace: str) -> None:
    campaign = publish_campaign(parts, workspace, config={"phone_code": True})
    ann = Phone(app)
    assert ann.register(campaign, A).headers["Location"].endswith("/code")
    assert joins(parts, workspace, campaign) == 0
    ann.follow()
    ann.post(f"/c/{campaign}/code", {**ann.hidden(), "code": parts.sms.last_code(f"+86{A}")})
    ann.follow()
    assert ann.invite_token()
    bare = create_app(replace(parts, sms=NoSms()))
    ben = Phone(bare)
    assert ben.register(campaign, B).status_code == 503
    assert "Text messages cannot be sent" in ben.text()


def test_a_second_code_must_wait_and_the_person_is_told(app: Flask, parts: Parts, campaign: str) -> None:
    Phone(app).join(campaign, A)
    other = Phone(app)
    other.register(campaign, A)
    other.follow()
    other.post(f"/c/{campaign}/code/again", other.hidden())
    other.follow()
    assert "A code was sent a moment ago" in other.text()


def test_people_get_back_to_their_page_from_another_browser_even_after_the_end(
    app: Flask, parts: Parts, workspace: str, campaign: str
) -> None:
    from growth_engine.plays import service

    token = Phone(app).join(campaign, A)
    with parts.open(workspace) as ctx:
        service.end(ctx, campaign)
    other = Phone(app)
    other.get(f"/c/{campaign}/enter")
    other.post(f"/c/{campaign}/enter", {**other.hidden(), "phone": B})
    assert other.answer.status_code == 422
    assert "Nobody takes part here" in other.text()
    other.post(f"/c/{campaign}/enter", {**other.hidden(), "phone": A})
    other.follow()
    other.post(f"/c/{campaign}/code", {**other.hidden(), "code": parts.sms.last_code(f"+86{A}")})
    other.follow()
    assert other.answer.status_code == 200
    assert f"i={token}" in other.answer.request.url
    assert "The campaign has ended." in other.text()


def test_a_registration_not_decided_yet_waits_and_then_arrives(
    app: Flask, parts: Parts, workspace: str, campaign: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = Phone(app)
    submit = parts.ledger.submit_many
    undecided = [Received("lev_waiting")]
    monkeypatch.setattr(parts.ledger, "submit_many", lambda events, **_: undecided * len(events))
    assert ann.register(campaign, A).headers["Location"].endswith("/wait")
    ann.follow()
    assert "We have your registration" in ann.text()
    assert ann.answer.headers["Refresh"] == "3"
    monkeypatch.setattr(parts.ledger, "submit_many", submit)
    assert "/me" in ann.get(f"/c/{campaign}/wait").headers["Location"]
    ann.follow()
    assert ann.invite_token()


def test_the_same_phone_as_the_inviter_joins_but_does_not_count(
    app: Flask, parts: Parts, workspace: str, campaign: str
) -> None:
    ann = Phone(app)
    token = ann.join(campaign, A)
    ann.client.delete_cookie(f"ge_me_{workspace[-10:]}")
    ann.join(campaign, B, "Ann's second", token)
    assert "Another account on the same phone takes part already." in ann.text()


def test_leaving_and_coming_back(app: Flask, parts: Parts, workspace: str, campaign: str) -> None:
    ann = Phone(app)
    ann.join(campaign, A)
    ann.get(f"/c/{campaign}/leave")
    assert "Do you want to leave?" in ann.text()
    ann.post(f"/c/{campaign}/leave", ann.hidden())
    ann.follow()
    assert "You have left" in ann.text()
    assert "My poster" not in ann.text()
    assert ann.post(f"/c/{campaign}/again", ann.hidden()).status_code == 303
    ann.follow()
    assert "Welcome back!" in ann.text()
    assert "You came back." in ann.text()


def test_who_takes_part_may_help_a_second_friend_where_the_rules_allow_it(
    app: Flask, parts: Parts, workspace: str
) -> None:
    campaign = publish_campaign(
        parts, workspace, config={"helps": "once_per_inviter", "new_only": "everyone"}
    )
    ann, ben, cat = (Phone(app, address=f"198.51.100.{n}") for n in range(3))
    first, second = ann.join(campaign, A, "Ann"), ben.join(campaign, B, "Ben")
    cat.join(campaign, C, "Cat", first)
    cat.get(f"/i/{second}")
    assert "Help this friend" in cat.text()
    cat.post(f"/c/{campaign}/again?i={second}", cat.hidden())
    cat.follow()
    assert "your help counts" in cat.text()
    cat.get(f"/i/{second}")
    cat.post(f"/c/{campaign}/again?i={second}", cat.hidden())
    cat.follow()
    assert "Already taking part" in cat.text()
