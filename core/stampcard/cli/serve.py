"""stampcard serve: webhooks in, balances out, until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import signal
from typing import TYPE_CHECKING

import typer

from stampcard.cli.invocation import settings_of

if TYPE_CHECKING:
    from stampcard.settings import Settings


def serve(context: typer.Context) -> None:
    """Serve webhooks and the API, apply what comes in, push what changed; SIGTERM ends it without losing anything."""
    from stampcard.cli.logging import configure

    settings = settings_of(context)
    configure(settings.log.format, settings.log.level)
    _run(settings)


def _run(settings: Settings) -> None:
    # A batch makes many small values that die together; looking for cycles among them every 700 costs a fifth of the time.
    gc.set_threshold(50_000, 20, 50)
    try:
        import uvloop
    except ImportError:
        asyncio.run(_serve(settings))
    else:
        uvloop.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    import structlog

    from stampcard.app import Application
    from stampcard_webhooks.server import serving

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    log = structlog.get_logger()
    async with Application(settings) as application, serving(application) as address:
        log.info("serving", address=address, connections=sorted(application.connections))
        typer.echo(f"stampcard serves at {address}", err=True)
        await stop.wait()
        log.info("stopping")
