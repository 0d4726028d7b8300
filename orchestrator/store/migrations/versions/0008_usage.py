"""What models used, what people set for themselves, and keys of their own."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "model_usage",
        sa.Column("number", sa.Integer, autoincrement=True),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("user_id", sa.String(100), nullable=False),
        sa.Column("session_id", sa.String(32), nullable=False),
        sa.Column("model", sa.String(200), nullable=False),
        sa.Column("tokens_in", sa.Integer, nullable=False),
        sa.Column("tokens_out", sa.Integer, nullable=False),
        sa.Column("cost", sa.Float),
        sa.Column("own_key", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.PrimaryKeyConstraint("number", name="pk_model_usage"),
    )
    op.create_index("ix_model_usage_user_id", "model_usage", ["user_id", "at"])
    op.create_index("ix_model_usage_session_id", "model_usage", ["session_id"])
    op.create_table(
        "user_settings",
        sa.Column("user_id", sa.String(100), nullable=False),
        sa.Column("settings", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_user_settings"),
    )
    op.create_table(
        "user_keys",
        sa.Column("user_id", sa.String(100), nullable=False),
        sa.Column("provider", sa.String(40), nullable=False),
        sa.Column("sealed", sa.Text, nullable=False),
        sa.Column("hint", sa.String(20), nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "provider", name="pk_user_keys"),
    )


def downgrade() -> None:
    """Drop the tables."""
    for name in ("user_keys", "user_settings", "model_usage"):
        op.drop_table(name)
