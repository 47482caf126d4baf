from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stampcard.cli.invocation import opened, settings_of
from stampcard.cli.printing import moment, say, show, show_json, show_table

if TYPE_CHECKING:
    from datetime import datetime

    from stampcard.settings import Settings
    from stampcard.storage.staffing import Till

app = typer.Typer(no_args_is_help=True, help="Tills at the counter, and the devices that are one of theirs.")

Json = Annotated[bool, typer.Option("--json", help="For other programs.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The till's name.", show_default=False)]


@app.command()
def pair(
    context: typer.Context,
    name: Name,
    branch: Annotated[
        str, typer.Option(help="Where it stands; by default it stays where it is.", show_default=False)
    ] = "",
    json: Json = False,
) -> None:
    """Make a till, or pair it anew, and print the link that makes a device one of its own: devices of before are out."""
    from stampcard.app import open_sealer
    from stampcard.clock import SystemClock
    from stampcard.engine.tokens import LINK
    from stampcard.storage.staffing import pair_till
    from stampcard_webhooks.tills import pairing_url

    _check(name, branch)
    settings, now = settings_of(context), SystemClock().now()
    sealer, merchant = open_sealer(settings), settings.merchant
    with opened(settings) as database:
        till = database.write_now(lambda connection: pair_till(connection, merchant, name, branch, now))
    url = pairing_url(sealer, merchant, settings.http.base_url, till, now)
    if json:
        show_json({**_row(till), "url": url, "expires_at": now + LINK})
        return
    show(url)
    draw(url)
    _tell(settings, till, now + LINK)


def _check(name: str, branch: str) -> None:
    """A wrong name or branch ends the command."""
    from pydantic import TypeAdapter, ValidationError

    from stampcard_webhooks.counters import Brief, TillName

    for text, kind, wanted in (
        (name, TillName, "a till: write up to 64 letters, digits, dots, _ and -, as in berlin-1"),
        (branch, Brief, "a branch: write up to 200 letters on one line"),
    ):
        try:
            TypeAdapter(kind).validate_python(text)
        except ValidationError:
            message = f"{text!r} is no name of {wanted}"
            raise typer.BadParameter(message) from None


def draw(url: str) -> None:
    """The address as a code for a camera, where somebody looks at a terminal."""
    import segno

    if sys.stdout.isatty():
        segno.make(url, error="l", micro=False).terminal(sys.stdout, border=2, compact=True)


def _tell(settings: Settings, till: Till, until: datetime) -> None:
    say(f"Open it on the device that is to be the till {till.name}, until {moment(until)}. It is shown this once.")
    if till.pairing > 1:
        say("Devices that were paired with it before are out.")
    if settings.http.public_url is None:
        say(
            "http.public_url is not set, so the link leads to this machine alone: say in stampcard.toml how the outside"
        )
        say("reaches this installation.")


@app.command("list")
def list_tills(context: typer.Context, json: Json = False) -> None:
    """Show every till."""
    from stampcard.storage import staffing

    settings = settings_of(context)
    with opened(settings) as database:
        found = database.read_now(lambda connection: staffing.list_tills(connection, settings.merchant))
    rows = [_row(till) for till in found]
    if json:
        show_json(rows)
    elif not rows:
        say("There is no till yet. Make one by: stampcard till pair NAME")
    else:
        cells = [(row["name"], row["branch"] or "-", row["made_at"], row["ended_at"] or "-") for row in rows]
        show_table([("NAME", "BRANCH", "MADE", "ENDED"), *cells])


@app.command()
def end(context: typer.Context, name: Name) -> None:
    """Let nobody work at a till any more: its devices are out, and its shifts end."""
    from stampcard.clock import SystemClock
    from stampcard.storage.staffing import end_till

    settings, now = settings_of(context), SystemClock().now()
    with opened(settings) as database:
        database.write_now(lambda connection: end_till(connection, settings.merchant, name, now))
    show(f"the till {name} has ended")


def _row(till: Till) -> dict[str, Any]:
    from stampcard_webhooks.tills import till_view

    return till_view(till).model_dump()
