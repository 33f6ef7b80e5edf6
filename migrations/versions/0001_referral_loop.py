"""The referral loop: workspaces, access, people, campaigns, the ledger, membership, posters, outbox.

Every table with ``workspace_id`` is fenced by row-level security: the application role sees only the
rows of the workspace named by the transaction-local setting ``ge.workspace_id``. What must be known
before a workspace is (whose token is this?) is answered by the small ``ge_…`` directory functions.
"""

from __future__ import annotations

import os
import re

from alembic import op

revision = "0001"
down_revision = None

ID = 'text COLLATE "C"'

# The tables every registration writes carry no foreign keys: checking nine of them took a quarter of the
# database's time for a join (docs/decisions). Contacts, campaigns and workspaces are never deleted, and
# the poster writes both ends in one transaction.

TABLES = f"""
CREATE TABLE workspaces (
  id {ID} PRIMARY KEY,
  slug text NOT NULL CONSTRAINT uq_workspaces_slug UNIQUE,
  name text NOT NULL,
  timezone text NOT NULL,
  locale text NOT NULL,
  salt text NOT NULL,
  created_at timestamptz NOT NULL
);

CREATE TABLE staff (
  id {ID} PRIMARY KEY,
  workspace_id {ID} NOT NULL REFERENCES workspaces (id),
  email text NOT NULL,
  name text NOT NULL,
  role text NOT NULL CONSTRAINT ck_staff_role CHECK (role IN ('admin', 'marketer', 'sales')),
  password_hash text,
  locale text NOT NULL,
  sessions_valid_from timestamptz NOT NULL,
  disabled_at timestamptz,
  created_at timestamptz NOT NULL,
  CONSTRAINT uq_staff_workspace_id_email UNIQUE (workspace_id, email)
);
CREATE INDEX ix_staff_email ON staff (email);

CREATE TABLE api_tokens (
  id {ID} PRIMARY KEY,
  workspace_id {ID} NOT NULL REFERENCES workspaces (id),
  name text NOT NULL,
  hash bytea NOT NULL CONSTRAINT uq_api_tokens_hash UNIQUE,
  scopes text[] NOT NULL,
  created_by text NOT NULL,
  created_at timestamptz NOT NULL,
  last_used_at timestamptz,
  revoked_at timestamptz
);

CREATE TABLE idempotency_keys (
  workspace_id {ID} NOT NULL,
  scope text NOT NULL,
  key text NOT NULL,
  payload_hash bytea NOT NULL,
  status integer,
  body jsonb,
  created_at timestamptz NOT NULL,
  CONSTRAINT pk_idempotency_keys PRIMARY KEY (workspace_id, scope, key)
);
CREATE INDEX ix_idempotency_keys_created_at ON idempotency_keys (created_at);

CREATE TABLE contacts (
  id {ID} PRIMARY KEY,
  workspace_id {ID} NOT NULL,
  nickname text NOT NULL,
  avatar_key text,
  locale text,
  source text NOT NULL,
  tags text[] NOT NULL DEFAULT '{{}}',
  first_seen_at timestamptz NOT NULL,
  blocked_at timestamptz,
  blocked_reason text,
  left_at timestamptz,
  merged_into {ID} REFERENCES contacts (id),
  erased_at timestamptz
);
CREATE INDEX ix_contacts_workspace_id_id ON contacts (workspace_id, id);
CREATE INDEX ix_contacts_merged_into ON contacts (merged_into) WHERE merged_into IS NOT NULL;

CREATE TABLE contact_identities (
  workspace_id {ID} NOT NULL,
  kind text NOT NULL CONSTRAINT ck_contact_identities_kind
    CHECK (kind IN ('phone', 'openid', 'unionid', 'external_userid', 'external_id')),
  value {ID} NOT NULL,
  contact_id {ID} NOT NULL,
  verified_at timestamptz,
  created_at timestamptz NOT NULL,
  CONSTRAINT pk_contact_identities PRIMARY KEY (workspace_id, kind, value)
);
CREATE INDEX ix_contact_identities_contact_id ON contact_identities (contact_id);

CREATE TABLE consents (
  id {ID} PRIMARY KEY,
  workspace_id {ID} NOT NULL,
  contact_id {ID} NOT NULL,
  purpose text NOT NULL,
  wording_version text NOT NULL,
  granted boolean NOT NULL,
  source text NOT NULL,
  at timestamptz NOT NULL
);
CREATE INDEX ix_consents_contact_id ON consents (contact_id);

CREATE TABLE erased_identities (
  workspace_id {ID} NOT NULL REFERENCES workspaces (id),
  hash {ID} NOT NULL,
  blocked boolean NOT NULL,
  erased_at timestamptz NOT NULL,
  CONSTRAINT pk_erased_identities PRIMARY KEY (workspace_id, hash)
);

CREATE TABLE membership_plans (
  id {ID} PRIMARY KEY,
  workspace_id {ID} NOT NULL REFERENCES workspaces (id),
  slug text NOT NULL,
  name text NOT NULL,
  notice_days integer NOT NULL DEFAULT 3,
  created_at timestamptz NOT NULL,
  archived_at timestamptz,
  CONSTRAINT uq_membership_plans_workspace_id_slug UNIQUE (workspace_id, slug)
);

CREATE TABLE poster_templates (
  id {ID} PRIMARY KEY,
  workspace_id {ID} NOT NULL REFERENCES workspaces (id),
  slug text NOT NULL,
  name text NOT NULL,
  current_version integer NOT NULL,
  created_at timestamptz NOT NULL,
  archived_at timestamptz,
  CONSTRAINT uq_poster_templates_workspace_id_slug UNIQUE (workspace_id, slug)
);

CREATE TABLE poster_template_versions (
  workspace_id {ID} NOT NULL,
  template_id {ID} NOT NULL REFERENCES poster_templates (id),
  version integer NOT NULL,
  spec jsonb NOT NULL,
  verified_at timestamptz,
  problems jsonb NOT NULL DEFAULT '[]',
  created_by text NOT NULL,
  created_at timestamptz NOT NULL,
  CONSTRAINT pk_poster_template_versions PRIMARY KEY (template_id, version)
);

CREATE TABLE campaigns (
  id {ID} PRIMARY KEY,
  workspace_id {ID} NOT NULL REFERENCES workspaces (id),
  play text NOT NULL,
  template text NOT NULL,
  title text NOT NULL,
  locale text NOT NULL,
  state text NOT NULL CONSTRAINT ck_campaigns_state
    CHECK (state IN ('draft', 'scheduled', 'live', 'paused', 'ended')),
  config jsonb NOT NULL,
  content jsonb NOT NULL,
  rule_version integer NOT NULL DEFAULT 0,
  starts_at timestamptz,
  ends_at timestamptz,
  plan_id {ID} REFERENCES membership_plans (id),
  poster_template_id {ID} REFERENCES poster_templates (id),
  created_by text NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  published_at timestamptz,
  ended_at timestamptz
);
CREATE INDEX ix_campaigns_workspace_id_id ON campaigns (workspace_id, id);

CREATE TABLE campaign_versions (
  workspace_id {ID} NOT NULL,
  campaign_id {ID} NOT NULL REFERENCES campaigns (id),
  version integer NOT NULL,
  config jsonb NOT NULL,
  content jsonb NOT NULL,
  starts_at timestamptz,
  ends_at timestamptz,
  created_by text NOT NULL,
  created_at timestamptz NOT NULL,
  CONSTRAINT pk_campaign_versions PRIMARY KEY (campaign_id, version)
);

CREATE TABLE books (
  id {ID} PRIMARY KEY,
  workspace_id {ID} NOT NULL REFERENCES workspaces (id),
  kind text NOT NULL CONSTRAINT ck_books_kind CHECK (kind IN ('campaign', 'wallet')),
  last_seq bigint NOT NULL DEFAULT 0,
  head bytea NOT NULL,
  members bigint NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL
);
CREATE INDEX ix_books_workspace_id ON books (workspace_id);

CREATE TABLE events (
  id {ID} PRIMARY KEY,
  workspace_id {ID} NOT NULL,
  book_id {ID} NOT NULL,
  source text NOT NULL,
  key {ID} NOT NULL,
  kind text NOT NULL,
  facts jsonb NOT NULL,
  payload_hash bytea NOT NULL,
  occurred_at timestamptz NOT NULL,
  accepted_at timestamptz NOT NULL,
  CONSTRAINT uq_events_workspace_id_source_key UNIQUE (workspace_id, source, key)
);

CREATE TABLE pending_events (
  event_id {ID} PRIMARY KEY REFERENCES events (id),
  workspace_id {ID} NOT NULL,
  book_id {ID} NOT NULL,
  payload jsonb NOT NULL,
  attempts integer NOT NULL DEFAULT 0,
  next_at timestamptz NOT NULL,
  parked_at timestamptz,
  error text
);
CREATE INDEX ix_pending_events_next_at ON pending_events (next_at) WHERE parked_at IS NULL;
CREATE INDEX ix_pending_events_workspace_id ON pending_events (workspace_id);

CREATE TABLE entries (
  book_id {ID} NOT NULL,
  seq bigint NOT NULL,
  workspace_id {ID} NOT NULL,
  event_id {ID} NOT NULL,
  kind text NOT NULL,
  accepted boolean NOT NULL,
  member bigint,
  other bigint,
  rule_version integer NOT NULL,
  at timestamptz NOT NULL,
  body jsonb NOT NULL,
  hash bytea NOT NULL,
  CONSTRAINT pk_entries PRIMARY KEY (book_id, seq),
  CONSTRAINT uq_entries_event_id UNIQUE (event_id)
);
CREATE INDEX ix_entries_member ON entries (book_id, member, seq) WHERE member IS NOT NULL;
CREATE INDEX ix_entries_other ON entries (book_id, other, seq) WHERE other IS NOT NULL;

CREATE TABLE participants (
  id {ID} PRIMARY KEY,
  workspace_id {ID} NOT NULL,
  campaign_id {ID} NOT NULL,
  number bigint NOT NULL,
  contact_id {ID} NOT NULL,
  inviter_number bigint NOT NULL DEFAULT 0,
  invite_token {ID} NOT NULL CONSTRAINT uq_participants_invite_token UNIQUE,
  state text NOT NULL CONSTRAINT ck_participants_state CHECK (state IN ('active', 'left', 'blocked')),
  valid_invites bigint NOT NULL DEFAULT 0,
  helps_window_at timestamptz,
  helps_in_window integer NOT NULL DEFAULT 0,
  device text,
  address text,
  cohort date NOT NULL,
  joined_at timestamptz NOT NULL,
  left_at timestamptz,
  CONSTRAINT uq_participants_campaign_id_number UNIQUE (campaign_id, number),
  CONSTRAINT uq_participants_contact_id_campaign_id UNIQUE (contact_id, campaign_id)
);
CREATE INDEX ix_participants_inviter ON participants (campaign_id, inviter_number, number)
  WHERE inviter_number > 0;
CREATE INDEX ix_participants_device ON participants (campaign_id, device) WHERE device IS NOT NULL;
CREATE INDEX ix_participants_address ON participants (campaign_id, address, joined_at)
  WHERE address IS NOT NULL;

CREATE TABLE invite_edges (
  workspace_id {ID} NOT NULL,
  campaign_id {ID} NOT NULL,
  invitee_number bigint NOT NULL,
  inviter_number bigint NOT NULL,
  state text NOT NULL CONSTRAINT ck_invite_edges_state
    CHECK (state IN ('valid', 'refused', 'left', 'moved', 'void')),
  reason text NOT NULL DEFAULT '',
  seq bigint NOT NULL,
  at timestamptz NOT NULL,
  CONSTRAINT pk_invite_edges PRIMARY KEY (campaign_id, invitee_number, inviter_number)
);
CREATE INDEX ix_invite_edges_inviter ON invite_edges (campaign_id, inviter_number, invitee_number);

CREATE TABLE play_states (
  workspace_id {ID} NOT NULL,
  campaign_id {ID} NOT NULL,
  scope text NOT NULL,
  state jsonb NOT NULL,
  CONSTRAINT pk_play_states PRIMARY KEY (campaign_id, scope)
);

CREATE TABLE stock (
  workspace_id {ID} NOT NULL,
  campaign_id {ID} NOT NULL,
  item text NOT NULL,
  total bigint NOT NULL CONSTRAINT ck_stock_total CHECK (total >= 0),
  taken bigint NOT NULL DEFAULT 0,
  CONSTRAINT pk_stock PRIMARY KEY (campaign_id, item),
  CONSTRAINT ck_stock_taken CHECK (taken BETWEEN 0 AND total)
);

CREATE TABLE grants (
  id {ID} PRIMARY KEY,
  workspace_id {ID} NOT NULL,
  campaign_id {ID} NOT NULL,
  contact_id {ID} NOT NULL,
  plan_id {ID} NOT NULL,
  member bigint NOT NULL,
  entry_seq bigint NOT NULL,
  side text NOT NULL,
  days integer NOT NULL CONSTRAINT ck_grants_days CHECK (days > 0),
  key text NOT NULL,
  state text NOT NULL CONSTRAINT ck_grants_state
    CHECK (state IN ('pending', 'granted', 'stuck', 'reversed')),
  attempts integer NOT NULL DEFAULT 0,
  next_at timestamptz NOT NULL,
  error text,
  created_at timestamptz NOT NULL,
  granted_at timestamptz,
  CONSTRAINT uq_grants_workspace_id_key UNIQUE (workspace_id, key)
);
CREATE INDEX ix_grants_pending ON grants (workspace_id, next_at) WHERE state = 'pending';
CREATE INDEX ix_grants_stuck ON grants (workspace_id) WHERE state = 'stuck';
CREATE INDEX ix_grants_contact_id ON grants (contact_id);

CREATE TABLE membership_moves (
  id {ID} PRIMARY KEY,
  number bigint GENERATED ALWAYS AS IDENTITY,
  workspace_id {ID} NOT NULL,
  contact_id {ID} NOT NULL REFERENCES contacts (id),
  plan_id {ID} NOT NULL REFERENCES membership_plans (id),
  kind text NOT NULL CONSTRAINT ck_membership_moves_kind
    CHECK (kind IN ('grant', 'pause', 'resume', 'reverse')),
  days integer NOT NULL DEFAULT 0,
  grant_id {ID},
  day date NOT NULL,
  reason text NOT NULL DEFAULT '',
  key text NOT NULL,
  actor text NOT NULL,
  at timestamptz NOT NULL,
  CONSTRAINT uq_membership_moves_workspace_id_key UNIQUE (workspace_id, key)
);
CREATE INDEX ix_membership_moves_contact_id ON membership_moves (contact_id, plan_id, number);

-- A cache folded from membership_moves, whose foreign keys vouch for it: checking them twice for every
-- grant delivered would cost a tenth of the delivery.
CREATE TABLE memberships (
  workspace_id {ID} NOT NULL,
  contact_id {ID} NOT NULL,
  plan_id {ID} NOT NULL,
  state text NOT NULL CONSTRAINT ck_memberships_state CHECK (state IN ('active', 'paused', 'ended')),
  ends_on date,
  noticed_for date,
  updated_at timestamptz NOT NULL,
  CONSTRAINT pk_memberships PRIMARY KEY (contact_id, plan_id)
);
CREATE INDEX ix_memberships_ends_on ON memberships (workspace_id, ends_on) WHERE state = 'active';

CREATE TABLE messages (
  id {ID} PRIMARY KEY,
  workspace_id {ID} NOT NULL,
  contact_id {ID} NOT NULL,
  campaign_id {ID},
  template text NOT NULL,
  params jsonb NOT NULL,
  key text NOT NULL,
  created_at timestamptz NOT NULL,
  read_at timestamptz,
  CONSTRAINT uq_messages_workspace_id_key UNIQUE (workspace_id, key)
);
CREATE INDEX ix_messages_contact_id ON messages (contact_id, id);

CREATE TABLE posters (
  id {ID} PRIMARY KEY,
  workspace_id {ID} NOT NULL,
  campaign_id {ID} NOT NULL,
  participant_id {ID} NOT NULL REFERENCES participants (id),
  contact_id {ID} NOT NULL REFERENCES contacts (id),
  template_id {ID} NOT NULL REFERENCES poster_templates (id),
  template_version integer NOT NULL,
  qr_content text NOT NULL,
  personal jsonb NOT NULL,
  inputs_hash text NOT NULL,
  state text NOT NULL CONSTRAINT ck_posters_state
    CHECK (state IN ('queued', 'rendering', 'ready', 'failed')),
  content_key text,
  attempts integer NOT NULL DEFAULT 0,
  next_at timestamptz NOT NULL,
  error text,
  created_at timestamptz NOT NULL,
  asked_at timestamptz NOT NULL,
  ready_at timestamptz,
  CONSTRAINT uq_posters_participant_id_inputs_hash UNIQUE (participant_id, inputs_hash)
);
CREATE INDEX ix_posters_due ON posters (workspace_id, next_at) WHERE state IN ('queued', 'rendering');
CREATE INDEX ix_posters_contact_id ON posters (contact_id);
CREATE INDEX ix_posters_content_key ON posters (content_key);

CREATE TABLE outbox (
  id {ID} PRIMARY KEY,
  workspace_id {ID} NOT NULL,
  name text NOT NULL,
  payload jsonb NOT NULL,
  occurred_at timestamptz NOT NULL,
  next_at timestamptz NOT NULL,
  attempts integer NOT NULL DEFAULT 0,
  done_at timestamptz,
  stuck_at timestamptz,
  last_error text
);
CREATE INDEX ix_outbox_due ON outbox (workspace_id, next_at) WHERE done_at IS NULL AND stuck_at IS NULL;
CREATE INDEX ix_outbox_stuck ON outbox (workspace_id) WHERE stuck_at IS NOT NULL;

CREATE TABLE outbox_deliveries (
  workspace_id {ID} NOT NULL,
  event_id {ID} NOT NULL REFERENCES outbox (id) ON DELETE CASCADE,
  handler text NOT NULL,
  delivered_at timestamptz NOT NULL,
  CONSTRAINT pk_outbox_deliveries PRIMARY KEY (event_id, handler)
);
"""

