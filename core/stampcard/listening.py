"""An application that is served at an address, and ends in order."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Self

from aiohttp import web

#: Turns of the loop in which whoever was let in comes in: accepted, made, and heard of.
_TURNS = 3


class Listening:
    """A server that listens; made by `at`."""

    def __init__(self, runner: web.AppRunner, server: asyncio.Server) -> None:
        self._runner, self._server = runner, server

    @classmethod
    async def at(
        cls, application: web.Application, host: str, port: int, *, patience: float, backlog: int = 128
    ) -> Self:
        """Listen there, at a free port for 0; `patience`: seconds that calls have to end. Raises OSError."""
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=patience)
        await runner.setup()
        try:
            loop = asyncio.get_running_loop()
            assert runner.server is not None, "it was set up"
            return cls(runner, await loop.create_server(runner.server, host, port, backlog=backlog))
        except BaseException:
            await runner.cleanup()
            raise

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        host, port = self._server.sockets[0].getsockname()[:2]
        return host, port

    async def end(self) -> None:
        """Let nobody in any more, let calls end, and close."""
        loop = asyncio.get_running_loop()
        try:
            # A server that is closed at once forgets, and never closes, whom it is just letting in.
            with suppress(NotImplementedError):  # of loops that have no readers
                for listening in self._server.sockets:
                    loop.remove_reader(listening.fileno())
            for _ in range(_TURNS):
                await asyncio.sleep(0)
        finally:
            self._server.close()
            await self._runner.cleanup()
