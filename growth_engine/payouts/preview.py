"""What somebody could withdraw now, and what would come of it: for pages, before anything is asked for."""

from __future__ import annotations

from dataclasses import dataclass

from growth_engine.context import Ctx
from growth_engine.ledger.contract import Reason
from growth_engine.payouts import decisions, queries, rules, statement
from growth_engine.payouts.facts import Facts, Owner
from growth_engine.payouts.rules import Policy, Withheld
from growth_engine.people import queries as people


@dataclass(frozen=True, slots=True)
class Preview:
    """What the rules in force say about one person at this moment; the books decide anew."""

    policy: Policy
    currency: str
    """Withdrawals are made in this one."""
    available: int
    most: int
    """The largest amount that could be withdrawn now, minor units; 0: nothing."""
    split: Withheld
    """Of the amount asked about, or of ``most``."""
    approvals_needed: int
    refusal: Reason | None
    """Why the amount asked about (or anything at all) would be refused."""


def preview(ctx: Ctx, contact_id: str, amount: int | None = None) -> Preview:
    """What would become of a withdrawal of ``amount`` (default: as much as possible).

    Raises ``UnknownContact``.
    """
    contact = people.contact(ctx, contact_id)
    family = people.contact_family(ctx, contact.id)
    zone, currency = queries.place(ctx)
    facts = Facts(policy=queries.policy(ctx), zone=zone, currency=currency)
    count, asked = queries.used_today(ctx, family, rules.day_of(ctx.now(), zone))
    owner = Owner(contact.id, contact.blocked_at is not None, False, asked, count)
    available = sum(one.available for one in statement.wallet(ctx, contact.id) if one.currency == currency)
    most = _most(facts, owner, available)
    # Where nothing is possible the smallest amount there is tells why.
    about = amount if amount is not None else most or facts.policy.minimum
    refusal = decisions.standing_refusal(facts, owner, about, currency)
    if refusal is None and available < about:
        refusal = Reason("not_enough", {"available": available, "currency": currency})
    split = rules.withheld(about, facts.policy)
    needed = rules.approvals_needed(about, facts.policy)
    return Preview(facts.policy, currency, available, most, split, needed, refusal)


def _most(facts: Facts, owner: Owner, available: int) -> int:
    limit = facts.policy.daily_amount
    most = available if limit is None else min(available, limit - owner.asked_today)
    refused = most <= 0 or decisions.standing_refusal(facts, owner, most, facts.currency) is not None
    return 0 if refused else most
