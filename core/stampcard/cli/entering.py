"""Files that are imported: how they are read, tried, and brought in to their end; consents and addresses that get no messages."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from stampcard.cli.intakes import show_end, show_trial
from stampcard.cli.invocation import INTERRUPTED, settings_of
from stampcard.cli.printing import say

if TYPE_CHECKING:
    from stampcard.app import Application
    from stampcard.domain.imports import Intake
    from stampcard.importing.files import Sheet
    from stampcard.importing.options import Options
    from stampcard.importing.presets import DateOrder
    from stampcard.importing.running import Importer
    from stampcard.importing.trying import Trial
    from stampcard.settings import Settings

T = TypeVar("T")
Json = Annotated[bool, typer.Option("--json", help="For other programs.")]
File = Annotated[Path, typer.Argument(metavar="FILE.csv", help="What the platform exported.", show_default=False)]
Said = Annotated[
    list[str] | None,
    typer.Option(
        "--map", metavar="COLUMN=FIELD", help="A column that is this field; no field leaves it out.", show_default=False
    ),
]
Encoding = Annotated[
    str, typer.Option(help="As utf-8, utf-16 or cp1252; by default as the file says, or utf-8.", show_default=False)
]
Delimiter = Annotated[
    str, typer.Option(help="What separates cells; by default what the first line has.", show_default=False)
]
Dates = Annotated[str, typer.Option(help="How 01/02/2027 is read: dmy or mdy.", show_default=False)]
Errors = Annotated[
    Path | None,
    typer.Option(help="Where refused rows go with their reasons; by default beside the file.", show_default=False),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would happen; nothing is written.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Tell the shop nothing of the new balances.")]
Zone = Annotated[
    str,
    typer.Option(help="The program in whose zone dates without one are; by default the only one.", show_default=False),
]


def consents(
    context: typer.Context,
    file: File,
    connection: Annotated[
        str, typer.Option(help="Whose references stand in the column reference.", show_default=False)
    ] = "",
    program: Zone = "",
    said: Said = None,
    encoding: Encoding = "",
    delimiter: Delimiter = "",
    dates: Dates = "",
    errors: Errors = None,
    dry_run: DryRun = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Tell neither shop nor CRM what is new.")] = False,
    json: Json = False,
) -> None:
    """Import what members said about being addressed; nobody is sent anything. Ends with 5 where rows were refused."""
    from stampcard.importing.options import Options

    options = Options(
        holds="consents",
        said=said_of(said),
        encoding=encoding,
        delimiter=delimiter_of(delimiter),
        dates=dates_of(dates),
        quiet=quiet,
        errors=errors_of(file, errors),
    )
    begin(settings_of(context), file, options, connection, program, dry_run=dry_run, json=json)


def suppressions(
    context: typer.Context,
    file: File,
    channel: Annotated[str, typer.Option(help="The channel of rows that name none.")] = "email",
    program: Zone = "",
    said: Said = None,
    encoding: Encoding = "",
    delimiter: Delimiter = "",
    dates: Dates = "",
    errors: Errors = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Import addresses that get no messages. Ends with 5 where rows were refused."""
    from stampcard.importing.options import Options

    options = Options(
        holds="suppressions",
        said=said_of(said),
        encoding=encoding,
        delimiter=delimiter_of(delimiter),
        channel=channel,
        dates=dates_of(dates),
        errors=errors_of(file, errors),
    )
    begin(settings_of(context), file, options, "", program, dry_run=dry_run, json=json)


def said_of(pairs: list[str] | None) -> dict[str, str]:
    """Which column is which field, as it was said."""
    found = {}
    for pair in pairs or ():
        name, equals, field = pair.rpartition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{pair!r} is not COLUMN=FIELD", param_hint="--map")
        found[name] = field
    return found


def delimiter_of(said: str) -> str:
    """What separates cells; a tab has a name."""
    return "\t" if said in {"tab", "\\t"} else chosen("--delimiter", said, ("", ",", ";", "|", "\t"))


def dates_of(said: str) -> DateOrder:
    """Which part of a date comes first."""
    return chosen("--dates", said, ("", "dmy", "mdy"))  # type: ignore[return-value]


