"""Commands about people: meet, verify, consent, block; merging and erasure stand in files of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from growth_engine.context import Ctx
from growth_engine.events import ContactBlocked, ContactUnblocked
from growth_engine.kit.errors import Conflict, Invalid
from growth_engine.kit.i18n import N_
from growth_engine.people import queries, rules
from growth_engine.people.erasure import erase, export
from growth_engine.people.merging import merge
from growth_engine.people.models import Consent, Contact, ContactIdentity
from growth_engine.people.rules import Identity

__all__ = [
    "Met",
    "block",
    "create_or_update",
    "erase",
    "export",
    "mark_back",
    "mark_left",
    "merge",
    "prove",
    "record_consent",
    "unblock",
]

MOST_IDENTITIES = 20
_LONGEST_REASON = 200
_COLLISIONS = 5

BUSY = N_("Several requests change this person at once. Please try again.")


class IdentityConflict(Conflict):
    code = "identity_conflict"
    message = N_("These identities belong to different people. Prove one of them first, or merge the two.")


class TooManyIdentities(Invalid):
    code = "too_many_identities"
    message = N_("One person can be known by at most %(most)s identities.")


@dataclass(frozen=True, slots=True)
class Met:
    """Whom some identities led to; ``created`` when nobody was known by them."""

    contact_id: str
    created: bool


def create_or_update(
    ctx: Ctx,
    identities: Mapping[str, str] | Iterable[tuple[str, str]],
    *,
    nickname: str = "",
    locale: str | None = None,
    tags: Sequence[str] = (),
    source: str = "api",
    proven: bool = False,
) -> Met:
    """The contact known by any of the identities, made if there is none; what is given is taken over.

    ``proven``: the caller vouches that all identities are one person's (the merchant's own server, a
    signed-in WeChat page). Then contacts found under several of them are merged into the oldest;
    otherwise that is an ``IdentityConflict``. Missing identities are added either way. Raises
    ``Invalid`` by field. Safe when two callers meet the same new person at once.
    """
    wanted = rules.normalise_all(identities, ctx.parts.settings.phone_region)
    if not wanted:
        raise Invalid(fields={"identities": [rules.UNKNOWN_KIND]})
    for _ in range(_COLLISIONS):
        owners = sorted(set(queries.owners(ctx, wanted).values()))
        if len(owners) > 1 and not proven:
            raise IdentityConflict
        try:
            with ctx.session.begin_nested():
                if not owners:
                    contact_id = _create(ctx, wanted, nickname, locale, tags, source, proven)
                    return Met(contact_id, created=True)
                contact_id = owners[0]
                for other in owners[1:]:
                    contact_id = merge(ctx, contact_id, other)
                row = _locked(ctx, contact_id)
                _take_over(row, nickname, locale, tags)
                _add_identities(ctx, row.id, wanted, proven)
                return Met(row.id, created=False)
        except IntegrityError:
            # Somebody else just added one of the identities; now committed, the next look sees whose it is.
            continue
    raise Conflict(BUSY)


def prove(ctx: Ctx, contact_id: str, kind: str, value: str) -> str:
    """The person proved that an identity is theirs (a code by SMS): adds it, and merges its former owner.

    Returns the id of the contact that is kept: the older of the two.
    """
    identity = Identity(kind, rules.normalise(kind, value, ctx.parts.settings.phone_region))
    kept = queries.contact(ctx, contact_id).id
    owner = queries.by_identity(ctx, identity)
    if owner is not None and owner != kept:
        kept = merge(ctx, *sorted((kept, owner)))
    _add_identities(ctx, _locked(ctx, kept).id, [identity], proven=True)
    return kept


def record_consent(
    ctx: Ctx, contact_id: str, *, purpose: str, wording_version: str, granted: bool = True, source: str
) -> Consent:
    """Write down that a person agreed to a wording (or withdrew); earlier words stay as history."""
    wrong = {
        name: [rules.NOT_AN_IDENTITY]
        for name, value in (("purpose", purpose), ("wording_version", wording_version), ("source", source))
        if not 1 <= len(value) <= rules.LONGEST or not value.isprintable()
    }
    if wrong:
        raise Invalid(fields=wrong)
    consent = Consent(
        id=ctx.new_id("cns"),
        workspace_id=ctx.workspace_id,
        contact_id=queries.contact(ctx, contact_id).id,
        purpose=purpose,
        wording_version=wording_version,
        granted=granted,
        source=source,
        at=ctx.now(),
    )
    ctx.session.add(consent)
    ctx.session.flush()
    return consent


def block(ctx: Ctx, contact_id: str, reason: str) -> bool:
    """The person may neither join nor help any more; their campaigns void what they did (ContactBlocked).

    ``reason`` is for the marketer's eyes. Returns False when they were blocked already.
    """
    return _set_block(ctx, contact_id, ctx.now(), _one_line(reason))


def unblock(ctx: Ctx, contact_id: str) -> bool:
    """Lift a block. Returns False when there was none."""
    return _set_block(ctx, contact_id, None, None)


def _set_block(ctx: Ctx, contact_id: str, at: datetime | None, reason: str | None) -> bool:
    row = _locked(ctx, contact_id)
    if (row.blocked_at is None) == (at is None):
        return False
    row.blocked_at, row.blocked_reason = at, reason
    ctx.session.flush()
    ctx.publish(ContactBlocked(row.id) if at else ContactUnblocked(row.id))
    return True


def mark_left(ctx: Ctx, contact_id: str) -> None:
    """They left everything (unfollowed, removed us, asked to); the campaigns are told by ``plays``."""
    row = _locked(ctx, contact_id)
    row.left_at = row.left_at or ctx.now()


def mark_back(ctx: Ctx, contact_id: str) -> None:
    """They are here again."""
    _locked(ctx, contact_id).left_at = None


def _locked(ctx: Ctx, contact_id: str) -> Contact:
    """The kept contact, locked; whoever merges or erases it meanwhile waits, or was first and is seen."""
    for _ in range(_COLLISIONS):
        (row,) = queries.locked(ctx, [queries.contact(ctx, contact_id).id])
        if row.erased_at:
            raise queries.UnknownContact
        if row.merged_into is None:
            return row
    raise Conflict(BUSY)


def _create(
    ctx: Ctx,
    identities: Sequence[Identity],
    nickname: str,
    locale: str | None,
    tags: Sequence[str],
    source: str,
    proven: bool,
) -> str:
    # Erasure does not lift a block: whoever comes back under an erased identity is blocked still.
    still_blocked = any(queries.erased_before(ctx, identities).values())
    contact = Contact(
        id=ctx.new_id("con"),
        workspace_id=ctx.workspace_id,
        nickname=rules.clean_nickname(nickname),
        locale=locale,
        source=_one_line(source),
        tags=_tags(tags),
        first_seen_at=ctx.now(),
        blocked_at=ctx.now() if still_blocked else None,
        blocked_reason=N_("Blocked before erasure") if still_blocked else None,
    )
    ctx.session.add(contact)
    ctx.session.flush()
    _add_identities(ctx, contact.id, identities, proven)
    return contact.id


def _add_identities(ctx: Ctx, contact_id: str, identities: Sequence[Identity], proven: bool) -> None:
    """Adds what is missing; an ``IntegrityError`` means one of them is somebody else's."""
    now = ctx.now()
    (known,) = queries.identities_of(ctx, [contact_id]).values()
    have = {Identity(one.kind, one.value): one for one in known}
    if len(have.keys() | set(identities)) > MOST_IDENTITIES:
        raise TooManyIdentities(params={"most": MOST_IDENTITIES})
    rows = [
        {
            "workspace_id": ctx.workspace_id,
            "kind": one.kind,
            "value": one.value,
            "contact_id": contact_id,
            "verified_at": now if proven else None,
            "created_at": now,
        }
        for one in sorted(identities)
        if one not in have
    ]
    if rows:
        ctx.session.execute(insert(ContactIdentity).values(rows))
    for one in identities:
        if proven and one in have and have[one].verified_at is None:
            have[one].verified_at = now
    ctx.session.flush()


def _take_over(row: Contact, nickname: str, locale: str | None, tags: Sequence[str]) -> None:
    """What was given replaces what was there; tags are added; silence changes nothing."""
    row.nickname = rules.clean_nickname(nickname) or row.nickname
    row.locale = locale or row.locale
    row.tags = sorted({*row.tags, *_tags(tags)})


def _tags(tags: Sequence[str]) -> list[str]:
    return sorted({cleaned for tag in tags if (cleaned := rules.clean_nickname(tag))})


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text[:_LONGEST_REASON]).strip()
