"""Connections that were added while Stampcard was there: their settings lie sealed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, select

from stampcard.clock import from_micros, to_micros
from stampcard.domain.commands import AUDIENCE, PASS
from stampcard.domain.value import Value
from stampcard.sealing import Sealer
from stampcard.storage import audiences, saving, tables
from stampcard.storage.commanding import tell
from stampcard.storage.contacts import forget_connection
from stampcard.storage.numbering import Numbering
from stampcard.storage.passes import SAVES, forget_shown
from stampcard.storage.requeueing import drop_command
from stampcard.storage.revising import bump
from stampcard.storage.rows import open_object, seal_object
from stampcard.storage.sweeping import JOBS
from stampcard.storage.tables import connection_state, fetch, job, outbox, push, store

_table = tables.connection


class Plugged(Value, frozen=True):
    """A connection of the database; `settings` are its plugin's own, secrets among them.

    `orders_of`: the connection whose orders it reports, if not its own. `author`: who changed it last.
    """

    name: str
    plugin: str
    settings: Mapping[str, Any]
    added_at: datetime
    changed_at: datetime
    orders_of: str = ""
    author: str = ""

    @property
    def section(self) -> dict[str, Any]:
        """The same as a section of the settings file has it."""
        return {"plugin": self.plugin, **({"orders_of": self.orders_of} if self.orders_of else {}), **self.settings}


def load_plugged(connection: Connection, merchant: str, sealer: Sealer) -> list[Plugged]:
    """All of a merchant's, by name."""
    found = connection.execute(select(_table).where(_table.c.merchant == merchant).order_by(_table.c.name))
    return [
        Plugged(
            name=row.name,
            plugin=row.plugin,
            settings=open_object(sealer, row.settings_sealed, _about(merchant, row.name)),
            added_at=from_micros(row.added_at),
            changed_at=from_micros(row.changed_at),
            orders_of=row.orders_of,
            author=row.author,
        )
        for row in found
    ]


def load_owners(connection: Connection, merchant: str) -> dict[str, str]:
    """Connection → the one whose orders it reports, where that is another."""
    found = select(_table.c.name, _table.c.orders_of).where(_table.c.merchant == merchant, _table.c.orders_of != "")
    return {row.name: row.orders_of for row in connection.execute(found)}


def save_plugged(connection: Connection, merchant: str, sealer: Sealer, one: Plugged) -> None:
    """Add or change a connection; every process plugs it in within a second."""
    row = {
        "merchant": merchant,
        "name": one.name,
        "plugin": one.plugin,
        "orders_of": one.orders_of,
        "settings_sealed": seal_object(sealer, one.settings, _about(merchant, one.name)),
        "author": one.author,
        "added_at": to_micros(one.added_at),
        "changed_at": to_micros(one.changed_at),
    }
    saving.upsert(connection, "connection", [row])
    bump(connection, merchant)


def remove_plugged(
    connection: Connection, merchant: str, sealer: Sealer, numbering: Numbering, name: str, now: datetime
) -> int:
    """Let a connection go, with what its plugin kept and what was to be sent or fetched; what it brought stays.

    Rewards that were to be made real there are given up, their points go back. A command of which nobody knows whether it
    was done stays for people. Answers how much was not sent.
    """
    mine = (push.c.merchant == merchant, push.c.connection == name)
    unsent = connection.execute(select(func.count()).where(*mine, push.c.wanted > push.c.sent)).scalar() or 0
    dropped = drop_waiting(connection, merchant, sealer, numbering, name, now)
    for of in (push, fetch, store, connection_state):
        connection.execute(delete(of).where(of.c.merchant == merchant, of.c.connection == name))
    connection.execute(delete(_table).where(_table.c.merchant == merchant, _table.c.name == name))
    jobs = [f"{kind}:{name}" for kind in ("reconcile", "backfill", AUDIENCE, PASS, SAVES, *JOBS)]
    connection.execute(delete(job).where(job.c.merchant == merchant, job.c.name.in_(jobs)))
    forget_connection(connection, merchant, name)
    audiences.forget_connection(connection, merchant, name)
    forget_shown(connection, merchant, name)
    bump(connection, merchant)
    return unsent + dropped


def drop_waiting(
    connection: Connection,
    merchant: str,
    sealer: Sealer,
    numbering: Numbering,
    name: str,
    now: datetime,
    kind: str | None = None,
) -> int:
    """Never send what waits to be done at a connection, or what of a kind does; answers how much that was.

    Rewards that were to be made real there are given up, their points go back.
    """
    waiting = select(outbox.c.id).where(
        outbox.c.merchant == merchant, outbox.c.connection == name, outbox.c.status.in_(("ready", "dead"))
    )
    if kind is not None:
        waiting = waiting.where(outbox.c.kind == kind)
    ids = list(connection.execute(waiting.order_by(outbox.c.id)).scalars())
    told = [drop_command(connection, merchant, id_, f"the connection {name} was removed", now) for id_ in ids]
    tell(connection, merchant, sealer, numbering, [one for one in told if one is not None])
    return len(ids)


def _about(merchant: str, name: str) -> str:
    return f"connection:{merchant}:{name}"
