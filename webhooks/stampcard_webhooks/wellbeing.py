"""How connections say they are: asked with a limit, and not again for a while, whoever wants to know."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

from stampcard.errors import told
from stampcard.host.connecting import Connection
from stampcard.plugin.capabilities import Health

#: Seconds that a plugin's own check may take, and that its answer is good for.
WITHIN, GOOD_FOR = 2.0, 15.0


class Wellbeing:
    """Remembers what each connection said of itself."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, Health | None]] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    def forget(self, name: str) -> None:
        """Ask anew how a connection is."""
        self._known.pop(name, None)

    async def ask(self, connection: Connection) -> Health | None:
        """What a connection says; None when it has no check of its own."""
        async with self._locks.setdefault(connection.name, asyncio.Lock()):
            asked_at, health = self._known.get(connection.name, (float("-inf"), None))
            if time.monotonic() - asked_at >= GOOD_FOR:
                health = await _ask(connection)
                self._known[connection.name] = (time.monotonic(), health)
            return health


def silence(name: str, span: timedelta) -> str:
    """What is said of a connection of which nothing was heard for so long."""
    hours = int(span.total_seconds()) // 3600
    return (
        f"no webhook came for {hours} hours: see whether they are still sent, by stampcard connection webhooks {name}"
    )


async def _ask(connection: Connection) -> Health | None:
    if connection.capabilities is None:
        return Health(ok=False, problem=connection.problem)
    if connection.capabilities.check_health is None:
        return None
    try:
        async with asyncio.timeout(WITHIN):
            return await connection.capabilities.check_health()
    except TimeoutError:
        return Health(ok=False, problem=f"its check did not end within {WITHIN:g} seconds")
    except Exception as error:  # noqa: BLE001 - a plugin's own code
        return Health(ok=False, problem=f"its check failed: {told(error)}")
