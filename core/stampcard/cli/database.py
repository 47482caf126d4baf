from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from stampcard.cli import backing
from stampcard.cli.invocation import FAILED, reached, settings_of
from stampcard.cli.printing import say, show, show_json

if TYPE_CHECKING:
    from collections.abc import Sequence

app = typer.Typer(no_args_is_help=True, help="The database: its shape, whether it is whole, and copies of it.")
#: Bytes of a file to look through which takes long enough to say so.
LARGE = 1 << 30
app.command("backup")(backing.backup)


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
    context: typer.Context,
    quick: Annotated[
        bool, typer.Option("--quick", help="Do not compare the indexes of an SQLite file with its tables.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="For other programs.")] = False,
) -> None:
    """Look whether the database is whole: the file, its shape, and the sums of the ledger; ends with 1 when it is not."""
    from stampcard.storage import inspecting, migrating

    needed, found = migrating.head(), None
    differences: list[str] = []
    ledger: list[str] = []
    with reached(settings_of(context)) as database:
        if database.path is not None and database.path.stat().st_size > LARGE:
            say("looking through a large file; that takes a while")
        damage = inspecting.damage(database, quick=quick)
        if not damage:
            found = database.read_now(migrating.current)
        if found == needed:
            differences = [str(one) for one in database.read_now(migrating.drift)]
            ledger = database.read_now(inspecting.ledger_faults)
    if found is not None and found != needed:
        differences.append(f"it has shape {found or 'none'}, this version needs {needed}. Run: stampcard db upgrade")
    if json:
        show_json({"shape": found, "needed": needed, "differences": differences, "damage": damage, "ledger": ledger})
    else:
        _tell(damage, differences, ledger)
        if found == needed:
            show(f"the database has shape {found}")
        if not (damage or differences or ledger):
            show("it is whole: its tables are as they should be, and the sums of the ledger agree")
    if damage or differences or ledger:
        raise typer.Exit(FAILED)


def _tell(damage: Sequence[str], differences: Sequence[str], ledger: Sequence[str]) -> None:
    for line in [*damage, *(f"differs: {one}" for one in differences), *ledger]:
        say(line)
    if damage:
        say("the file is damaged: stop what serves it, and put the last backup in its place")
    if ledger:
        say("see whose: stampcard verify")
