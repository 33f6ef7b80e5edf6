"""A small demo against the whole product, through its real endpoints."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

from growth_engine.demo.scenario import scenario
from tests.live import Live, clean_environment, command, free_port

pytestmark = [pytest.mark.drill, pytest.mark.xdist_group("live")]

PEOPLE = 60


def figures(said: str) -> dict[str, int]:
    """The rows of the printed table."""
    return {name.strip(): int(count) for name, count in re.findall(r"│ ([^│]+?) +│ +(\d+) │", said)}


def stats(live: Live, campaign: str) -> dict[str, dict[str, int]]:
    token = live.cli("token", "create", "--workspace", "demo", "--scopes", "campaigns:read")
    status, body = live.get(f"/api/v1/campaigns/{campaign}/stats", {"Authorization": f"Bearer {token}"})
    assert status == 200
    found: dict[str, dict[str, int]] = json.loads(body)
    return found


def test_a_demo_fills_a_campaign_and_says_what_happened(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    said = live.cli("demo", "--people", str(PEOPLE), "--seed", "5")
    told = figures(said)
    [campaign] = re.findall(rf"^{live.url}/console/campaigns/(cmp_\w+)$", said, re.MULTILINE)
    story = scenario(PEOPLE, 5, locale="zh")
    assert told["Joined"] == PEOPLE
    assert told["by the phone form"] == sum(person.way == "form" for person in story.people)
    assert told["Looked at a landing page"] >= sum(step.kind == "visit" for step in story.steps)
    assert told["Refused: Too many invites in a short time."] >= 1

    found = stats(live, campaign)
    assert found["totals"]["members"] == found["funnel"]["joined"] == PEOPLE
    assert found["funnel"]["visit"] == told["Looked at a landing page"], "no visit fell under the rate limit"
    assert found["funnel"].get("left", 0) == told["Left"]
    assert found["funnel"].get("returned", 0) == told["Came back"]
    assert found["totals"]["valid_invites"] <= told["through an invite that counts"]
    assert ", 0 faults." in live.cli("ledger", "verify", "--campaign", campaign)

    again = figures(live.cli("demo", "--people", str(PEOPLE), "--seed", "5", "--campaign", campaign))
    assert again["Joined"] == 0, "the same people again are nobody new"
    assert stats(live, campaign)["totals"]["members"] == PEOPLE


def failing(live: Live, *arguments: str) -> str:
    done = subprocess.run(
        command("demo", "--people", "3", *arguments, "--data-dir", str(live.data_dir)),
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2, done.stdout
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    return done.stderr


def test_a_demo_that_cannot_go_on_says_why_in_one_line(live: Live) -> None:
    assert "404" in failing(live, "--campaign", "cmp_none")
    nowhere = f"http://127.0.0.1:{free_port()}"
    assert nowhere in failing(live, "--url", nowhere)
    assert "no-such" in failing(live, "--workspace", "no-such")
