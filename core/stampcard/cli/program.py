from __future__ import annotations

import difflib
import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec import to_builtins

from stampcard.cli.invocation import INVALID, opened, settings_of
from stampcard.cli.printing import say, show, show_json, show_table
from stampcard.errors import ProgramError

if TYPE_CHECKING:
    from sqlalchemy import Connection

app = typer.Typer(no_args_is_help=True, help="Loyalty programs: the file is a draft, the database has what is valid.")

File = Annotated[Path, typer.Argument(help="A program file.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="For other programs.")]


@app.command()
def check(file: File, json: Json = False) -> None:
    """Say everything that is wrong with a program file, with lines and columns, and hint at what may not be meant."""
    from stampcard.clock import SystemClock
    from stampcard.program.linting import hints
    from stampcard.storage.programming import read_file

    try:
        program, text = read_file(file)
    except ProgramError as error:
        if not json:
            raise
        show_json({"file": str(file), "ok": False, "problems": _problems(error)})
        raise typer.Exit(INVALID) from None
    found = hints(program, text, SystemClock().now().astimezone(program.zone).date())
    if json:
        told = [to_builtins(hint) for hint in found]
        show_json({"file": str(file), "ok": True, "program": program.program, "problems": [], "hints": told})
        return
    count = f"{len(program.rules)} rule{'s' * (len(program.rules) != 1)}"
    show(f"{file}: program {program.program!r} is right: {count}")
    for hint in found:
        say(f"hint: {hint}")


@app.command()
def apply(
    context: typer.Context,
    file: File,
    note: Annotated[str, typer.Option(help="Why, for those who read the list later.")] = "",
    author: Annotated[str, typer.Option(help="Who; by default the user of this machine.", show_default=False)] = "",
    json: Json = False,
) -> None:
    """Make a program file valid from now on; every running process takes it within a second."""
    from stampcard.clock import SystemClock
    from stampcard.storage.programming import newest_versions, read_file, store_version

    program, text = read_file(file)
    settings, author = settings_of(context), author or _user()
    with opened(settings, create=True) as database:

        def store(connection: Connection) -> tuple[int, int]:
            before = newest_versions(connection, settings.merchant).get(program.program)
            now = SystemClock().now()
            number = store_version(connection, settings.merchant, program, text, author, note, now)
            return number, before.number if before else 0

        number, before = database.write_now(store)
    if json:
        show_json({"program": program.program, "version": number, "changed": number != before})
    elif number == before:
        show(f"program {program.program!r}: version {number} has this text already, so nothing changed")
    else:
        show(f"program {program.program!r}: version {number} is valid now")


@app.command("list")
def list_versions(context: typer.Context, json: Json = False) -> None:
    """Show every version of every program."""
    from stampcard.storage.programming import stored_versions

    settings = settings_of(context)
    with opened(settings) as database:
        versions = database.read_now(lambda connection: stored_versions(connection, settings.merchant))
    if json:
        keys = ("program", "number", "valid_from", "author", "note")
        show_json([{key: getattr(version, key) for key in keys} for version in versions])
    elif not versions:
        say("The database has no program yet. Apply one by: stampcard program apply FILE")
    else:
        rows = [(v.program, v.number, f"{v.valid_from:%Y-%m-%d %H:%M:%S}Z", v.author, v.note) for v in versions]
        show_table([("PROGRAM", "VERSION", "VALID FROM", "AUTHOR", "NOTE"), *rows])


@app.command()
def diff(context: typer.Context, file: File) -> None:
    """Show how a program file differs from what is valid."""
    from stampcard.storage.programming import newest_versions, read_file

    program, text = read_file(file)
    settings = settings_of(context)
    with opened(settings) as database:
        newest = database.read_now(lambda connection: newest_versions(connection, settings.merchant))
    stored = newest.get(program.program)
    valid = f"{program.program}, version {stored.number}" if stored else "nothing"
    lines = difflib.unified_diff(
        stored.source.splitlines() if stored else [], text.splitlines(), valid, str(file), lineterm=""
    )
    for line in lines:
        show(line)


@app.command()
def schema() -> None:
    """Print the JSON Schema of a program file, for editors."""
    from stampcard.program.schema import program_schema

    show_json(program_schema())


def _problems(error: ProgramError) -> list[dict[str, object]]:
    return [
        {"line": one.line, "column": one.column, "path": one.path, "message": one.message} for one in error.problems
    ]


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""
