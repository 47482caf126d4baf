from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from stampcard.cli.intakes import data_of, show_end, show_totals, show_trial
from stampcard.cli.invocation import FAILED, INTERRUPTED, opened, settings_of
from stampcard.cli.printing import moment, say, show, show_json, show_table

if TYPE_CHECKING:
    from stampcard.app import Application
    from stampcard.domain.imports import Intake
    from stampcard.importing.files import Sheet
    from stampcard.importing.options import Options
    from stampcard.importing.reconciling import Total
    from stampcard.importing.running import Importer
    from stampcard.importing.trying import Trial
    from stampcard.settings import Settings

T = TypeVar("T")
app = typer.Typer(
    no_args_is_help=True, help="Coming from another platform: members, points, tiers, history, referrals."
)

Json = Annotated[bool, typer.Option("--json", help="For other programs.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="The import's id.", show_default=False)]
#: So many members are told to a person; --json tells more.
MOST = 20


@app.command()
def members(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="What the platform exported.", show_default=False)],
    connection: Annotated[str, typer.Option(help="The connection whose customers they are.", show_default=False)],
    program: Annotated[
        str, typer.Option(help="The program that they take part in; by default the only one.", show_default=False)
    ] = "",
    preset: Annotated[str, typer.Option(help="Whose columns: stampcard, smile, yotpo or loyaltylion.")] = "stampcard",
    said: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="COLUMN=FIELD",
            help="A column that is this field; no field leaves it out.",
            show_default=False,
        ),
    ] = None,
    wallet: Annotated[
        str, typer.Option(help="The wallet of points that name none; by default the only one.", show_default=False)
    ] = "",
    encoding: Annotated[
        str, typer.Option(help="As utf-8, utf-16 or cp1252; by default as the file says, or utf-8.", show_default=False)
    ] = "",
    delimiter: Annotated[
        str, typer.Option(help="What separates cells; by default what the first line has.", show_default=False)
    ] = "",
    dates: Annotated[str, typer.Option(help="How 01/02/2027 is read: dmy or mdy.", show_default=False)] = "",
    decimals: Annotated[str, typer.Option(help="What separates decimals: . or ,", show_default=False)] = "",
    errors: Annotated[
        Path | None,
        typer.Option(help="Where refused rows go with their reasons; by default beside the file.", show_default=False),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen; nothing is written.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Tell the shop nothing of the new balances.")] = False,
    json: Json = False,
) -> None:
    """Import a file; the same file, or the same row, twice changes nothing. Ends with 5 where rows were refused."""
    from stampcard.importing.mistakes import free_name
    from stampcard.importing.options import Options, looked_at

    settings = settings_of(context)
    options = Options(
        preset=preset,
        said=_said(said or []),
        encoding=encoding,
        delimiter="\t" if delimiter in {"tab", "\\t"} else _chosen("--delimiter", delimiter, ("", ",", ";", "|", "\t")),
        wallet=wallet,
        dates=_chosen("--dates", dates, ("", "dmy", "mdy")),  # type: ignore[arg-type]
        decimals=_chosen("--decimals", decimals, ("", ".", ",")),  # type: ignore[arg-type]
        quiet=quiet,
        errors=str((errors or free_name(file)).absolute()),
    )
    if errors is not None and errors.exists():
        raise typer.BadParameter(f"{errors} is there already: name another file", param_hint="--errors")
    if not os.access(Path(options.errors).parent, os.W_OK):
        raise typer.BadParameter(f"{options.errors} cannot be written: name another file", param_hint="--errors")

    async def use(application: Application, importer: Importer) -> tuple[Intake, bool] | Trial:
        source = _source(application, connection)
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
        return await _run(importer, intake, sheet), True

    found = _importing(settings, use)
    if not isinstance(found, tuple):
        show_trial(found, json=json)
        return
    intake, did = found
    if not did:
        say(f"{file} was imported before, as {intake.id}: nothing was changed")
    show_end(intake, json=json)


@app.command("list")
def list_imports(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="So many at most.")] = 50,
    json: Json = False,
) -> None:
    """List imports, the newest first."""
    from stampcard.storage.importing import list_intakes

    merchant = settings_of(context).merchant
    with opened(settings_of(context)) as database:
        found = database.read_now(lambda connection: list_intakes(connection, merchant, limit))
    if json:
        show_json([data_of(one) for one in found])
    elif not found:
        say("Nothing was imported yet.")
    else:
        rows = [
            (
                one.id,
                moment(one.started_at),
                one.state,
                one.program,
                str(one.total),
                str(one.applied),
                str(one.refused),
                one.file,
            )
            for one in found
        ]
        show_table([("ID", "BEGAN", "STATE", "PROGRAM", "ROWS", "IMPORTED", "REFUSED", "FILE"), *rows])


