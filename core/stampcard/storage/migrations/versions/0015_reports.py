"""Entries by when they were booked, and what members bought without reading their orders"""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_entry_posted_at", "entry", ["merchant", "posted_at"])
    op.drop_index("ix_order_state_member", "order_state")
    bought = ["merchant", "member", "occurred_at", "spend", "currency", "source", "reference"]
    op.create_index("ix_order_state_member", "order_state", bought)
