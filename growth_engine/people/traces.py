"""Where a person leaves traces, by table name: for merging, export and erasure.

The slices above own most of these tables and may not be imported from here; a test holds this list against
the database, so that a new table that names contacts cannot be forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import TextClause, text


@dataclass(frozen=True, slots=True)
class Trace:
    """One table. ``export`` answers JSON rows for ``:family`` (contact ids); ``merge`` re-points rows of
    ``:merged`` to ``:kept``; ``erase`` empties what is personal of ``:family``. ``None``: nothing to do."""

    table: str
    export: TextClause | None = None
    merge: TextClause | None = None
    erase: TextClause | None = None


def _of_family(table: str, order: str, column: str = "contact_id") -> TextClause:
    return text(
        f"SELECT to_jsonb(t) - 'workspace_id' AS row FROM {table} t"  # noqa: S608 - names of this file
        f" WHERE t.{column} = ANY(:family) ORDER BY {order}"
    )


#: Entries about the person; of an Event only the facts about themselves, not those about a friend.
_ENTRIES = text(
    "SELECT to_jsonb(n) - 'workspace_id' - 'hash'"
    "  || jsonb_build_object('as', mine.role, 'event_kind', e.kind, 'occurred_at', e.occurred_at,"
    "     'facts', CASE mine.role WHEN 'member' THEN e.facts END) AS row"
    " FROM (SELECT m.book_id, m.seq, 'member' AS role FROM participants p"
    "         JOIN entries m ON m.book_id = p.campaign_id AND m.member = p.number"
    "        WHERE p.contact_id = ANY(:family)"
    "       UNION ALL"
    "       SELECT o.book_id, o.seq, 'other' FROM participants p"
    "         JOIN entries o ON o.book_id = p.campaign_id AND o.other = p.number"
    "        WHERE p.contact_id = ANY(:family)) mine"
    " JOIN entries n ON n.book_id = mine.book_id AND n.seq = mine.seq"
    " JOIN events e ON e.id = n.event_id"
    " ORDER BY n.book_id, n.seq, mine.role"
)
_EDGES = text(
    "SELECT to_jsonb(e) - 'workspace_id' AS row FROM participants p"
    " JOIN invite_edges e ON e.campaign_id = p.campaign_id"
    "  AND (e.invitee_number = p.number OR e.inviter_number = p.number)"
    " WHERE p.contact_id = ANY(:family) ORDER BY e.campaign_id, e.seq, e.invitee_number"
)
#: Events accepted and not posted yet: about a contact, or carrying one of ``:persons`` (jsonb, as in
#: ``ledger.contract.Event.payload``) with them.
_PENDING = (
    "(p.payload->'facts'->>'contact_id' = ANY(:family)"
    " OR EXISTS (SELECT FROM unnest(CAST(:persons AS jsonb[])) who WHERE p.payload @> who))"
)

#: A participation moves along unless the kept contact takes part in that campaign already; its posters
#: move with it.
_MERGE_PARTICIPANTS = text(
    "WITH moved AS ("
    "  UPDATE participants p SET contact_id = :kept WHERE p.contact_id = :merged AND NOT EXISTS ("
    "    SELECT FROM participants k WHERE k.campaign_id = p.campaign_id AND k.contact_id = :kept)"
    "  RETURNING p.id)"
    " UPDATE posters SET contact_id = :kept WHERE participant_id IN (SELECT id FROM moved)"
)

#: What the platforms sent about the person. Refused callbacks and unreadable ones say about nobody whom
#: they are; they are few, and searched through.
_PLATFORM_IDS = (
    "SELECT who->'person'->'identities'->0->>1 AS id FROM unnest(CAST(:persons AS jsonb[])) who"
    " WHERE who->'person'->'identities'->0->>0 IN ('openid', 'external_userid')"
)
_INBOX = (
    f"(m.sender IN ({_PLATFORM_IDS}) OR (m.sender = '' AND m.state IN ('refused', 'unknown')"
    f" AND EXISTS (SELECT FROM ({_PLATFORM_IDS}) AS p"
    "  WHERE position(convert_to(p.id, 'UTF8') IN m.raw || coalesce(m.content, '')) > 0)))"
)

#: Amounts in the person's wallet. The book is named after the workspace (``ledger.money.wallet_book``).
_WALLET = (
    "t.book_id = 'wal_' || substr(current_setting('ge.workspace_id'), 5)"
    " AND t.account IN ('available', 'reserved')"
)
_ACCOUNTS = text(
    f"SELECT to_jsonb(t) - 'workspace_id' AS row FROM accounts t WHERE {_WALLET}"  # noqa: S608
    " AND t.owner = ANY(:family) ORDER BY t.account, t.owner, t.currency"
)
_LEGS = text(
    f"SELECT to_jsonb(t) - 'workspace_id' AS row FROM legs t WHERE {_WALLET}"  # noqa: S608
    " AND t.owner = ANY(:family) ORDER BY t.seq, t.line"
)
_BINDINGS = text(
    "SELECT to_jsonb(b) - 'workspace_id' AS row FROM participants p"
    " JOIN bindings b ON b.campaign_id = p.campaign_id AND b.buyer = p.number"
    " WHERE p.contact_id = ANY(:family) ORDER BY b.campaign_id, b.buyer"
)


def _of_orders(table: str, order: str) -> TextClause:
    return text(
        f"SELECT to_jsonb(t) - 'workspace_id' AS row FROM orders o JOIN {table} t ON t.order_id = o.id"  # noqa: S608
        f" WHERE o.contact_id = ANY(:family) ORDER BY t.order_id, {order}"
    )


def _moves(table: str) -> TextClause:
    return text(f"UPDATE {table} SET contact_id = :kept WHERE contact_id = :merged")  # noqa: S608


TRACES: Final = (
    # The first three are this slice's own: merged and erased in words (merging.py, erasure.py).
    Trace("contacts", export=_of_family("contacts", "t.id", "id")),
    Trace("contact_identities", export=_of_family("contact_identities", "t.created_at, t.kind, t.value")),
    Trace("consents", export=_of_family("consents", "t.at, t.id")),
    Trace(
        "participants",
        export=_of_family("participants", "t.joined_at, t.id"),
        merge=_MERGE_PARTICIPANTS,
        erase=text(
            "UPDATE participants SET device = NULL, address = NULL WHERE contact_id = ANY(:family)"
            " AND (device IS NOT NULL OR address IS NOT NULL)"
        ),
    ),
    Trace("invite_edges", export=_EDGES),
    Trace("entries", export=_ENTRIES),
    Trace(
        "pending_events",
        export=text(f"SELECT to_jsonb(p) - 'workspace_id' AS row FROM pending_events p WHERE {_PENDING}"),  # noqa: S608
        # The Event was accepted and stays; it is posted soon, refused because there is nobody to enrol.
        erase=text(
            "UPDATE pending_events p SET payload = payload - 'person', parked_at = NULL, attempts = 0,"  # noqa: S608
            " next_at = :now, error = 'The person was erased before this was posted.'"
            f" WHERE jsonb_typeof(payload->'person') = 'object' AND {_PENDING}"
        ),
    ),
    Trace(
        "grants",
        export=_of_family("grants", "t.created_at, t.id"),
        merge=text("UPDATE grants SET contact_id = :kept WHERE contact_id = :merged"),
        erase=text(
            "UPDATE grants SET state = 'reversed', error = 'The person was erased before this was granted.'"
            " WHERE contact_id = ANY(:family) AND state IN ('pending', 'stuck')"
        ),
    ),
    # Journal: never re-pointed; membership folds the moves of the whole family.
    Trace("membership_moves", export=_of_family("membership_moves", "t.number")),
    # A cache; membership recomputes it when it hears of the merge.
    Trace(
        "memberships",
        export=_of_family("memberships", "t.plan_id, t.contact_id"),
        erase=text("DELETE FROM memberships WHERE contact_id = ANY(:family)"),
    ),
    Trace(
        "messages",
        export=_of_family("messages", "t.id"),
        merge=text("UPDATE messages SET contact_id = :kept WHERE contact_id = :merged"),
        erase=text("DELETE FROM messages WHERE contact_id = ANY(:family)"),
    ),
    Trace(
        "followers",
        export=_of_family("followers", "t.account_id, t.person"),
        merge=_moves("followers"),
        # Also who followed and was never made a contact of: the platform's id is the person's all the same.
        erase=text(
            f"DELETE FROM followers WHERE contact_id = ANY(:family) OR person IN ({_PLATFORM_IDS})"  # noqa: S608
        ),
    ),
    Trace(
        "deliveries",
        export=_of_family("deliveries", "t.id"),
        merge=_moves("deliveries"),
        erase=text("DELETE FROM deliveries WHERE contact_id = ANY(:family)"),
    ),
    # Moved with their participation; pictures and rows are forgotten by the posters slice (ContactErased).
    Trace("posters", export=_of_family("posters", "t.created_at, t.id")),
    Trace(
        "inbox_messages",
        export=text(
            "SELECT to_jsonb(m) - 'workspace_id' - 'raw' - 'content' - 'content_hash' - 'request'"  # noqa: S608
            "  || jsonb_build_object('content', CASE WHEN m.sender <> '' THEN convert_from(m.content, 'UTF8')"
            "       ELSE encode(coalesce(m.content, m.raw), 'escape') END) AS row"
            f" FROM inbox_messages m WHERE {_INBOX} ORDER BY m.id"
        ),
        erase=text(
            "UPDATE inbox_messages m SET sender = '', raw = '', content = NULL, content_hash = '',"  # noqa: S608
            " request = '{}', reply = NULL, error = CASE state WHEN 'done' THEN error END,"
            f" state = CASE state WHEN 'refused' THEN 'refused' ELSE 'done' END WHERE {_INBOX}"
        ),
    ),
    # What was bought and earned is the person's, whichever of their contacts it was filed under.
    Trace("orders", export=_of_family("orders", "t.id"), merge=_moves("orders")),
    Trace("order_lines", export=_of_orders("order_lines", "t.line")),
    Trace("payments", export=_of_orders("payments", "t.id")),
    Trace("refunds", export=_of_orders("refunds", "t.id")),
    Trace(
        "pay_attempts",
        export=_of_orders("pay_attempts", "t.turn"),
        erase=text(
            "UPDATE pay_attempts SET openid = '' WHERE openid <> ''"
            " AND order_id IN (SELECT id FROM orders WHERE contact_id = ANY(:family))"
        ),
    ),
    Trace("refund_requests", export=_of_orders("refund_requests", "t.id")),
    # One under way keeps whom it goes to until it has ended, as payouts do; then it forgets by itself.
    Trace(
        "pay_transfers",
        export=text(
            "SELECT to_jsonb(t) - 'workspace_id' AS row FROM payouts p JOIN pay_transfers t"
            " ON t.payout_id = p.id WHERE p.contact_id = ANY(:family) ORDER BY t.payout_id"
        ),
    ),
    Trace("bindings", export=_BINDINGS),
    Trace("commissions", export=_of_family("commissions", "t.id"), merge=_moves("commissions")),
    Trace(
        "promoters",
        export=_of_family("promoters", "t.campaign_id, t.number"),
        merge=_moves("promoters"),
        erase=text("UPDATE promoters SET note = '' WHERE contact_id = ANY(:family) AND note <> ''"),
    ),
    # Payouts change owners together with the account that holds their money: the wallet's own Event does
    # both (``payouts.reactions``). A payout under way keeps its recipient until it has ended.
    Trace(
        "payouts",
        export=_of_family("payouts", "t.id"),
        erase=text(
            "UPDATE payouts SET recipient = '{}' WHERE contact_id = ANY(:family)"
            " AND state IN ('paid', 'failed', 'rejected', 'cancelled') AND recipient <> '{}'"
        ),
    ),
    Trace("accounts", export=_ACCOUNTS),
    Trace("legs", export=_LEGS),
    # Stored answers of the API may quote a nickname or a phone number beside the ``:ids`` they are about.
    Trace(
        "idempotency_keys",
        erase=text(
            "UPDATE idempotency_keys k SET status = 410, body = CAST(:gone AS jsonb) WHERE EXISTS ("
            " SELECT FROM unnest(CAST(:ids AS text[])) one WHERE position(one IN k.body::text) > 0)"
        ),
    ),
)
"""In the order things are merged and erased."""
