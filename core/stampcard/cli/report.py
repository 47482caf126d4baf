from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from stampcard.cli.invocation import opened, settings_of
from stampcard.cli.printing import say, show, show_json, show_table
from stampcard.engine.reports import REPORTS

if TYPE_CHECKING:
    from stampcard.engine.columns import Column, Report
    from stampcard.engine.reporting import Told

app = typer.Typer(
    no_args_is_help=True,
    help="Reports: figures of a program, day by day or in all. What each counts: docs/reference/reports.md.",
)

First = Annotated[
    str,
    typer.Option("--from", help="The first day, as 2026-10-01; by default the first of the month.", show_default=False),
]
Last = Annotated[str, typer.Option("--to", help="The last day; by default today.", show_default=False)]
Program = Annotated[str, typer.Option(help="The program; by default the only one.", show_default=False)]
By = Annotated[
    Literal["day", "week", "month"] | None, typer.Option(help="A row for each of these.", show_default=False)
]
Wallet = Annotated[str, typer.Option(help="Only this wallet.", show_default=False)]
Csv = Annotated[bool, typer.Option("--csv", help="For a spreadsheet.")]
Json = Annotated[bool, typer.Option("--json", help="For other programs.")]


def _command(report: Report) -> Callable[..., None]:
    """The command of a report, with the options that it knows."""
    if report.splits and report.by_wallet:

        def split_wallet(
            context: typer.Context, first: First = "", last: Last = "", program: Program = "", by: By = None,
            wallet: Wallet = "", csv: Csv = False, json: Json = False,
        ) -> None:  # fmt: skip
            tell(context, report, first, last, program, by or "", wallet, csv=csv, json=json)

        return split_wallet
    if report.splits:

        def split(
            context: typer.Context, first: First = "", last: Last = "", program: Program = "", by: By = None,
            csv: Csv = False, json: Json = False,
        ) -> None:  # fmt: skip
            tell(context, report, first, last, program, by or "", "", csv=csv, json=json)

        return split
    if report.by_wallet:

        def of_wallet(
            context: typer.Context, first: First = "", last: Last = "", program: Program = "", wallet: Wallet = "",
            csv: Csv = False, json: Json = False,
        ) -> None:  # fmt: skip
            tell(context, report, first, last, program, "", wallet, csv=csv, json=json)

        return of_wallet

    def whole(
        context: typer.Context, first: First = "", last: Last = "", program: Program = "", csv: Csv = False,
        json: Json = False,
    ) -> None:  # fmt: skip
        tell(context, report, first, last, program, "", "", csv=csv, json=json)

    return whole


for _report in REPORTS.values():
    app.command(_report.name, help=_report.about)(_command(_report))


def tell(
    context: typer.Context,
    report: Report,
    first: str,
    last: str,
    program: str,
    by: Any,
    wallet: str,
    *,
    csv: bool,
    json: bool,
) -> None:
    """Show a report as a table, a spreadsheet or JSON."""
    from stampcard.clock import SystemClock
    from stampcard.storage.programming import load_programs
    from stampcard.storage.reporting import Question
    from stampcard.storage.reporting import tell as told_by

    merchant, now = settings_of(context).merchant, SystemClock().now()
    question = Question(report=report.name, program=program, first=first, last=last, by=by, wallet=wallet)
    with opened(settings_of(context)) as database:
        told = database.read_now(lambda c: told_by(c, merchant, load_programs(c, merchant), question, now))
    if csv:
        from stampcard.engine.reporting import as_csv

        show(as_csv(told).rstrip("\n"))
    elif json:
        show_json({**told.head, "rows": told.rows})
    else:
        _show(told)


def _show(told: Told) -> None:
    """A table without the columns that hold no figure; where it has but one row, a line for each."""
    head, columns = told.head, [one for one in told.report.columns if one.name != "scale"]
    say(f"{told.report.name} of {head['program']}, {head['from']} to {head['to']}, days of {head['timezone']}")
    if not told.rows:
        say("There is nothing to report.")
    elif len(told.rows) == 1:
        show_table([(one.name.replace("_", " "), _written(one, told.rows[0])) for one in columns])
    else:
        told_of = [one for one in columns if one.kind in {"text", "day"} or any(row[one.name] for row in told.rows)]
        title = tuple(one.name.upper().replace("_", " ") for one in told_of)
        show_table([title, *(tuple(_written(one, row) for one in told_of) for row in told.rows)])


def _written(column: Column, row: dict[str, Any]) -> str:
    """A cell as people read it: whole points, shares in percent."""
    cell = row[column.name]
    if cell is None or cell == "":
        return "-"
    if column.kind == "points":
        return f"{Decimal(cell).scaleb(-row['scale']):f}"
    if column.kind == "share":
        return f"{cell * 100:.1f} %"
    return f"{cell:f}" if isinstance(cell, Decimal) else str(cell)
