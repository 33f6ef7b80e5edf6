"""The journal of one book: every entry in words, what moved, the hash that chains it to the one before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, render_template, request
from flask_babel import gettext as _

from growth_engine.commissions import queries as commissions
from growth_engine.context import Ctx
from growth_engine.kit import web
from growth_engine.kit.i18n import translate
from growth_engine.kit.pages import Page, page_of
from growth_engine.ledger import browse_queries, queries
from growth_engine.ledger.browse_queries import OrderWanted, Wanted
from growth_engine.ledger.models import Book, JournalEntry, LegRow
from growth_engine.ledger.money import ABSORBED, AVAILABLE, CAMPAIGN, PENDING, RESERVED, TITLES
from growth_engine.ledger.service import UnknownBook
from growth_engine.orders import queries as orders
from growth_engine.payouts import queue_queries
from growth_engine.people import queries as people
from growth_engine.plays import queries as plays
from growth_engine.web.marketer import campaign_entries, campaign_frame, money_words
from growth_engine.web.marketer.campaign_frame import Person

bp = Blueprint("book", __name__, url_prefix="/console/books")

CONTACTS = frozenset({AVAILABLE, RESERVED})
CAMPAIGNS = frozenset({CAMPAIGN, ABSORBED})


@dataclass(frozen=True, slots=True)
class Names:
    """Whoever and whatever entries and accounts of a book are about, by the ids the book has for them."""

    people: Mapping[int, Person]
    """Participants by number."""
    owners: Mapping[str, queue_queries.Owner]
    """Contacts."""
    campaigns: Mapping[str, str]

    def of(self, account: str, owner: str) -> str:
        """Who an account belongs to; empty for one that belongs to nobody."""
        if account == PENDING:
            person = self.people.get(int(owner))
            return person.name if person and person.name else str(_("No. %(number)s", number=owner))
        if account in CONTACTS:
            return money_words.owner_name(self.owners.get(owner))
        return self.campaigns.get(owner, owner)


def names_of(ctx: Ctx, book: Book, accounts: Iterable[tuple[str, str]], numbers: Iterable[int] = ()) -> Names:
    """Names for these (account, owner)s and participants."""
    accounts = list(accounts)
    members = {int(owner) for account, owner in accounts if account == PENDING and owner.isdecimal()}
    in_campaign = book.kind == "campaign"
    return Names(
        campaign_frame.people_by_number(ctx, book.id, members | set(numbers)) if in_campaign else {},
        queue_queries.owners(ctx, [owner for account, owner in accounts if account in CONTACTS]),
        plays.titles(ctx, [owner for account, owner in accounts if account in CAMPAIGNS]),
    )


def book_of(ctx: Ctx, book_id: str) -> Book:
    """Raises ``UnknownBook``, also for another workspace's."""
    found = queries.book(ctx, book_id) if book_id.isprintable() else None
    if found is None or found.workspace_id != ctx.workspace_id:
        raise UnknownBook
    return found


def title_of(ctx: Ctx, book: Book) -> str:
    if book.kind == "wallet":
        return str(_("Book of the wallets"))
    return plays.titles(ctx, [book.id]).get(book.id, book.id)


# -- the page ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """One Entry, told."""

    entry: JournalEntry
    sentence: str
    """In the wallet book; in campaigns the macro of their own journal says it."""
    reasons: Sequence[tuple[str, Mapping[str, Any]]]
    legs: Sequence[LegRow]
    previous: bytes | None


@dataclass(frozen=True, slots=True)
class Filter:
    """What was asked for, as it was typed."""

    kind: str
    answer: str
    who: str
    order: str
    entry: int | None
    problem: str = ""

    @property
    def any(self) -> bool:
        return bool(self.kind or self.answer or self.who or self.order or self.entry)


@bp.get("/<book_id>")
@web.require_staff("marketer")
def journal(book_id: str) -> str:
    ask = web.page_ask(25)
    with web.ctx() as ctx:
        book = book_of(ctx, book_id)
        kinds = _kinds(book)
        asked, wanted = _asked(ctx, book, kinds)
        found: Sequence[JournalEntry] = ()
        if wanted is not None:
            before = ask.after[0] if ask.after else (asked.entry + 1 if asked.entry else None)
            before = before if isinstance(before, int) else None
            limit = 2 if asked.entry and not ask.after else ask.limit + 1
            found = browse_queries.entries(ctx, book_id, wanted, before=before, limit=limit)
        page = page_of(found, 1 if asked.entry and not ask.after else ask.limit, lambda one: (one.seq,))
        names, rows = _told(ctx, book, page.items)
        title = title_of(ctx, book)
    return render_template(
        "marketer/book.html",
        book=book,
        title=title,
        page=Page(rows, page.next_cursor),
        names=names,
        asked=asked,
        kinds=kinds,
        answers=campaign_entries.ANSWERS,
        accounts=TITLES,
        filtered=bool(asked.any or ask.after),
    )


