from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from stampcard.cli.invocation import opened, settings_of
from stampcard.cli.printing import say, show, show_json, show_table
from stampcard.cli.spans import span
from stampcard.domain.scopes import SCOPES
from stampcard.errors import NotFound

if TYPE_CHECKING:
    from datetime import datetime

    from stampcard.storage.keys import ApiKey

app = typer.Typer(no_args_is_help=True, help="Keys for the REST API: who may do what.")

Json = Annotated[bool, typer.Option("--json", help="For other programs.")]


def _known(scopes: list[str]) -> list[str]:
    for scope in scopes:
        if scope not in SCOPES:
            message = f"there is no scope {scope!r}; there is: {', '.join(SCOPES)}"
            raise typer.BadParameter(message)
    return scopes


@app.command()
def create(
    context: typer.Context,
    name: Annotated[str, typer.Option(help="Who will use it.", show_default=False)],
    scope: Annotated[
        list[str],
        typer.Option(help=f"What it may do; repeatable: {', '.join(SCOPES)}.", callback=_known, show_default=False),
    ],
    expires: Annotated[
        timedelta | None,
        typer.Option(parser=span, metavar="SPAN", help="After how long it ends: 90d, 12h, 4w.", show_default=False),
    ] = None,
    json: Json = False,
) -> None:
    """Make a key and print it, this once."""
    from stampcard.clock import SystemClock
    from stampcard.storage.keys import create_key

    settings, now = settings_of(context), SystemClock().now()
    ends = now + expires if expires else None
    with opened(settings, create=True) as database:
        key, text = database.write_now(
            lambda connection: create_key(connection, settings.merchant, name, scope, ends, now)
        )
    if json:
        show_json({"key": text, "id": key.id, "name": name, "scopes": key.scopes, "expires_at": _iso(key.expires_at)})
        return
    show(text)
    say("Keep it now: only its digest is stored, so it cannot be shown again.")


@app.command("list")
def list_keys(context: typer.Context, json: Json = False) -> None:
    """Show every key, without its secret."""
    from stampcard.clock import SystemClock
    from stampcard.storage import keys

    settings, now = settings_of(context), SystemClock().now()
    with opened(settings) as database:
        found = database.read_now(lambda connection: keys.list_keys(connection, settings.merchant))
    if json:
        show_json([_row(key, now) for key in found])
    elif not found:
        say("There is no key yet. Make one by: stampcard key create --name NAME --scope SCOPE")
    else:
        shown = [_row(key, now) for key in found]
        cells = [
            (row["id"], row["name"], row["state"], row["expires_at"] or "never", ", ".join(key.scopes))
            for row, key in zip(shown, found, strict=True)
        ]
        show_table([("ID", "NAME", "STATE", "EXPIRES", "SCOPES"), *cells])


@app.command()
def revoke(
    context: typer.Context,
    key: Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `key list` shows it.", show_default=False)],
) -> None:
    """Make a key useless at once."""
    from stampcard.clock import SystemClock
    from stampcard.storage.keys import revoke_key

    settings, now = settings_of(context), SystemClock().now()
    with opened(settings) as database:
        known = database.write_now(lambda connection: revoke_key(connection, settings.merchant, key, now))
    if not known:
        raise NotFound("key", key)
    show(f"key {key} is revoked")


def _row(key: ApiKey, now: datetime) -> dict[str, object]:
    state = "revoked" if key.revoked_at else "live" if key.is_live(now) else "expired"
    return {
        "id": key.id,
        "name": key.name,
        "state": state,
        "scopes": key.scopes,
        "created_at": _iso(key.created_at),
        "expires_at": _iso(key.expires_at),
        "last_used_at": _iso(key.last_used_at),
    }


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
