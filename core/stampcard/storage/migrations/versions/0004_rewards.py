"""Rewards that members took, and codes that were uploaded for them"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(name: str, default: str | None = None) -> sa.Column[Any]:
    server_default = None if default is None else sa.text(default)
    return sa.Column(name, sa.Text(), autoincrement=False, nullable=False, server_default=server_default)


def _number(name: str, default: str | None = None) -> sa.Column[Any]:
    return sa.Column(name, BIG, nullable=False, server_default=None if default is None else sa.text(default))


def _maybe(name: str, kind: Any = BIG) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=True)


def upgrade() -> None:
    op.add_column("debit", _number("money", "0"))
    op.create_table(
        "redemption",
        *map(_text, ("merchant", "id", "member", "program")),
        _number("version"),
        *map(_text, ("reward", "kind", "gives", "by", "status")),
        _text("wallet", "''"),
        _number("price", "0"),
        _number("worth", "0"),
        _number("created_at"),
        *map(_maybe, ("due_at", "valid_until", "issued_at", "ended_at")),
        _maybe("code_print", sa.Text()),
        _maybe("voucher_sealed", sa.LargeBinary()),
        _text("orders", "'[]'"),
        _text("subject", "''"),
        _text("rule", "''"),
        _text("charges", "'[]'"),
        _number("returns", "0"),
        _text("reason", "''"),
        _number("withdrawn", "0"),
        sa.CheckConstraint("price >= 0", name=op.f("ck_redemption_price_not_negative")),
        sa.PrimaryKeyConstraint("merchant", "id", name=op.f("pk_redemption")),
        sqlite_strict=True,
    )
    _index("ix_redemption_member", "redemption", ["member", "created_at"])
    _index("ix_redemption_reward", "redemption", ["program", "reward", "status", "id"])
    _index("uq_redemption_code_print", "redemption", ["code_print"], "code_print IS NOT NULL", unique=True)
    _index("ix_redemption_due_at", "redemption", ["due_at"], "due_at IS NOT NULL")
    _index("ix_redemption_subject", "redemption", ["subject"], "subject <> ''")
    op.create_table(
        "pool",
        *map(_text, ("merchant", "program", "reward", "code_print")),
        sa.Column("code_sealed", sa.LargeBinary(), nullable=False),
        _number("added_at"),
        _maybe("redemption", sa.Text()),
        sa.PrimaryKeyConstraint("merchant", "program", "reward", "code_print", name=op.f("pk_pool")),
        sqlite_strict=True,
    )
    _index("ix_pool_free", "pool", ["program", "reward", "code_print"], "redemption IS NULL")


def _index(name: str, table: str, columns: list[str], where: str = "", *, unique: bool = False) -> None:
    condition: dict[str, Any] = {"sqlite_where": sa.text(where), "postgresql_where": sa.text(where)} if where else {}
    op.create_index(name, table, ["merchant", *columns], unique=unique, **condition)