#: Rows of these tables are added, never edited: the application may read and insert only, and a
#: trigger refuses everybody else.
JOURNALS = ("events", "entries", "campaign_versions", "membership_moves", "consents")

FUNCTIONS = """
CREATE FUNCTION ge_workspace_by_slug(p_slug text) RETURNS text
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public
  AS $$ SELECT id FROM public.workspaces WHERE slug = p_slug $$;

CREATE FUNCTION ge_workspaces() RETURNS SETOF text
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public
  AS $$ SELECT id FROM public.workspaces ORDER BY id $$;

CREATE FUNCTION ge_token(p_hash bytea)
  RETURNS TABLE (workspace_id text, token_id text, scopes text[], revoked boolean)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public
  AS $$ SELECT t.workspace_id, t.id, t.scopes, t.revoked_at IS NOT NULL
        FROM public.api_tokens t WHERE t.hash = p_hash $$;

CREATE FUNCTION ge_staff_by_email(p_email text)
  RETURNS TABLE (workspace_id text, staff_id text, password_hash text, disabled boolean)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public
  AS $$ SELECT s.workspace_id, s.id, s.password_hash, s.disabled_at IS NOT NULL
        FROM public.staff s WHERE s.email = p_email ORDER BY s.id $$;

CREATE FUNCTION ge_invite(p_token text)
  RETURNS TABLE (workspace_id text, campaign_id text, participant_id text)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public
  AS $$ SELECT p.workspace_id, p.campaign_id, p.id
        FROM public.participants p WHERE p.invite_token = p_token $$;

CREATE FUNCTION ge_campaign(p_id text) RETURNS text
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public
  AS $$ SELECT c.workspace_id FROM public.campaigns c WHERE c.id = p_id $$;

CREATE FUNCTION ge_due_work() RETURNS TABLE (job text, workspace_id text)
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
      WHERE b.kind = 'campaign'
  $$;

CREATE FUNCTION ge_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'rows of % are added, never edited', TG_TABLE_NAME
    USING ERRCODE = 'insufficient_privilege';
END $$;
"""

