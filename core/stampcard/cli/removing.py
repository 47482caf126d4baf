"""A connection is removed from the command line: what goes with it is shown first, and what stays is told."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from stampcard.cli.invocation import opened
from stampcard.cli.plugging import ready, stored
from stampcard.cli.printing import say, show
from stampcard.errors import ConfigurationError, PluginError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from stampcard.app import Application
    from stampcard.host.connecting import ConnectionSpec
    from stampcard.host.discovering import PluginTable
    from stampcard.settings import Settings


def remove(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="CONNECTION", help="A connection of the database.", show_default=False)
    ],
    keep_codes: Annotated[bool, typer.Option("--keep-codes", help="Leave unused codes as they are.")] = False,
    keep_shown: Annotated[
        bool, typer.Option("--keep-shown", help="Leave what customers show there, such as their balance.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Unplug a connection and forget its secrets; first it leaves the vendor clean, and says what stays.

    Rewards that it made and nobody used are taken back, what customers show is taken away, its webhooks end. Members, orders and
    points that it brought stay. Interrupted, it is paused, and the command may be given again.
    """
    from stampcard.clock import SystemClock
    from stampcard.host.connecting import ConnectionSpec
    from stampcard.storage.numbering import Numbering
    from stampcard.storage.plugging import remove_plugged

    settings, sealer, table = ready(context)
    one = stored(settings, sealer, name)
    with opened(settings) as database:
        pending = database.read_now(lambda connection: _pending(connection, settings.merchant, name))
    if not yes:
        for line in pending.lines(keep_codes=keep_codes, keep_shown=keep_shown):
            say(line)
        typer.confirm(f"Remove {name}? Its webhooks are not taken any more.", abort=True, err=True)
    told = _cleaned(
        settings.with_plugged({name: one.section}), name, pending, codes=not keep_codes, shown=not keep_shown
    )
    ended = _unsubscribed(settings, table, ConnectionSpec(name=name, plugin=one.plugin, settings=one.settings))
    with opened(settings) as database:
        merchant, now = settings.merchant, SystemClock().now()
        database.write_now(lambda c: remove_plugged(c, merchant, sealer, Numbering(), name, now))
    show(f"{name} is removed. {ended}")
    for line in told:
        show(line)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pending:
    """What goes with a connection: what was still to be sent, rewards that nobody used yet, and who is known there."""

    waiting: int
    codes: int
    customers: int

    def lines(self, *, keep_codes: bool, keep_shown: bool) -> Iterator[str]:
        """In words, for whoever is asked."""
        if self.waiting:
            yield f"{self.waiting} things that were to be sent there will not be; rewards among them go back."
        if self.codes:
            fate = "stay as they are" if keep_codes else "are taken back, and their points go back"
            yield f"{self.codes} rewards that it made and nobody used yet {fate}."
        if self.customers and not keep_shown:
            yield f"What {self.customers} customers show there is taken away, if the plugin can."


def _pending(connection: Connection, merchant: str, name: str) -> _Pending:
    from stampcard.storage.depths import load_depths
    from stampcard.storage.listing import count_references
    from stampcard.storage.redemptions import count_open_by

    depths = load_depths(connection, merchant)
    return _Pending(
        waiting=depths.pending.get(name, 0) + depths.dead.get(name, 0),
        codes=count_open_by(connection, merchant, name),
        customers=count_references(connection, merchant, name, None),
    )


def _cleaned(settings: Settings, name: str, pending: _Pending, *, codes: bool, shown: bool) -> list[str]:
    """Let the connection take away what it made and showed; answers what became of it, in words."""
    from stampcard.cli.acting import acting
    from stampcard.cli.leaving import Left, clean, take_codes_back, take_out
    from stampcard.cli.progressing import progress
    from stampcard.plugin.audiences import AudienceSink

    async def use(application: Application) -> list[str]:
        connection, left = application.connections[name], Left()
        able = connection.capabilities
        if able is None:
            stays = "what was made and shown at the vendor stays, for it cannot be reached"
            return [f"Stays: {stays} ({connection.problem})"] if pending.codes or pending.customers else []
        if codes and pending.codes:
            with progress("rewards", pending.codes) as told:
                await take_codes_back(application, name, left, told)
        if shown and able.clean is not None:
            with progress("customers", pending.customers) as told:
                await clean(application, name, able.clean, left, told)
        for sink in able.sinks if shown else ():
            if isinstance(sink, AudienceSink):
                await take_out(application, name, sink, left)
        what = able.clean.what if able.clean is not None else "what customers show there"
        lines = list(left.lines(what))
        if pending.customers and (able.clean is None or not shown):
            lines.append(f"Stays: {what}")
        if pending.codes and not codes:
            lines.append(f"Stays: {pending.codes} codes that nobody used yet")
        return lines

    return acting(settings, use, calls=True)


def _unsubscribed(settings: Settings, table: PluginTable, spec: ConnectionSpec) -> str:
    """Let the vendor send nothing more, as far as it lets us; answers what is left for people to do."""
    from stampcard.cli.subscribing import ended

    left = "Delete its webhooks at the vendor: they are answered with 404 from now on"
    try:
        count = asyncio.run(ended(settings, table, spec, f"{settings.http.base_url}/webhooks/{spec.name}"))
    except (ConfigurationError, PluginError):
        return left
    return left if not count else f"{count} webhook subscriptions ended at the vendor"
