"""SQLite's write-ahead log is copied into its file beside the work, so that no unit of work waits for it."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

#: Seconds between two copies.
_PAUSE = 0.05
#: Pages in the log from which on whoever commits copies them itself: the log must not grow without end.
MOST = 16_384


class Checkpointer:
    """Copies what was committed, soon after it was; it starts with the first commit.

    Of a large file, each commit changes pages all over it, and to write them takes longer than to commit.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._committed = threading.Event()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def wake(self) -> None:
        """Say that something was committed."""
        self._committed.set()
        if self._thread is None:
            with self._starting:
                if self._thread is None and not self._over.is_set():
                    self._thread = threading.Thread(target=self._run, name="checkpoint", daemon=True)
                    self._thread.start()

    def stop(self) -> None:
        """Finish what runs; what is left is copied when the last connection closes."""
        self._over.set()
        self._committed.set()
        with self._starting:
            if self._thread is not None:
                self._thread.join()

    def _run(self) -> None:
        with closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
            while not self._over.wait(_PAUSE):
                self._committed.wait()
                self._committed.clear()
                try:
                    copy(connection)
                except sqlite3.OperationalError:  # a disk that fails here fails the next commit, which tells of it
                    self._committed.set()


def copy(connection: sqlite3.Connection) -> None:
    """Copy whatever no reader stands in the way of."""
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").close()
