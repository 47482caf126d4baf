"""Counters, switches, jobs; what awards, lots, debits and orders keep for limits, waiting and history"""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa
from alembic import op
from ruamel.yaml import YAML

from stampcard.clock import to_micros
from stampcard.domain.orders import OrderState
from stampcard.engine.counting import FINE
from stampcard.engine.describing import purchase_of

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

#: Rows that are filled in at once.
CHUNK = 1_000
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
    _fill_orders(op.get_bind())
    _fill_anniversaries(op.get_bind())


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


def _fill_orders(connection: sa.Connection) -> None:
    """What conditions read of a member's past; whoever applies orders has to read every stored state anyway."""
    keys = ("merchant", "source", "reference")
    table = sa.table("order_state", *(sa.column(name) for name in (*keys, "state", "occurred_at", "spend", "currency")))
    place = sa.tuple_(*(table.c[name] for name in keys))
    known = sa.and_(*(table.c[name] == sa.bindparam(f"the_{name}") for name in keys))
    decoder = msgspec.json.Decoder(OrderState)
    after: tuple[str, ...] = ("", "", "")
    while rows := connection.execute(
        sa.select(*(table.c[name] for name in (*keys, "state"))).where(place > after).order_by(*keys).limit(CHUNK)
    ).all():
        after = tuple(rows[-1][:3])
        found = [(row[:3], purchase_of(decoder.decode(row.state))) for row in rows]
        values = [
            {
                **{f"the_{name}": value for name, value in zip(keys, key, strict=True)},
                "occurred_at": to_micros(purchase.occurred_at),
                "spend": int(purchase.spend * FINE),
                "currency": purchase.currency,
            }
            for key, purchase in found
            if purchase is not None
        ]
        if values:
            connection.execute(sa.update(table).where(known), values)


def _fill_anniversaries(connection: sa.Connection) -> None:
    """Month and day of joining in the zone that the program has by now."""
    version = sa.table("program_version", *map(sa.column, ("merchant", "program", "number", "source")))
    texts = connection.execute(sa.select(version).order_by(version.c.number))
    zones = {
        (row.merchant, row.program): ZoneInfo(YAML(typ="safe", pure=True).load(row.source)["timezone"]) for row in texts
    }
    keys = ("merchant", "member", "program")
    table = sa.table("membership", *map(sa.column, (*keys, "joined_at", "anniversary")))
    known = sa.and_(*(table.c[name] == sa.bindparam(f"the_{name}") for name in keys))
    place = sa.tuple_(*(table.c[name] for name in keys))
    after: tuple[str, ...] = ("", "", "")
    columns = [table.c[name] for name in (*keys, "joined_at")]
    while rows := connection.execute(sa.select(*columns).where(place > after).order_by(*keys).limit(CHUNK)).all():
        after = tuple(rows[-1][:3])
        values = [
            {
                **{f"the_{name}": getattr(row, name) for name in keys},
                "anniversary": f"{_joined(row.joined_at, zones.get((row.merchant, row.program))):%m-%d}",
            }
            for row in rows
        ]
        connection.execute(sa.update(table).where(known), values)


def _joined(micros: int, zone: ZoneInfo | None) -> datetime:
    return datetime.fromtimestamp(micros / 1_000_000, zone or UTC)