def _kinds(book: Book) -> Mapping[str, str]:
    if book.kind == "wallet":
        return money_words.WALLET_KINDS
    return {**campaign_entries.KINDS, **campaign_entries.SELLING}


def _asked(ctx: Ctx, book: Book, kinds: Mapping[str, str]) -> tuple[Filter, Wanted | None]:
    """What was asked for, and what to look for; ``None`` when nothing can fit."""
    kind, answer = request.args.get("kind", ""), request.args.get("answer", "")
    number = request.args.get("entry", "")
    asked = Filter(
        kind if kind in kinds else "",
        answer if answer in ("yes", "no") else "",
        request.args.get("who", "").strip()[:200],
        request.args.get("order", "").strip()[:100],
        int(number) if number.isdecimal() and len(number) < 16 else None,
    )
    member, owners, order = None, list[str](), None
    if asked.who and book.kind == "campaign":
        member = _member(ctx, book.id, asked.who)
        if member is None:
            return asked, None
    elif asked.who:
        owners = _family(ctx, asked.who)
        if not owners:
            return asked, None
    if asked.order:
        order = _order(ctx, book, asked.order)
        if order is None:
            return asked, None
    accepted = {"yes": True, "no": False}.get(asked.answer)
    return asked, Wanted([asked.kind] if asked.kind else (), accepted, member, owners, order)


def _member(ctx: Ctx, campaign_id: str, who: str) -> int | None:
    """A participant by number or name; the first one found."""
    if who.isdecimal() and len(who) < 10:
        return int(who)
    found = plays.find_participants(ctx, campaign_id, who, 1)
    return found[0].number if found else None


def _family(ctx: Ctx, who: str) -> list[str]:
    """A contact by id, identity or name, with those merged into them."""
    try:
        return list(people.contact_family(ctx, people.resolve(ctx, who)))
    except people.UnknownContact:
        found, _more = people.contacts_page(ctx, search=who, limit=1)
        return list(people.contact_family(ctx, found[0].id)) if found else []


def _order(ctx: Ctx, book: Book, wanted: str) -> OrderWanted | None:
    """An order by id, the shop's id, or its number in this campaign."""
    campaign_id = book.id if book.kind == "campaign" else None
    found = orders.orders_named(ctx, [wanted]).get(wanted) or orders.by_external_id(ctx, wanted)
    if found is None and campaign_id:
        listed = orders.orders_page(ctx, campaign_id=campaign_id, search=wanted, limit=2)
        found = next((one for one in listed if str(one.number) == wanted), None)
    if found is None or (campaign_id and found.campaign_id != campaign_id):
        return None
    shares = commissions.of_order(ctx, found.id)
    return OrderWanted(found.id, found.buyer, [found.id, *(one.id for one in shares)])


def _told(ctx: Ctx, book: Book, entries: Sequence[JournalEntry]) -> tuple[Names, list[Row]]:
    seqs = [one.seq for one in entries]
    legs = queries.legs_of(ctx, book.id, seqs)
    previous = browse_queries.previous_hashes(ctx, book.id, seqs)
    accounts = {(leg.account, leg.owner) for mine in legs.values() for leg in mine}
    # Refused entries name who wanted something in their result alone.
    accounts |= {
        (AVAILABLE, str(one.body["result"]["contact_id"]))
        for one in entries
        if book.kind == "wallet" and one.body.get("result", {}).get("contact_id")
    }
    names = names_of(ctx, book, accounts, campaign_frame.numbers_in(entries))
    rows = [
        Row(
            one,
            money_words.wallet_sentence(one, legs[one.seq], names.owners) if book.kind == "wallet" else "",
            _reasons(book, one, names),
            legs[one.seq],
            previous.get(one.seq),
        )
        for one in entries
    ]
    return names, rows


def _reasons(book: Book, entry: JournalEntry, names: Names) -> Sequence[tuple[str, Mapping[str, Any]]]:
    reasons = entry.body.get("reasons", ())
    if book.kind == "wallet":
        return money_words.wallet_reasons(reasons)
    return campaign_frame.said(reasons, names.people)


def account_title(account: str) -> str:
    return translate(TITLES.get(account, account))
