"""Applying to a database of many members, beside the same with few of them."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing

import samples
import signing
from applying import drain, fill
from measuring import Scale
from reporting import Figure

from stampcard.domain.ledger import ACCOUNTS
from stampcard.sealing import new_key_text
from stampcard.storage.database import Database

#: Orders that each member has placed before; each is paid for by so many rules as there are entries of the first.
ORDERS_BEFORE = 3
#: Members that are written in one transaction.
AT_ONCE = 20_000
#: One new order of so many members in a batch of webhooks.
_numbers = itertools.count(1, 1_000_000)

_WHO = "printf('m_%024d', m.i)"
_ORDER = f"(m.i * {ORDERS_BEFORE} + o.i)"
#: Table → its columns that differ between the copies of the one order that was applied first. Customers' references are
#: scattered over the members' ids, as they are in life: new orders meet members all over the tables.
_PER_MEMBER: Mapping[str, Mapping[str, str]] = {
    "member": {"id": _WHO},
    "identity": {"reference": f"{signing.FIRST_CUSTOMER} + m.i * 2654435761 % {{members}}", "member": _WHO},
    "membership": {"member": _WHO},
    "balance": {
        "member": _WHO,
        "entries": f"t.entries * {ORDERS_BEFORE}",
        "opened": f"t.opened * {ORDERS_BEFORE}",
        **{account: f"t.{account} * {ORDERS_BEFORE}" for account in ACCOUNTS},
    },
    "push": {"member": _WHO, "sent": "t.wanted"},
}
_PER_ORDER: Mapping[str, Mapping[str, str]] = {
    "entry": {
        "member": _WHO,
        "number": "t.number + o.i * (SELECT max(number) FROM first.entry)",
        "subject": f"'order:shop:' || {_ORDER}",
    },
    "lot": {
        "member": _WHO,
        "number": "t.number + o.i * (SELECT max(number) FROM first.lot)",
        "subject": f"'order:shop:' || {_ORDER}",
    },
    "award": {"member": _WHO, "subject": f"'order:shop:' || {_ORDER}"},
    "order_state": {"member": _WHO, "reference": _ORDER},
    "event": {"member": _WHO, "id": _ORDER, "subject": f"'order:shop:' || {_ORDER}", "delivery": _ORDER},
    "inbox": {"member": _WHO, "id": _ORDER, "key": f"'before ' || {_ORDER}", "body_sealed": "NULL"},
}


def measure(scale: Scale) -> Iterator[Figure]:
    """A database of many members and one of few, in turn."""
    key = new_key_text()
    rounds = []
    with ExitStack() as stack:
        databases = {size: stack.enter_context(samples.database()) for size in (scale.few_members, scale.members)}
        entries = [_grow(database, members, key) for members, database in databases.items()]
        os.sync()
        for members, database in databases.items():
            _per_event(database, members, scale.grown_orders, key)  # the first touch of a cold file is not told
        for _ in range(scale.grown_rounds):
            small, large = (
                _per_event(database, members, scale.grown_orders, key) for members, database in databases.items()
            )
            rounds.append((large, small))
    also = f"{scale.members:,} members with {entries[1]:,} entries, {scale.few_members:,} with {entries[0]:,}; SQLite"
    yield Figure(name="growth", rounds=tuple(rounds), also=also)


def _per_event(database: Database, members: int, orders: int, key: str) -> float:
    """µs for applying one more order of one of the members."""
    number = next(_numbers)
    fill(database.url, [("orders/paid", body) for body in signing.bodies(orders, number, members)], key)
    with closing(Database(database.url)) as opened:
        count, start, end = drain(opened, samples.setting(key))
    return (end - start) / count * 1e6


def _grow(database: Database, members: int, key: str) -> int:
    """Fill an empty database with members; answers how many entries they have."""
    with samples.database() as first:
        fill(first.url, [("orders/paid", body) for body in signing.bodies(1, 0, 1)], key)
        drain(first, samples.setting(key))
        connection = database.engine.raw_connection()
        with closing(connection):
            run = connection.cursor().execute
            run("ATTACH DATABASE ? AS first", (str(first.path),))
            run("PRAGMA synchronous=OFF")
            for start in range(0, members, AT_ONCE):
                run("BEGIN")
                for table, changes in {**_PER_MEMBER, **_PER_ORDER}.items():
                    columns = [row[1] for row in run(f"PRAGMA main.table_info({table})").fetchall()]
                    values = ", ".join(changes.get(name, f"t.{name}").format(members=members) for name in columns)
                    orders = ORDERS_BEFORE if table in _PER_ORDER else 1
                    last = min(start + AT_ONCE, members) - 1
                    run(
                        f"WITH RECURSIVE m(i) AS (SELECT {start} UNION ALL SELECT i + 1 FROM m WHERE i < {last}), "  # noqa: S608 - our own
                        f"o(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM o WHERE i < {orders - 1}) "
                        f"INSERT INTO main.{table} ({', '.join(columns)}) SELECT {values} FROM m, o, first.{table} t"
                    )
                run("COMMIT")
            run("DETACH DATABASE first")
            run("PRAGMA synchronous=FULL")
            run("PRAGMA wal_checkpoint(TRUNCATE)")
            return int(connection.cursor().execute("SELECT count(*) FROM entry").fetchone()[0])
