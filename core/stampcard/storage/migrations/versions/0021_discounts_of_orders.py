"""What orders keep of the discounts of percentages, where a limit of money counts it"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("redemption", sa.Column("discounts", sa.Text(), nullable=False, server_default=sa.text("('{}')")))
