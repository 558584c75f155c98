"""Batches that providers work at, so that each is charged once."""

from __future__ import annotations

from alembic import op

from trunkline.store.tables import batches

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A database that begins today has it from the first step.
    batches.create(op.get_bind(), checkfirst=True)


def downgrade() -> None:
    batches.drop(op.get_bind(), checkfirst=True)
