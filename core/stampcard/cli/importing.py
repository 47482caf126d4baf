from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from stampcard.cli import entering
from stampcard.cli.entering import (
    Dates,
    Delimiter,
    DryRun,
    Encoding,
    Errors,
    File,
    Json,
    Quiet,
    Said,
    begin,
    chosen,
    dates_of,
    delimiter_of,
    errors_of,
    run,
    said_of,
    with_importer,
)
from stampcard.cli.intakes import data_of, show_end, show_totals
from stampcard.cli.invocation import FAILED, opened, settings_of
from stampcard.cli.printing import moment, say, show, show_json, show_table

if TYPE_CHECKING:
    from stampcard.app import Application
    from stampcard.domain.imports import Intake
    from stampcard.importing.reconciling import Total
    from stampcard.importing.running import Importer

app = typer.Typer(
    no_args_is_help=True, help="Coming from another platform: members, points, tiers, history, referrals, consents."
)

Id = Annotated[str, typer.Argument(metavar="ID", help="The import's id.", show_default=False)]
#: So many members are told to a person; --json tells more.
MOST = 20


@app.command()
def members(
    context: typer.Context,
    file: File,
    connection: Annotated[str, typer.Option(help="The connection whose customers they are.", show_default=False)],
    program: Annotated[
        str, typer.Option(help="The program that they take part in; by default the only one.", show_default=False)
    ] = "",
    preset: Annotated[str, typer.Option(help="Whose columns: stampcard, smile, yotpo or loyaltylion.")] = "stampcard",
    said: Said = None,
    wallet: Annotated[
        str, typer.Option(help="The wallet of points that name none; by default the only one.", show_default=False)
    ] = "",
    encoding: Encoding = "",
    delimiter: Delimiter = "",
    dates: Dates = "",
    decimals: Annotated[str, typer.Option(help="What separates decimals: . or ,", show_default=False)] = "",
    errors: Errors = None,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Import a file; the same file, or the same row, twice changes nothing. Ends with 5 where rows were refused."""
    from stampcard.importing.options import Options

    options = Options(
        preset=preset,
        said=said_of(said),
        encoding=encoding,
        delimiter=delimiter_of(delimiter),
        wallet=wallet,
        dates=dates_of(dates),
        decimals=chosen("--decimals", decimals, ("", ".", ",")),  # type: ignore[arg-type]
        quiet=quiet,
        errors=errors_of(file, errors),
    )
    begin(settings_of(context), file, options, connection, program, dry_run=dry_run, json=json)


app.command("consents")(entering.consents)
app.command("suppressions")(entering.suppressions)


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
                one.holds,
                one.state,
                one.program,
                str(one.total),
                str(one.applied),
                str(one.refused),
                one.file,
            )
            for one in found
        ]
        show_table([("ID", "BEGAN", "HOLDS", "STATE", "PROGRAM", "ROWS", "IMPORTED", "REFUSED", "FILE"), *rows])


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
        return await run(importer, intake, await same_file(intake))

    show_end(with_importer(settings_of(context), use), json=json)


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

    intake, gone = with_importer(settings, use)
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
    from stampcard.errors import Conflict
    from stampcard.importing.options import same_file
    from stampcard.importing.reconciling import reconcile as compared

    async def use(application: Application, importer: Importer) -> tuple[dict[str, Total], dict[str, int]]:
        intake, setting = await importer.load(id_), application.setting
        if intake.holds != "members":
            raise Conflict("no_points", f"an import of {intake.holds} has no points to compare")
        live = live_of(setting, intake.program, application.clock.now())
        sheet = await same_file(intake)
        totals = await application.database.read(lambda c: compared(c, setting.merchant, live, intake, sheet))
        return totals, {name: terms.scale for name, terms in live.program.wallets.items()}

    totals, scales = with_importer(settings_of(context), use)
    show_totals(totals, scales, json=json)
    if any(total.difference for total in totals.values()):
        raise typer.Exit(FAILED)


def _check_running(intake: Intake) -> None:
    from stampcard.errors import Conflict

    if intake.state not in {"reading", "sending"}:
        raise Conflict("import_over", f"the import {intake.id} is {intake.state}: there is nothing to go on with")
