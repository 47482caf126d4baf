from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from stampcard.cli.invocation import PARTLY, USAGE, opened, settings_of
from stampcard.cli.printing import say, show, show_json

if TYPE_CHECKING:
    from stampcard.storage.database import Database


def replay(
    context: typer.Context,
    connection: Annotated[str | None, typer.Option(help="Only of this connection.", show_default=False)] = None,
    code: Annotated[str | None, typer.Option(help="Only those with this code.", show_default=False)] = None,
    delivery: Annotated[
        int | None, typer.Option(metavar="ID", help="This one, also if it was applied before.", show_default=False)
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many there are.")] = False,
    json: Annotated[bool, typer.Option("--json", help="For other programs.")] = False,
) -> None:
    """Queue deliveries that were set aside once more; what a delivery says twice counts once.

    Ends with 5 when the bodies of some were deleted meanwhile (keep.quarantine_days), so that they stay where they are.
    """
    from stampcard.storage import listing, requeueing

    if delivery is not None and (connection is not None or code is not None or dry_run):
        say("error: --delivery names one delivery and goes with no other option")
        raise typer.Exit(USAGE)
    settings = settings_of(context)
    with opened(settings) as database:
        if delivery is not None:
            database.write_now(lambda c: requeueing.replay_delivery(c, settings.merchant, delivery))
            there, lost = 1, 0
        else:
            there, lost = database.read_now(lambda c: listing.count_quarantined(c, settings.merchant, connection, code))
        queued = (
            0
            if dry_run
            else there
            if delivery is not None
            else _queue(database, settings.merchant, connection, code, there)
        )
    if json:
        show_json({"found": there, "queued": queued, "without_body": lost})
    else:
        _tell(there, queued, lost, dry_run=dry_run)
    if lost:
        raise typer.Exit(PARTLY)


def _queue(database: Database, merchant: str, name: str | None, code: str | None, total: int) -> int:
    from stampcard.cli.progressing import progress
    from stampcard.storage import requeueing

    queued, after, count = 0, 0, 1
    with progress("queueing deliveries", total) as told:
        while count:
            count, after = database.write_now(
                lambda c: requeueing.replay_quarantined(c, merchant, name, code, after)  # noqa: B023 - runs at once
            )
            queued += count
            told(queued)
    return queued


def _tell(there: int, queued: int, lost: int, *, dry_run: bool) -> None:
    if not there and not lost:
        say("Nothing is quarantined.")
    elif dry_run:
        show(f"{_deliveries(there)} would be queued again")
    else:
        show(f"{_deliveries(queued)} queued again")
        say("What cannot be applied is set aside anew: stampcard quarantine list")
    if lost:
        say(f"{_deliveries(lost)} cannot be applied: their bodies were deleted (keep.quarantine_days)")


def _deliveries(count: int) -> str:
    return f"{count} deliver{'y' if count == 1 else 'ies'}"
