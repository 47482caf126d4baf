"""A copy of an SQLite file as of one moment, while others write to it; and when the last backup was made."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import mkstemp

from sqlalchemy import Connection

from stampcard.errors import ConfigurationError
from stampcard.storage.jobs import Job, begin_job, load_job, move_job

JOB = "backup"
#: How many pages are copied between two looks at how far it is.
_PAGES = 4096


def copy_file(path: Path, target: Path, told: Callable[[int, int], None] = lambda *_: None) -> int:
    """Copy an SQLite file and look whether the copy is whole; answers its bytes, and tells pages that are done, of all.

    Only then it gets its name, so that no half of a copy is taken for one. Raises ConfigurationError where the target is
    there already, and OSError where it cannot be written.
    """
    with fresh(target) as part:
        with closing(sqlite3.connect(path, isolation_level=None)) as source, closing(sqlite3.connect(part)) as copy:
            # As long as this reads, the copy is of one moment; else it would begin anew with every commit.
            source.execute("BEGIN")
            source.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            source.backup(copy, pages=_PAGES, progress=lambda _, left, all_: told(all_ - left, all_))
        problem = damage_of(part)
        if problem:
            raise ConfigurationError("database", f"the copy is not whole: {problem}", "Run: stampcard db check")
    return target.stat().st_size


@contextmanager
def fresh(target: Path) -> Iterator[Path]:
    """A new file for whoever makes a copy, which nobody else may read; it gets the target's name if all goes well.

    Its own name cannot be guessed, so that nobody who may write to the folder has one lying there that the copy would go to.
    Raises as `copy_file` does.
    """
    if target.exists():
        raise taken(target)
    descriptor, name = mkstemp(prefix=f"{target.name}.", suffix=".part", dir=target.parent)
    os.close(descriptor)
    part = Path(name)
    try:
        yield part
        _name(part, target)
    finally:
        part.unlink(missing_ok=True)


def damage_of(path: Path) -> str:
    """What SQLite finds wrong with a file that nobody writes to; empty when it is whole."""
    with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as connection:
        try:
            first: str = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
        except sqlite3.DatabaseError as error:
            return str(error)
    return "" if first == "ok" else first


def remember_backup(connection: Connection, merchant: str, target: str, size: int, now: datetime) -> None:
    """Write down that a backup was made, and where."""
    begin_job(connection, merchant, JOB, size, now)
    move_job(connection, merchant, JOB, target, size, now)


def last_backup(connection: Connection, merchant: str) -> Job | None:
    """The last backup: its place, its bytes, and when it ended."""
    return load_job(connection, merchant, JOB)


def _name(part: Path, target: Path) -> None:
    try:
        os.link(part, target)
    except FileExistsError:
        raise taken(target) from None
    except OSError:  # not every file system knows links
        if target.exists():
            raise taken(target) from None
        part.rename(target)


def taken(target: Path) -> ConfigurationError:
    """A copy never takes the place of another file."""
    return ConfigurationError("--to", f"{target} is there already", "Name a file that is not there yet")
