"""How much members bought at discounts that are capped"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    names = ("merchant", "member", "program", "reward", "subject")
    op.create_table(
        "base_use",
        *(sa.Column(name, sa.Text(), autoincrement=False, nullable=False) for name in names),
        *(sa.Column(name, BIG, nullable=False) for name in ("at", "whole", "allowed", "kept")),
        sa.PrimaryKeyConstraint(*names, name=op.f("pk_base_use")),
        sqlite_strict=True,
    )
