"""Reach: who follows which channel, what is on its way to them, codes of channels on posters, groups."""

from __future__ import annotations

import os
import re

from alembic import op

revision = "0004"
down_revision = "0003"

ID = 'text COLLATE "C"'

#: ``followers`` and ``deliveries`` are written for every callback: no foreign keys (docs/decisions/0008).
TABLES = f"""
CREATE TABLE followers (
  workspace_id {ID} NOT NULL,
  account_id {ID} NOT NULL,
  person {ID} NOT NULL,
  contact_id {ID},
  ties jsonb NOT NULL,
  here boolean NOT NULL,
  grants jsonb NOT NULL DEFAULT '{{}}',
  profile_next_at timestamptz,
  profile_attempts integer NOT NULL DEFAULT 0,
  profile_at timestamptz,
  first_seen_at timestamptz NOT NULL,
  PRIMARY KEY (account_id, person)
);
CREATE INDEX ix_followers_workspace_id_contact_id ON followers (workspace_id, contact_id);
CREATE INDEX ix_followers_profile_due ON followers (workspace_id, profile_next_at)
  WHERE profile_next_at IS NOT NULL;

CREATE TABLE deliveries (
  id {ID} PRIMARY KEY,
  workspace_id {ID} NOT NULL,
  account_id {ID} NOT NULL,
  person {ID} NOT NULL,
  contact_id {ID},
  campaign_id {ID},
  participant_id {ID},
  message_id {ID},
  kind text NOT NULL CONSTRAINT ck_deliveries_kind
    CHECK (kind IN ('text', 'message', 'poster', 'welcome')),
  payload jsonb NOT NULL,
  key {ID} NOT NULL,
  state text NOT NULL CONSTRAINT ck_deliveries_state
    CHECK (state IN ('waiting', 'sent', 'refused', 'unknown')),
  waits_for text NOT NULL DEFAULT '' CONSTRAINT ck_deliveries_waits_for
    CHECK (waits_for IN ('', 'time', 'poster', 'person', 'staff')),
  reason text NOT NULL DEFAULT '',
  code text NOT NULL DEFAULT '',
  trace text NOT NULL DEFAULT '',
  reference text NOT NULL DEFAULT '',
  attempts integer NOT NULL DEFAULT 0,
  next_at timestamptz,
  happened_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL,
  settled_at timestamptz,
  CONSTRAINT uq_deliveries_workspace_id_key UNIQUE (workspace_id, key)
);
CREATE INDEX ix_deliveries_due ON deliveries (workspace_id, next_at)
  WHERE state = 'waiting' AND next_at IS NOT NULL;
CREATE INDEX ix_deliveries_waiting ON deliveries (account_id, person) WHERE state = 'waiting';
CREATE INDEX ix_deliveries_participant_id ON deliveries (participant_id) WHERE participant_id IS NOT NULL;
CREATE INDEX ix_deliveries_workspace_id_contact_id ON deliveries (workspace_id, contact_id, id);
CREATE INDEX ix_deliveries_trouble ON deliveries (workspace_id, state, id)
  WHERE state IN ('refused', 'unknown') OR (state = 'waiting' AND waits_for = 'staff');

CREATE TABLE invite_codes (
  participant_id {ID} NOT NULL,
  account_id {ID} NOT NULL,
  workspace_id {ID} NOT NULL,
  campaign_id {ID} NOT NULL,
  state text NOT NULL CONSTRAINT ck_invite_codes_state
    CHECK (state IN ('waiting', 'ready', 'failed', 'ended')),
  content text NOT NULL DEFAULT '',
  reference text NOT NULL DEFAULT '',
  issue integer NOT NULL DEFAULT 0,
  expires_at timestamptz,
  attempts integer NOT NULL DEFAULT 0,
  next_at timestamptz,
  error text,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (participant_id, account_id)
);
CREATE INDEX ix_invite_codes_due ON invite_codes (workspace_id, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX ix_invite_codes_campaign_id ON invite_codes (campaign_id);

CREATE TABLE chat_groups (
  workspace_id {ID} NOT NULL,
  account_id {ID} NOT NULL,
  chat_id {ID} NOT NULL,
  name text NOT NULL DEFAULT '',
  owner text NOT NULL DEFAULT '',
  members integer NOT NULL DEFAULT 0,
  version text NOT NULL DEFAULT '',
  dismissed boolean NOT NULL DEFAULT false,
  attempts integer NOT NULL DEFAULT 0,
  next_at timestamptz,
  read_at timestamptz,
  error text,
  PRIMARY KEY (account_id, chat_id)
);
CREATE INDEX ix_chat_groups_due ON chat_groups (workspace_id, next_at) WHERE next_at IS NOT NULL;
"""

CHANGES = f"""
ALTER TABLE campaigns
  ADD COLUMN channel_account_id {ID} REFERENCES channel_accounts (id),
  ADD COLUMN channel_users text[] NOT NULL DEFAULT '{{}}',
  ADD COLUMN channel_default boolean NOT NULL DEFAULT false;
CREATE INDEX ix_campaigns_channel_account_id ON campaigns (channel_account_id)
  WHERE channel_account_id IS NOT NULL;

-- What was told before there were channels to tell it through stands on the phone page only.
ALTER TABLE messages ADD COLUMN picked_at timestamptz;
UPDATE messages SET picked_at = created_at;
CREATE INDEX ix_messages_to_pick ON messages (workspace_id, id) WHERE picked_at IS NULL;
"""

FUNCTIONS = """
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
    UNION ALL SELECT DISTINCT 'reach.pick', a.workspace_id FROM public.channel_accounts a
      WHERE a.state <> 'disabled' AND EXISTS (
        SELECT FROM public.messages m WHERE m.workspace_id = a.workspace_id AND m.picked_at IS NULL)
    UNION ALL SELECT DISTINCT 'reach.deliver', d.workspace_id FROM public.deliveries d
      WHERE d.state = 'waiting' AND d.next_at <= now()
    UNION ALL SELECT DISTINCT 'reach.codes', c.workspace_id FROM public.invite_codes c
      WHERE c.next_at <= now()
    UNION ALL SELECT DISTINCT 'reach.profiles', f.workspace_id FROM public.followers f
      WHERE f.profile_next_at <= now()
    UNION ALL SELECT DISTINCT 'reach.groups', g.workspace_id FROM public.chat_groups g
      WHERE g.next_at <= now()
  $$;
"""


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
    _run(CHANGES)
    _run(FUNCTIONS)
    for table in re.findall(r"^CREATE TABLE (\w+)", TABLES, re.MULTILINE):
        mine = "workspace_id = (SELECT current_setting('ge.workspace_id', true))"
        _run(
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;"
            f"CREATE POLICY own_workspace ON {table} TO {role} USING ({mine}) WITH CHECK ({mine});"
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {role};"
        )


def downgrade() -> None:
    raise NotImplementedError("the books are never thrown away by a migration; restore a backup instead")
