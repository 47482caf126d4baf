"""People as CRMs know them: contacts, whom they may be, conflicts of fields, and lists"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _key(*names: str) -> list["sa.Column[str]"]:
    return [sa.Column(name, sa.Text(), autoincrement=False, nullable=False) for name in names]


def _text(name: str, default: str | None = None) -> "sa.Column[str]":
    server_default = None if default is None else sa.text(f"('{default}')")
    return sa.Column(name, sa.Text(), nullable=False, server_default=server_default)


def _number(name: str, *, zero: bool = False) -> "sa.Column[int]":
    return sa.Column(name, BIG, nullable=False, server_default=sa.text("(0)") if zero else None)


def upgrade() -> None:
    op.add_column("member", _text("attributes_at", "{}"))
    op.create_table(
        "contact",
        *_key("merchant", "connection", "reference"),
        sa.Column("member", sa.Text(), nullable=True),
        _text("state"),
        _text("why", ""),
        _number("changed_at", zero=True),
        _text("content", ""),
        _text("fields", "{}"),
        _number("pending", zero=True),
        _text("made", ""),
        _text("seen_in", ""),
        _number("at"),
        sa.PrimaryKeyConstraint("merchant", "connection", "reference", name=op.f("pk_contact")),
        sqlite_strict=True,
    )
    op.create_index("ix_contact_member", "contact", ["merchant", "member", "connection"])
    op.create_index("ix_contact_state", "contact", ["merchant", "connection", "state", "reference"])
    op.create_index("ix_contact_counted", "contact", ["merchant", "connection", "state", "why", "made"])
    op.create_index("ix_fetch_due", "fetch", ["merchant", "connection", "due_at"])
    dead = sa.text("dead = 1")
    columns = ["merchant", "connection", "kind"]
    op.create_index("ix_push_dead", "push", columns, sqlite_where=dead, postgresql_where=dead)
    op.create_table(
        "contact_candidate",
        *_key("merchant", "connection", "reference", "member"),
        sa.PrimaryKeyConstraint("merchant", "connection", "reference", "member", name=op.f("pk_contact_candidate")),
        sqlite_strict=True,
    )
    op.create_index("ix_contact_candidate_member", "contact_candidate", ["merchant", "member", "connection"])
    op.create_table(
        "contact_conflict",
        *_key("merchant"),
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        *(_text(name) for name in ("connection", "reference", "member", "field", "rule", "kept")),
        _number("at"),
        sa.Column("sides_sealed", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("merchant", "id", name=op.f("pk_contact_conflict")),
        sqlite_strict=True,
    )
    op.create_index("ix_contact_conflict_connection", "contact_conflict", ["merchant", "connection", "id"])
    columns = ["merchant", "connection", "reference", "field", "id"]
    op.create_index("ix_contact_conflict_field", "contact_conflict", columns)
    op.create_index("ix_contact_conflict_member", "contact_conflict", ["merchant", "member", "id"])
    op.create_table(
        "contact_list",
        *_key("merchant", "connection", "list", "reference"),
        sa.PrimaryKeyConstraint("merchant", "connection", "list", "reference", name=op.f("pk_contact_list")),
        sqlite_strict=True,
    )
    op.create_index("ix_contact_list_reference", "contact_list", ["merchant", "connection", "reference"])
