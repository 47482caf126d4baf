"""Members who are on hold, and why"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("member", sa.Column("held_at", BIG, nullable=True))
    op.add_column("member", sa.Column("held_for", sa.Text(), nullable=True))
    known = sa.text("held_at IS NOT NULL")
    op.create_index("ix_member_held_at", "member", ["merchant", "held_at"], sqlite_where=known, postgresql_where=known)
