"""What every command starts from: the global options, the settings they lead to, and the database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from stampcard.errors import ConfigurationError, PluginError, ProgramError, StampcardError, Unavailable

if TYPE_CHECKING:
    from stampcard.settings import Settings
    from stampcard.storage.database import Database

FAILED, USAGE, INVALID, UNREACHABLE, PARTLY, INTERRUPTED = 1, 2, 3, 4, 5, 130

_CODES: tuple[tuple[type[StampcardError], int], ...] = (
    (ConfigurationError, INVALID),
    (ProgramError, INVALID),
    (PluginError, INVALID),
    (Unavailable, UNREACHABLE),
)


@dataclass(frozen=True, slots=True)
class Invocation:
    """The global options."""

    config: Path | None = None
    debug: bool = False


def exit_code(error: StampcardError) -> int:
    """What a command ends with when this is raised."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), FAILED)


def invocation_of(context: typer.Context) -> Invocation:
    """The global options that this command was called with."""
    return context.find_object(Invocation) or Invocation()


def settings_of(context: typer.Context) -> Settings:
    """The settings; raises ConfigurationError."""
    from stampcard.settings import load_settings

    return load_settings(invocation_of(context).config)


def settings_with_origins(context: typer.Context) -> tuple[Settings, Callable[[str], str]]:
    """The settings, and where each was set."""
    from stampcard.settings import load_with_origins

    return load_with_origins(invocation_of(context).config)


@contextmanager
def opened(settings: Settings, *, create: bool = False) -> Iterator[Database]:
    """The database in the shape that this version needs; `create` makes an SQLite file that is not there yet.

    Raises ConfigurationError when there is none or its shape is another, Unavailable when it cannot be reached.
    """
    from stampcard.storage import migrating

    with reached(settings, create=create) as database:
        if create and database.path is not None and not database.path.exists():
            migrating.upgrade(database)
        found = database.read_now(migrating.current)
        if found != migrating.head():
            problem = f"the database has shape {found or 'none'}, this version needs {migrating.head()}"
            raise ConfigurationError("database", problem, "Run: stampcard db upgrade")
        yield database


@contextmanager
def reached(settings: Settings, *, create: bool = False) -> Iterator[Database]:
    """The database in whatever shape it is; with `create` also one whose file is not there yet."""
    from sqlalchemy.exc import DBAPIError

    from stampcard.storage.database import LONG_PATIENCE, Database

    database = Database(settings.database, patience=LONG_PATIENCE)
    try:
        if not create and database.path is not None and not database.path.is_file():
            raise ConfigurationError("database", f"there is no file {database.path}", "Make it: stampcard db upgrade")
        yield database
    except (DBAPIError, Unavailable) as error:
        cause = error if isinstance(error, DBAPIError) else error.__cause__
        if not isinstance(cause, DBAPIError):
            raise
        # The driver names server, user and reason; the URL with its password is not among its words.
        reason = str(cause.orig).partition("\n")[0]
        raise Unavailable(f"the database ({reason})") from error
    finally:
        database.close()
