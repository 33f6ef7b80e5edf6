"""Contacts are found again by any identity, listed, blocked, and met once even by many at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from growth_engine.context import Ctx, Parts
from growth_engine.kit.clock import FixedClock
from growth_engine.kit.errors import Invalid
from growth_engine.people import queries, service
from growth_engine.people.rules import Identity
from tests.factories.people import make_contact
from tests.factories.workspaces import make_workspace


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Run calls in threads of their own, started together; results or the errors raised."""
    barrier, results = threading.Barrier(len(calls)), [None] * len(calls)

    def run(place: int, call: Callable[[], Any]) -> None:
        barrier.wait()
        try:
            results[place] = call()
        except Exception as error:
            results[place] = error  # type: ignore[call-overload]

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_a_person_is_found_by_every_reference(ctx: Ctx) -> None:
    known = {"external_id": "u1", "phone": "138 0013 8000", "openid": "oX1", "unionid": "uX1"}
    met = service.create_or_update(ctx, known, nickname=" 小明\u202e ")
    assert met.created
    for ref in (
        met.contact_id, "external_id:u1", "u1", "phone:+8613800138000", "13800138000", "+86 138 0013 8000",
        "openid:oX1", "oX1", "uX1",
    ):  # fmt: skip
        assert queries.resolve(ctx, ref) == met.contact_id
    assert queries.contact(ctx, met.contact_id).nickname == "小明"


def test_references_to_nobody_are_not_found(ctx: Ctx) -> None:
    for ref in (
        "",
        "u9",
        "phone:12",
        "phone:nonsense",
        "con_" + "0" * 26,
        "\x00",
        "\ud800",
        "x" * 5000,
        "external_id:",
    ):
        with pytest.raises(queries.UnknownContact):
            queries.resolve(ctx, ref)
    for ref in ("\x00", "nobody"):
        with pytest.raises(queries.UnknownContact):
            queries.contact(ctx, ref)


def test_an_external_id_wins_over_a_phone_number_that_looks_alike(ctx: Ctx) -> None:
    by_phone = service.create_or_update(ctx, {"phone": "13800138001"}).contact_id
    assert queries.resolve(ctx, "13800138001") == by_phone
    by_id = service.create_or_update(ctx, {"external_id": "13800138001"}).contact_id
    assert queries.resolve(ctx, "13800138001") == by_id
    assert queries.resolve(ctx, "phone:13800138001") == by_phone


def test_what_is_given_later_completes_and_silence_changes_nothing(ctx: Ctx) -> None:
    first = service.create_or_update(ctx, {"external_id": "u1"}, nickname="Ann", locale="en", tags=["vip"])
    again = service.create_or_update(
        ctx, [("external_id", "u1"), ("phone", "13800138000")], tags=["new", "vip"]
    )
    assert again == service.Met(first.contact_id, created=False)
    contact = queries.contact(ctx, first.contact_id)
    assert (contact.nickname, contact.locale, contact.tags) == ("Ann", "en", ["new", "vip"])
    kinds = [one.kind for one in queries.identities_of(ctx, [contact.id])[contact.id]]
    assert sorted(kinds) == ["external_id", "phone"]


def test_bad_identities_change_nothing(ctx: Ctx) -> None:
    with pytest.raises(Invalid):
        service.create_or_update(ctx, {})
    with pytest.raises(Invalid) as caught:
        service.create_or_update(ctx, {"phone": "12", "email": "a@b"})
    assert sorted(caught.value.extra["errors"]) == ["kind", "phone"]
    many = [("external_id", f"u{n}") for n in range(21)]
    with pytest.raises(service.TooManyIdentities):
        service.create_or_update(ctx, many)
    assert queries.contacts_page(ctx)[0] == []


def test_claimed_identities_of_two_people_conflict_and_proven_ones_merge(ctx: Ctx, clock: FixedClock) -> None:
    older = service.create_or_update(ctx, {"external_id": "u1"}).contact_id
    clock.advance(timedelta(seconds=1))
    newer = service.create_or_update(ctx, {"phone": "13800138000"}).contact_id
    both = {"external_id": "u1", "phone": "13800138000"}
    with pytest.raises(service.IdentityConflict):
        service.create_or_update(ctx, both)
    assert service.create_or_update(ctx, both, proven=True).contact_id == older
    assert queries.resolve(ctx, newer) == older
    verified = [one.verified_at for one in queries.identities_of(ctx, [older])[older]]
    assert len(verified) == 2
    assert all(verified)


def test_proving_a_phone_number_merges_its_former_owner(ctx: Ctx, clock: FixedClock) -> None:
    older = service.create_or_update(ctx, {"phone": "13800138000"}).contact_id
    clock.advance(timedelta(seconds=1))
    newer = service.create_or_update(ctx, {"openid": "o1"}).contact_id
    assert service.prove(ctx, newer, "phone", "13800138000") == older
    assert service.prove(ctx, newer, "phone", "13800138000") == older
    assert queries.resolve(ctx, "o1") == older
    (fresh,) = {service.prove(ctx, older, "phone", "13900139000")}
    assert fresh == older


