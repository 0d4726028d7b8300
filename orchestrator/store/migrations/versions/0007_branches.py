"""Branches of a conversation, what a session is set to, and summaries of its old turns."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_messages = sa.table(
    "messages",
    sa.column("number", sa.Integer),
    sa.column("id", sa.String),
    sa.column("session_id", sa.String),
    sa.column("parent_id", sa.String),
)
_sessions = sa.table("sessions", sa.column("id", sa.String), sa.column("head", sa.String))


def upgrade() -> None:
    """Add the columns, and chain each conversation that there is in its order."""
    op.add_column("messages", sa.Column("parent_id", sa.String(32)))
    op.add_column("sessions", sa.Column("head", sa.String(32)))
    op.add_column("sessions", sa.Column("model", sa.String(200)))
    op.add_column("sessions", sa.Column("approval", sa.String(10), nullable=False, server_default="auto"))
    op.add_column("sessions", sa.Column("instructions", sa.Text, nullable=False, server_default=sa.text("''")))
    op.create_table(
        "summaries",
        sa.Column("number", sa.Integer, autoincrement=True),
        sa.Column("session_id", sa.String(32), nullable=False),
        sa.Column("message_id", sa.String(32), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_summaries"),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name="fk_summaries_session_id_sessions", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_summaries_session_id", "summaries", ["session_id"])
    _chain(op.get_bind())


def _chain(connection: sa.Connection) -> None:
    last: dict[str, str] = {}
    for _, message_id, session_id in connection.execute(
        sa.select(_messages.c.number, _messages.c.id, _messages.c.session_id).order_by(_messages.c.number)
    ).all():
        if session_id in last:
            change = _messages.update().where(_messages.c.id == message_id).values(parent_id=last[session_id])
            connection.execute(change)
        last[session_id] = message_id
    for session_id, message_id in last.items():
        connection.execute(_sessions.update().where(_sessions.c.id == session_id).values(head=message_id))


def downgrade() -> None:
    """Drop all of it; every branch is one conversation then."""
    op.drop_table("summaries")
    for table, column in (
        ("sessions", "instructions"),
        ("sessions", "approval"),
        ("sessions", "model"),
        ("sessions", "head"),
        ("messages", "parent_id"),
    ):
        op.drop_column(table, column)
