"""Looking for orders of which no webhook told, from the command line."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from stampcard.cli.invocation import UNREACHABLE, settings_of
from stampcard.cli.printing import say, show, show_json
from stampcard.errors import NotFound, PluginError, RequestRefused

if TYPE_CHECKING:
    from stampcard.app import Application

Json = Annotated[bool, typer.Option("--json", help="For other programs.")]


def reconcile(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="CONNECTION", help="One of the connections.", show_default=False)],
    since: Annotated[str, typer.Option(metavar="SPAN", help="How far back: 12h, 7d, 4w.")] = "7d",
    json: Json = False,
) -> None:
    """Ask the vendor for its orders, and let those be fetched that are unknown or have changed; a server does so by itself."""
    from stampcard.cli.acting import acting
    from stampcard.cli.plugging import with_plugged
    from stampcard.cli.progressing import progress
    from stampcard.cli.spans import span as span_of
    from stampcard.inbox.reconciling import reconcile as look

    settings, span = with_plugged(settings_of(context)), span_of(since)

    async def use(application: Application) -> tuple[int, int, datetime]:
        connection = application.connections.get(name)
        if connection is None:
            raise NotFound("connection", name)
        if connection.capabilities is None:
            raise PluginError(connection.plugin, connection.problem)
        orders = connection.capabilities.orders
        if orders is None:
            raise RequestRefused("no_orders", f"the plugin {connection.plugin!r} cannot list orders")
        begin = application.clock.now() - span
        source = application.sources.get(name, name)
        with progress("looking at orders", None) as told:
            looked, wanted = await look(
                application.database, application.clock, settings.merchant, name, source, orders, begin,
                told_=lambda looked, _: told(looked),
            )  # fmt: skip
        return looked, wanted, begin

    try:
        looked, wanted, begin = acting(settings, use, calls=True)
    except PluginError as error:
        say(f"{name}: {error}")
        raise typer.Exit(UNREACHABLE) from None
    if json:
        show_json({"looked_at": looked, "wanted": wanted, "since": begin})
        return
    show(f"{looked} orders changed since {begin:%Y-%m-%d %H:%M}Z; {wanted} of them were unknown or older here")
    if wanted:
        show("They are fetched by `stampcard serve`, and earn like any other order")
