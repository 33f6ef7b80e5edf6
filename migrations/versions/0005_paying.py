"""Paying through WeChat Pay: attempts at orders, refunds asked for, transfers of withdrawals, daily bills."""

from __future__ import annotations

import os
import re

from alembic import op

revision = "0005"
down_revision = "0004"

ID = 'text COLLATE "C"'

TABLES = f"""
CREATE TABLE pay_attempts (
  number {ID} PRIMARY KEY,
  workspace_id {ID} NOT NULL,
  account_id {ID} NOT NULL,
  order_id {ID} NOT NULL,
  turn integer NOT NULL CONSTRAINT ck_pay_attempts_turn CHECK (turn >= 1),
  kind text NOT NULL CONSTRAINT ck_pay_attempts_kind CHECK (kind IN ('jsapi', 'native')),
  mch_id text NOT NULL,
  app_id text NOT NULL,
  openid text NOT NULL,
  amount bigint NOT NULL CONSTRAINT ck_pay_attempts_amount CHECK (amount > 0),
  currency text NOT NULL,
  description text NOT NULL,
  notify_url text NOT NULL,
  expires_at timestamptz,
  state text NOT NULL CONSTRAINT ck_pay_attempts_state
    CHECK (state IN ('placing', 'open', 'closing', 'told', 'paid', 'closed', 'refused', 'disputed',
                     'surplus')),
  token text NOT NULL DEFAULT '',
  token_until timestamptz,
  transaction_id {ID} NOT NULL DEFAULT '',
  paid_at timestamptz,
  tries integer NOT NULL DEFAULT 0,
  next_at timestamptz,
  error text NOT NULL DEFAULT '',
  made_at timestamptz NOT NULL,
  asked_at timestamptz NOT NULL,
  finished_at timestamptz,
  CONSTRAINT uq_pay_attempts_order_id_turn UNIQUE (order_id, turn)
);
-- The next one only after the one before can no longer be paid. What is paid all the same is another matter.
CREATE UNIQUE INDEX uq_pay_attempts_live ON pay_attempts (order_id)
  WHERE state IN ('placing', 'open', 'closing');
CREATE INDEX ix_pay_attempts_due ON pay_attempts (workspace_id, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX ix_pay_attempts_paid ON pay_attempts (account_id, paid_at) WHERE paid_at IS NOT NULL;

CREATE TABLE refund_requests (
  workspace_id {ID} NOT NULL,
  id {ID} NOT NULL,
  order_id {ID} NOT NULL,
  account_id {ID} NOT NULL,
  number {ID} NOT NULL,
  total bigint NOT NULL,
  amount bigint NOT NULL CONSTRAINT ck_refund_requests_amount CHECK (amount > 0),
  currency text NOT NULL,
  reason text NOT NULL,
  state text NOT NULL CONSTRAINT ck_refund_requests_state
    CHECK (state IN ('asked', 'processing', 'abnormal', 'told', 'done', 'failed', 'disputed', 'surplus')),
  refund_id {ID} NOT NULL DEFAULT '',
  error text NOT NULL DEFAULT '',
  tries integer NOT NULL DEFAULT 0,
  next_at timestamptz,
  requested_by {ID} NOT NULL,
  requested_at timestamptz NOT NULL,
  asked_at timestamptz,
  refunded_at timestamptz,
  finished_at timestamptz,
  CONSTRAINT pk_refund_requests PRIMARY KEY (workspace_id, id)
);
CREATE INDEX ix_refund_requests_order_id ON refund_requests (order_id);
CREATE INDEX ix_refund_requests_number ON refund_requests (number);
CREATE INDEX ix_refund_requests_due ON refund_requests (workspace_id, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX ix_refund_requests_asked ON refund_requests (account_id, asked_at) WHERE asked_at IS NOT NULL;

CREATE TABLE pay_transfers (
  payout_id {ID} PRIMARY KEY,
  workspace_id {ID} NOT NULL,
  account_id {ID} NOT NULL,
  number {ID} NOT NULL,
  mch_id text NOT NULL,
  app_id text NOT NULL,
  openid text NOT NULL,
  amount bigint NOT NULL CONSTRAINT ck_pay_transfers_amount CHECK (amount > 0),
  scene text NOT NULL,
  reports jsonb NOT NULL,
  remark text NOT NULL,
  notify_url text NOT NULL,
  state text NOT NULL,
  bill_no {ID} NOT NULL DEFAULT '',
  package text NOT NULL DEFAULT '',
  confirm_until timestamptz,
  fail_reason text NOT NULL DEFAULT '',
  cancel_asked_at timestamptz,
  error text NOT NULL DEFAULT '',
  next_at timestamptz,
  sent_at timestamptz NOT NULL,
  made_at timestamptz,
  finished_at timestamptz,
  CONSTRAINT uq_pay_transfers_number UNIQUE (number)
);
CREATE INDEX ix_pay_transfers_due ON pay_transfers (workspace_id, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX ix_pay_transfers_made ON pay_transfers (account_id, made_at) WHERE made_at IS NOT NULL;

CREATE TABLE pay_bills (
  workspace_id {ID} NOT NULL,
  account_id {ID} NOT NULL,
  day date NOT NULL,
  state text NOT NULL CONSTRAINT ck_pay_bills_state CHECK (state IN ('waiting', 'compared', 'failed')),
  payments integer NOT NULL DEFAULT 0,
  refunds integer NOT NULL DEFAULT 0,
  transfers integer NOT NULL DEFAULT 0,
  foreign_lines integer NOT NULL DEFAULT 0,
  taken_in jsonb NOT NULL DEFAULT '[]',
  findings jsonb NOT NULL DEFAULT '[]',
  error text NOT NULL DEFAULT '',
  tries integer NOT NULL DEFAULT 0,
  next_at timestamptz,
  compared_at timestamptz,
  CONSTRAINT pk_pay_bills PRIMARY KEY (account_id, day)
);
CREATE INDEX ix_pay_bills_workspace_id ON pay_bills (workspace_id, day);
"""

