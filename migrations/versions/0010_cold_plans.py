"""Indexes no plan can mistake: before statistics exist, one that starts with the workspace looks as good as
the primary key, and each of a batch's callbacks then read all followers of the workspace."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"

INDEXES = """
CREATE INDEX ix_followers_contact_id ON followers (contact_id);
DROP INDEX ix_followers_workspace_id_contact_id;
CREATE INDEX ix_deliveries_contact_id ON deliveries (contact_id, id);
DROP INDEX ix_deliveries_workspace_id_contact_id;
"""


def upgrade() -> None:
    op.get_bind().connection.cursor().execute(INDEXES.encode())


def downgrade() -> None:
    raise NotImplementedError("the books are never thrown away by a migration; restore a backup instead")
