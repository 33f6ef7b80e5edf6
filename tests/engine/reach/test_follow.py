"""People come to the Official Account through posters, by themselves, again, and leave: real callbacks."""

from __future__ import annotations

from tests.factories.stages import Stage


def test_who_follows_through_a_poster_counts_and_gets_a_poster_of_their_own(stage: Stage) -> None:
    campaign = stage.campaign()
    code = stage.inviter("A", campaign)
    assert code.startswith("http://weixin.qq.com/q/")
    b = stage.person("B")
    assert b.do("scan", text=code)["followed"]
    assert stage.score("A", campaign) == 1
    stage.work()
    welcome, *rest = stage.texts("B")
    assert "You are taking part in" in welcome
    assert "<image>" in rest
    assert stage.code("B", campaign) != code
    c = stage.person("C")
    c.do("scan", text=stage.code("B", campaign))
    assert (stage.score("A", campaign), stage.score("B", campaign)) == (1, 1)
