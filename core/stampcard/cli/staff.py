from __future__ import annotations

from typing import Annotated

import typer

from stampcard.cli.invocation import opened, settings_of
from stampcard.cli.printing import say, show, show_json, show_table

app = typer.Typer(no_args_is_help=True, help="The people who work at tills, and their PINs.")

Json = Annotated[bool, typer.Option("--json", help="For other programs.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="What they are called.", show_default=False)]


@app.command()
def add(context: typer.Context, name: Name, json: Json = False) -> None:
    """Let somebody work at tills, and print their PIN, this once."""
    from stampcard.app import open_sealer
    from stampcard.clock import SystemClock
    from stampcard.storage.staffing import add_worker

    _check(name)
    settings, now = settings_of(context), SystemClock().now()
    sealer = open_sealer(settings)
    with opened(settings) as database:
        _, pin = database.write_now(lambda c: add_worker(c, settings.merchant, sealer, name, now))
    _print(name, pin, json=json)


@app.command()
def renew(context: typer.Context, name: Name, json: Json = False) -> None:
    """Give somebody another PIN, and print it, this once: the one of before opens nothing any more."""
    from stampcard.app import open_sealer
    from stampcard.clock import SystemClock
    from stampcard.storage.staffing import renew_pin

    settings, now = settings_of(context), SystemClock().now()
    sealer = open_sealer(settings)
    with opened(settings) as database:
        pin = database.write_now(lambda c: renew_pin(c, settings.merchant, sealer, name, now))
    _print(name, pin, json=json)


@app.command("list")
def list_staff(context: typer.Context, json: Json = False) -> None:
    """Show everybody who works at tills, or did."""
    from stampcard.storage.staffing import list_workers
    from stampcard_webhooks.tills import worker_view

    settings = settings_of(context)
    with opened(settings) as database:
        found = database.read_now(lambda connection: list_workers(connection, settings.merchant))
    rows = [worker_view(one).model_dump() for one in found]
    if json:
        show_json(rows)
    elif not rows:
        say("Nobody works at tills yet. Let somebody by: stampcard staff add NAME")
    else:
        cells = [(row["name"], row["id"], row["made_at"], row["ended_at"] or "-") for row in rows]
        show_table([("NAME", "ID", "SINCE", "UNTIL"), *cells])


@app.command()
def remove(context: typer.Context, name: Name) -> None:
    """Let somebody work here no more: their PIN opens nothing, and their shifts end."""
    from stampcard.clock import SystemClock
    from stampcard.storage.staffing import end_worker

    settings, now = settings_of(context), SystemClock().now()
    with opened(settings) as database:
        database.write_now(lambda connection: end_worker(connection, settings.merchant, name, now))
    show(f"{name} works here no more")


def _check(name: str) -> None:
    """A name that is none ends the command."""
    from pydantic import TypeAdapter, ValidationError

    from stampcard_webhooks.tills import WorkerName

    try:
        TypeAdapter(WorkerName).validate_python(name)
    except ValidationError:
        message = f"{name!r} is no name of a person: write up to 100 letters on one line, without /"
        raise typer.BadParameter(message) from None


def _print(name: str, pin: str, *, json: bool) -> None:
    if json:
        show_json({"name": name, "pin": pin})
        return
    show(pin)
    say(f"Tell it to {name} now: only its digest is stored, so it cannot be shown again.")
