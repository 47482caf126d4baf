"""A served Stampcard in a process of its own, to be stopped and killed, and a sender that lives through it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from stampcard.sealing import new_key_text
from stampcard.testing.demonstration import CONNECTION, prepare_database
from stampcard.testing.simulator import SignedRequest, Simulator
from stampcard.testing.waiting import eventually

#: What the command `stampcard serve` runs.
SERVE: Sequence[str] = ("-c", "from stampcard.cli.main import run; run()")
_SERVES = "stampcard serves at "


def install(folder: Path, simulator: Simulator, program: str, *, plugin: str, database: str) -> Path:
    """An installation that is connected to the simulator, which must serve; answers its settings file."""
    prepare_database(database, "main", program, simulator.clock.now())
    key_file = folder / "stampcard.key"
    key_file.touch(mode=0o600)
    key_file.write_text(new_key_text(), encoding="utf8")
    config = folder / "stampcard.toml"
    config.write_text(_toml(database, simulator, plugin), encoding="utf8")
    return config


def _toml(database: str, simulator: Simulator, plugin: str) -> str:
    tables: dict[str, Mapping[str, object]] = {
        "http": {"port": 0},
        "security": {"outbound_allow": [urlsplit(simulator.api_url).netloc]},
        "deliver": {"coalesce": 0.1},
        f"connections.{CONNECTION}": {"plugin": plugin, **simulator.settings()},
    }
    lines = [f"database = {json.dumps(database)}", "programs = []"]
    for name, table in tables.items():
        # A text, a number or a list of texts is written in TOML as it is in JSON.
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"


class Server:
    """One life of `stampcard serve`; `address` is known once it listens."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._log = log
        self.address = ""

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    @property
    def output(self) -> str:
        """What it has said on stderr so far."""
        return self._log.read_text(encoding="utf8")

    @property
    def code(self) -> int | None:
        """What it ended with, None while it runs; negative: the signal that ended it."""
        return self._process.returncode

    async def ended(self, within: float = 30.0) -> int:
        """Wait for the end; answers the code."""
        try:
            async with asyncio.timeout(within):
                return await self._process.wait()
        except TimeoutError:
            message = f"the server outlived {within:g} seconds; it said: {self.output[-2000:]}"
            raise AssertionError(message) from None

    async def stop(self) -> int:
        """Ask it to end, as a service manager does."""
        self._process.send_signal(signal.SIGTERM)
        return await self.ended()

    async def listening(self) -> None:
        """Wait until it serves or has ended."""

        async def found() -> bool:
            lines = [line for line in self.output.splitlines() if line.startswith(_SERVES)]
            self.address = lines[0].removeprefix(_SERVES) if lines else ""
            return bool(lines) or self.code is not None

        await eventually("the server listens", found)

    def kill(self) -> None:
        """End it at once, wherever it is; does nothing if it has ended."""
        if self.code is None:
            self._process.kill()


@asynccontextmanager
async def starting(
    config: Path, *, entry: Sequence[str] = SERVE, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Server]:
    """A server that was just started; whatever happens, it does not outlive the context."""
    number = len(list(config.parent.glob("serve-*.log")))
    log = config.parent / f"serve-{number}.log"
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *entry, "--config", str(config), "serve",
            stdout=out, stderr=out, env={**os.environ, **(environment or {})},
        )  # fmt: skip
    server = Server(process, log)
    try:
        await server.listening()
        yield server
    finally:
        server.kill()
        await process.wait()


class Sender:
    """Posts webhooks, several at a time, each again until it is acknowledged, wherever the receiver is just now."""

    def __init__(self, address: Callable[[], str], *, senders: int = 8, pause: float = 0.0) -> None:
        """`pause`: seconds that each sender rests after an answer."""
        self._address = address
        self._senders = senders
        self.pause = pause
        self.acknowledged: list[SignedRequest] = []

    async def send(self, requests: Iterable[SignedRequest]) -> None:
        """Send them all, in about that order."""
        left = iter(requests)
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
            asyncio.TaskGroup() as senders,
        ):
            for _ in range(self._senders):
                senders.create_task(self._walk(session, left))

    async def _walk(self, session: aiohttp.ClientSession, left: Iterator[SignedRequest]) -> None:
        for request in left:
            while not await self._is_taken(session, request):  # noqa: ASYNC110 - the receiver is another process
                await asyncio.sleep(0.05)
            self.acknowledged.append(request)
            await asyncio.sleep(self.pause)

    async def _is_taken(self, session: aiohttp.ClientSession, request: SignedRequest) -> bool:
        address = self._address()
        if not address:
            return False
        try:
            async with session.post(
                f"{address}/webhooks/{CONNECTION}", data=request.body, headers=request.headers
            ) as answer:
                await answer.read()
                return answer.ok
        except (aiohttp.ClientError, TimeoutError, ConnectionError):
            return False
