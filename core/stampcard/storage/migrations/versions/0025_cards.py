"""Cards with their numbers, what of them was shown already, and passes in phones"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _keys(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), autoincrement=False, nullable=False) for name in ("merchant", *names)]


def upgrade() -> None:
    op.create_table(
        "card",
        *_keys("number"),
        sa.Column("member", sa.Text(), nullable=False),
        sa.Column("made_at", BIG, nullable=False),
        sa.PrimaryKeyConstraint("merchant", "number", name=op.f("pk_card")),
        sqlite_strict=True,
    )
    op.create_index("ix_card_member", "card", ["merchant", "member", "made_at"])
    op.create_table(
        "card_moment",
        *_keys("number", "moment"),
        sa.Column("scan", sa.Text(), nullable=False),
        sa.Column("shown_at", BIG, nullable=False),
        sa.PrimaryKeyConstraint("merchant", "number", "moment", name=op.f("pk_card_moment")),
        sqlite_strict=True,
    )
    op.create_index("ix_card_moment_shown_at", "card_moment", ["merchant", "shown_at"])
    op.create_table(
        "pass",
        *_keys("connection", "serial"),
        sa.Column("member", sa.Text(), nullable=False),
        sa.Column("made_at", BIG, nullable=False),
        sa.Column("saved_at", BIG, nullable=True),
        sa.Column("removed_at", BIG, nullable=True),
        sa.Column("content", sa.Text(), nullable=False, server_default=sa.text("('')")),
        sa.Column("first", sa.Text(), nullable=False, server_default=sa.text("('')")),
        sa.Column("noticed", sa.Text(), nullable=False, server_default=sa.text("('[]')")),
        sa.PrimaryKeyConstraint("merchant", "connection", "serial", name=op.f("pk_pass")),
        sqlite_strict=True,
    )
    op.create_index("ix_pass_member", "pass", ["merchant", "member"])
