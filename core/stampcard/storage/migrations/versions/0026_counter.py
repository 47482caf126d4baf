"""The counter: tills, staff, shifts, and what is done there"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _keys(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), autoincrement=False, nullable=False) for name in ("merchant", *names)]


def _text(name: str, *, default: str | None = None, nullable: bool = False) -> sa.Column[str]:
    server_default = None if default is None else sa.text(f"('{default}')")
    return sa.Column(name, sa.Text(), nullable=nullable, server_default=server_default)


def _number(name: str, *, default: int | None = None, nullable: bool = False) -> sa.Column[int]:
    server_default = None if default is None else sa.text(f"({default})")
    return sa.Column(name, BIG, nullable=nullable, server_default=server_default)


def upgrade() -> None:
    op.create_table(
        "till",
        *_keys("name"),
        _text("branch", default=""),
        _number("pairing", default=1),
        _number("made_at"),
        _number("ended_at", nullable=True),
        sa.PrimaryKeyConstraint("merchant", "name", name=op.f("pk_till")),
        sqlite_strict=True,
    )
    op.create_table(
        "staff",
        *_keys("id"),
        _text("name"),
        _text("pin_print"),
        _number("made_at"),
        _number("ended_at", nullable=True),
        sa.PrimaryKeyConstraint("merchant", "id", name=op.f("pk_staff")),
        sqlite_strict=True,
    )
    at_work = sa.text("ended_at IS NULL")
    for name in ("pin_print", "name"):
        op.create_index(
            f"ix_staff_{name}", "staff", ["merchant", name], unique=True, sqlite_where=at_work, postgresql_where=at_work
        )
    op.create_table(
        "shift",
        *_keys("till", "name"),
        _text("staff", nullable=True),
        _number("opened_at"),
        _number("closed_at", nullable=True),
        *(_number(name, default=0) for name in ("points", "worth", "typed")),
        sa.PrimaryKeyConstraint("merchant", "till", "name", name=op.f("pk_shift")),
        sqlite_strict=True,
    )
    op.create_index("ix_shift_staff", "shift", ["merchant", "staff", "opened_at"])
    op.create_table(
        "act",
        *_keys("till", "id"),
        _text("kind"),
        _text("member", nullable=True),
        _text("shift", default=""),
        _text("staff", default=""),
        _text("status"),
        _text("known", default=""),
        _text("body_hash"),
        sa.Column("body_sealed", sa.LargeBinary(), nullable=True),
        _number("at"),
        _number("received_at"),
        _text("points", default="{}"),
        _number("worth", default=0),
        *(_text(name, nullable=True) for name in ("redemption", "of", "undone_by", "code")),
        _text("note", default=""),
        _text("asked_print", nullable=True),
        sa.PrimaryKeyConstraint("merchant", "till", "id", name=op.f("pk_act")),
        sqlite_strict=True,
    )
    for name in ("member", "asked_print"):
        known = sa.text(f"{name} IS NOT NULL")
        op.create_index(f"ix_act_{name}", "act", ["merchant", name], sqlite_where=known, postgresql_where=known)
    op.create_index("ix_act_status", "act", ["merchant", "status", "received_at", "till", "id"])
    op.create_index("ix_act_of", "act", ["merchant", "till", "of"])
    op.create_index("ix_act_latest", "act", ["merchant", "received_at", "till", "id"])
    op.create_index("ix_act_shift", "act", ["merchant", "till", "shift", "received_at", "id"])
