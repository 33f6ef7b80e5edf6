"""Who leaves and comes back: the whole matrix of policies, and what is forgotten meanwhile."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import pytest
from sqlalchemy import text

from growth_engine.channels.windows import Windows
from growth_engine.people import queries as people
from growth_engine.people import service as people_service
from tests.factories.stages import Stage


class Then(NamedTuple):
    """Valid invites of A and C after the friend left, and after they came back."""

    left: tuple[int, int]
    back: tuple[int, int]


def expected(refollow: str, leaving: str, through: str) -> Then:
    """In the words of plays.md: the invite stops counting (or counts regardless); who comes back stays with
    the first inviter (or goes to the last one scanned)."""
    if leaving == "count_regardless":
        return Then((1, 0), (1, 0))
    moved = refollow == "last_scanner" and through == "C"
    return Then((0, 0), (0, 1) if moved else (1, 0))


@pytest.mark.parametrize(
    ("refollow", "leaving", "through"),
    list(
        itertools.product(
            ("first_inviter", "last_scanner"), ("stops_counting", "count_regardless"), ("A", "C", "nobody")
        )
    ),
)
def test_unfollow_and_refollow(stage: Stage, refollow: str, leaving: str, through: str) -> None:
    campaign = stage.campaign({"refollow": refollow, "leaving": leaving})
    codes = {"A": stage.inviter("A", campaign), "C": stage.inviter("C", campaign)}
    b = stage.person("B")
    b.do("scan", text=codes["A"])
    stage.work()
    promised = stage.count("grants")
    stage.later(minutes=10)
    b.do("unfollow", appid=stage.appid)
    then = expected(refollow, leaving, through)
    assert stage.participant("B", campaign).state == "left"
    assert (stage.score("A", campaign), stage.score("C", campaign)) == then.left
    stage.later(minutes=10)
    if through == "nobody":
        b.do("follow", appid=stage.appid)
    else:
        b.do("scan", text=codes[through])
    stage.work()
    assert stage.participant("B", campaign).state == "active"
    assert (stage.score("A", campaign), stage.score("C", campaign)) == then.back
    assert stage.count("grants") == promised, "rewards earned stay, and are not earned twice"
    assert any("Welcome back" in one for one in stage.texts("B"))


def test_leaving_by_ones_own_wish_is_not_undone_by_following_again(stage: Stage) -> None:
    from growth_engine.plays import participation

    campaign = stage.campaign()
    code = stage.inviter("A", campaign)
    b = stage.person("B")
    b.do("scan", text=code)
    contact = stage.contact("B")
    assert contact is not None
    participation.leave(stage.parts, stage.workspace, contact, source="h5", key="1")
    stage.later(days=1)
    b.do("unfollow", appid=stage.appid)
    stage.later(days=1)
    b.do("follow", appid=stage.appid)
    assert stage.participant("B", campaign).state == "left"
    stage.later(minutes=1)
    b.do("scan", text=code)  # that is a wish of their own again
    assert stage.participant("B", campaign).state == "active"


def test_what_the_platform_asks_to_delete_is_deleted_and_the_books_stay(stage: Stage) -> None:
    campaign = stage.campaign()
    b = stage.person("B")
    b.do("scan", text=stage.inviter("A", campaign))
    stage.work()
    contact = stage.contact("B")
    assert contact is not None
    with stage.parts.open(stage.workspace) as ctx:
        people_service.create_or_update(ctx, {"openid": b.openid()}, nickname="小贝", locale="zh")
        row = people.contact(ctx, contact)
        row.avatar_key = stage.parts.storage.put(b"\xff\xd8\xff\xe0 a face \xff\xd9", "image/jpeg")
    entries = stage.count("entries")
    b.do("text", appid=stage.appid, text="hello")
    b.do("unfollow", appid=stage.appid)
    with stage.parts.open(stage.workspace) as ctx:
        row = people.contact(ctx, contact)
        assert (row.nickname, row.avatar_key, row.locale) == ("", None, None)
        assert row.left_at is not None
        grants, asked = ctx.session.execute(
            text("SELECT grants, profile_at FROM followers WHERE person = :b"), {"b": b.openid()}
        ).one()
        assert (grants, asked) == ({}, None)
    assert stage.count("entries") == entries + 1, "that they left"
    windows = Windows(stage.parts.queue, stage.parts.clock)
    assert windows.of(stage.oa, b.openid()) == []
    # Whoever comes back is recognised: nobody brings them as new a second time.
    stage.later(minutes=1)
    b.do("scan", text=stage.inviter("C", campaign))
    assert stage.score("C", campaign) == 0


def test_somebody_known_by_a_number_as_well_keeps_their_name(stage: Stage) -> None:
    b = stage.person("B")
    b.do("follow", appid=stage.appid)
    with stage.parts.open(stage.workspace) as ctx:
        pairs = {"openid": b.openid(), "phone": "+8613800138000"}
        contact = people_service.create_or_update(ctx, pairs, nickname="Bea", proven=True).contact_id
    b.do("unfollow", appid=stage.appid)
    with stage.parts.open(stage.workspace) as ctx:
        assert people.contact(ctx, contact).nickname == "Bea"


def test_what_waits_for_somebody_who_left_is_given_up_and_says_so(stage: Stage) -> None:
    campaign = stage.campaign()
    code = stage.inviter("A", campaign)
    stage.later(minutes=5)
    stage.person("B").do("scan", text=code)
    stage.work()
    waiting = stage.deliveries(person=stage.person("A").openid(), state="waiting")
    assert {one.waits_for for one in waiting} == {"person"}
    stage.person("A").do("unfollow", appid=stage.appid)
    (given_up,) = stage.deliveries(id=waiting[0].id)
    assert (given_up.state, given_up.reason) == ("refused", "not_following")


def test_erased_while_things_were_on_their_way(stage: Stage) -> None:
    campaign = stage.campaign()
    b = stage.person("B")
    b.do("scan", text=stage.inviter("A", campaign))
    contact = stage.contact("B")
    assert contact is not None
    with stage.parts.open(stage.workspace) as ctx:
        people_service.erase(ctx, contact)
    stage.work()
    assert stage.deliveries(contact_id=contact) == []
    assert "<image>" not in stage.texts("B")
    assert stage.score("A", campaign) == 1, "the books keep what happened"
