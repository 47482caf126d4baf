"""Counters, switches, jobs; what awards, lots, debits and orders keep for limits, waiting and history"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _key(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), autoincrement=False, nullable=False)


def _number(name: str) -> sa.Column[Any]:
    return sa.Column(name, BIG, server_default=sa.text("0"), nullable=False)


def _text(name: str, default: str = "''") -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), server_default=sa.text(default), nullable=False)


def upgrade() -> None:
    for table, columns in {
        "award": (
            _number("desired"), sa.Column("allowed", BIG, nullable=True), _number("cooling"), _text("charges", "'[]'"),
        ),
        "lot": (_text("waits_for"), _number("slides")),
        "debit": (_text("subject"), _number("returned")),
        "order_state": (_number("occurred_at"), _number("spend"), _text("currency")),
        "member": (sa.Column("birthday_print", sa.Text(), nullable=True),),
        "membership": (_text("anniversary"),),
    }.items():  # fmt: skip
        for column in columns:
            op.add_column(table, column)
    _create("counter", [_key("program"), _key("member"), _key("scope"), _key("period")], [_number("value")])
    _create("switch", [_key("target")], [_text("note"), _text("author"), sa.Column("since", BIG, nullable=False)])
    _create("job", [_key("name")], [_text("data", "'{}'"), _text("place"), _number("done"), _number("total"), sa.Column("started_at", BIG, nullable=False), sa.Column("ended_at", BIG, nullable=True)])  # fmt: skip
    spent = sa.text("subject <> ''")
    op.create_index("ix_debit_subject", "debit", ["merchant", "subject"], sqlite_where=spent, postgresql_where=spent)
    born = sa.text("birthday_print IS NOT NULL")
    op.create_index(
        "ix_member_birthday_print",
        "member",
        ["merchant", "birthday_print", "id"],
        sqlite_where=born,
        postgresql_where=born,
    )
    op.create_index("ix_membership_anniversary", "membership", ["merchant", "program", "anniversary", "member"])
    op.drop_index("ix_order_state_member", "order_state")
    op.create_index("ix_order_state_member", "order_state", ["merchant", "member", "occurred_at"])


def _create(table: str, keys: list[sa.Column[Any]], columns: list[sa.Column[Any]]) -> None:
    names = ["merchant", *(column.name for column in keys)]
    op.create_table(
        table,
        _key("merchant"),
        *keys,
        *columns,
        sa.PrimaryKeyConstraint(*names, name=op.f(f"pk_{table}")),
        sqlite_strict=True,
    )