@app.command("show")
def show_import(context: typer.Context, id_: Id, json: Json = False) -> None:
    """Show an import: how far it is, why rows were refused, and what of an undone one had been spent."""
    from stampcard.storage import importing

    merchant = settings_of(context).merchant
    with opened(settings_of(context)) as database:
        intake = database.read_now(lambda c: importing.load_intake(c, merchant, id_))
        reasons = database.read_now(lambda c: importing.refused_codes(c, merchant, id_))
        most = MOST if not json else 100_000
        kept = database.read_now(lambda c: importing.kept_points(c, merchant, id_, most))
    if json:
        stays = [{"member": row.member, "wallet": row.wallet, "points": int(row.points)} for row in kept]
        show_json({**data_of(intake), "reasons": reasons, "kept": stays})
        return
    show_table([(name.replace("_", " "), value) for name, value in data_of(intake).items() if value not in {None, ""}])
    for code, count in reasons.items():
        show(f"{count} rows changed nothing: {code}")
    for row in kept:
        show(f"{row.member} had spent {row.points} {row.wallet}, which stay spent")


@app.command()
def resume(context: typer.Context, id_: Id, json: Json = False) -> None:
    """Go on with an import that was interrupted, exactly where it stopped."""
    from stampcard.importing.options import same_file

    async def use(_: Application, importer: Importer) -> Intake:
        intake = await importer.load(id_)
        _check_running(intake)
        return await _run(importer, intake, await same_file(intake))

    show_end(_importing(settings_of(context), use), json=json)


@app.command()
def undo(
    context: typer.Context,
    id_: Id,
    quiet: Annotated[bool, typer.Option("--quiet", help="Tell the shop nothing of the new balances.")] = False,
    json: Json = False,
) -> None:
    """Take back what is left of an import: points that were not spent, its tiers, members who did nothing since."""
    from stampcard.cli.progressing import progress
    from stampcard.storage import importing

    settings = settings_of(context)

    async def use(_: Application, importer: Importer) -> tuple[Intake, int]:
        intake = await importer.load(id_)
        try:
            with progress("taking back", intake.total) as told:
                return await importer.undo(id_, told, quiet=quiet)
        except asyncio.CancelledError:
            say(f"interrupted; what is done stays. Go on: stampcard import undo {id_}")
            raise

    intake, gone = _importing(settings, use)
    with opened(settings) as database:
        most = MOST if not json else 100_000
        kept = database.read_now(lambda c: importing.kept_points(c, settings.merchant, id_, most))
    if json:
        stays = [{"member": row.member, "wallet": row.wallet, "points": int(row.points)} for row in kept]
        show_json({**data_of(intake), "members_removed": gone, "kept": stays})
        return
    show(f"the import {id_} is undone; members removed: {gone}")
    for row in kept:
        show(f"{row.member} had spent {row.points} {row.wallet}, which stay spent")
    if len(kept) == MOST:
        say(f"There may be more: stampcard import show {id_} --json")


@app.command()
def reconcile(context: typer.Context, id_: Id, json: Json = False) -> None:
    """Compare what the file holds, read anew, with what the ledger has of it; ends with 1 when they differ."""
    from stampcard.applying.importing import live_of
    from stampcard.importing.options import same_file
    from stampcard.importing.reconciling import reconcile as compared

    async def use(application: Application, importer: Importer) -> tuple[dict[str, Total], dict[str, int]]:
        intake, setting = await importer.load(id_), application.setting
        live = live_of(setting, intake.program, application.clock.now())
        sheet = await same_file(intake)
        totals = await application.database.read(lambda c: compared(c, setting.merchant, live, intake, sheet))
        return totals, {name: terms.scale for name, terms in live.program.wallets.items()}

    totals, scales = _importing(settings_of(context), use)
    show_totals(totals, scales, json=json)
    if any(total.difference for total in totals.values()):
        raise typer.Exit(FAILED)


def _importing(
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


async def _run(importer: Importer, intake: Intake, sheet: Sheet) -> Intake:
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


def _said(pairs: list[str]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        name, equals, field = pair.rpartition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{pair!r} is not COLUMN=FIELD", param_hint="--map")
        found[name] = field
    return found


def _chosen(flag: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise typer.BadParameter(f"{value!r} is none of {' '.join(known[1:]).strip()}", param_hint=flag)
    return value


def _source(application: Application, connection: str) -> str:
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


def _check_running(intake: Intake) -> None:
    from stampcard.errors import Conflict

    if intake.state not in {"reading", "sending"}:
        raise Conflict("import_over", f"the import {intake.id} is {intake.state}: there is nothing to go on with")
