"""Every select about people: by id, by identity, by search, and who was erased."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import phonenumbers
from sqlalchemy import Select, func, or_, select, text, tuple_

from growth_engine.context import Ctx
from growth_engine.kit.errors import Invalid, NotFound
from growth_engine.kit.i18n import N_
from growth_engine.people import rules
from growth_engine.people.models import Consent, Contact, ContactIdentity, ErasedIdentity, Message
from growth_engine.people.rules import Identity

MOST_PER_PAGE = 100


class UnknownContact(NotFound):
    code = "contact_not_found"
    message = N_("We know nobody by this name.")


def contact(ctx: Ctx, contact_id: str) -> Contact:
    """The contact, or the one it was merged into. Erased and unknown ones raise ``UnknownContact``."""
    found = _root(ctx, contact_id)
    if found is None or found.erased_at is not None:
        raise UnknownContact
    return found


def by_identity(ctx: Ctx, identity: Identity) -> str | None:
    """The id of the contact an identity belongs to."""
    return owners(ctx, [identity]).get(identity)


def owners(ctx: Ctx, identities: Iterable[Identity]) -> dict[Identity, str]:
    """Which contact (merged ones followed) each identity belongs to; those of nobody are left out."""
    wanted = [(one.kind, one.value) for one in identities]
    if not wanted:
        return {}
    table = ContactIdentity
    rows = ctx.session.execute(
        select(table.kind, table.value, func.coalesce(Contact.merged_into, Contact.id))
        .join(Contact, Contact.id == table.contact_id)
        .where(table.workspace_id == ctx.workspace_id, tuple_(table.kind, table.value).in_(wanted))
    )
    return {Identity(kind, value): contact_id for kind, value, contact_id in rows}


def resolve(ctx: Ctx, ref: str) -> str:
    """The contact id meant by a reference from outside, or ``UnknownContact``.

    A reference is a ``con_…`` id, ``kind:value`` (``phone:+8613…``, ``external_id:u1``), or a bare value
    tried as external_id, phone, unionid, openid and external_userid. Merged contacts lead to the kept one.
    """
    if rules.CONTACT_ID.fullmatch(ref):
        return contact(ctx, ref).id
    kind, colon, value = ref.partition(":")
    if colon and kind in rules.KINDS:
        candidates = _readings(ctx, [kind], value)
    else:
        candidates = _readings(ctx, ("external_id", "phone", "unionid", "openid", "external_userid"), ref)
    found = owners(ctx, candidates)
    for candidate in candidates:
        if candidate in found:
            return found[candidate]
    raise UnknownContact


def _readings(ctx: Ctx, kinds: Sequence[str], value: str) -> list[Identity]:
    """The identities a text can mean; kinds it cannot be are left out."""
    found = []
    for kind in kinds:
        try:
            found.append(Identity(kind, rules.normalise(kind, value, ctx.parts.settings.phone_region)))
        except Invalid:
            continue
    return found


def contact_family(ctx: Ctx, contact_id: str) -> list[str]:
    """The kept contact's id first, then the ids of all contacts merged into it.

    What is never re-pointed (membership moves, second participations) is read through this.
    Raises ``UnknownContact`` when there is no such contact; an erased one still has its family.
    """
    found = _root(ctx, contact_id)
    if found is None:
        raise UnknownContact
    merged = select(Contact.id).where(Contact.merged_into == found.id).order_by(Contact.id)
    return [found.id, *ctx.session.scalars(merged)]


def _root(ctx: Ctx, contact_id: str) -> Contact | None:
    if not contact_id.isprintable():
        return None  # NUL and lone surrogates are no text to PostgreSQL
    kept = (
        select(func.coalesce(Contact.merged_into, Contact.id))
        .where(Contact.id == contact_id, Contact.workspace_id == ctx.workspace_id)
        .scalar_subquery()
    )
    return ctx.session.scalars(
        select(Contact).where(Contact.id == kept), execution_options={"populate_existing": True}
    ).one_or_none()


def locked(ctx: Ctx, contact_ids: Iterable[str]) -> list[Contact]:
    """The rows themselves (merged ones not followed), locked in one order against other changes.

    NO KEY UPDATE: rows that refer to a contact can still be added meanwhile.
    """
    return list(
        ctx.session.scalars(
            select(Contact)
            .where(Contact.id.in_(sorted(contact_ids)), Contact.workspace_id == ctx.workspace_id)
            .order_by(Contact.id)
            .with_for_update(key_share=True),
            execution_options={"populate_existing": True},
        )
    )


#: The poster locks a book from before it looks whom an identity belongs to until what it decided is committed
#: (``ledger.journal.begin``; the same order).
_HOLD_BOOKS = text(
    "SELECT count(pg_advisory_xact_lock(hashtextextended(id, 0)))"
    " FROM (SELECT id FROM books WHERE kind = 'campaign' ORDER BY id OFFSET 0) AS held"
)


def hold_books(ctx: Ctx) -> None:
    """Wait for the registrations being decided now, and let no other begin until the transaction ends.

    Before whom identities belong to changes: a registration decided on what was true before would be
    filed under a person who is no more. Take this lock first, before rows of people.
    """
    ctx.session.execute(_HOLD_BOOKS)


def identities_of(ctx: Ctx, contact_ids: Sequence[str]) -> Mapping[str, list[ContactIdentity]]:
    """The identities of each contact, oldest first."""
    found: dict[str, list[ContactIdentity]] = {one: [] for one in contact_ids}
    rows = ctx.session.scalars(
        select(ContactIdentity)
        .where(ContactIdentity.contact_id.in_(contact_ids), ContactIdentity.workspace_id == ctx.workspace_id)
        .order_by(ContactIdentity.created_at, ContactIdentity.kind, ContactIdentity.value),
        execution_options={"populate_existing": True},
    )
    for row in rows:
        found[row.contact_id].append(row)
    return found


def consents_of(ctx: Ctx, contact_id: str) -> list[Consent]:
    """Everything the person ever agreed to or withdrew, merged contacts included, oldest first.

    Said at the very same moment, a withdrawal comes last: in doubt it is a no.
    """
    family = contact_family(ctx, contact_id)
    rows = select(Consent).where(Consent.contact_id.in_(family))
    return list(ctx.session.scalars(rows.order_by(Consent.at, Consent.granted.desc(), Consent.id)))


def has_consented(ctx: Ctx, contact_id: str, purpose: str) -> bool:
    """Whether the latest word on a purpose is yes."""
    said = [one.granted for one in consents_of(ctx, contact_id) if one.purpose == purpose]
    return bool(said) and said[-1]


def messages_of(ctx: Ctx, contact_id: str, *, limit: int = 50) -> list[Message]:
    """What we told the person, newest first."""
    family = contact_family(ctx, contact_id)
    rows = select(Message).where(Message.contact_id.in_(family)).order_by(Message.id.desc()).limit(limit)
    return list(ctx.session.scalars(rows))


def participations_of(ctx: Ctx, family: Sequence[str]) -> list[str]:
    """Ids of the participants a family of contacts is (the plays slice stands above and is not imported)."""
    rows = text("SELECT id FROM participants WHERE contact_id = ANY(:family) ORDER BY id")
    return list(ctx.session.scalars(rows, {"family": list(family)}))


def avatars_in_use(ctx: Ctx, keys: Sequence[str]) -> set[str]:
    """Which of these pictures some contact still shows."""
    return set(ctx.session.scalars(select(Contact.avatar_key).where(Contact.avatar_key.in_(keys))))


def contacts_page(
    ctx: Ctx,
    *,
    search: str = "",
    blocked: bool | None = None,
    left: bool | None = None,
    after: str = "",
    limit: int = 50,
) -> tuple[list[Contact], str | None]:
    """Contacts, newest first, and the ``after`` of the next page (``None`` on the last one).

    ``search`` finds a part of the nickname or the beginning of an identity. Merged and erased contacts
    are not listed.
    """
    limit = max(1, min(limit, MOST_PER_PAGE))
    rows = select(Contact).where(
        Contact.workspace_id == ctx.workspace_id, Contact.merged_into.is_(None), Contact.erased_at.is_(None)
    )
    if blocked is not None:
        rows = rows.where(Contact.blocked_at.is_not(None) if blocked else Contact.blocked_at.is_(None))
    if left is not None:
        rows = rows.where(Contact.left_at.is_not(None) if left else Contact.left_at.is_(None))
    if after:
        rows = rows.where(Contact.id < after)
    if wanted := "".join(c for c in rules.without_format(search) if c.isprintable()).strip():
        rows = _searched(ctx, rows, wanted)
    found = list(ctx.session.scalars(rows.order_by(Contact.id.desc()).limit(limit + 1)))
    return found[:limit], (found[limit - 1].id if len(found) > limit else None)


def _searched(ctx: Ctx, rows: Select[Any], wanted: str) -> Select[Any]:
    beginnings = [wanted]
    digits = wanted.replace(" ", "").replace("-", "")
    if digits.isascii() and digits.isdigit():
        code = phonenumbers.country_code_for_region(ctx.parts.settings.phone_region)
        beginnings.append(f"+{code}{digits}")
    known = select(ContactIdentity.contact_id).where(
        ContactIdentity.workspace_id == ctx.workspace_id,
        ContactIdentity.kind.in_(rules.KINDS),
        or_(*(ContactIdentity.value.startswith(one, autoescape=True) for one in beginnings)),
    )
    return rows.where(or_(Contact.nickname.icontains(wanted, autoescape=True), Contact.id.in_(known)))


def salt(ctx: Ctx) -> str:
    """The workspace's salt, the key of its hashes."""
    found = ctx.session.scalar(text("SELECT salt FROM workspaces WHERE id = :id"), {"id": ctx.workspace_id})
    assert isinstance(found, str)
    return found


def erased_before(ctx: Ctx, identities: Iterable[Identity]) -> dict[Identity, bool]:
    """Those identities whose person asked to be erased once, and whether they were blocked then."""
    key = salt(ctx)
    hashes = {rules.erased_hash(key, identity): identity for identity in identities}
    rows = ctx.session.execute(
        select(ErasedIdentity.hash, ErasedIdentity.blocked).where(
            ErasedIdentity.workspace_id == ctx.workspace_id, ErasedIdentity.hash.in_(hashes)
        )
    )
    return {hashes[hashed]: blocked for hashed, blocked in rows}
