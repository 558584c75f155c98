"""Keys, users, teams, budgets, models and the ledger."""

from __future__ import annotations

from alembic import op

from trunkline.store.tables import METADATA

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    METADATA.create_all(connection)
    if connection.dialect.name == "postgresql":
        # Rows of days that nobody made a partition for.
        op.execute(
            "CREATE TABLE trunkline_spend_logs_default PARTITION OF trunkline_spend_logs DEFAULT"
        )


def downgrade() -> None:
    METADATA.drop_all(op.get_bind())
