from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec import to_builtins

from stampcard.cli import versions
from stampcard.cli.invocation import INVALID, opened, settings_of
from stampcard.cli.people import user
from stampcard.cli.printing import say, show, show_json, show_table
from stampcard.cli.versions import Author, chosen_version
from stampcard.errors import ProgramError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from stampcard.storage.planning import StoredVersion

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
    from_: Annotated[
        str,
        typer.Option(
            "--from",
            help="From when on: 2026-12-01 or 2026-12-01T08:00, in the program's time zone; by default from now on.",
            show_default=False,
        ),
    ] = "",
    note: Annotated[str, typer.Option(help="Why, for those who read the list later.")] = "",
    author: Author = "",
    json: Json = False,
) -> None:
    """Make a program file valid, from now or a later moment on; every running process takes it within a second."""
    from stampcard.clock import SystemClock
    from stampcard.program.beginning import local, read_beginning
    from stampcard.storage.programming import find_version, newest_versions, read_file, store_version

    program, text = read_file(file)
    begins = read_beginning(from_, program.zone) if from_ else None
    settings, author, now = settings_of(context), author or user(), SystemClock().now()
    with opened(settings, create=True) as database:

        def store(connection: Connection) -> tuple[StoredVersion, bool]:
            merchant, name = settings.merchant, program.program
            before = newest_versions(connection, merchant).get(name)
            number = store_version(connection, merchant, program, text, author, note, now, valid_from=begins)
            return find_version(connection, merchant, name, number), before is None or number != before.number

        version, changed = database.write_now(store)
    named = f"program {version.program!r}: version {version.number}"
    if json:
        valid = {"version": version.number, "changed": changed, "valid_from": version.valid_from}
        show_json({"program": version.program, **valid})
    elif not changed:
        show(f"{named} has this text already, so nothing changed")
    elif version.valid_from > now:
        show(f"{named} is planned: it is valid from {local(version.valid_from, program.zone)} on")
        show(f"Take it back: stampcard program cancel {version.program} {version.number}")
    else:
        show(f"{named} is valid now")


@app.command("list")
def list_versions(context: typer.Context, json: Json = False) -> None:
    """Show every version of every program, and which is valid, was, or will be."""
    from stampcard.clock import SystemClock
    from stampcard.storage.planning import states
    from stampcard.storage.programming import stored_versions

    settings = settings_of(context)
    with opened(settings) as database:
        versions = database.read_now(lambda connection: stored_versions(connection, settings.merchant, withdrawn=True))
    state = states(versions, SystemClock().now())
    rows = [
        {
            "program": version.program,
            "number": version.number,
            "state": state[version.program, version.number],
            "valid_from": None if version.is_withdrawn else version.valid_from,
            "author": version.author,
            "note": version.note,
        }
        for version in versions
    ]
    if json:
        show_json(rows)
    elif not versions:
        say("The database has no program yet. Apply one by: stampcard program apply FILE")
    else:
        cells = [["" if cell is None else cell for cell in row.values()] for row in rows]
        show_table([("PROGRAM", "VERSION", "STATE", "VALID FROM", "AUTHOR", "NOTE"), *cells])


@app.command()
def diff(
    context: typer.Context,
    file: File,
    against: Annotated[
        int | None, typer.Option(help="The version to compare with; by default what is valid now.", show_default=False)
    ] = None,
) -> None:
    """Show how a program file differs from what is valid: first in words, then line by line."""
    from stampcard.program.comparing import changes
    from stampcard.program.reading import read_program
    from stampcard.storage.programming import read_file

    program, text = read_file(file)
    stored = chosen_version(settings_of(context), program.program, against)
    if stored is not None and stored.source == text:
        return
    before = read_program(stored.source, stored.told) if stored else None
    for line in changes(before, program) or ["nothing but comments and layout"]:
        show(line)
    show("")
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


app.command()(versions.pull)
app.command()(versions.revert)
app.command()(versions.cancel)
