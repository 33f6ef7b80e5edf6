"""Live codes: one short link that leads into many groups, or to many members of staff."""

from __future__ import annotations

import os
import re

from alembic import op

revision = "0006"
down_revision = "0005"

ID = 'text COLLATE "C"'

#: ``live_code_visitors`` is written for every scan: no foreign keys (docs/decisions/0008).
TABLES = f"""
CREATE TABLE live_codes (
  id {ID} PRIMARY KEY,
  workspace_id {ID} NOT NULL REFERENCES workspaces (id),
  name text NOT NULL,
  token {ID} NOT NULL CONSTRAINT uq_live_codes_token UNIQUE,
  campaign_id {ID} REFERENCES campaigns (id),
  spread text NOT NULL CONSTRAINT ck_live_codes_spread CHECK (spread IN ('fill', 'even')),
  note text NOT NULL DEFAULT '',
  state text NOT NULL CONSTRAINT ck_live_codes_state CHECK (state IN ('active', 'paused')),
  created_by {ID} NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  CONSTRAINT uq_live_codes_campaign_id UNIQUE (campaign_id)
);
CREATE INDEX ix_live_codes_workspace_id ON live_codes (workspace_id, id);

CREATE TABLE live_code_targets (
  id {ID} PRIMARY KEY,
  workspace_id {ID} NOT NULL REFERENCES workspaces (id),
  live_code_id {ID} NOT NULL REFERENCES live_codes (id),
  name text NOT NULL,
  kind text NOT NULL CONSTRAINT ck_live_code_targets_kind CHECK (kind IN ('group', 'wecom_group', 'staff')),
  picture_key text NOT NULL,
  content text NOT NULL,
  capacity integer CONSTRAINT ck_live_code_targets_capacity CHECK (capacity >= 0),
  taken integer NOT NULL DEFAULT 0,
  opens text NOT NULL DEFAULT '',
  closes text NOT NULL DEFAULT '',
  weekdays smallint[] NOT NULL,
  expires_at timestamptz,
  position integer NOT NULL,
  weight integer NOT NULL CONSTRAINT ck_live_code_targets_weight CHECK (weight >= 1),
  fallback boolean NOT NULL DEFAULT false,
  state text NOT NULL CONSTRAINT ck_live_code_targets_state CHECK (state IN ('active', 'paused')),
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL
);
CREATE INDEX ix_live_code_targets_live_code_id ON live_code_targets (live_code_id, position);
CREATE INDEX ix_live_code_targets_workspace_id ON live_code_targets (workspace_id, expires_at);

CREATE TABLE live_code_visitors (
  live_code_id {ID} NOT NULL,
  visitor {ID} NOT NULL,
  workspace_id {ID} NOT NULL,
  target_id {ID} NOT NULL,
  showings integer NOT NULL,
  first_at timestamptz NOT NULL,
  last_at timestamptz NOT NULL,
  PRIMARY KEY (live_code_id, visitor)
);
CREATE INDEX ix_live_code_visitors_workspace_id ON live_code_visitors (workspace_id, live_code_id, target_id);
"""

FUNCTION = """
CREATE FUNCTION ge_live_code(p_token text) RETURNS TABLE (workspace_id text, live_code_id text)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public
  AS $$ SELECT c.workspace_id, c.id FROM public.live_codes c WHERE c.token = p_token $$;
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
    _run(FUNCTION)
    _run(
        "REVOKE ALL ON FUNCTION ge_live_code(text) FROM PUBLIC;"
        f"GRANT EXECUTE ON FUNCTION ge_live_code(text) TO {role};"
    )
    for table in re.findall(r"^CREATE TABLE (\w+)", TABLES, re.MULTILINE):
        mine = "workspace_id = (SELECT current_setting('ge.workspace_id', true))"
        _run(
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;"
            f"CREATE POLICY own_workspace ON {table} TO {role} USING ({mine}) WITH CHECK ({mine});"
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {role};"
        )


def downgrade() -> None:
    raise NotImplementedError("the books are never thrown away by a migration; restore a backup instead")
