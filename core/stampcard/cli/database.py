from __future__ import annotations

from typing import Annotated

import typer

from stampcard.cli.invocation import FAILED, reached, settings_of
from stampcard.cli.printing import say, show, show_json

app = typer.Typer(no_args_is_help=True, help="The database and its shape.")


@app.command()
def upgrade(context: typer.Context) -> None:
    """Bring the database to the shape that this version needs; an SQLite file is copied first."""
    from stampcard.storage import migrating

    with reached(settings_of(context), create=True) as database:
        # A process that serves the file would go on with tables that are no longer there.
        database.claim_file()
        copy = migrating.upgrade(database)
        if copy is not None:
            say(f"the database as it was: {copy}")
        show(f"the database has shape {database.read_now(migrating.current)}")


@app.command()
def check(
    context: typer.Context, json: Annotated[bool, typer.Option("--json", help="For other programs.")] = False
) -> None:
    """Compare the database with what this version needs; ends with 1 when they differ."""
    from stampcard.storage import migrating

    with reached(settings_of(context)) as database:
        found, needed = database.read_now(migrating.current), migrating.head()
        differences = [str(one) for one in database.read_now(migrating.drift)] if found == needed else []
    if json:
        show_json({"shape": found, "needed": needed, "differences": differences})
    elif found != needed:
        say(f"the database has shape {found or 'none'}, this version needs {needed}. Run: stampcard db upgrade")
    else:
        for difference in differences:
            say(f"differs: {difference}")
        show(f"the database has shape {found}")
    if found != needed or differences:
        raise typer.Exit(FAILED)