def errors_of(file: Path, said: Path | None) -> str:
    """Where refused rows go; a file that is there is not written over."""
    from stampcard.importing.mistakes import free_name

    found = (said or free_name(file)).absolute()
    if said is not None and said.exists():
        raise typer.BadParameter(f"{said} is there already: name another file", param_hint="--errors")
    if not os.access(found.parent, os.W_OK):
        raise typer.BadParameter(f"{found} cannot be written: name another file", param_hint="--errors")
    return str(found)


def begin(
    settings: Settings, file: Path, options: Options, connection: str, program: str, *, dry_run: bool, json: bool
) -> None:
    """Import a file, or say what would come of it."""
    from stampcard.importing.options import looked_at

    async def use(application: Application, importer: Importer) -> tuple[Intake, bool] | Trial:
        source = _source(application, connection) if connection or options.holds == "members" else ""
        name = _program(application, program)
        sheet = await looked_at(file, options)
        await _tell_columns(application, name, sheet, options)
        if dry_run:
            return await _tried(importer, file, sheet, name, source, options)
        intake, new = await importer.begin(file, sheet, name, source, options)
        if not new and intake.state == "ended":
            return intake, False
        if not new:
            say(f"{file} was begun before: the import {intake.id} goes on")
        return await run(importer, intake, sheet), True

    found = with_importer(settings, use)
    if not isinstance(found, tuple):
        show_trial(found, options.holds, json=json)
        return
    intake, did = found
    if not did:
        say(f"{file} was imported before, as {intake.id}: nothing was changed")
    show_end(intake, json=json)


def with_importer(
    settings: Settings,
    use: Callable[[Application, Importer], Awaitable[T]],
) -> T:
    """Use an importer over the application."""
    from functools import partial

    from stampcard.cli.acting import acting, setting_of
    from stampcard.importing.running import Importer

    async def work(application: Application) -> T:
        importer = Importer(
            application.database,
            application.clock,
            partial(setting_of, application),
            application.refresh,
            application.announce,
        )
        return await use(application, importer)

    try:
        return acting(settings, work)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


async def run(importer: Importer, intake: Intake, sheet: Sheet) -> Intake:
    """Go on to the end."""
    from stampcard.cli.progressing import progress

    try:
        with progress(f"importing as {intake.id}", intake.total) as told:
            return await importer.run(intake, sheet, told)
    except asyncio.CancelledError:
        say(f"interrupted; what is done stays. Go on: stampcard import resume {intake.id}")
        raise


async def _tried(importer: Importer, file: Path, sheet: Sheet, program: str, source: str, options: Options) -> Trial:
    from stampcard.cli.progressing import progress
    from stampcard.importing.options import supposed

    with progress("looking at rows", sheet.total) as told:
        return await importer.try_out(supposed(file, sheet, program, source, options), sheet, told)


async def _tell_columns(application: Application, program: str, sheet: Sheet, options: Options) -> None:
    """Say what the columns are taken for, before anything is done."""
    from stampcard.importing.options import manner_of

    manner = manner_of(application.setting, program, sheet, options, application.clock.now())
    taken = ", ".join(f"{name} = {field}" for name, field in manner.columns.fields.values())
    say(f"columns: {taken}")
    if manner.columns.left_out:
        say(f"left out: {', '.join(manner.columns.left_out)} (--map COLUMN=FIELD takes one in)")


def chosen(flag: str, value: str, known: tuple[str, ...]) -> str:
    """One of a few words."""
    if value not in known:
        raise typer.BadParameter(f"{value!r} is none of {' '.join(known[1:]).strip()}", param_hint=flag)
    return value


def _source(application: Application, connection: str) -> str:
    """Whose customers a connection's are."""
    from stampcard.errors import NotFound, RequestRefused

    if connection not in application.connections:
        known = ", ".join(application.connections) or "none"
        raise (
            NotFound("connection", connection)
            if known == "none"
            else RequestRefused("unknown_connection", f"there is no connection {connection!r}; there is: {known}")
        )
    return application.sources.get(connection, connection)


def _program(application: Application, named: str) -> str:
    from stampcard.errors import Conflict, NotFound

    names = [live.name for live in application.setting.programs.current(application.clock.now())]
    if named:
        if named not in names:
            raise NotFound("program that is valid now", named)
        return named
    if len(names) != 1:
        raise (
            Conflict("several_programs", f"say which: --program {' or '.join(names)}")
            if names
            else NotFound("program", "any")
        )
    return names[0]
