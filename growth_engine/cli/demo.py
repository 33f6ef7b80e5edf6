"""``growth-engine demo``."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from growth_engine.cli import _product

if TYPE_CHECKING:
    from rich.console import Console

    from growth_engine.context import Parts
    from growth_engine.demo.client import Api, Phones
    from growth_engine.demo.player import Tally
    from growth_engine.demo.scenario import Scenario

#: The ready campaigns a demo publishes, with the part of the people each one gets.
SHOWS = (("saas-membership", 0.85), ("cafe", 0.15))
_TWO_FROM = 200
_LEAST_ADDRESSES = 40
_PEOPLE_AN_ADDRESS = 50


@click.command()
@_product.data_dir_option
@_product.workspace_option
@click.option(
    "--people", default=3000, show_default=True, type=click.IntRange(1, 200_000), help="How many take part."
)
@click.option("--campaign", default="", help="Id of a published campaign; without it new ones are made.")
@click.option("--seed", default=1, show_default=True, help="The same seed tells the same story.")
@click.option(
    "--over",
    default=0.0,
    type=click.FloatRange(0),
    help="Spread it over so many seconds; at once if not given.",
)
@click.option("--url", default="", help="Address of the product, if it is not the one it listens on.")
def command(
    data_dir: Path, workspace: str, people: int, campaign: str, seed: int, over: float, url: str
) -> None:
    """Play a week of believable traffic through the HTTP endpoints of the running product.

    Landing pages are opened, people register by the phone form and by the API, invite others over many
    generations, register twice, invite themselves, leave and come back; some are known already, some are
    blocked, one behaves like a machine. Nobody is real: most are an external_id, and the numbers typed into
    the phone form are 555-01xx numbers of North America, which are reserved for fiction.
    """
    from rich.console import Console

    from growth_engine.access import service as access

    console = Console()
    with _product.parts_at(data_dir) as parts:
        workspace_id = _product.workspace_id(parts, workspace)
        address = (url or _address(parts)).rstrip("/")
        token = access.create_token(parts, workspace_id, ["*"], "growth-engine demo")
        try:
            with _connections(address, token, people) as (api, phones):
                api.greet()
                locale = _locale(parts, workspace_id)
                plan = _plan(api, campaign, people, seed, locale, phones.addresses)
                _play(console, parts, api, phones, plan, seed, over)
        finally:
            _revoke(parts, workspace_id, token)


@contextmanager
def _connections(url: str, token: str, people: int) -> Iterator[tuple[Api, Phones]]:
    from growth_engine.demo.client import Api, Phones

    api = Api(url, token)
    phones = Phones(url, max(_LEAST_ADDRESSES, people // _PEOPLE_AN_ADDRESS))
    try:
        yield api, phones
    finally:
        api.close()
        phones.close()


def _address(parts: Parts) -> str:
    host = parts.settings.host
    return f"http://{'127.0.0.1' if host in ('', '0.0.0.0', '::') else host}:{parts.settings.port}"  # noqa: S104


def _locale(parts: Parts, workspace_id: str) -> str:
    from growth_engine.access import queries

    with parts.db.transaction(workspace_id) as session:
        found = queries.workspace(session, workspace_id)
    return found.locale if found else parts.settings.default_locale


def _revoke(parts: Parts, workspace_id: str, token: str) -> None:
    from growth_engine.access import service as access
    from growth_engine.access.tokens import authenticate_token

    _, actor = authenticate_token(parts, token)
    with parts.open(workspace_id) as ctx:
        access.revoke_token(ctx, actor.id)


# -- what is played where ----------------------------------------------------------------------------


def _plan(
    api: Api, campaign: str, people: int, seed: int, locale: str, addresses: int
) -> list[tuple[str, Scenario]]:
    """(campaign id, scenario) of each show; publishes the campaigns unless one is given."""
    from growth_engine.demo.scenario import scenario

    if campaign:
        return [(campaign, scenario(people, seed, locale=locale, addresses=addresses))]
    shows = SHOWS if people >= _TWO_FROM else SHOWS[:1]
    other = {"zh": "en", "en": "zh"}[locale]
    plan = []
    rest = people
    for (template, part), spoken in zip(shows, (locale, other), strict=False):
        count = round(people * part) if len(shows) > 1 and rest == people else rest
        rest -= count
        story = scenario(count, seed, locale=spoken, addresses=addresses)
        plan.append((_publish(api, template, spoken, story.velocity_limit), story))
    return plan


def _publish(api: Api, template: str, locale: str, velocity_limit: int) -> str:
    """A new campaign from the gallery, strict enough to catch the machine of the demo."""
    config = {"velocity_limit": velocity_limit, "velocity_seconds": 60}
    body = {"template": template, "locale": locale, "config": config}
    made = str(api.need("/campaigns", body, secrets.token_hex(16))["id"])
    api.need(f"/campaigns/{made}/publish", {"accept_warnings": True}, secrets.token_hex(16))
    return made


def _play(
    console: Console,
    parts: Parts,
    api: Api,
    phones: Phones,
    plan: list[tuple[str, Scenario]],
    seed: int,
    over: float,
) -> None:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from growth_engine.demo.player import Player, Tally

    total, began = Tally(), time.monotonic()
    steps = sum(len(story.steps) for _, story in plan)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Playing", total=steps)
        for campaign, story in plan:
            player = Player(api, phones, story, campaign, run=secrets.token_hex(8), seed=seed)
            share = len(story.steps) / steps
            total.add(player.play(lambda: bar.update(task, advance=1), seconds=over * share))
    _report(console, total, time.monotonic() - began, steps)
    for campaign, _ in plan:
        base = parts.settings.public_url.rstrip("/")
        console.print(f"{base}/console/campaigns/{campaign}", highlight=False, soft_wrap=True)


def _report(console: Console, tally: Tally, seconds: float, steps: int) -> None:
    from rich.table import Table

    from growth_engine.plays.reasons import REASONS

    table = Table("What happened", "How often", title="Demo")
    table.columns[1].justify = "right"
    for label, count in (
        ("Looked at a landing page", tally.visits),
        ("Joined", tally.joined),
        ("  by the phone form", tally.by_form),
        ("  through an invite that counts", tally.counted),
        ("Posters asked for", tally.posters),
        ("Left", tally.left),
        ("Came back", tally.returned),
        ("Blocked", tally.blocked),
    ):
        table.add_row(label, str(count))
    for code, count in tally.refused.most_common():
        table.add_row(f"Refused: {REASONS.get(code, code)}", str(count))
    console.print(table)
    console.print(
        f"{steps} steps in {seconds:.0f} s ({steps / max(seconds, 0.1):.0f} a second).", highlight=False
    )
