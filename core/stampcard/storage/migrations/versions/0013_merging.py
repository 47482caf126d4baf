"""Members who are one person, and points that come from elsewhere or go over from one to another"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
BEFORE = ("pending", "active", "held", "debt", "issued", "redeemed", "expired", "adjusted")


def upgrade() -> None:
    op.add_column("member", sa.Column("merged_into", sa.Text(), nullable=True))
    known = sa.text("merged_into IS NOT NULL")
    op.create_index(
        "ix_member_merged_into", "member", ["merchant", "merged_into"], sqlite_where=known, postgresql_where=known
    )
    op.create_table(
        "merge",
        sa.Column("merchant", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("by", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("note", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("undone_at", BIG, nullable=True),
        sa.Column("undone_by", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("data_sealed", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("merchant", "id", name=op.f("pk_merge")),
        sqlite_strict=True,
    )
    op.create_index("ix_merge_at", "merge", ["merchant", "at", "id"])
    op.create_index("ix_merge_source", "merge", ["merchant", "source"])
    op.create_index("ix_merge_target", "merge", ["merchant", "target"])
    op.create_table(
        "address",
        sa.Column("merchant", sa.Text(), nullable=False),
        sa.Column("connection", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("print", sa.Text(), nullable=False),
        sa.Column("member", sa.Text(), nullable=False),
        sa.Column("unchecked_since", BIG, nullable=True),
        sa.PrimaryKeyConstraint("merchant", "connection", "reference", "kind", name=op.f("pk_address")),
        sqlite_strict=True,
    )
    op.create_index("ix_address_print", "address", ["merchant", "kind", "print"])
    op.create_index("ix_address_member", "address", ["merchant", "member"])
    known = sa.text("unchecked_since IS NOT NULL")
    op.create_index(
        "ix_address_unchecked_since",
        "address",
        ["merchant", "unchecked_since"],
        sqlite_where=known,
        postgresql_where=known,
    )
    op.create_table(
        "duplicate",
        sa.Column("merchant", sa.Text(), nullable=False),
        sa.Column("first", sa.Text(), nullable=False),
        sa.Column("second", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("found_at", BIG, nullable=False),
        sa.PrimaryKeyConstraint("merchant", "first", "second", name=op.f("pk_duplicate")),
        sqlite_strict=True,
    )
    op.create_index("ix_duplicate_found_at", "duplicate", ["merchant", "state", "found_at", "first", "second"])
    op.create_index("ix_duplicate_second", "duplicate", ["merchant", "second"])
    op.add_column("membership", sa.Column("state", sa.Text(), server_default=sa.text("'active'"), nullable=False))
    for table in ("entry", "balance"):
        _accounts(table, "imported", "transferred")


def _accounts(table: str, *names: str) -> None:
    """More accounts, over which entries and balances sum to 0, too."""
    sums = " + ".join((*BEFORE, *names)) + " = 0"
    with op.batch_alter_table(table, table_kwargs={"sqlite_strict": True}) as batch:
        batch.drop_constraint(op.f(f"ck_{table}_balanced"), type_="check")
        for name in names:
            batch.add_column(sa.Column(name, BIG, server_default=sa.text("0"), nullable=False))
        batch.create_check_constraint(op.f(f"ck_{table}_balanced"), sums)
