"""What a vendor sends to a connection's webhook address, from the command line."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from stampcard.cli.invocation import FAILED, UNREACHABLE, opened, settings_of
from stampcard.cli.printing import say, show, show_json
from stampcard.errors import ConfigurationError, NotFound, PluginError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from stampcard.host.connecting import ConnectionSpec
    from stampcard.host.discovering import PluginTable
    from stampcard.plugin import Audit, Subscribed
    from stampcard.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="For other programs.")]


def webhooks(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="CONNECTION", help="One of the connections.", show_default=False)],
    fix: Annotated[
        bool, typer.Option("--fix", help="Let the vendor send what is missing, and set right what is wrong.")
    ] = False,
    json: Json = False,
) -> None:
    """Ask the vendor which webhooks it sends here; ends with 1 where something is missing or wrong."""
    from stampcard.cli.logging import quiet
    from stampcard.cli.plugging import with_plugged
    from stampcard.host.discovering import discover

    quiet()
    settings = with_plugged(settings_of(context))
    spec = next((spec for spec in settings.specs() if spec.name == name), None)
    if spec is None:
        raise NotFound("connection", name)
    address, heard = webhook_address(settings, name), topics_heard(settings, name)
    try:
        audit = asyncio.run(audited(settings, discover(), spec, address, heard if fix else None))
    except PluginError as error:
        say(f"{name}: {error}")
        raise typer.Exit(UNREACHABLE) from None
    if audit is None:
        say(f"Nothing can be asked of the plugin {spec.plugin}: let the vendor send its webhooks to {address}")
        return
    missing = [topic for topic in audit.missing if topic not in heard]
    if json:
        show_json({
            "address": address, "good": [one.topic for one in audit.good], "missing": missing,
            "heard": sorted(set(audit.missing) & set(heard)), "wrong": list(map(_shown, audit.wrong)),
            "foreign": list(map(_shown, audit.foreign)), "by_hand": list(audit.by_hand),
        })  # fmt: skip
    else:
        for line in lines(name, address, audit, heard):
            show(line)
    if missing or audit.wrong:
        raise typer.Exit(FAILED)


def _shown(one: Subscribed) -> dict[str, str]:
    return {"topic": one.topic, "address": one.address, "problem": one.problem}


def lines(name: str, address: str, audit: Audit, heard: Collection[str]) -> Iterator[str]:
    """An audit in words."""
    if audit.good or audit.wrong or audit.missing or not audit.by_hand:
        yield f"{len(audit.good)} topics come to {address}"
    for one in audit.wrong:
        yield f"wrong: {one.topic} {one.problem}"
    missing = [topic for topic in audit.missing if topic not in heard]
    if missing:
        yield f"missing: {', '.join(missing)}"
    if missing or audit.wrong:
        yield f"set it right: stampcard connection webhooks {name} --fix"
    quiet = [topic for topic in audit.missing if topic in heard]
    if quiet:
        yield f"heard lately, though the vendor does not list it (declared in the app's own file, maybe): {', '.join(quiet)}"
    for other in sorted({one.address for one in audit.foreign}):
        yield f"sent elsewhere, too: {', '.join(one.topic for one in audit.foreign if one.address == other)} to {other}"
    for text in audit.by_hand:
        yield f"by hand: {text}"


def webhook_address(settings: Settings, name: str) -> str:
    """Where the vendor is to send; raises ConfigurationError where the outside cannot reach us."""
    base = settings.http.public_url or ""
    if not base.startswith("https://"):
        problem = "is missing" if not base else f"{base} is not https, and vendors send to nothing else"
        raise ConfigurationError(
            "http.public_url", problem, "Write https://HOST, as the outside reaches this installation"
        )
    return f"{base}/webhooks/{name}"


def topics_heard(settings: Settings, name: str) -> frozenset[str]:
    """What came lately; nothing where there is no database yet."""
    from stampcard.storage.listing import latest_topics

    try:
        with opened(settings) as database:
            return database.read_now(lambda connection: latest_topics(connection, settings.merchant, name))
    except (ConfigurationError, Unavailable):
        return frozenset()


async def audited(
    settings: Settings, table: PluginTable, spec: ConnectionSpec, address: str, but: Collection[str] | None
) -> Audit | None:
    """What the vendor says, set right before where `but` (topics that come already) is given; None where it cannot be asked.

    Raises PluginError where the vendor does not answer.
    """
    from stampcard.cli.findings import connected

    async with connected(settings, table, spec) as able:
        subscriptions = able.subscriptions
        if subscriptions is None:
            return None
        return await (subscriptions.look(address) if but is None else subscriptions.mend(address, but))


async def ended(settings: Settings, table: PluginTable, spec: ConnectionSpec, address: str) -> int | None:
    """How many subscriptions ended; None where the vendor cannot be asked. Raises PluginError."""
    from stampcard.cli.findings import connected

    async with connected(settings, table, spec) as able:
        return None if able.subscriptions is None else await able.subscriptions.end(address)
