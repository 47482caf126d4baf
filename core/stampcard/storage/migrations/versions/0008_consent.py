"""What members agree to, with the evidence"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "consent",
        sa.Column("merchant", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("member", "channel", "purpose", "state")),
        *(sa.Column(name, BIG, nullable=False) for name in ("at", "recorded_at")),
        sa.Column("evidence_sealed", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("merchant", "id", name=op.f("pk_consent")),
        sqlite_strict=True,
    )
    op.create_index("ix_consent_member", "consent", ["merchant", "member", "id"])
