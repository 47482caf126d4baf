"""Messages to members, what became of them, and addresses that get none"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OPEN = sa.text("status IN ('ready', 'attempting', 'unknown')")
#: By which members are found whose day it is: name, table, columns, of which rows.
DATED = (
    ("ix_membership_joined_at", "membership", ["merchant", "program", "joined_at", "member"], ""),
    ("ix_tier_until", "tier", ["merchant", "program", "until", "member"], "until IS NOT NULL"),
    (
        "ix_order_state_occurred_at",
        "order_state",
        ["merchant", "occurred_at", "source", "reference"],
        "currency <> '' AND member IS NOT NULL",
    ),
)
ENDING = {
    "perk": ["merchant", "next_at", "member", "name"],
    "plan": ["merchant", "next_at", "member", "name"],
    "redemption": ["merchant", "due_at", "id"],
}


def _key(*names: str) -> list["sa.Column[str]"]:
    return [sa.Column(name, sa.Text(), autoincrement=False, nullable=False) for name in names]


def _text(name: str, default: str | None = None) -> "sa.Column[str]":
    server_default = None if default is None else sa.text(f"('{default}')")
    return sa.Column(name, sa.Text(), nullable=False, server_default=server_default)


def _number(name: str, *, zero: bool = False) -> "sa.Column[int]":
    return sa.Column(name, BIG, nullable=False, server_default=sa.text("(0)") if zero else None)


def _maybe(*names: str) -> list["sa.Column[int]"]:
    return [sa.Column(name, BIG, nullable=True) for name in names]


def _sealed(*names: str) -> list["sa.Column[bytes]"]:
    return [sa.Column(name, sa.LargeBinary(), nullable=True) for name in names]


def upgrade() -> None:
    dated = sa.text("remaining > 0 AND expires_at IS NOT NULL")
    columns = ["merchant", "wallet", "expires_at", "member"]
    op.create_index("ix_lot_expires_at", "lot", columns, sqlite_where=dated, postgresql_where=dated)
    for name, table, columns, where in DATED:
        known = sa.text(where) if where else None
        op.create_index(name, table, columns, sqlite_where=known, postgresql_where=known)
    for table, columns in ENDING.items():
        # In the order in which reminders go through those of one moment, and many end at the same midnight.
        name, known = f"ix_{table}_{columns[1]}", sa.text(f"{columns[1]} IS NOT NULL")
        op.drop_index(name, table)
        op.create_index(name, table, columns, sqlite_where=known, postgresql_where=known)
    op.add_column("outbox", _number("rank", zero=True))
    op.drop_index("ix_outbox_due", "outbox")
    columns = ["merchant", "connection", "kind", "rank", "due_at"]
    op.create_index("ix_outbox_due", "outbox", columns, sqlite_where=OPEN, postgresql_where=OPEN)
    op.create_table(
        "message",
        *_key("merchant"),
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        *(_text(name) for name in ("program", "name", "member", "channel", "connection", "purpose", "occasion")),
        _text("language", ""),
        _text("state", "waiting"),
        _text("reason", ""),
        _number("created_at"),
        _number("due_at"),
        *_maybe("until", "attempted_at", "changed_at"),
        _text("then", "[]"),
        _number("parts", zero=True),
        _number("cost", zero=True),
        _text("reference", ""),
        sa.Column("to_print", sa.Text(), nullable=True),
        _number("gathers", zero=True),
        _number("test", zero=True),
        *_sealed("data_sealed", "content_sealed"),
        *_maybe("keep_until", "read_at", "dismissed_at", "answered_at", "score"),
        _text("choice", ""),
        *_sealed("answer_sealed"),
        sa.PrimaryKeyConstraint("merchant", "id", name=op.f("pk_message")),
        sqlite_strict=True,
    )
    columns = ["merchant", "program", "name", "occasion", "channel"]
    op.create_index("uq_message_occasion", "message", columns, unique=True)
    op.create_index("ix_message_member", "message", ["merchant", "member", "id"])
    op.create_index("ix_message_name", "message", ["merchant", "program", "name", "channel", "language", "state"])
    known = sa.text("to_print IS NOT NULL")
    columns = ["merchant", "to_print"]
    op.create_index("ix_message_to_print", "message", columns, sqlite_where=known, postgresql_where=known)
    known = sa.text("reference <> ''")
    columns = ["merchant", "connection", "reference"]
    op.create_index("ix_message_reference", "message", columns, sqlite_where=known, postgresql_where=known)
    op.create_table(
        "message_step",
        *_key("merchant"),
        sa.Column("message", BIG, autoincrement=False, nullable=False),
        *_key("state"),
        _number("at"),
        _text("code", ""),
        _text("detail", ""),
        sa.PrimaryKeyConstraint("merchant", "message", "state", name=op.f("pk_message_step")),
        sqlite_strict=True,
    )
    op.create_table(
        "suppression",
        *_key("merchant", "channel", "print"),
        _text("reason"),
        _number("at"),
        _text("source", ""),
        _text("note", ""),
        *_sealed("address_sealed"),
        sa.PrimaryKeyConstraint("merchant", "channel", "print", name=op.f("pk_suppression")),
        sqlite_strict=True,
    )
    op.create_index("ix_suppression_at", "suppression", ["merchant", "at", "channel", "print"])
