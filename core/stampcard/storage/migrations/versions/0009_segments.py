"""Which members are in which segments"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    names = ("merchant", "member", "program", "segment")
    op.create_table(
        "segment_member",
        *(sa.Column(name, sa.Text(), autoincrement=False, nullable=False) for name in names),
        sa.Column("since", BIG, nullable=False),
        sa.PrimaryKeyConstraint(*names, name=op.f("pk_segment_member")),
        sqlite_strict=True,
    )
    op.create_index("ix_segment_member_segment", "segment_member", ["merchant", "program", "segment", "member"])
