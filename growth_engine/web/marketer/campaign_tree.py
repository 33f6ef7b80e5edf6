"""The invite tree: opened level by level, searched by name, with the path to a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flask import Blueprint, render_template, request, url_for

from growth_engine.context import Ctx
from growth_engine.kit import web
from growth_engine.ledger.mirror import BookKey, MemberView
from growth_engine.plays import console_queries, figures, queries
from growth_engine.web.marketer import campaign_frame
from growth_engine.web.marketer.campaign_frame import Person

bp = Blueprint("campaign_tree", __name__, url_prefix="/console/campaigns")

PAGE = 20
FOUND = 20
DEEPEST = 200


@dataclass(frozen=True, slots=True)
class Node:
    """One person in the tree."""

    person: Person | None
    number: int
    view: MemberView | None
    """``None`` while the mirror has not seen them."""
    edge: str
    """Whether the invite that brought them counts: valid, refused, left, moved, void; empty at a root."""


@dataclass(frozen=True, slots=True)
class Branch:
    """One level under somebody (0: those who came alone), a page of it."""

    nodes: Sequence[Node]
    more: str
    """Address of the rest, or empty."""


@bp.get("/<campaign_id>/tree")
@web.require_staff("marketer")
def tree(campaign_id: str) -> str:
    search = request.args.get("q", "").strip()[:100]
    number = _number("member")
    with web.ctx() as ctx:
        frame = campaign_frame.frame(ctx, campaign_id)
        found = _found(ctx, campaign_id, search) if search else None
        path = _path(ctx, campaign_id, number) if number else []
        top = number if path else 0
        branch = _branch(ctx, campaign_id, top, 0)
    return render_template(
        "marketer/campaign_tree.html",
        frame=frame,
        campaign=frame.campaign,
        tab="campaign_tree.tree",
        search=search,
        found=found,
        path=path,
        branch=branch,
        member=number if path else 0,
        unknown=bool(number and not path),
    )


@bp.get("/<campaign_id>/tree/<int(max=9_999_999_999):number>/children")
@web.require_staff("marketer")
def children(campaign_id: str, number: int) -> str:
    """A page of those somebody brought, for htmx."""
    with web.ctx() as ctx:
        campaign = queries.campaign(ctx, campaign_id)
        branch = _branch(ctx, campaign_id, number, _number("after"))
    return render_template("marketer/_tree_nodes.html", campaign=campaign, branch=branch)


def _number(name: str) -> int:
    text = request.args.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def _branch(ctx: Ctx, campaign_id: str, number: int, after: int) -> Branch:
    if number:
        # A mirror that lost the book answers "no children": first make sure that it knows this person.
        figures.of_members(ctx, campaign_id, [number])
        key = BookKey(ctx.workspace_id, campaign_id)
        numbers: Sequence[int] = ctx.parts.mirror.children(key, number, after, PAGE + 1)
    else:
        numbers = console_queries.roots(ctx, campaign_id, after=after, limit=PAGE + 1)
    shown = numbers[:PAGE]
    more = ""
    if len(numbers) > PAGE:
        more = url_for("campaign_tree.children", campaign_id=campaign_id, number=number, after=shown[-1])
    return Branch(_nodes(ctx, campaign_id, shown), more)


def _nodes(ctx: Ctx, campaign_id: str, numbers: Sequence[int]) -> list[Node]:
    people = campaign_frame.people_by_number(ctx, campaign_id, numbers)
    views = campaign_frame.views(ctx, campaign_id, numbers)
    edges = _edges(ctx, campaign_id, people)
    return [Node(people.get(one), one, views.get(one), edges.get(one, "")) for one in numbers]


def _edges(ctx: Ctx, campaign_id: str, people: Mapping[int, Person]) -> dict[int, str]:
    """The state of the invite each person came by."""
    wanted = {number: one.participant.inviter_number for number, one in people.items()}
    pairs = {(number, inviter) for number, inviter in wanted.items() if inviter}
    found = console_queries.edges(ctx, campaign_id, list(pairs))
    return {number: found.get((number, inviter), "") for number, inviter in pairs}


def _path(ctx: Ctx, campaign_id: str, number: int) -> list[Node]:
    """From the root of the tree down to the person; empty when there is no such person."""
    if number not in queries.by_numbers(ctx, campaign_id, [number]):
        return []
    above = figures.ancestors(ctx, campaign_id, number, DEEPEST)
    return _nodes(ctx, campaign_id, [*reversed(above), number])


def _found(ctx: Ctx, campaign_id: str, search: str) -> list[Node]:
    numbers = [one.number for one in queries.find_participants(ctx, campaign_id, search, FOUND)]
    if search.isdecimal() and len(search) < 10:
        numbers = [int(search), *(one for one in numbers if one != int(search))]
    known = campaign_frame.people_by_number(ctx, campaign_id, numbers)
    return _nodes(ctx, campaign_id, [one for one in numbers if one in known])
