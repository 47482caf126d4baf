"""Fewer pushes, and less to write for each webhook"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    kind = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.add_column("push", sa.Column("since", kind, server_default=sa.text("0"), nullable=False))
    for name in ("ready", "member", "subject_print"):
        op.drop_index(f"ix_inbox_{name}", "inbox")
    for column in ("member", "subject_print"):
        known = sa.text(f"{column} IS NOT NULL")
        op.create_index(f"ix_inbox_{column}", "inbox", ["merchant", column], sqlite_where=known, postgresql_where=known)
