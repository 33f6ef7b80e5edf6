"""What we hold about a person, handed out or forgotten; the books keep amounts and lose the name."""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy import delete, or_, update
from sqlalchemy.dialects.postgresql import insert

from growth_engine.context import Ctx
from growth_engine.events import ContactErased
from growth_engine.kit.i18n import N_
from growth_engine.people import queries, rules
from growth_engine.people.models import Contact, ContactIdentity, ErasedIdentity
from growth_engine.people.rules import Identity
from growth_engine.people.traces import TRACES

GONE = N_("The person this answer was about has been erased.")


def export(ctx: Ctx, contact_id: str) -> dict[str, Any]:
    """Everything we hold about a person, as plain JSON values: theirs to read and to take elsewhere."""
    family = queries.contact_family(ctx, queries.contact(ctx, contact_id).id)
    about = _about(ctx, family)
    held: dict[str, Any] = {"exported_at": ctx.now().isoformat(), "contact_id": family[0]}
    for trace in TRACES:
        if trace.export is not None:
            held[trace.table] = list(ctx.session.scalars(trace.export, about))
    return held


def erase(ctx: Ctx, contact_id: str) -> None:
    """Forget a person: name, picture, identities, devices, messages, whatever waits with their data.

    Keyed hashes of the identities stay (docs/decisions/0002-erasure.md). Entries, grants and membership
    moves stay under the now nameless id. ``ContactErased`` lets other slices forget files. Erasing twice
    is no error. Raises ``UnknownContact``.
    """
    queries.hold_books(ctx)
    family = queries.contact_family(ctx, contact_id)
    rows = queries.locked(ctx, family)
    if all(row.erased_at for row in rows):
        return
    about = _about(ctx, family)
    _keep_hashes(ctx, family, blocked=any(row.blocked_at for row in rows))
    for trace in TRACES:
        if trace.erase is not None:
            ctx.session.execute(trace.erase, about)
    ctx.session.execute(delete(ContactIdentity).where(ContactIdentity.contact_id.in_(family)))
    avatars = sorted({row.avatar_key for row in rows if row.avatar_key})
    ctx.session.execute(
        update(Contact)
        .where(Contact.id.in_(family))
        .values(
            nickname="",
            avatar_key=None,
            locale=None,
            source="",
            tags=[],
            blocked_reason=None,
            erased_at=ctx.now(),
        )
        .execution_options(synchronize_session="fetch")
    )
    ctx.publish(*(ContactErased(one, avatars if one == family[0] else []) for one in family))


def _about(ctx: Ctx, family: list[str]) -> dict[str, Any]:
    """The parameters every trace may ask for."""
    identities = [one for found in queries.identities_of(ctx, family).values() for one in found]
    return {
        "family": family,
        "ids": [*family, *queries.participations_of(ctx, family)],
        "persons": [
            orjson.dumps({"person": {"identities": [[one.kind, one.value]]}}).decode() for one in identities
        ],
        "gone": orjson.dumps({"code": "erased", "status": 410, "title": GONE}).decode(),
        "now": ctx.now(),
    }


def _keep_hashes(ctx: Ctx, family: list[str], *, blocked: bool) -> None:
    salt = queries.salt(ctx)
    hashes = [
        {
            "workspace_id": ctx.workspace_id,
            "hash": rules.erased_hash(salt, Identity(one.kind, one.value)),
            "blocked": blocked,
            "erased_at": ctx.now(),
        }
        for found in queries.identities_of(ctx, family).values()
        for one in found
    ]
    if hashes:
        new = insert(ErasedIdentity).values(hashes)
        ctx.session.execute(
            new.on_conflict_do_update(
                index_elements=[ErasedIdentity.workspace_id, ErasedIdentity.hash],
                set_={
                    "blocked": or_(ErasedIdentity.blocked, new.excluded.blocked),
                    "erased_at": new.excluded.erased_at,
                },
            )
        )
