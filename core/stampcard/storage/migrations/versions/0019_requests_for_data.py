"""People who asked for what is stored of them, until they were answered"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    names = ("merchant", "connection", "request")
    op.create_table(
        "data_request",
        *(sa.Column(name, sa.Text(), autoincrement=False, nullable=False) for name in names),
        sa.Column("member", sa.Text(), nullable=True),
        sa.Column("asked_at", BIG, nullable=False),
        sa.Column("answered_at", BIG, nullable=True),
        sa.Column("answered_by", sa.Text(), server_default=sa.text("('')"), nullable=False),
        sa.Column("note", sa.Text(), server_default=sa.text("('')"), nullable=False),
        sa.PrimaryKeyConstraint(*names, name=op.f("pk_data_request")),
        sqlite_strict=True,
    )
    op.create_index("ix_data_request_asked_at", "data_request", ["merchant", "asked_at", "connection", "request"])
