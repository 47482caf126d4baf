from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stampcard.cli.invocation import opened, settings_of
from stampcard.cli.people import user
from stampcard.cli.printing import say, show
from stampcard.errors import ConfigurationError, Conflict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from stampcard.settings import Settings
    from stampcard.storage.planning import StoredVersion

Program = Annotated[str, typer.Argument(metavar="PROGRAM", help="A program's id.", show_default=False)]
Number = Annotated[int, typer.Argument(metavar="VERSION", help="As `program list` shows it.", show_default=False)]
Author = Annotated[str, typer.Option(help="Who; by default the user of this machine.", show_default=False)]


def pull(
    context: typer.Context,
    program: Program,
    version: Annotated[
        int | None, typer.Option(help="Which; by default the one that is valid now.", show_default=False)
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Where to; by default to stdout.", show_default=False)] = None,
    force: Annotated[bool, typer.Option("--force", help="Also over a file that no version holds.")] = False,
) -> None:
    """Write a program's text as the database has it, so that the file is up to date again."""
    settings = settings_of(context)
    known = _stored(settings)
    stored = chosen_version(settings, program, version)
    if stored is None:
        from stampcard.storage.programming import unknown_program

        raise unknown_program(program, known)
    if output is None:
        sys.stdout.write(stored.source)
        return
    if not force:
        _check_overwritable(output, {one.source for one in known})
    try:
        output.write_text(stored.source, encoding="utf-8", newline="")
    except OSError as error:
        raise ConfigurationError("output", f"{output} cannot be written ({error.strerror})") from None
    say(f"{output} is now {program}, version {stored.number}")


def revert(
    context: typer.Context,
    program: Program,
    version: Number,
    note: Annotated[str, typer.Option(help="Why, for those who read the list later.")] = "",
    author: Author = "",
) -> None:
    """Make an old version's text valid again, as a new version."""
    from stampcard.clock import SystemClock
    from stampcard.storage.programming import newest_versions, revert_version

    settings, by, now = settings_of(context), author or user(), SystemClock().now()

    def work(connection: Connection) -> tuple[int, bool]:
        before = newest_versions(connection, settings.merchant).get(program)
        number = revert_version(connection, settings.merchant, program, version, by, note, now)
        return number, before is None or before.number != number

    with opened(settings) as database:
        number, changed = database.write_now(work)
    same = f"has the text of version {version}"
    show(f"program {program!r}: version {number} {same + ' and is valid now' if changed else same + ' already'}")


def cancel(context: typer.Context, program: Program, version: Number, author: Author = "") -> None:
    """Take back a version that is planned and not valid yet."""
    from stampcard.clock import SystemClock
    from stampcard.storage.planning import minute, planned_versions
    from stampcard.storage.programming import stored_versions, withdraw_version

    settings, by, now = settings_of(context), author or user(), SystemClock().now()

    def work(connection: Connection) -> tuple[StoredVersion, list[StoredVersion]]:
        withdrawn = withdraw_version(connection, settings.merchant, program, version, by, now)
        left = [one for one in stored_versions(connection, settings.merchant) if one.program == program]
        return withdrawn, planned_versions(left, now)

    with opened(settings) as database:
        withdrawn, planned = database.write_now(work)
    show(f"program {program!r}: version {version} is withdrawn; it was planned from {minute(withdrawn.valid_from)} on")
    for one in planned:
        show(f"version {one.number} is still planned, from {minute(one.valid_from)} on")


def chosen_version(settings: Settings, program: str, number: int | None) -> StoredVersion | None:
    """The version of this number; without one what is valid now, or else what will be first. None for no program."""
    from stampcard.clock import SystemClock
    from stampcard.storage.planning import minute, planned_versions, valid_version
    from stampcard.storage.programming import find_version

    if number is not None:
        with opened(settings) as database:
            return database.read_now(lambda connection: find_version(connection, settings.merchant, program, number))
    now = SystemClock().now()
    ours = [version for version in _stored(settings) if version.program == program]
    valid, planned = valid_version(ours, now), planned_versions(ours, now)
    for one in planned:
        say(f"version {one.number} is planned from {minute(one.valid_from)} on")
    return valid or next(iter(planned), None)


def _stored(settings: Settings) -> Sequence[StoredVersion]:
    from stampcard.storage.programming import stored_versions

    with opened(settings) as database:
        return database.read_now(lambda connection: stored_versions(connection, settings.merchant))


def _check_overwritable(output: Path, known: set[str]) -> None:
    """Raise Conflict where a draft that the database does not have would be lost."""
    try:
        there = output.read_text(encoding="utf-8")
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError):
        there = None
    if there not in known:
        problem = f"{output} holds what no version does, and would be lost: name another file, or add --force"
        raise Conflict("draft", problem)
