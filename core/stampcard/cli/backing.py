"""stampcard db backup: a copy of the database while it is served, and the note that there is one."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stampcard.cli.invocation import FAILED, opened, settings_of
from stampcard.cli.printing import say, show, show_json
from stampcard.errors import ConfigurationError

if TYPE_CHECKING:
    from datetime import datetime

    from stampcard.storage.database import Database

#: Bytes of a page, unless somebody chose otherwise: only for telling how far it is.
_PAGE = 4096
_DUMP = 'pg_dump --format=custom --file=FILE "$STAMPCARD_DATABASE"; then: stampcard db backup --made-elsewhere'


def backup(
    context: typer.Context,
    to: Annotated[
        Path | None,
        typer.Option(
            "--to", metavar="FILE", help="Where; else beside the database, with the moment.", show_default=False
        ),
    ] = None,
    made_elsewhere: Annotated[
        bool, typer.Option("--made-elsewhere", help="Copy nothing: remember that another program made one just now.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="For other programs.")] = False,
) -> None:
    """Copy the database as of this moment, while a server serves it, look whether the copy is whole, and remember it.

    An SQLite file is copied by SQLite itself; for PostgreSQL `pg_dump` is run, where it is there. The keys are not in it.
    """
    from stampcard.clock import SystemClock
    from stampcard.storage.copying import remember_backup

    settings, now = settings_of(context), SystemClock().now()
    with opened(settings) as database:
        target, size = to, 0
        if not made_elsewhere:
            target = (to or _usual(database, now)).absolute()
            size = _copied(database, target)
        place = str(target or "")
        database.write_now(lambda connection: remember_backup(connection, settings.merchant, place, size, now))
    if json:
        show_json({"file": place, "bytes": size, "at": now})
        return
    show(place or "remembered")
    if not made_elsewhere:
        say(
            f"{size} bytes. Take the file to another machine, and {settings.key_file} to yet another, if it is not there."
        )


def _usual(database: Database, now: datetime) -> Path:
    moment = f"{now:%Y%m%dT%H%M%SZ}"
    if database.path is not None:
        return database.path.with_name(f"{database.path.name}.backup-{moment}")
    return Path(f"{database.engine.url.database or 'stampcard'}.backup-{moment}.dump")


def _copied(database: Database, target: Path) -> int:
    """The bytes of the copy."""
    from stampcard.cli.progressing import progress
    from stampcard.storage.copying import copy_file

    try:
        if database.path is None:
            return _dumped(database, target)
        with progress("copying pages", database.path.stat().st_size // _PAGE) as told:
            return copy_file(database.path, target, lambda done, _: told(done))
    except OSError as error:
        say(f"error: {error.filename or target}: cannot be written ({error.strerror})")
        raise typer.Exit(FAILED) from None


def _dumped(database: Database, target: Path) -> int:
    """What pg_dump makes of a PostgreSQL database; the password goes by the environment, where nobody else sees it."""
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    from stampcard.storage.copying import fresh

    program = shutil.which("pg_dump")
    if program is None:
        raise ConfigurationError(
            "database", "pg_dump is not on this machine, and PostgreSQL is copied by it", f"Run: {_DUMP}"
        )
    known = conninfo_to_dict(database.url)
    password = known.pop("password", None)
    with fresh(target) as part, part.open("wb") as file:
        done = subprocess.run(  # noqa: S603 - PostgreSQL's own program
            [
                program,
                "--format=custom",
                "--no-password",
                f"--dbname={make_conninfo(**{name: str(value) for name, value in known.items()})}",
            ],
            env={**os.environ, **({"PGPASSWORD": str(password)} if password else {})},
            stdout=file,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode:
            for line in done.stderr.strip().splitlines():
                say(line)
            say("error: pg_dump could not do it")
            raise typer.Exit(FAILED)
    return target.stat().st_size
