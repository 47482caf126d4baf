"""What came from other platforms"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(name: str, default: str | None = None) -> sa.Column[Any]:
    server_default = None if default is None else sa.text(default)
    return sa.Column(name, sa.Text(), autoincrement=False, nullable=False, server_default=server_default)


def _number(name: str, default: str | None = None) -> sa.Column[Any]:
    server_default = None if default is None else sa.text(default)
    return sa.Column(name, BIG, autoincrement=False, nullable=False, server_default=server_default)


def _maybe(name: str, kind: Any = BIG) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=True)


def upgrade() -> None:
    op.create_table(
        "intake",
        *map(_text, ("merchant", "id", "file", "fingerprint", "program", "connection")),
        _text("options", "'{}'"),
        _text("state"),
        _text("place", "''"),
        _number("total"),
        *(_number(name, "0") for name in ("applied", "known", "refused", "members", "error_bytes")),
        _number("started_at"),
        *map(_maybe, ("ended_at", "undone_at")),
        sa.PrimaryKeyConstraint("merchant", "id", name=op.f("pk_intake")),
        sqlite_strict=True,
    )
    op.create_index("ix_intake_fingerprint", "intake", ["merchant", "fingerprint"])
    op.create_table(
        "imported",
        *map(_text, ("merchant", "print")),
        _number("nth"),
        *map(_text, ("intake", "seen_in")),
        _number("line"),
        *map(_text, ("member", "kind")),
        _text("state", "'applied'"),
        _number("created", "0"),
        _text("wallet", "''"),
        _number("points", "0"),
        _maybe("lot"),
        _number("kept", "0"),
        _text("tier", "''"),
        *map(_maybe, ("until", "at")),
        _text("note", "''"),
        _maybe("referral_sealed", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("merchant", "print", "nth", name=op.f("pk_imported")),
        sqlite_strict=True,
    )
    op.create_index("ix_imported_intake", "imported", ["merchant", "intake", "member", "line"])
    op.create_index("ix_imported_member", "imported", ["merchant", "member"])
    op.create_table(
        "unimported",
        *map(_text, ("merchant", "intake")),
        _number("line"),
        _text("code"),
        sa.PrimaryKeyConstraint("merchant", "intake", "line", name=op.f("pk_unimported")),
        sqlite_strict=True,
    )