DIRECTORY = (
    "ge_workspace_by_slug(text)",
    "ge_workspaces()",
    "ge_token(bytea)",
    "ge_staff_by_email(text)",
    "ge_invite(text)",
    "ge_campaign(text)",
    "ge_due_work()",
)


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
    _run(
        f"""
        DO $$ BEGIN
          IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN
            CREATE ROLE {role} LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE;
          END IF;
        END $$;
        GRANT USAGE ON SCHEMA public TO {role};
        """
    )
    tables = re.findall(r"^CREATE TABLE (\w+)", TABLES, re.MULTILINE)
    for table in tables:
        column = "id" if table == "workspaces" else "workspace_id"
        mine = f"{column} = (SELECT current_setting('ge.workspace_id', true))"
        rights = "SELECT, INSERT" if table in JOURNALS else "SELECT, INSERT, UPDATE, DELETE"
        _run(
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;"
            f"CREATE POLICY own_workspace ON {table} TO {role} USING ({mine}) WITH CHECK ({mine});"
            f"GRANT {rights} ON {table} TO {role};"
        )
    for table in JOURNALS:
        _run(
            f"CREATE TRIGGER added_never_edited BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
            f" FOR EACH STATEMENT EXECUTE FUNCTION ge_refuse_change();"
        )
    for function in DIRECTORY:
        _run(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC;GRANT EXECUTE ON FUNCTION {function} TO {role};")


def downgrade() -> None:
    raise NotImplementedError("the books are never thrown away by a migration; restore a backup instead")
