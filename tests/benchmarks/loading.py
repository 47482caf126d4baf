"""A load that costs little itself: prepared bytes over keep-alive connections, one request under way on each."""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from collections.abc import Iterator, Sequence
from functools import lru_cache
from multiprocessing.connection import Connection
from typing import Any

import uvloop
from processes import answering
from signing import webhooks

from stampcard.domain.value import Value

#: Seconds after which a load is broken off.
LONGEST = 60.0
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Load(Value, frozen=True):
    """So many webhooks there, for at most `seconds`; at `rate` a second, or else as fast as the answers come."""

    address: tuple[str, int]
    count: int
    first_order: int = 0
    customers: int = 1_000_000
    connections: int = 64
    seconds: float = LONGEST
    rate: float | None = None


class Answers(Value, frozen=True):
    """What came back. `sent` and `answered` are moments of the machine's monotonic clock, by the number of the order."""

    sent: tuple[float, ...]
    answered: tuple[float, ...]
    refused: int

    @property
    def rate(self) -> float:
        """Answers of 200 a second; raises if anything was answered otherwise, so that no figure is quietly wrong."""
        if self.refused or not self.answered:
            message = f"{self.refused} of {len(self.answered)} webhooks were not answered 200"
            raise RuntimeError(message)
        return len(self.answered) / (max(self.answered) - min(self.sent))

    def wait(self, share: float) -> float:
        """Seconds that so large a share of the requests waited at most."""
        waits = sorted(end - start for start, end in zip(self.sent, self.answered, strict=True))
        return waits[min(len(waits) - 1, int(len(waits) * share))]


class Range:
    """All connections of one load, and what is still to be sent."""

    def __init__(self, requests: Sequence[bytes], load: Load) -> None:
        self._requests = requests
        self._left: Iterator[int] = iter(range(len(requests)))
        self._paced = load.rate is not None
        self._until = time.monotonic() + load.seconds
        self._under_way = 0
        self._ended = False
        self.idle: deque[Shooter] = deque()
        self.sent: list[float] = [0.0] * len(requests)
        self.answered: list[float] = [0.0] * len(requests)
        self.refused = 0
        self.done = asyncio.get_running_loop().create_future()

    def fire(self, shooter: Shooter) -> bool:
        """Send the next request there; False when there is none."""
        number = next(self._left, None) if time.monotonic() < self._until else None
        if number is None:
            self.end()
            return False
        self._under_way += 1
        self.sent[number] = time.monotonic()
        shooter.send(number, self._requests[number])
        return True

    def hit(self, shooter: Shooter, number: int, ok: bool) -> None:
        """An answer has come."""
        self.answered[number] = time.monotonic()
        self.refused += not ok
        self._under_way -= 1
        if self._ended:
            self.end()
        elif self._paced:
            self.idle.append(shooter)
        else:
            self.fire(shooter)

    def end(self) -> None:
        """Nothing more is sent: done once the last answer is there."""
        self._ended = True
        if not self._under_way and not self.done.done():
            self.done.set_result(None)

    def broken(self, error: Exception | None) -> None:
        """A connection has gone although an answer was due."""
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("the server closed a connection"))


class Shooter(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self) -> None:
        self.range: Range | None = None
        self._number = 0
        self._data = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self.range is not None:
            self.range.broken(exc)

    def send(self, number: int, request: bytes) -> None:
        self._number = number
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, found, body = self._data.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not found or (length is not None and len(body) < int(length[1])):
            return
        ok, self._data = self._data.startswith(b"HTTP/1.1 200"), b""
        if self.range is not None:
            self.range.hit(self, self._number, ok)

    def close(self) -> None:
        self.range = None
        self._transport.close()


async def shoot(requests: Sequence[bytes], load: Load) -> Answers:
    """Send the requests; every one that was sent is answered, or it raises."""
    loop = asyncio.get_running_loop()
    pairs = [await loop.create_connection(Shooter, *load.address) for _ in range(load.connections)]
    shooters = [shooter for _, shooter in pairs]
    aim = Range(requests, load)
    for shooter in shooters:
        shooter.range = aim
    try:
        async with asyncio.timeout(LONGEST):
            if load.rate is None:
                for shooter in shooters:
                    aim.fire(shooter)
            else:
                aim.idle.extend(shooters)
                await _pace(aim, load.rate, len(requests))
            await aim.done
    finally:
        for shooter in shooters:
            shooter.close()
    hit = [number for number, at in enumerate(aim.answered) if at]
    return Answers(
        sent=tuple(aim.sent[n] for n in hit), answered=tuple(aim.answered[n] for n in hit), refused=aim.refused
    )


async def _pace(aim: Range, rate: float, count: int) -> None:
    """Fire evenly; what finds no idle connection is fired as soon as there is one."""
    began, fired = time.monotonic(), 0
    while fired < count:
        due = min(count, int((time.monotonic() - began) * rate) + 1)
        while fired < due and aim.idle:
            if not aim.fire(aim.idle.popleft()):
                return
            fired += 1
        await asyncio.sleep(0.002)
    aim.end()


def load(pipe: Connection) -> None:
    """A process that sends loads."""
    uvloop.run(answering(pipe, "ready", _carry))


async def _carry(load: Load) -> Answers:
    return await shoot(_requests(load.count, load.first_order, load.customers), load)


@lru_cache(maxsize=1)
def _requests(count: int, first_order: int, customers: int) -> list[bytes]:
    return webhooks(count, first_order, customers)
