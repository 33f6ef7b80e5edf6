"""REST: contacts, found by any identity; blocking, merging, export and erasure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from growth_engine.context import Ctx
from growth_engine.kit import rest
from growth_engine.kit.pages import Page
from growth_engine.people import queries, service
from growth_engine.people.models import Contact, ContactIdentity
from growth_engine.people.rules import KINDS
from growth_engine.people.schemas import (
    Block,
    ContactChange,
    ContactQuery,
    ContactShape,
    ExportShape,
    Merge,
)

blp = rest.Blueprint("contacts", __name__, description="People, whatever they take part in.")


@blp.get("/contacts")
@rest.scope("contacts:read")
@rest.asks(ContactQuery)
@rest.answers(200, rest.page_of(ContactShape))
def list_contacts(ctx: Ctx, query: Mapping[str, Any]) -> Page[Any]:
    """Contacts, newest first; merged and erased ones are not listed."""
    (after,) = rest.after(query["cursor"], str) or ("",)
    rows, last = queries.contacts_page(
        ctx,
        search=query["search"],
        blocked=query["blocked"],
        left=query["left"],
        after=after,
        limit=query["limit"],
    )
    known = queries.identities_of(ctx, [row.id for row in rows])
    return rest.page([_contact(row, known[row.id]) for row in rows], last)


@blp.post("/contacts")
@rest.scope("contacts:write")
@rest.takes(ContactChange)
@rest.answers(201, ContactShape, "A new contact.")
@rest.answers(200, ContactShape, "A known contact, brought up to date.")
def put_contact(ctx: Ctx, body: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """Make a contact or bring one up to date.

    You vouch that all identities given are one person's: contacts known by several of them are merged.
    """
    met = service.create_or_update(
        ctx,
        {kind: body[kind] for kind in KINDS if kind in body},
        nickname=body["nickname"] or body["name"],
        locale=body.get("locale"),
        tags=body["tags"],
        source="api",
        proven=True,
    )
    return _one(ctx, met.contact_id), 201 if met.created else 200


@blp.get("/contacts/<reference:ref>", merge_slashes=False)
@rest.scope("contacts:read")
@rest.answers(200, ContactShape)
def get_contact(ctx: Ctx, ref: str) -> dict[str, Any]:
    """A contact by id or any identity."""
    return _one(ctx, queries.resolve(ctx, ref))


@blp.delete("/contacts/<reference:ref>", merge_slashes=False)
@rest.scope("contacts:write")
@rest.answers(204, description="Forgotten: name, picture, identities, messages. The books keep amounts.")
def erase_contact(ctx: Ctx, ref: str) -> None:
    """Forget a person. This cannot be undone."""
    service.erase(ctx, queries.resolve(ctx, ref))


@blp.get("/contacts/<reference:ref>/export", merge_slashes=False)
@rest.scope("contacts:read")
@rest.answers(200, ExportShape, as_is=True)
def export_contact(ctx: Ctx, ref: str) -> dict[str, Any]:
    """Everything held about a person, theirs to read and to take elsewhere."""
    held = service.export(ctx, queries.resolve(ctx, ref))
    tables = {name: rows for name, rows in held.items() if isinstance(rows, list)}
    return {"contact_id": held["contact_id"], "exported_at": held["exported_at"], "tables": tables}


@blp.post("/contacts/<reference:ref>/block", merge_slashes=False)
@rest.scope("contacts:write")
@rest.takes(Block, needed=False)
@rest.answers(200, ContactShape)
def block_contact(ctx: Ctx, ref: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Block a person: what they did in campaigns is void, and they can neither join nor help."""
    contact_id = queries.resolve(ctx, ref)
    service.block(ctx, contact_id, body["reason"])
    return _one(ctx, contact_id)


@blp.post("/contacts/<reference:ref>/unblock", merge_slashes=False)
@rest.scope("contacts:write")
@rest.answers(200, ContactShape)
def unblock_contact(ctx: Ctx, ref: str) -> dict[str, Any]:
    """Lift a block; helps that were void count again."""
    contact_id = queries.resolve(ctx, ref)
    service.unblock(ctx, contact_id)
    return _one(ctx, contact_id)


@blp.post("/contacts/<reference:ref>/merge", merge_slashes=False)
@rest.scope("contacts:write")
@rest.takes(Merge)
@rest.answers(200, ContactShape, "The contact that is kept.")
def merge_contact(ctx: Ctx, ref: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Merge another contact into this one: they are one person. This cannot be undone."""
    kept = service.merge(ctx, queries.resolve(ctx, ref), queries.resolve(ctx, body["other"]))
    return _one(ctx, kept)


def _one(ctx: Ctx, contact_id: str) -> dict[str, Any]:
    row = queries.contact(ctx, contact_id)
    return _contact(row, queries.identities_of(ctx, [row.id])[row.id])


def _contact(row: Contact, identities: list[ContactIdentity]) -> dict[str, Any]:
    return {
        "id": row.id,
        "nickname": row.nickname,
        "locale": row.locale,
        "source": row.source,
        "tags": row.tags,
        "identities": identities,
        "first_seen_at": row.first_seen_at,
        "left_at": row.left_at,
        "blocked_at": row.blocked_at,
        "blocked_reason": row.blocked_reason,
    }
