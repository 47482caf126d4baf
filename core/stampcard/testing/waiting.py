"""Waiting for what must come about, without a word on how long it usually takes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

#: Seconds after which something is taken to never happen; generous, because machines are busy.
PATIENCE = 30.0
_PAUSE = 0.05


async def eventually(what: str, condition: Callable[[], Awaitable[object]], within: float = PATIENCE) -> None:
    """Return once the condition is true; AssertionError, naming what was waited for, if that never happens."""
    try:
        async with asyncio.timeout(within):
            while not await condition():  # noqa: ASYNC110 - what is waited for happens in a database or another process
                await asyncio.sleep(_PAUSE)
    except TimeoutError:
        message = f"never came about: {what}"
        raise AssertionError(message) from None
