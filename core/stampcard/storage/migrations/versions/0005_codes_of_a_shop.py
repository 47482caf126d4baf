"""Which shop made the codes of a pool, and what it calls them there"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("connection", "batch"):
        op.add_column("pool", sa.Column(name, sa.Text(), nullable=False, server_default=sa.text("''")))
    # All redemptions in the order of time, page by page, and those of one member.
    op.drop_index("ix_redemption_member", "redemption")
    op.create_index("ix_redemption_member", "redemption", ["merchant", "member", "created_at", "id"])
    op.create_index("ix_redemption_created_at", "redemption", ["merchant", "created_at", "id"])
