"""A server on the loopback that stands before a vendor's API and misbehaves as told: slow, broken, throttling, lying.

Every fault is a value: ``server.fault = drip(0.1)`` from the next call on, ``server.fault = None`` to be well again.
"""

from __future__ import annotations

import asyncio
import gzip
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import web

from stampcard.domain.value import Value
from stampcard.listening import Listening

PassOn = Callable[[], Awaitable[web.Response]]
Fault = Callable[[web.Request, PassOn], Awaitable[web.StreamResponse]]

#: What belongs to one hop and not to the message.
_OF_THE_HOP = frozenset(
    {"host", "connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding", "accept-encoding"}
)
_LARGEST = 64 * 1024 * 1024
_CHUNK = 64 * 1024
_AT_ONCE = struct.pack("ii", 1, 0)


class Call(Value, frozen=True):
    """One call that arrived; `at` in seconds of the event loop's time."""

    at: float
    method: str
    path: str
    body: bytes


class FaultServer:
    """Passes calls on to `upstream` (a base URL; without one it answers 404), unless a fault is set."""

    def __init__(self, upstream: str = "") -> None:
        self.upstream = upstream.rstrip("/")
        self.fault: Fault | None = None
        self.calls: list[Call] = []
        self.url = ""
        self._listening: Listening
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        server = web.Application(client_max_size=_LARGEST)
        server.router.add_route("*", "/{path:.*}", self._answer)
        self._session = aiohttp.ClientSession()
        self._listening = await Listening.at(server, "127.0.0.1", 0, patience=0.1)
        self.url = f"http://127.0.0.1:{self._listening.address[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._listening.end()
        await self._session.close()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        at = asyncio.get_running_loop().time()
        self.calls.append(Call(at=at, method=request.method, path=request.path_qs, body=body))

        async def pass_on() -> web.Response:
            return await self._pass_on(request, body)

        return await (pass_on() if self.fault is None else self.fault(request, pass_on))

    async def _pass_on(self, request: web.Request, body: bytes) -> web.Response:
        if not self.upstream:
            return web.Response(status=404)
        url, headers = self.upstream + request.path_qs, _end_to_end(request.headers)
        try:
            async with self._session.request(
                request.method, url, data=body, headers=headers, allow_redirects=False
            ) as found:
                return web.Response(status=found.status, headers=_end_to_end(found.headers), body=await found.read())
        except aiohttp.ClientError:
            return web.Response(status=502)


def latency(seconds: float) -> Fault:
    """Does what it should, late."""

    async def fault(_: web.Request, pass_on: PassOn) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return await pass_on()

    return fault


def reset() -> Fault:
    """Cuts the connection before anything was done."""

    async def fault(request: web.Request, _: PassOn) -> web.StreamResponse:
        return _cut(request)

    return fault


def lost_answer() -> Fault:
    """Does what it should and cuts the connection: the caller cannot know."""

    async def fault(request: web.Request, pass_on: PassOn) -> web.StreamResponse:
        await pass_on()
        return _cut(request)

    return fault


def half_answer() -> Fault:
    """Does what it should, announces a whole answer and sends half of it."""

    async def fault(request: web.Request, pass_on: PassOn) -> web.StreamResponse:
        whole = await pass_on()
        body = bytes(whole.body) if isinstance(whole.body, bytes | bytearray) else b"{}"
        answer = web.StreamResponse(status=whole.status, headers={"Content-Type": whole.content_type})
        answer.content_length = len(body) or 1
        await answer.prepare(request)
        await answer.write(body[: len(body) // 2])
        _cut(request)
        return answer

    return fault


def drip(seconds: float) -> Fault:
    """Begins an answer at once and then sends a blank every so many seconds, for as long as anybody listens."""

    async def fault(request: web.Request, _: PassOn) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        await answer.prepare(request)
        with suppress(ConnectionError):
            while True:
                await answer.write(b" ")
                await asyncio.sleep(seconds)
        return answer

    return fault


def saying(
    status: int, body: bytes = b"", content_type: str = "text/plain", headers: Mapping[str, str] | None = None
) -> Fault:
    """Answers that, and nothing else happens."""

    async def fault(_: web.Request, __: PassOn) -> web.StreamResponse:
        return web.Response(status=status, body=body, content_type=content_type, headers=headers)

    return fault


def throttling(retry_after: float) -> Fault:
    """429 with Retry-After, in seconds."""
    return saying(429, headers={"Retry-After": f"{retry_after:g}"})


def redirecting(target: str, status: int = 307) -> Fault:
    """Sends the caller elsewhere: to an address of the inside, say."""
    return saying(status, headers={"Location": target})


def page() -> Fault:
    """The friendly HTML of whatever stands before the vendor, with a 200."""
    return saying(200, b"<!doctype html><title>Back soon</title><p>We are tidying up.", "text/html")


def huge(size: int) -> Fault:
    """An answer of so many bytes that does not say how long it is."""

    async def fault(request: web.Request, _: PassOn) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        await answer.prepare(request)
        with suppress(ConnectionError):
            for _chunk in range(max(1, size // _CHUNK)):
                await answer.write(b" " * _CHUNK)
        return answer

    return fault


def bomb(size: int) -> Fault:
    """A small packed answer that becomes so many bytes."""
    return saying(200, gzip.compress(bytes(size)), "application/json", {"Content-Encoding": "gzip"})


def garbage() -> Fault:
    """Bytes that are no HTTP at all."""

    async def fault(request: web.Request, _: PassOn) -> web.StreamResponse:
        if request.transport is not None:
            request.transport.write(b"\x16\x03\x01\x00\xa5 what is a status line?\r\n\r\n")
            request.transport.close()
        return web.Response()

    return fault


def _cut(request: web.Request) -> web.Response:
    """End the connection at once: no goodbye, and nothing that waits is sent."""
    if request.transport is not None:
        found: socket.socket | None = request.transport.get_extra_info("socket")
        if found is not None:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        request.transport.abort()
    return web.Response()


def _end_to_end(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _OF_THE_HOP}
