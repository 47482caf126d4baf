"""Paid memberships: the terms that they are made of, and what these come to"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _texts(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.Text(), autoincrement=False, nullable=False) for name in names]


def upgrade() -> None:
    of_terms = ("merchant", "member", "program", "plan", "key")
    op.create_table(
        "plan_term",
        *_texts(*of_terms),
        sa.Column("at", BIG, nullable=False),
        *_texts("state"),
        sa.PrimaryKeyConstraint(*of_terms, name=op.f("pk_plan_term")),
        sqlite_strict=True,
    )
    names = ("merchant", "member", "program", "name")
    op.create_table(
        "plan",
        *_texts(*names),
        sa.Column("active", BIG, nullable=False),
        sa.Column("next_at", BIG, nullable=True),
        *_texts("state"),
        sa.PrimaryKeyConstraint(*names, name=op.f("pk_plan")),
        sqlite_strict=True,
    )
    known = sa.text("next_at IS NOT NULL")
    op.create_index("ix_plan_next_at", "plan", ["merchant", "next_at"], sqlite_where=known, postgresql_where=known)
    op.create_index("ix_plan_name", "plan", ["merchant", "program", "name", "active", "member"])
