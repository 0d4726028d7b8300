"""Which sessions may be read by whom beside their owner."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "session_shares",
        sa.Column("session_id", sa.String(32), nullable=False),
        sa.Column("user_id", sa.String(32), nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("session_id", "user_id", name="pk_session_shares"),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name="fk_session_shares_session_id_sessions", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_session_shares_user_id_users", ondelete="CASCADE"),
    )
    op.create_index("ix_session_shares_user_id", "session_shares", ["user_id"])


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("session_shares")
