"""Commands on followers: somebody came, left, turned out to be somebody; one handler at a time for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson
from sqlalchemy import text

from growth_engine.context import Ctx
from growth_engine.kit.tx import driver
from growth_engine.reach import queries, rules
from growth_engine.reach.models import Follower


def hold(ctx: Ctx, account_id: str, person: str) -> Follower | None:
    """The person as known, with every other handler of theirs waiting until this transaction ends.

    No lock on a row: what is done meanwhile (a registration, a merge) writes rows in other transactions.
    """
    ctx.session.execute(_HOLD, {"name": _name(account_id, person)})
    return queries.follower(ctx, account_id, person)


def hold_many(ctx: Ctx, people: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], Follower | None]:
    """The same for several (account, person) at once, without waiting: whoever is held elsewhere at the
    moment is left out."""
    names = [_name(*one) for one in people]
    asked = [{"account_id": account_id, "person": person} for account_id, person in people]
    conn = driver(ctx.session)
    with conn.pipeline():
        free = conn.execute(_HOLD_FREE, (names,))
        seen = conn.execute(_SEEN, (orjson.dumps(asked).decode(),))
        held = [people[number - 1] for (number,) in free.fetchall()]
        seen_before = [(account_id, person) for account_id, person in seen.fetchall()]
    known = {(row.account_id, row.person): row for row in queries.followers(ctx, seen_before)}
    return {one: known.get(one) for one in held}


def _name(account_id: str, person: str) -> str:
    return f"reach {account_id} {person}"


@dataclass(frozen=True, slots=True)
class Standing:
    """What holds a person to an account, and who they are. ``ask``: have the platform asked."""

    account_id: str
    person: str
    ties: rules.Ties
    contact_id: str | None
    ask: bool = False


def keep(
    ctx: Ctx, account_id: str, person: str, ties: rules.Ties, contact_id: str | None, *, ask: bool = False
) -> None:
    """Write down what holds the person to the account, and who they are. ``ask``: have the platform asked."""
    keep_many(ctx, [Standing(account_id, person, ties, contact_id, ask)])


def keep_many(ctx: Ctx, several: Sequence[Standing]) -> None:
    rows = [
        {
            "account_id": one.account_id,
            "person": one.person,
            "contact_id": one.contact_id,
            "ties": one.ties,
            "here": rules.holds(one.ties),
            "ask_at": ctx.now() if one.ask else None,
        }
        for one in several
    ]
    values = {"rows": orjson.dumps(rows).decode(), "workspace_id": ctx.workspace_id, "now": ctx.now()}
    ctx.session.execute(_KEEP, values)
    if any(one.ask for one in several):
        ctx.ring("reach.profiles")


def forget(ctx: Ctx, account_id: str, person: str) -> None:
    """They left: nothing the platform said about them is kept, and nothing more is asked."""
    ctx.session.execute(_FORGET, {"account_id": account_id, "person": person})


def grant(ctx: Ctx, account_id: str, person: str, template_id: str, change: int | None) -> None:
    """Messages of a subscription template the person allows: so many more; None: no more of them."""
    row = queries.follower(ctx, account_id, person)
    if row is None:
        return
    left = 0 if change is None else max(0, int(row.grants.get(template_id, 0)) + change)
    row.grants = {**{name: n for name, n in row.grants.items() if name != template_id}, template_id: left}
    ctx.session.flush()


_HOLD = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
_HOLD_FREE = (
    "SELECT number FROM unnest(%s::text[]) WITH ORDINALITY AS asked (name, number)"
    " WHERE pg_try_advisory_xact_lock(hashtextextended(name, 0)) ORDER BY number"
)
#: An index probe for each: see ``ledger.poster.Poster._connected``.
_SEEN = (
    "SELECT f.account_id, f.person FROM json_to_recordset(%s::json) AS asked (account_id text, person text)"
    " CROSS JOIN LATERAL (SELECT account_id, person FROM followers WHERE account_id = asked.account_id"
    "  AND person = asked.person OFFSET 0) AS f"
)
_KEEP = text(
    "INSERT INTO followers AS f (workspace_id, account_id, person, contact_id, ties, here, profile_next_at,"
    "  first_seen_at)"
    " SELECT :workspace_id, r.account_id, r.person, r.contact_id, r.ties, r.here, r.ask_at, :now"
    " FROM json_to_recordset(CAST(:rows AS json)) AS r (account_id text, person text, contact_id text,"
    "  ties jsonb, here boolean, ask_at timestamptz)"
    " ON CONFLICT (account_id, person) DO UPDATE SET ties = excluded.ties, here = excluded.here,"
    "  contact_id = coalesce(f.contact_id, excluded.contact_id),"
    "  profile_attempts = CASE WHEN excluded.profile_next_at IS NULL THEN f.profile_attempts ELSE 0 END,"
    "  profile_next_at = coalesce(excluded.profile_next_at, f.profile_next_at)"
)
_FORGET = text(
    "UPDATE followers SET grants = '{}', profile_next_at = NULL, profile_at = NULL, profile_attempts = 0"
    " WHERE account_id = :account_id AND person = :person"
)
