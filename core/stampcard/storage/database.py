"""Connections, threads and transactions: a unit of work is one hop into a thread and one transaction."""

from __future__ import annotations

import asyncio
import fcntl
import os
import random
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.pool import QueuePool

from stampcard.errors import ConfigurationError, Unavailable
from stampcard.storage.checkpointing import MOST, Checkpointer

T = TypeVar("T")

#: PostgreSQL's word for a deadlock, a serialisation failure, a lock that could not be had.
_TRANSIENT = frozenset({"40P01", "40001", "55P03"})
_TRIES = 6
#: Seconds after which no further try begins: a webhook's sender waits for five.
PATIENCE = 2.0
#: The same for commands, which must get their turn, above all to stop something, beside a server that writes all the time:
#: SQLite has no queue for those who wait.
LONG_PATIENCE = 30.0
_READERS = 4
#: Seconds after which a PostgreSQL server that does not answer cannot be reached, unless the URL says otherwise.
CONNECTING = 10


class Database:
    """One database, by its URL: ``sqlite:///path`` or ``postgresql://…``.

    `write` and `read` take a plain function of a connection. On SQLite one thread writes; on PostgreSQL a few do. `patience`:
    seconds after which what another holds is not waited for any more.
    """

    def __init__(self, url: str, *, writers: int = 4, patience: float = PATIENCE) -> None:
        self.url = url
        self._patience = patience
        self.is_sqlite = url.startswith("sqlite:")
        self._lock_file: int | None = None
        self._engine = _sqlite(url, patience, read_only=False) if self.is_sqlite else _postgresql(url)
        self._checkpointer = Checkpointer(self.path) if self.path is not None else None
        # What is read belongs together: balances and the lots under them must be of one moment.
        self._reading = (
            _sqlite(url, patience, read_only=True)
            if self.is_sqlite
            else self._engine.execution_options(isolation_level="REPEATABLE READ")
        )
        self._writers = ThreadPoolExecutor(1 if self.is_sqlite else writers, thread_name_prefix="write")
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="read")

    @property
    def engine(self) -> Engine:
        """The engine that writes; for migrations."""
        return self._engine

    @property
    def path(self) -> Path | None:
        """The file of an SQLite database."""
        return Path(make_url(self.url).database or "") if self.is_sqlite else None

    def claim_file(self) -> None:
        """Make sure that no other process serves this SQLite file."""
        if self.path is None:
            return
        descriptor = os.open(f"{self.path}.lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            problem = f"{self.path} is already served by another process"
            raise ConfigurationError("database", problem, "Use postgresql:// to run several") from None
        self._lock_file = descriptor

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one transaction on a writing thread; raises Unavailable when the database cannot be reached."""
        return await asyncio.get_running_loop().run_in_executor(self._writers, self.write_now, work)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on a reading thread."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self.read_now, work)

    def write_now(self, work: Callable[[Connection], T]) -> T:
        """`write` on the calling thread; deadlocks and lost connections run the whole of it again."""
        started, attempt = time.monotonic(), 0
        while True:
            try:
                with self._engine.begin() as connection:
                    found = work(connection)
            except (OperationalError, InterfaceError, DBAPIError) as error:
                if not is_transient(error):
                    raise
                attempt += 1
                if attempt == _TRIES or time.monotonic() - started > self._patience:
                    raise Unavailable("the database") from error
                time.sleep(random.uniform(0, 0.02 * 2**attempt))
            else:
                if self._checkpointer is not None:
                    self._checkpointer.wake()
                return found

    def read_now(self, work: Callable[[Connection], T]) -> T:
        """`read` on the calling thread."""
        try:
            with self._reading.begin() as connection:
                return work(connection)
        except (OperationalError, InterfaceError) as error:
            if is_transient(error):
                raise Unavailable("the database") from error
            raise

    def close(self) -> None:
        """Finish what runs, then close every connection."""
        self._writers.shutdown(wait=True)
        self._readers.shutdown(wait=True)
        if self._checkpointer is not None:
            self._checkpointer.stop()
        self._engine.dispose()
        self._reading.dispose()
        if self._lock_file is not None:
            os.close(self._lock_file)


def is_transient(error: DBAPIError) -> bool:
    """Whether running the same work again may succeed: the database is busy, restarts, is full or out of reach."""
    if error.connection_invalidated:
        return True
    original = error.orig
    if isinstance(original, sqlite3.OperationalError):
        words = str(original)
        return any(word in words for word in ("locked", "busy", "full", "disk I/O", "unable to open"))
    state = getattr(original, "sqlstate", None)
    if state is None:  # a server that cannot be reached; with a statement it is the statement that is wrong
        return isinstance(error, OperationalError) and error.statement is None
    return state in _TRANSIENT or state[:2] in {"08", "53", "57", "58"}


def _sqlite(url: str, patience: float, *, read_only: bool) -> Engine:
    path = make_url(url).database
    if not path or path == ":memory:":
        raise ConfigurationError("database", f"{url!r} names no file", "Write sqlite:///stampcard.db")
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=_READERS if read_only else 2,
        connect_args={"check_same_thread": False, "timeout": 2},
        hide_parameters=True,
    )

    @event.listens_for(engine, "do_connect")
    def _make(*_: Any) -> None:
        # SQLite itself would let everybody read a new file; what it keeps beside one has the mode of that. A file that is
        # there must never be opened here: to close it again would give up all locks that this process has on it.
        with suppress(OSError):
            os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL, 0o600))

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None
        # Kilobytes of pages that a connection keeps; there are several readers.
        cache = 16_384 if read_only else 65_536
        pragmas = ["journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={patience * 1000:.0f}"]
        pragmas.append(f"cache_size=-{cache}")
        pragmas.append("query_only=ON" if read_only else f"wal_autocheckpoint={MOST}")
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A deferred transaction that reads first and writes later fails at once when another wrote meanwhile.
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


def _postgresql(url: str) -> Engine:
    _, _, rest = url.partition("://")
    options = "-c statement_timeout=60000 -c idle_in_transaction_session_timeout=15000"
    waits = {} if "connect_timeout=" in rest else {"connect_timeout": CONNECTING}
    return create_engine(
        f"postgresql+psycopg://{rest}",
        pool_size=10,
        max_overflow=4,
        pool_pre_ping=False,
        connect_args={"options": options, **waits},
        hide_parameters=True,
    )
