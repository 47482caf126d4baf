"""stampcard demo: a simulated shop, live, with the proof at the end."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stampcard.cli.invocation import FAILED, INTERRUPTED
from stampcard.cli.printing import say, show

if TYPE_CHECKING:
    from rich.console import Console

    from stampcard.testing.demonstration import Check, Demonstration
    from stampcard.testing.simulator import Tally

#: How often (seconds) the figures change: on a screen, and as lines of text.
REFRESH, LINE = 0.25, 2.0
#: How long (seconds) the last pushes may take after the last webhook.
SETTLING = 120.0


def demo(
    orders: Annotated[int, typer.Option(min=1, help="How many orders the simulated shop lives through.")] = 500,
    exit_: Annotated[bool, typer.Option("--exit", help="End after the summary instead of serving on.")] = False,
    seed: Annotated[int, typer.Option(help="The same seed plays the same history.")] = 1,
    rate: Annotated[float | None, typer.Option(min=0.1, help="Orders a second; as fast as possible without.")] = None,
    database: Annotated[str | None, typer.Option(help="A PostgreSQL URL; a fresh SQLite file without.")] = None,
    simulator: Annotated[str, typer.Option(help="The simulated vendor.")] = "shopify",
    counter: Annotated[
        bool, typer.Option("--counter", help="A till to practise at instead, with made-up members.")
    ] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="With --counter: where the till is; 0: anywhere.")] = 8765,
) -> None:
    """Play a simulated shop against a real server and prove every balance.

    The shop sends signed webhooks over HTTP, twice, out of order, some of them forged; its own API throttles and fails.
    It keeps its own books, and the exit code is 0 only if each balance that it shows equals what its books expect.
    """
    from stampcard.cli.logging import quiet

    quiet()
    if counter:
        with suppress(KeyboardInterrupt):
            asyncio.run(_practise(port))
        return
    try:
        proved = asyncio.run(_demo(orders, seed, rate, database, simulator, stay=not exit_ and sys.stdout.isatty()))
    except KeyboardInterrupt:
        say("stopped, so nothing is proved")
        raise typer.Exit(INTERRUPTED) from None
    raise typer.Exit(0 if proved else FAILED)


async def _practise(port: int) -> None:
    """Serve a till with nobody's points until it is interrupted; nothing of it stays."""
    from stampcard.testing.practising import practising

    program = files("stampcard.cli").joinpath("templates/practice.yaml").read_text(encoding="utf8")
    with tempfile.TemporaryDirectory(prefix="stampcard-practice-") as folder:
        async with practising(Path(folder), program, port) as practice:
            show("A till to practise at. Nothing here is anybody's, and nothing stays.\n")
            show(f"1. Make this browser the till:  {practice.pairing}")
            show(f"2. Come in with the PIN:        {practice.pin}")
            show("3. Customers, each with the page of their card:")
            for one in practice.customers:
                show(f"   {one.name:<4} {one.number}   {one.page}")
            say("\nCtrl-C ends it.")
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()


async def _demo(orders: int, seed: int, rate: float | None, database: str | None, vendor: str, *, stay: bool) -> bool:
    from rich.console import Console

    from stampcard.cli.simulators import simulator_of
    from stampcard.errors import ConfigurationError
    from stampcard.testing.demonstration import demonstrating
    from stampcard.testing.simulator import ShopSimulator

    shop = simulator_of(vendor).build(seed)
    if not isinstance(shop, ShopSimulator):
        raise ConfigurationError(
            "--simulator", f"{vendor!r} is no shop, so no orders come from it", "Name a storefront"
        )
    program = files("stampcard.cli").joinpath("templates/demo.yaml").read_text(encoding="utf8")
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="stampcard-demo-") as folder:
        running = demonstrating(shop, Path(folder), program, plugin=vendor, database=database)
        async with running as demonstration:
            say(f"Stampcard serves at {demonstration.address}, the simulated shop trades {orders} orders.")
            await _trade(console, demonstration, orders, rate)
            checks = await demonstration.prove()
            _summarise(demonstration, checks)
            if stay:
                say(f"\nStill serving at {demonstration.address}; Ctrl-C ends it.")
                with suppress(asyncio.CancelledError):
                    await asyncio.Event().wait()
    return all(check.holds for check in checks)


async def _trade(console: Console, demonstration: Demonstration, orders: int, rate: float | None) -> None:
    """Trade and wait until the last balance is pushed, showing the figures meanwhile."""

    async def trade() -> None:
        await demonstration.simulator.trade(demonstration.target, orders, rate=rate)
        await demonstration.settled(SETTLING)

    work = asyncio.create_task(trade())
    try:
        await (_watch if console.is_terminal else _report)(console, demonstration, work)
    finally:
        work.cancel()
        await asyncio.wait([work])
    work.result()


async def _watch(console: Console, demonstration: Demonstration, work: asyncio.Task[None]) -> None:
    from rich.live import Live

    with Live(console=console, transient=True, auto_refresh=False) as live:
        while not work.done():
            live.update(_table(await _figures(demonstration)), refresh=True)
            await asyncio.wait([work], timeout=REFRESH)


async def _report(_: Console, demonstration: Demonstration, work: asyncio.Task[None]) -> None:
    while not work.done():
        await asyncio.wait([work], timeout=LINE)
        figures = await _figures(demonstration)
        say(", ".join(f"{label} {value}" for label, value in figures.items()))


async def _figures(demonstration: Demonstration) -> Mapping[str, Any]:
    """What the screen shows, by its label."""
    tally, metrics = demonstration.simulator.tally, demonstration.application.metrics.registry
    attempts = "stampcard_outbox_attempts_total"
    of = {"connection": "shop", "kind": "balance"}

    def pushed(outcome: str) -> int:
        return int(metrics.get_sample_value(attempts, {**of, "outcome": outcome}) or 0)

    return {
        "received": tally.acknowledged,
        "refused (forged)": tally.refused,
        "known already": int(metrics.get_sample_value("stampcard_webhooks_duplicate_total") or 0),
        "points posted": await demonstration.points(),
        "balances pushed": pushed("delivered"),
        "throttled": tally.throttled,
        "tried again": pushed("retrylater") + pushed("unknown"),
        "waiting": await demonstration.waiting(),
        "lag": f"{await demonstration.lag():.1f} s",
    }


def _table(figures: Mapping[str, Any]) -> Any:
    from rich.table import Table

    table = Table.grid(padding=(0, 3))
    for label, value in figures.items():
        table.add_row(f"[dim]{label}[/dim]", f"[bold]{value}[/bold]")
    return table


def _summarise(demonstration: Demonstration, checks: list[Check]) -> None:
    """The result, on stdout."""
    for line in _story(demonstration.simulator.tally):
        show(line)
    for check in checks:
        show(f"  {'ok  ' if check.holds else 'FAIL'} {check.claim}: {check.detail}")
    proved = all(check.holds for check in checks)
    show("proved: not a point is missing" if proved else "NOT proved: see the lines marked FAIL")


def _story(tally: Tally) -> Iterator[str]:
    yield f"{tally.orders} orders: {tally.refunded_orders} refunded, {tally.cancelled} cancelled, {tally.edited} edited"
    yield (
        f"{tally.sent} webhooks sent, {tally.duplicates} of them twice, {tally.redelivered} again, because the answer got "
        f"lost ({tally.lost_answers}) or was none of 2xx; {tally.forged} forged ones, {tally.refused} of them refused"
    )
    yield (
        f"{tally.pushes_received} balances pushed in {tally.push_calls} calls; {tally.throttled} calls were throttled "
        f"and {tally.failures_injected} failed"
    )
