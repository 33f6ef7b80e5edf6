"""Channels: the merchant's accounts at WeChat, WeCom and WeChat Pay, and what the platforms tell us."""

from __future__ import annotations

import os
import re

from alembic import op

revision = "0003"
down_revision = "0002"

ID = 'text COLLATE "C"'

TABLES = f"""
CREATE TABLE channel_accounts (
  id {ID} PRIMARY KEY,
  workspace_id {ID} NOT NULL REFERENCES workspaces (id),
  provider text NOT NULL CONSTRAINT ck_channel_accounts_provider
    CHECK (provider IN ('wechat_oa', 'wecom', 'wechat_pay')),
  name text NOT NULL,
  identifier text NOT NULL,
  ids jsonb NOT NULL,
  settings jsonb NOT NULL,
  secrets bytea NOT NULL,
  state text NOT NULL CONSTRAINT ck_channel_accounts_state
    CHECK (state IN ('waiting', 'active', 'disabled')),
  created_by text NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  called_at timestamptz,
  checked_at timestamptz,
  check_error text,
  CONSTRAINT uq_channel_accounts_workspace_id_provider_identifier
    UNIQUE (workspace_id, provider, identifier)
);

-- Written for every callback: no foreign keys (docs/decisions/0008).
CREATE TABLE inbox_messages (
  id {ID} PRIMARY KEY,
  workspace_id {ID} NOT NULL,
  account_id {ID} NOT NULL,
  provider text NOT NULL,
  identity {ID} NOT NULL,
  kind text NOT NULL,
  sender {ID} NOT NULL DEFAULT '',
  state text NOT NULL CONSTRAINT ck_inbox_messages_state
    CHECK (state IN ('received', 'done', 'refused', 'failed', 'unknown')),
  request jsonb NOT NULL,
  raw bytea NOT NULL,
  content bytea,
  content_hash bytea NOT NULL,
  deliveries integer NOT NULL DEFAULT 1,
  altered integer NOT NULL DEFAULT 0,
  attempts integer NOT NULL DEFAULT 0,
  next_at timestamptz NOT NULL,
  error text,
  reply jsonb,
  occurred_at timestamptz NOT NULL,
  received_at timestamptz NOT NULL,
  last_delivery_at timestamptz NOT NULL,
  handled_at timestamptz,
  CONSTRAINT uq_inbox_messages_account_id_identity UNIQUE (account_id, identity)
);
CREATE INDEX ix_inbox_messages_workspace_id_id ON inbox_messages (workspace_id, id);
CREATE INDEX ix_inbox_messages_account_id_id ON inbox_messages (account_id, id);
CREATE INDEX ix_inbox_messages_due ON inbox_messages (workspace_id, next_at) WHERE state = 'received';
CREATE INDEX ix_inbox_messages_trouble ON inbox_messages (workspace_id, state, id)
  WHERE state IN ('refused', 'failed', 'unknown');
CREATE INDEX ix_inbox_messages_sender ON inbox_messages (workspace_id, sender) WHERE sender <> '';
"""

FUNCTIONS = """
CREATE FUNCTION ge_channel_account(p_id text) RETURNS text
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public
  AS $$ SELECT a.workspace_id FROM public.channel_accounts a WHERE a.id = p_id $$;

CREATE OR REPLACE FUNCTION ge_due_work() RETURNS TABLE (job text, workspace_id text)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public
  AS $$
    SELECT DISTINCT 'ledger.sweep', p.workspace_id FROM public.pending_events p
      WHERE p.parked_at IS NULL AND p.next_at <= now()
    UNION ALL SELECT DISTINCT 'grants.drain', g.workspace_id FROM public.grants g
      WHERE g.state = 'pending' AND g.next_at <= now()
    UNION ALL SELECT DISTINCT 'posters.render', p.workspace_id FROM public.posters p
      WHERE p.state IN ('queued', 'rendering') AND p.next_at <= now()
    UNION ALL SELECT DISTINCT 'outbox.drain', o.workspace_id FROM public.outbox o
      WHERE o.done_at IS NULL AND o.stuck_at IS NULL AND o.next_at <= now()
    UNION ALL SELECT DISTINCT 'membership.notice', m.workspace_id FROM public.memberships m
      WHERE m.state = 'active' AND m.ends_on <= (now() + interval '32 days')::date
    UNION ALL SELECT DISTINCT 'campaigns.advance', c.workspace_id FROM public.campaigns c
      JOIN public.campaign_versions v ON v.campaign_id = c.id AND v.version = c.rule_version
      WHERE (c.state = 'scheduled' AND coalesce(v.starts_at, now()) <= now())
         OR (c.state IN ('scheduled', 'live', 'paused') AND v.ends_at <= now())
    UNION ALL SELECT DISTINCT 'ledger.mirror', b.workspace_id FROM public.books b
    UNION ALL SELECT DISTINCT 'orders.expire', o.workspace_id FROM public.orders o
      WHERE o.state = 'placed' AND o.expires_at <= now()
    UNION ALL SELECT DISTINCT 'commissions.mature', c.workspace_id FROM public.commissions c
      WHERE c.state = 'pending' AND c.hold_until <= now()
    UNION ALL SELECT DISTINCT 'payouts.send', p.workspace_id FROM public.payouts p
      WHERE p.next_at <= now()
    UNION ALL SELECT DISTINCT 'inbox.interpret', m.workspace_id FROM public.inbox_messages m
      WHERE m.state = 'received' AND m.next_at <= now()
  $$;
"""

DIRECTORY = ("ge_channel_account(text)",)


def _app_role() -> str:
    """The role the application connects as; its name is checked because it is written into SQL."""
    role = os.environ.get("GROWTH_APP_ROLE", "growth_app")
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", role):
        raise ValueError("GROWTH_APP_ROLE must be a plain lower-case role name")
    return role


def _run(script: str) -> None:
    op.get_bind().connection.cursor().execute(script.encode())


def upgrade() -> None:
    role = _app_role()
    _run(TABLES)
    _run(FUNCTIONS)
    for table in re.findall(r"^CREATE TABLE (\w+)", TABLES, re.MULTILINE):
        mine = "workspace_id = (SELECT current_setting('ge.workspace_id', true))"
        _run(
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;"
            f"CREATE POLICY own_workspace ON {table} TO {role} USING ({mine}) WITH CHECK ({mine});"
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {role};"
        )
    for function in DIRECTORY:
        _run(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC;GRANT EXECUTE ON FUNCTION {function} TO {role};")


def downgrade() -> None:
    raise NotImplementedError("the books are never thrown away by a migration; restore a backup instead")
