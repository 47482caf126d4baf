from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from stampcard.cli.invocation import opened, settings_of
from stampcard.cli.printing import say, show_json, show_table

if TYPE_CHECKING:
    from sqlalchemy import Connection

app = typer.Typer(no_args_is_help=True, help="Deliveries that were set aside because they could not be applied.")


@app.callback()
def quarantine() -> None:
    """Keep `list` a command of its own."""


@app.command("list")
def list_quarantined(
    context: typer.Context,
    connection: Annotated[str | None, typer.Option(help="Only of this connection.", show_default=False)] = None,
    each: Annotated[bool, typer.Option("--each", help="Each delivery with its id, newest first.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="With --each, so many at most.")] = 50,
    json: Annotated[bool, typer.Option("--json", help="For other programs.")] = False,
) -> None:
    """Show what is set aside and why, counted by connection and code."""
    settings = settings_of(context)
    with opened(settings) as database:
        rows = database.read_now(
            lambda opened: (
                _each(opened, settings.merchant, connection, limit)
                if each
                else _groups(opened, settings.merchant, connection)
            )
        )
    if json:
        show_json(rows)
    elif not rows:
        say("Nothing is quarantined.")
    else:
        show_table([tuple(key.upper().replace("_", " ") for key in rows[0]), *(tuple(row.values()) for row in rows)])
        say("When the cause is mended, apply them again: stampcard replay")


def _groups(connection: Connection, merchant: str, name: str | None) -> list[dict[str, Any]]:
    from stampcard.clock import from_micros
    from stampcard.storage.listing import quarantine_groups, quarantine_sample

    rows = []
    for owner, code, count, oldest, newest in quarantine_groups(connection, merchant):
        if name is None or owner == name:
            sample = quarantine_sample(connection, merchant, owner, code)
            rows.append(
                {
                    "connection": owner,
                    "code": code,
                    "count": count,
                    "oldest": from_micros(oldest),
                    "newest": from_micros(newest),
                    "topic": sample.topic if sample else "",
                    "reason": (sample.detail if sample else "") or "",
                }
            )
    return rows


def _each(connection: Connection, merchant: str, name: str | None, limit: int) -> list[dict[str, Any]]:
    from stampcard.clock import from_micros
    from stampcard.storage.listing import deliveries_before

    return [
        {
            "id": row.id,
            "connection": row.connection,
            "topic": row.topic,
            "received": from_micros(row.received_at),
            "body": "kept" if row.has_body else "deleted",
            "code": row.code or "",
            "reason": row.detail or "",
        }
        for row in deliveries_before(connection, merchant, "quarantined", name, None, limit)
    ]
