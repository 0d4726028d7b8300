"""Whom a provider of single sign-on knows an account by."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("users", sa.Column("subject", sa.String(500)))
    op.create_index("ix_users_subject", "users", ["subject"], unique=True)


def downgrade() -> None:
    """Drop the column."""
    op.drop_index("ix_users_subject", "users")
    op.drop_column("users", "subject")
