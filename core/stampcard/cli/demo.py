"""stampcard demo: a simulated shop, live, with the proof at the end."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Mapping
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from stampcard.testing.demonstration import Check, Demonstration

#: How often (seconds) the figures on the screen change.
REFRESH = 0.25
#: How long (seconds) the last pushes may take after the last webhook.
SETTLING = 120.0


def demo(
    orders: Annotated[int, typer.Option(min=1, help="How many orders the simulated shop lives through.")] = 500,
    exit_: Annotated[bool, typer.Option("--exit", help="End after the summary instead of serving on.")] = False,
    seed: Annotated[int, typer.Option(help="The same seed plays the same history.")] = 1,
    rate: Annotated[float | None, typer.Option(min=0.1, help="Orders a second; as fast as possible without.")] = None,
    database: Annotated[str | None, typer.Option(help="A PostgreSQL URL; a fresh SQLite file without.")] = None,
    simulator: Annotated[str, typer.Option(help="The simulated vendor.")] = "shopify",
) -> None:
    """Play a simulated shop against a real server and prove every balance.

    The shop sends signed webhooks over HTTP, twice, out of order, some of them forged; its own API throttles and fails.
    It keeps its own books, and the exit code is 0 only if each balance that it shows equals what its books expect.
    """
    from stampcard.cli.logging import quiet

    quiet()
    proved = asyncio.run(_demo(orders, seed, rate, database, simulator, stay=not exit_ and sys.stdout.isatty()))
    raise typer.Exit(0 if proved else 1)


async def _demo(orders: int, seed: int, rate: float | None, database: str | None, vendor: str, *, stay: bool) -> bool:
    from rich.console import Console

    from stampcard.testing.demonstration import demonstrating

    (entry,) = entry_points(group="stampcard.simulators", name=vendor)
    program = files("stampcard.cli").joinpath("templates/demo.yaml").read_text(encoding="utf8")
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="stampcard-demo-") as folder:
        running = demonstrating(entry.load().build(seed), Path(folder), program, plugin=vendor, database=database)
        async with running as demonstration:
            console.print(f"Stampcard serves at {demonstration.address}, the simulated shop trades {orders} orders.")
            await _trade(console, demonstration, orders, rate)
            checks = await demonstration.prove()
            _summarise(demonstration, checks)
            if stay:
                console.print(f"\nStill serving at {demonstration.address}; Ctrl-C ends it.")
                await asyncio.Event().wait()
    return all(check.holds for check in checks)


async def _trade(console: Console, demonstration: Demonstration, orders: int, rate: float | None) -> None:
    """Trade and wait until the last balance is pushed, showing the figures meanwhile."""
    from rich.live import Live

    async def trade() -> None:
        await demonstration.simulator.trade(demonstration.target, orders, rate=rate)
        await demonstration.settled(SETTLING)

    work = asyncio.create_task(trade())
    with Live(console=console, transient=True, auto_refresh=False) as live:
        while not work.done():
            live.update(_table(await _figures(demonstration)), refresh=True)
            await asyncio.wait([work], timeout=REFRESH)
    work.result()


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
        "duplicates": int(metrics.get_sample_value("stampcard_webhooks_duplicate_total") or 0),
        "points posted": await demonstration.points(),
        "balances pushed": pushed("delivered"),
        "retries": pushed("retrylater") + pushed("unknown"),
        "waiting": await demonstration.waiting(),
        "lag": f"{await demonstration.lag():.1f} s",
    }


def _table(figures: Mapping[str, Any]) -> Any:
    from rich.table import Table

    table = Table.grid(padding=(0, 3))
    table.add_row(*[f"[dim]{label}[/dim]" for label in figures])
    table.add_row(*[f"[bold]{value}[/bold]" for value in figures.values()])
    return table


def _summarise(demonstration: Demonstration, checks: list[Check]) -> None:
    """The result, on stdout."""
    tally = demonstration.simulator.tally
    print(
        f"{tally.orders} orders: {tally.refunded_orders} refunded, {tally.cancelled} cancelled, {tally.edited} edited"
    )
    print(
        f"{tally.sent} webhooks sent, {tally.duplicates} of them twice, {tally.redelivered} again after a failure; "
        f"{tally.forged} forged ones refused"
    )
    print(
        f"{tally.pushes_received} balances pushed in {tally.push_calls} calls, of which "
        f"{tally.throttled} were throttled and {tally.failures_injected} failed"
    )
    for check in checks:
        print(f"  {'ok  ' if check.holds else 'FAIL'} {check.claim}: {check.detail}")
    print("proved: not a point is missing" if all(c.holds for c in checks) else "NOT proved: see the lines marked FAIL")
