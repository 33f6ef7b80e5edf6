"""Money: double-entry legs and accounts, products, orders, commissions, wallets, payouts, alerts."""

from __future__ import annotations

import os
import re

from alembic import op

revision = "0002"
down_revision = "0001"

ID = 'text COLLATE "C"'

TABLES = f"""
CREATE TABLE legs (
  book_id {ID} NOT NULL,
  seq bigint NOT NULL,
  line integer NOT NULL CONSTRAINT ck_legs_line CHECK (line >= 1),
  workspace_id {ID} NOT NULL,
  account text NOT NULL,
  owner {ID} NOT NULL,
  currency text NOT NULL,
  amount bigint NOT NULL CONSTRAINT ck_legs_amount CHECK (amount <> 0),
  ref {ID} NOT NULL,
  CONSTRAINT pk_legs PRIMARY KEY (book_id, seq, line)
);
CREATE INDEX ix_legs_owner ON legs (book_id, account, owner, seq);
CREATE INDEX ix_legs_ref ON legs (ref, book_id, seq) WHERE ref <> '';

CREATE TABLE accounts (
  workspace_id {ID} NOT NULL,
  book_id {ID} NOT NULL,
  account text NOT NULL,
  owner {ID} NOT NULL,
  currency text NOT NULL,
  balance bigint NOT NULL,
  credited bigint NOT NULL,
  debited bigint NOT NULL,
  last_seq bigint NOT NULL,
  CONSTRAINT pk_accounts PRIMARY KEY (book_id, account, owner, currency),
  CONSTRAINT ck_accounts_balance CHECK (balance = credited - debited),
  CONSTRAINT ck_accounts_covered CHECK (account NOT IN ('pending', 'reserved') OR balance >= 0)
) WITH (fillfactor = 70);

CREATE TABLE book_heads (
  workspace_id {ID} NOT NULL,
  book_id {ID} NOT NULL REFERENCES books (id),
  day date NOT NULL,
  seq bigint NOT NULL,
  head bytea NOT NULL,
  at timestamptz NOT NULL,
  CONSTRAINT pk_book_heads PRIMARY KEY (book_id, day)
);

CREATE TABLE alerts (
  id {ID} PRIMARY KEY,
  workspace_id {ID} NOT NULL REFERENCES workspaces (id),
  topic text NOT NULL,
  subject {ID} NOT NULL,
  detail text NOT NULL,
  raised_at timestamptz NOT NULL,
  seen_at timestamptz NOT NULL,
  cleared_at timestamptz
);
CREATE UNIQUE INDEX uq_alerts_open ON alerts (workspace_id, topic, subject) WHERE cleared_at IS NULL;

CREATE TABLE products (
  id {ID} PRIMARY KEY,
  workspace_id {ID} NOT NULL,
  campaign_id {ID} NOT NULL REFERENCES campaigns (id),
  sku text NOT NULL,
  name text NOT NULL,
  description text NOT NULL DEFAULT '',
  price bigint NOT NULL CONSTRAINT ck_products_price CHECK (price > 0),
  currency text NOT NULL,
  picture_key text,
  position integer NOT NULL DEFAULT 0,
  state text NOT NULL CONSTRAINT ck_products_state CHECK (state IN ('on_sale', 'hidden')),
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  CONSTRAINT uq_products_campaign_id_sku UNIQUE (campaign_id, sku)
);

CREATE TABLE orders (
  id {ID} PRIMARY KEY,
  workspace_id {ID} NOT NULL,
  campaign_id {ID} NOT NULL,
  number bigint GENERATED ALWAYS AS IDENTITY,
  external_id text,
  contact_id {ID} NOT NULL,
  buyer bigint NOT NULL,
  promoter bigint NOT NULL DEFAULT 0,
  currency text NOT NULL,
  total bigint NOT NULL CONSTRAINT ck_orders_total CHECK (total > 0),
  paid bigint NOT NULL DEFAULT 0,
  refunded bigint NOT NULL DEFAULT 0,
  state text NOT NULL CONSTRAINT ck_orders_state CHECK (state IN ('placed', 'paid', 'refunded', 'cancelled')),
  fee_bp integer NOT NULL DEFAULT 0,
  fee bigint NOT NULL DEFAULT 0,
  rule_version integer NOT NULL,
  seq bigint NOT NULL,
  source text NOT NULL,
  placed_at timestamptz NOT NULL,
  expires_at timestamptz,
  paid_at timestamptz,
  closed_at timestamptz,
  CONSTRAINT uq_orders_workspace_id_external_id UNIQUE (workspace_id, external_id),
  CONSTRAINT ck_orders_amounts CHECK (paid BETWEEN 0 AND total AND refunded BETWEEN 0 AND total)
) WITH (fillfactor = 80);
CREATE INDEX ix_orders_campaign_id ON orders (campaign_id, id);
CREATE INDEX ix_orders_contact_id ON orders (contact_id, id);
CREATE INDEX ix_orders_expiring ON orders (workspace_id, expires_at) WHERE state = 'placed';

CREATE TABLE order_lines (
  workspace_id {ID} NOT NULL,
  order_id {ID} NOT NULL,
  line integer NOT NULL,
  product_id {ID} NOT NULL,
  sku text NOT NULL,
  name text NOT NULL,
  quantity integer NOT NULL CONSTRAINT ck_order_lines_quantity CHECK (quantity > 0),
  amount bigint NOT NULL CONSTRAINT ck_order_lines_amount CHECK (amount > 0),
  CONSTRAINT pk_order_lines PRIMARY KEY (order_id, line)
);

CREATE TABLE payments (
  id {ID} PRIMARY KEY,
  workspace_id {ID} NOT NULL,
  order_id {ID} NOT NULL,
  provider text NOT NULL,
  external_id {ID} NOT NULL,
  amount bigint NOT NULL CONSTRAINT ck_payments_amount CHECK (amount > 0),
  seq bigint NOT NULL,
  at timestamptz NOT NULL,
  CONSTRAINT uq_payments_provider_external_id UNIQUE (workspace_id, provider, external_id)
);
CREATE INDEX ix_payments_order_id ON payments (order_id);

CREATE TABLE refunds (
  id {ID} PRIMARY KEY,
  workspace_id {ID} NOT NULL,
  order_id {ID} NOT NULL,
  provider text NOT NULL,
  external_id {ID} NOT NULL,
  amount bigint NOT NULL CONSTRAINT ck_refunds_amount CHECK (amount > 0),
  reason text NOT NULL DEFAULT '',
  seq bigint NOT NULL,
  at timestamptz NOT NULL,
  CONSTRAINT uq_refunds_provider_external_id UNIQUE (workspace_id, provider, external_id)
);
CREATE INDEX ix_refunds_order_id ON refunds (order_id);

CREATE TABLE commissions (
  id {ID} PRIMARY KEY,
  workspace_id {ID} NOT NULL,
  campaign_id {ID} NOT NULL,
  order_id {ID} NOT NULL,
  level integer NOT NULL CONSTRAINT ck_commissions_level CHECK (level IN (1, 2)),
  member bigint NOT NULL,
  contact_id {ID} NOT NULL,
  currency text NOT NULL,
  rule_version integer NOT NULL,
  terms jsonb NOT NULL,
  target bigint NOT NULL DEFAULT 0,
  pending bigint NOT NULL DEFAULT 0 CONSTRAINT ck_commissions_pending CHECK (pending >= 0),
  matured bigint NOT NULL DEFAULT 0 CONSTRAINT ck_commissions_matured CHECK (matured >= 0),
  state text NOT NULL CONSTRAINT ck_commissions_state
    CHECK (state IN ('waiting', 'pending', 'held', 'matured', 'reversed', 'void')),
  reason text NOT NULL DEFAULT '',
  hold_until timestamptz,
  seq bigint NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  CONSTRAINT uq_commissions_order_id_level UNIQUE (order_id, level),
  CONSTRAINT ck_commissions_target CHECK (target = pending + matured)
) WITH (fillfactor = 80);
CREATE INDEX ix_commissions_due ON commissions (campaign_id, hold_until, id) WHERE state = 'pending';
CREATE INDEX ix_commissions_member ON commissions (campaign_id, member, id);
CREATE INDEX ix_commissions_contact_id ON commissions (contact_id, id);

CREATE TABLE promoters (
  workspace_id {ID} NOT NULL,
  campaign_id {ID} NOT NULL,
  number bigint NOT NULL,
  contact_id {ID} NOT NULL,
  state text NOT NULL CONSTRAINT ck_promoters_state
    CHECK (state IN ('none', 'applied', 'approved', 'rejected', 'blocked')),
  tier text NOT NULL DEFAULT '',
  spent bigint NOT NULL DEFAULT 0,
  orders bigint NOT NULL DEFAULT 0,
  sales bigint NOT NULL DEFAULT 0,
  earned bigint NOT NULL DEFAULT 0,
  usage jsonb NOT NULL DEFAULT '{{}}',
  note text NOT NULL DEFAULT '',
  applied_at timestamptz,
  decided_at timestamptz,
  decided_by text NOT NULL DEFAULT '',
  CONSTRAINT pk_promoters PRIMARY KEY (campaign_id, number)
) WITH (fillfactor = 80);
CREATE INDEX ix_promoters_applied ON promoters (campaign_id, applied_at) WHERE state = 'applied';
CREATE INDEX ix_promoters_contact_id ON promoters (contact_id);

CREATE TABLE bindings (
  workspace_id {ID} NOT NULL,
  campaign_id {ID} NOT NULL,
  buyer bigint NOT NULL,
  promoter bigint NOT NULL,
  bound_at timestamptz NOT NULL,
  protected_until timestamptz,
  valid_until timestamptz,
  seq bigint NOT NULL,
  CONSTRAINT pk_bindings PRIMARY KEY (campaign_id, buyer)
);
CREATE INDEX ix_bindings_promoter ON bindings (campaign_id, promoter);

CREATE TABLE wallet_policies (
  workspace_id {ID} NOT NULL REFERENCES workspaces (id),
  version integer NOT NULL,
  minimum bigint NOT NULL,
  daily_amount bigint,
  daily_count integer,
  approve_above bigint NOT NULL,
  second_above bigint,
  tax_bp integer NOT NULL,
  fee_bp integer NOT NULL,
  fee_fixed bigint NOT NULL,
  identity_check text NOT NULL,
  provider text NOT NULL,
  created_by text NOT NULL,
  created_at timestamptz NOT NULL,
  CONSTRAINT pk_wallet_policies PRIMARY KEY (workspace_id, version)
);

CREATE TABLE payouts (
  id {ID} PRIMARY KEY,
  workspace_id {ID} NOT NULL,
  contact_id {ID} NOT NULL,
  currency text NOT NULL,
  amount bigint NOT NULL CONSTRAINT ck_payouts_amount CHECK (amount > 0),
  tax bigint NOT NULL,
  fee bigint NOT NULL,
  net bigint NOT NULL,
  state text NOT NULL CONSTRAINT ck_payouts_state CHECK (state IN
    ('requested', 'approved', 'sending', 'unknown', 'waiting', 'paid', 'failed', 'rejected', 'cancelled')),
  provider text NOT NULL,
  policy_version integer NOT NULL,
  approvals_needed integer NOT NULL,
  recipient jsonb NOT NULL,
  provider_ref text,
  error text NOT NULL DEFAULT '',
  attempts integer NOT NULL DEFAULT 0,
  next_at timestamptz,
  requested_at timestamptz NOT NULL,
  decided_at timestamptz,
  sent_at timestamptz,
  finished_at timestamptz,
  CONSTRAINT ck_payouts_net CHECK (net = amount - tax - fee AND net > 0)
);
CREATE INDEX ix_payouts_workspace_id_state ON payouts (workspace_id, state, id);
CREATE INDEX ix_payouts_contact_id ON payouts (contact_id, id);
CREATE INDEX ix_payouts_due ON payouts (workspace_id, next_at) WHERE next_at IS NOT NULL;

CREATE TABLE payout_approvals (
  payout_id {ID} NOT NULL REFERENCES payouts (id),
  workspace_id {ID} NOT NULL,
  staff_id {ID} NOT NULL,
  verdict text NOT NULL CONSTRAINT ck_payout_approvals_verdict CHECK (verdict IN ('approve', 'reject')),
  note text NOT NULL DEFAULT '',
  at timestamptz NOT NULL,
  CONSTRAINT pk_payout_approvals PRIMARY KEY (payout_id, staff_id)
);
"""

