"""What goes to another installation: everybody's consents, and the addresses that get no messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import typer

from stampcard.cli.invocation import opened, settings_of
from stampcard.cli.printing import show

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stampcard.storage.transcribing import Leaf

app = typer.Typer(
    no_args_is_help=True, help="Going to another installation: CSV in the columns that `stampcard import` reads."
)
#: Rows of one page.
PAGE = 500


@app.command()
def consents(context: typer.Context) -> None:
    """Print everything that every member said about being addressed, with its evidence."""
    from stampcard.importing.presets import CONSENT_FIELDS
    from stampcard.storage.transcribing import consents_after

    _print(context, CONSENT_FIELDS, consents_after)


@app.command()
def suppressions(context: typer.Context) -> None:
    """Print all addresses that get no messages."""
    from stampcard.importing.presets import SUPPRESSION_FIELDS
    from stampcard.storage.transcribing import suppressions_after

    _print(context, SUPPRESSION_FIELDS, suppressions_after)


def _print(context: typer.Context, fields: Iterable[str], page: Callable[..., Leaf]) -> None:
    """Page by page, however much it is."""
    from stampcard.app import open_sealer
    from stampcard.importing.files import line_of

    settings = settings_of(context)
    sealer, names = open_sealer(settings), tuple(fields)
    show(line_of(names, ",").rstrip())
    after: Any = None
    with opened(settings) as database:
        while True:
            place = after
            leaf = database.read_now(lambda c: page(c, settings.merchant, sealer, place, PAGE))  # noqa: B023 - runs before the next turn
            for line in leaf.lines:
                show(line_of([line[name] for name in names], ",").rstrip("\r\n"))
            if leaf.after is None:
                return
            after = leaf.after
