"""Who may be in which audience of an advertiser, by hashes"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KEY = ("merchant", "connection", "member", "audience", "kind", "print")


def upgrade() -> None:
    op.create_table(
        "audience_member",
        *(sa.Column(name, sa.Text(), autoincrement=False, nullable=False) for name in KEY),
        sa.Column("sure", BIG, nullable=False, server_default=sa.text("(0)")),
        sa.Column("hash_sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint(*KEY, name=op.f("pk_audience_member")),
        sqlite_strict=True,
    )
    op.create_index("ix_audience_member_member", "audience_member", ["merchant", "member", "connection"])
    columns = ["merchant", "connection", "audience", "kind", "print"]
    op.create_index("ix_audience_member_print", "audience_member", columns)
