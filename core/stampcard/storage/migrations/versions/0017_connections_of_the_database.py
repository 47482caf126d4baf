"""Connections that were added while Stampcard was there, beside those of the settings file"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    names = ("merchant", "name")
    op.create_table(
        "connection",
        *(sa.Column(name, sa.Text(), autoincrement=False, nullable=False) for name in names),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("plugin", "orders_of")),
        sa.Column("settings_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        *(sa.Column(name, BIG, nullable=False) for name in ("added_at", "changed_at")),
        sa.PrimaryKeyConstraint(*names, name=op.f("pk_connection")),
        sqlite_strict=True,
    )