def test_many_callers_meeting_one_new_person_make_one_contact(parts: Parts, workspace: str) -> None:
    def meet(n: int) -> Callable[[], service.Met]:
        def call() -> service.Met:
            with parts.open(workspace) as ctx:
                return service.create_or_update(
                    ctx, {"phone": "13800138000", "external_id": "u1"}, nickname=f"n{n}"
                )

        return call

    results = at_once(*(meet(n) for n in range(8)))
    assert len({met.contact_id for met in results}) == 1
    assert sum(met.created for met in results) == 1
    with parts.open(workspace) as ctx:
        assert len(queries.contacts_page(ctx)[0]) == 1


def test_pages_list_everybody_once_newest_first(ctx: Ctx, clock: FixedClock) -> None:
    made = []
    for n in range(7):
        clock.advance(timedelta(seconds=1))
        made.append(service.create_or_update(ctx, {"external_id": f"u{n}"}).contact_id)
    seen, after = [], ""
    while True:
        page, following = queries.contacts_page(ctx, limit=3, after=after)
        seen += [one.id for one in page]
        if following is None:
            break
        after = following
    assert seen == made[::-1]


def test_search_finds_names_and_beginnings_of_identities(ctx: Ctx) -> None:
    ann = service.create_or_update(
        ctx, {"phone": "13800138000", "external_id": "a_1"}, nickname="Ann 100%"
    ).contact_id
    service.create_or_update(ctx, {"phone": "13900139000", "external_id": "ab1"}, nickname="Bob")

    def found(wanted: str) -> list[str]:
        return [one.id for one in queries.contacts_page(ctx, search=wanted)[0]]

    for wanted in ("ann", "0%", "138 0013", "+86138", "a_", "1380013800\u202c0"):
        assert found(wanted) == [ann], wanted
    for wanted in ("nobody", "_nn", "\x00zzz", "\ud800q"):
        assert found(wanted) == [], wanted
    assert len(found(" ")) == 2


def test_a_block_is_set_and_lifted_once_and_told_once(ctx: Ctx) -> None:
    contact = service.create_or_update(ctx, {"external_id": "u1"}).contact_id
    assert service.block(ctx, contact, "spam\nfarm") is True
    assert service.block(ctx, contact, "again") is False
    row = queries.contact(ctx, contact)
    assert (row.blocked_at, row.blocked_reason) == (ctx.now(), "spam farm")
    assert [one.id for one in queries.contacts_page(ctx, blocked=True)[0]] == [contact]
    assert service.unblock(ctx, contact) is True
    assert service.unblock(ctx, contact) is False
    assert queries.contacts_page(ctx, blocked=True)[0] == []
    names = ctx.session.execute(text("SELECT name FROM outbox ORDER BY id")).scalars().all()
    assert sorted(names) == ["ContactBlocked", "ContactUnblocked"]


def test_the_latest_word_on_a_purpose_counts(ctx: Ctx, clock: FixedClock) -> None:
    contact = service.create_or_update(ctx, {"external_id": "u1"}).contact_id
    assert not queries.has_consented(ctx, contact, "poster")
    service.record_consent(ctx, contact, purpose="poster", wording_version="2026-01", source="h5")
    assert queries.has_consented(ctx, contact, "poster")
    assert not queries.has_consented(ctx, contact, "marketing")
    clock.advance(timedelta(seconds=1))
    service.record_consent(
        ctx, contact, purpose="poster", wording_version="2026-01", granted=False, source="h5"
    )
    assert not queries.has_consented(ctx, contact, "poster")
    assert [one.granted for one in queries.consents_of(ctx, contact)] == [True, False]
    with pytest.raises(Invalid):
        service.record_consent(ctx, contact, purpose="", wording_version="\x00", source="h5")


def test_another_workspace_knows_nobody_of_ours(parts: Parts, workspace: str) -> None:
    mine = make_contact(parts, workspace, "Ann", phone="13800138000", external_id="u1")
    other = make_workspace(parts)
    with parts.open(other) as ctx:
        for ref in (mine, "u1", "phone:13800138000"):
            with pytest.raises(queries.UnknownContact):
                queries.resolve(ctx, ref)
        for command in (service.unblock, service.erase, service.export, queries.contact_family):
            with pytest.raises(queries.UnknownContact):
                command(ctx, mine)  # type: ignore[operator]
        theirs = service.create_or_update(ctx, {"phone": "13800138000"})
        assert theirs.created
        with pytest.raises(queries.UnknownContact):
            service.merge(ctx, theirs.contact_id, mine)
        assert [one.id for one in queries.contacts_page(ctx)[0]] == [theirs.contact_id]
        assert queries.owners(ctx, [Identity("external_id", "u1")]) == {}