#: What the job of this migration's tables is due for; joins what the migrations before said.
DUE = """
    UNION ALL SELECT DISTINCT 'paying.attempts', a.workspace_id FROM public.pay_attempts a
      WHERE a.next_at <= now()
    UNION ALL SELECT DISTINCT 'paying.refunds', r.workspace_id FROM public.refund_requests r
      WHERE r.next_at <= now()
    UNION ALL SELECT DISTINCT 'paying.transfers', t.workspace_id FROM public.pay_transfers t
      WHERE t.next_at <= now()
    UNION ALL SELECT DISTINCT 'paying.bills', c.workspace_id FROM public.channel_accounts c
      WHERE c.provider = 'wechat_pay' AND c.state <> 'disabled'
"""


def _app_role() -> str:
    """The role the application connects as; its name is checked because it is written into SQL."""
    role = os.environ.get("GROWTH_APP_ROLE", "growth_app")
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", role):
        raise ValueError("GROWTH_APP_ROLE must be a plain lower-case role name")
    return role


def _run(script: str) -> None:
    op.get_bind().connection.cursor().execute(script.encode())


def _due_work() -> str:
    """The list of due work as it stands, and ours: repeating the others' lines here would undo theirs."""
    cursor = op.get_bind().connection.cursor()
    cursor.execute("SELECT prosrc FROM pg_proc WHERE proname = 'ge_due_work'")
    ((before,),) = cursor.fetchall()
    return (
        "CREATE OR REPLACE FUNCTION ge_due_work() RETURNS TABLE (job text, workspace_id text)"
        " LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public"
        f" AS $$ {before.rstrip()} {DUE} $$;"
    )


def upgrade() -> None:
    role = _app_role()
    _run(TABLES)
    _run(_due_work())
    for table in re.findall(r"^CREATE TABLE (\w+)", TABLES, re.MULTILINE):
        mine = "workspace_id = (SELECT current_setting('ge.workspace_id', true))"
        _run(
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;"
            f"CREATE POLICY own_workspace ON {table} TO {role} USING ({mine}) WITH CHECK ({mine});"
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {role};"
        )


def downgrade() -> None:
    raise NotImplementedError("the books are never thrown away by a migration; restore a backup instead")
