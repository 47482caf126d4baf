"""Which members have which perks, and how they used them"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _texts(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.Text(), autoincrement=False, nullable=False) for name in names]


def upgrade() -> None:
    names = ("merchant", "member", "program", "name")
    op.create_table(
        "perk",
        *_texts(*names),
        sa.Column("has", BIG, nullable=False),
        sa.Column("next_at", BIG, nullable=True),
        *_texts("state"),
        sa.PrimaryKeyConstraint(*names, name=op.f("pk_perk")),
        sqlite_strict=True,
    )
    known = sa.text("next_at IS NOT NULL")
    op.create_index("ix_perk_next_at", "perk", ["merchant", "next_at"], sqlite_where=known, postgresql_where=known)
    op.create_index("ix_perk_name", "perk", ["merchant", "program", "name", "has", "member"])
    op.create_table(
        "perk_use",
        *_texts(*names, "key"),
        sa.Column("used_at", BIG, nullable=False),
        sa.Column("cancelled_at", BIG, nullable=True),
        *_texts("source", "note"),
        sa.PrimaryKeyConstraint(*names, "key", name=op.f("pk_perk_use")),
        sqlite_strict=True,
    )
