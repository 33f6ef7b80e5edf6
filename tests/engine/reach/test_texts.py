"""What people who came are told in the chat: nothing twice, nothing untrue, and the way to what they want."""

from __future__ import annotations

from collections.abc import Sequence

from growth_engine.ledger.contract import Reason
from growth_engine.plays import queries
from growth_engine.plays import service as campaigns
from growth_engine.reach import texts
from tests.factories.phones import publish_campaign
from tests.factories.stages import Stage

ASK_AGAIN = "Write “poster” to get it again."


def told(stage: Stage, campaign_id: str, reasons: Sequence[Reason] = (), *, poster: bool = True) -> str:
    with stage.parts.open(stage.workspace) as ctx:
        campaign = queries.campaign(ctx, campaign_id)
        return texts.answer(ctx, campaign, reasons, takes_part=True, poster=poster)


def test_followers_learn_how_to_get_the_poster_again_and_to_be_told_of_friends(stage: Stage) -> None:
    campaign = stage.campaign()
    assert ASK_AGAIN in told(stage, campaign)
    assert ASK_AGAIN not in told(stage, campaign, poster=False)


def test_customers_in_wecom_are_not_asked_to_write_what_only_employees_read(stage: Stage) -> None:
    assert ASK_AGAIN not in told(stage, stage.campaign(channel_account_id=stage.wecom))


def test_whoever_scans_a_poster_that_sells_is_led_to_the_shop(stage: Stage) -> None:
    campaign = publish_campaign(stage.parts, stage.workspace, template="book-fans")
    with stage.parts.open(stage.workspace) as ctx:
        campaigns.update_draft(ctx, campaign, {"channel_account_id": stage.oa})
    said = told(stage, campaign).splitlines()
    shop = next(line for line in said if line.endswith(f"/c/{campaign}/shop"))
    assert shop.startswith("Have a look and order: ")
    assert said.index(shop) < said.index(texts.SELLER_POSTER_FOLLOWS)
    assert texts.POSTER_FOLLOWS not in said
    assert "/shop" not in told(stage, stage.campaign())
