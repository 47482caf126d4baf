"""What members are verified as, and what they asked for"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _texts(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.Text(), autoincrement=False, nullable=False) for name in names]


def upgrade() -> None:
    names = ("merchant", "member", "program", "name")
    op.create_table(
        "proof",
        *_texts(*names),
        sa.Column("verified", BIG, nullable=False),
        sa.Column("next_at", BIG, nullable=True),
        *_texts("state"),
        sa.PrimaryKeyConstraint(*names, name=op.f("pk_proof")),
        sqlite_strict=True,
    )
    known = sa.text("next_at IS NOT NULL")
    op.create_index("ix_proof_next_at", "proof", ["merchant", "next_at"], sqlite_where=known, postgresql_where=known)
    op.create_index("ix_proof_name", "proof", ["merchant", "program", "name", "verified", "member"])
    op.create_table(
        "proof_request",
        *_texts("merchant", "id", "member", "program", "name", "status"),
        sa.Column("asked_at", BIG, nullable=False),
        sa.Column("decided_at", BIG, nullable=True),
        *_texts("decided_by", "reason", "note"),
        sa.Column("evidence_sealed", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("merchant", "id", name=op.f("pk_proof_request")),
        sqlite_strict=True,
    )
    op.create_index("ix_proof_request_status", "proof_request", ["merchant", "status", "asked_at", "id"])
    op.create_index("ix_proof_request_member", "proof_request", ["merchant", "member", "asked_at"])