#: Rows of these tables are added, never edited.
JOURNALS = ("legs", "book_heads", "order_lines", "payments", "refunds", "wallet_policies", "payout_approvals")

CHANGES = """
-- One Event may have an Entry in each of two books (a commission that matures leaves its campaign and
-- arrives in the wallet).
ALTER TABLE entries DROP CONSTRAINT uq_entries_event_id;
ALTER TABLE entries ADD CONSTRAINT uq_entries_event_id_book_id UNIQUE (event_id, book_id);
ALTER TABLE workspaces ADD COLUMN currency text NOT NULL DEFAULT 'CNY';
ALTER TABLE workspaces ADD COLUMN merchant_tier text NOT NULL DEFAULT 'free';
"""

FUNCTIONS = """
-- Runs once per Entry (its first leg stands for all) when the transaction commits.
CREATE FUNCTION ge_legs_balance() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  off record;
BEGIN
  SELECT l.currency, sum(l.amount) AS amount INTO off FROM public.legs l
    WHERE l.book_id = NEW.book_id AND l.seq = NEW.seq
    GROUP BY l.currency HAVING sum(l.amount) <> 0 LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'the legs of entry % of book % leave % %', NEW.seq, NEW.book_id, off.amount, off.currency
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER legs_balance AFTER INSERT ON legs
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.line = 1)
  EXECUTE FUNCTION ge_legs_balance();

-- No leg comes later than its Entry's others: what was balanced stays so, and no row escapes the check
-- above, which looks at first legs alone.
CREATE FUNCTION ge_legs_together() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
    SELECT FROM (SELECT book_id, seq, min(line) AS least, max(line) AS most, count(*) AS legs
                 FROM added GROUP BY book_id, seq) AS entry
    WHERE least <> 1 OR most <> legs
  ) THEN
    RAISE EXCEPTION 'the legs of an entry are written in one statement, numbered from 1'
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER legs_together AFTER INSERT ON legs REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION ge_legs_together();

CREATE FUNCTION ge_order(p_id text) RETURNS text
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public
  AS $$ SELECT o.workspace_id FROM public.orders o WHERE o.id = p_id $$;

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
  $$;
"""

DIRECTORY = ("ge_order(text)",)


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
