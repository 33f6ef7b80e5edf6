"""Leading people: sticky, counted once, never more than there is room for, whoever scans at once."""

from __future__ import annotations

import io
import threading
from collections import Counter
from datetime import timedelta

import pytest
from PIL import Image

from growth_engine.context import Parts
from growth_engine.kit.clock import FixedClock
from growth_engine.ledger import queries as ledger
from growth_engine.live_codes import jobs, pictures, queries, rules, service
from growth_engine.live_codes.models import LiveCode
from growth_engine.posters import scan
from tests.factories.campaigns import make_campaign
from tests.factories.live_codes import make_live_code, taken


def show(parts: Parts, workspace: str, code: LiveCode, who: str) -> tuple[str, bool]:
    """(name of the target or the reason, whether it was shown before)."""
    with parts.open(workspace) as ctx:
        showing = service.show(ctx, code.id, who)
        return (showing.target.name if showing.target else showing.reason), showing.again


def test_one_person_stays_with_their_group_even_when_it_is_full(parts: Parts, workspace: str) -> None:
    code = make_live_code(parts, workspace, {"capacity": 1}, {"capacity": 1})
    assert show(parts, workspace, code, "ann") == ("Group 1", False)
    assert show(parts, workspace, code, "bob") == ("Group 2", False)
    assert show(parts, workspace, code, "ann") == ("Group 1", True)
    assert show(parts, workspace, code, "cid") == ("full", False)
    assert taken(parts, workspace, code) == [1, 1]
    with parts.open(workspace) as ctx:
        found = queries.figures(ctx, code.id, ctx.now() - timedelta(hours=1)).values()
    assert sorted((one.people, one.showings, one.today) for one in found) == [(1, 1, 1), (1, 2, 1)]


def test_ten_times_as_many_scans_as_room_at_once_lead_no_more_than_there_is_room_for(
    parts: Parts, workspace: str
) -> None:
    """Every person scans twice at the same moment: that counts once."""
    room, people = 5, 50
    code = make_live_code(parts, workspace, {"capacity": 3}, {"capacity": 2})
    start, seen = threading.Barrier(10), Counter[str]()
    problems: list[BaseException] = []

    def scanner(number: int) -> None:
        start.wait()
        try:
            for person in range(number // 2, people, 5):
                seen[f"{person} {show(parts, workspace, code, f'person {person}')[0]}"] += 1
        except BaseException as error:
            problems.append(error)
            raise

    threads = [threading.Thread(target=scanner, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    led = {one.split(" ", 1)[0] for one in seen if not one.endswith("full")}
    assert len(led) == room
    assert sum(seen.values()) == 2 * people
    assert taken(parts, workspace, code) == [3, 2]
    assert len([one for one in seen if "Group" in one]) == room, "everybody was led to one group only"


def test_whose_code_has_ended_is_led_elsewhere(parts: Parts, workspace: str, clock: FixedClock) -> None:
    code = make_live_code(parts, workspace, {"kind": "group"}, {})
    assert show(parts, workspace, code, "ann") == ("Group 1", False)
    clock.advance(timedelta(days=7))
    assert show(parts, workspace, code, "ann") == ("Group 2", False)
    assert taken(parts, workspace, code) == [0, 1], "the place in the first group is free again"
    assert show(parts, workspace, code, "ann") == ("Group 2", True)
    assert taken(parts, workspace, code) == [0, 1]


def test_a_fresh_code_of_a_wechat_group_lives_seven_days_again(
    parts: Parts, workspace: str, clock: FixedClock
) -> None:
    code = make_live_code(parts, workspace, {"kind": "group"})
    clock.advance(timedelta(days=6))
    with parts.open(workspace) as ctx:
        (target,) = queries.targets(ctx, code.id)
        given = {"expires_at": target.expires_at, "name": "Fresh"}
        fresh = pictures.from_content(parts.storage, "https://weixin.example/g/fresh")
        service.change_target(ctx, code.id, target.id, given, fresh)
    with parts.open(workspace) as ctx:
        (target,) = queries.targets(ctx, code.id)
        assert target.expires_at == ctx.now() + rules.GROUP_CODE_LIFE
        assert (target.name, target.content) == ("Fresh", "https://weixin.example/g/fresh")


def test_one_code_stands_behind_a_live_code_once(parts: Parts, workspace: str) -> None:
    code = make_live_code(parts, workspace, {})
    with parts.open(workspace) as ctx:
        same = queries.targets(ctx, code.id)[0].content
    picture = pictures.from_content(parts.storage, same)
    with parts.open(workspace) as ctx, pytest.raises(service.SameCode):
        service.add_target(ctx, code.id, picture, {"name": "Again", "kind": "staff"})


def test_a_paused_live_code_shows_nothing(parts: Parts, workspace: str) -> None:
    code = make_live_code(parts, workspace, {})
    with parts.open(workspace) as ctx:
        service.change(ctx, code.id, {"state": "paused"})
    assert show(parts, workspace, code, "ann") == ("paused", False)


def test_a_campaign_has_one_live_code_and_its_play_leads_through_it(parts: Parts, workspace: str) -> None:
    campaign = make_campaign(parts, workspace, slug="group_codes")
    make_live_code(parts, workspace, campaign_id=campaign)
    with pytest.raises(service.CampaignTaken):
        make_live_code(parts, workspace, campaign_id=campaign)
    with pytest.raises(service.NoSuchPlay):
        make_live_code(parts, workspace, campaign_id=make_campaign(parts, workspace))


def test_a_picture_without_one_readable_code_is_refused(parts: Parts) -> None:
    assert scan.decoded(Image.open(io.BytesIO(pictures.png("https://a.cn/g/x")))) == "https://a.cn/g/x"
    kept = pictures.from_upload(parts.storage, pictures.png("https://a.cn/g/x"))
    assert kept.content == "https://a.cn/g/x"
    blank = io.BytesIO()
    Image.new("RGB", (400, 400), "white").save(blank, "PNG")
    with pytest.raises(pictures.NoCode):
        pictures.from_upload(parts.storage, blank.getvalue())


def test_an_alert_is_raised_before_a_code_ends_and_cleared_with_a_fresh_one(
    parts: Parts, workspace: str, clock: FixedClock
) -> None:
    code = make_live_code(parts, workspace, {"kind": "group"})

    def alerts() -> list[str]:
        jobs.warn(parts, workspace)
        with parts.open(workspace) as ctx:
            return [one.subject for one in ledger.open_alerts(ctx)]

    assert alerts() == []
    clock.advance(timedelta(days=5, hours=1))
    assert alerts() == [code.id]
    with parts.open(workspace) as ctx:
        (target,) = queries.targets(ctx, code.id)
        picture = pictures.from_content(parts.storage, "https://weixin.example/g/fresh")
        service.change_target(ctx, code.id, target.id, {}, picture)
    assert alerts() == []
