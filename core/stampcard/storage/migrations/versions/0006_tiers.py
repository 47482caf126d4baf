"""Tiers that members have, and what counts towards them day by day"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _texts(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.Text(), autoincrement=False, nullable=False) for name in names]


def upgrade() -> None:
    op.create_table(
        "tier",
        *_texts("merchant", "member", "program", "name"),
        sa.Column("since", BIG, nullable=False),
        sa.Column("until", BIG, nullable=True),
        sa.Column("next_at", BIG, nullable=True),
        *_texts("state"),
        sa.PrimaryKeyConstraint("merchant", "member", "program", name=op.f("pk_tier")),
        sqlite_strict=True,
    )
    known = sa.text("next_at IS NOT NULL")
    op.create_index("ix_tier_next_at", "tier", ["merchant", "next_at"], sqlite_where=known, postgresql_where=known)
    op.create_index("ix_tier_name", "tier", ["merchant", "program", "name", "member"])
    op.create_table(
        "progress",
        *_texts("merchant", "member", "program", "measure", "day"),
        sa.Column("amount", BIG, nullable=False),
        sa.PrimaryKeyConstraint("merchant", "member", "program", "measure", "day", name=op.f("pk_progress")),
        sqlite_strict=True,
    )
