"""What a session has sent out and fetched."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Count from zero."""
    for name in ("egress_bytes_up", "egress_bytes_down"):
        op.add_column("sessions", sa.Column(name, sa.BigInteger, nullable=False, server_default="0"))


def downgrade() -> None:
    """Forget the counts."""
    for name in ("egress_bytes_up", "egress_bytes_down"):
        op.drop_column("sessions", name)
