"""Leftovers of the money review: goods that come back, reservations by buyer, disputes people settled."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0006"

COLUMNS = """
ALTER TABLE orders ADD COLUMN restocked boolean NOT NULL DEFAULT false;
CREATE INDEX ix_orders_open ON orders (campaign_id, buyer) WHERE state = 'placed' AND paid = 0;

ALTER TABLE pay_attempts
  ADD COLUMN settled_at timestamptz,
  ADD COLUMN settled_by text NOT NULL DEFAULT '',
  ADD COLUMN settled_note text NOT NULL DEFAULT '';
ALTER TABLE refund_requests
  ADD COLUMN restock boolean NOT NULL DEFAULT false,
  ADD COLUMN settled_at timestamptz,
  ADD COLUMN settled_by text NOT NULL DEFAULT '',
  ADD COLUMN settled_note text NOT NULL DEFAULT '';
CREATE INDEX ix_pay_attempts_workspace_id ON pay_attempts (workspace_id, number);
CREATE INDEX ix_refund_requests_requested_at ON refund_requests (workspace_id, requested_at, id);
"""


def upgrade() -> None:
    op.get_bind().connection.cursor().execute(COLUMNS.encode())


def downgrade() -> None:
    raise NotImplementedError("the books are never thrown away by a migration; restore a backup instead")
