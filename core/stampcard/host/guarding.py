"""The only way out: an HTTP client that checks where it connects, follows no redirect and caps answers."""

from __future__ import annotations

import asyncio
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from functools import cache

import aiohttp
import httpx
from aiohttp.abc import AbstractResolver, ResolveResult
from httpx_aiohttp import AiohttpTransport
from yarl import URL

from stampcard.errors import CallRefused
from stampcard.host.addresses import OutboundRules, outbound_rules

TIMEOUT = 15.0
CONNECTING = 5.0
MAX_ANSWER = 8 * 1024 * 1024
MAX_CONNECTIONS = 20
KEEP_ALIVE = 30.0

_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32

# The transport reports a lost connection as a connect time-out, but then the request may have arrived: a plugin that
# believes it would send twice. The first that fits is raised.
_FAILURES: tuple[tuple[type[Exception], type[httpx.TransportError]], ...] = (
    (aiohttp.ClientConnectorError, httpx.ConnectError),
    (aiohttp.ConnectionTimeoutError, httpx.ConnectTimeout),
    (aiohttp.ServerTimeoutError, httpx.ReadTimeout),
    (aiohttp.InvalidURL, httpx.UnsupportedProtocol),
    (aiohttp.NonHttpUrlClientError, httpx.UnsupportedProtocol),
    (aiohttp.ServerDisconnectedError, httpx.RemoteProtocolError),
    (aiohttp.ClientResponseError, httpx.RemoteProtocolError),
    (aiohttp.ClientError, httpx.ReadError),
)


def guarded_client(
    allowed: Sequence[str],
    named: Sequence[str],
    *,
    timeout: float = TIMEOUT,
    max_answer: int = MAX_ANSWER,
    resolver: AbstractResolver | None = None,
) -> httpx.AsyncClient:
    """A client for one connection, with its own keep-alive pool.

    It calls the hosts that the connection names by public https, and what `allowed` (hosts, ``host:port``, networks)
    adds. `timeout`: seconds for a whole call; `max_answer`: bytes of an answer, also once unpacked. Raises CallRefused
    before anything left; what happens later is an httpx.TransportError.
    """
    rules = outbound_rules(allowed, named)
    transport = GuardedTransport(rules, timeout, max_answer, resolver)
    return httpx.AsyncClient(
        transport=transport,
        timeout=httpx.Timeout(timeout, connect=min(CONNECTING, timeout)),
        headers={"accept-encoding": "gzip"},
        follow_redirects=False,
        trust_env=False,
    )


def closed_client() -> httpx.AsyncClient:
    """A client that calls nobody, for whoever wants to know what a connection can do and no more."""
    return httpx.AsyncClient(transport=ClosedTransport(), follow_redirects=False, trust_env=False)


class ClosedTransport(httpx.AsyncBaseTransport):
    """Refuses every call."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise CallRefused(request.url.host, "no vendor is called here")


class CheckedResolver(AbstractResolver):
    """Resolves names and drops the addresses that must not be reached; what is checked is what is connected to."""

    def __init__(self, rules: OutboundRules, inner: AbstractResolver) -> None:
        self._rules = rules
        self._inner = inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        reachable = [result for result in found if self._rules.reachable(host, port, result["host"])]
        if found and not reachable:
            reason = "its name stands for an address that is not public; see [security] outbound_allow"
            raise CallRefused(f"{host}:{port}", reason)
        return reachable

    async def close(self) -> None:
        await self._inner.close()


@cache
def _tls() -> ssl.SSLContext:
    """What every client checks certificates with: to read all authorities takes long."""
    return httpx.create_ssl_context(trust_env=False)


class GuardedTransport(httpx.AsyncBaseTransport):
    """Checks each request, then sends it over aiohttp under one deadline for the whole call."""

    def __init__(
        self, rules: OutboundRules, seconds: float, max_answer: int, resolver: AbstractResolver | None
    ) -> None:
        self._rules = rules
        self._seconds = seconds
        self._max_answer = max_answer
        self._resolver = resolver
        self._tls = _tls()
        self._inner = AiohttpTransport(verify=self._tls, trust_env=False, client=self._session)

    def _session(self) -> aiohttp.ClientSession:
        resolver = CheckedResolver(self._rules, self._resolver or aiohttp.ThreadedResolver())
        connector = aiohttp.TCPConnector(
            resolver=resolver, ssl=self._tls, limit=MAX_CONNECTIONS, keepalive_timeout=KEEP_ALIVE
        )
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        # Judged as the library that connects will read it: two parsers may see two hosts in one text.
        url = URL(str(request.url))
        reason = self._rules.refusal(url)
        if reason:
            raise CallRefused(f"{url.scheme}://{url.raw_host}:{url.port}", reason)
        deadline = asyncio.get_running_loop().time() + self._seconds
        with _explained(request, self._seconds):
            async with asyncio.timeout_at(deadline):
                response = await self._inner.handle_async_request(request)
        return self._capped(request, response, deadline)

    def _capped(self, request: httpx.Request, response: httpx.Response, deadline: float) -> httpx.Response:
        headers = [
            (name, value)
            for name, value in response.headers.raw
            if name.lower() not in {b"content-encoding", b"content-length"}
        ]
        stream = CappedStream(request, response, deadline, self._seconds, self._max_answer)
        return httpx.Response(
            status_code=response.status_code,
            headers=headers,
            stream=stream,
            request=request,
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        await self._inner.aclose()


class CappedStream(httpx.AsyncByteStream):
    """An answer's body, unpacked here, because a small packed body can become a huge one."""

    def __init__(
        self, request: httpx.Request, response: httpx.Response, deadline: float, seconds: float, max_answer: int
    ) -> None:
        self._request = request
        self._response = response
        self._deadline = deadline
        self._seconds = seconds
        self._max_answer = max_answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        announced = self._response.headers.get("content-length", "")
        if self._request.method != "HEAD" and announced.isdecimal() and int(announced) > self._max_answer:
            raise self._too_long()
        left = self._max_answer
        unpacker = self._unpacker()
        packed = False
        assert isinstance(self._response.stream, httpx.AsyncByteStream)
        chunks = self._response.stream.__aiter__()
        while (chunk := await self._next(chunks)) is not None:
            packed = True
            data = self._unpacked(unpacker, chunk, left) if unpacker else chunk
            left -= len(data)
            if left < 0:
                raise self._too_long()
            yield data
        if unpacker and packed and not unpacker.eof:
            raise httpx.ReadError("the packed answer ended early", request=self._request)

    async def _next(self, chunks: AsyncIterator[bytes]) -> bytes | None:
        with _explained(self._request, self._seconds):
            async with asyncio.timeout_at(self._deadline):
                return await anext(chunks, None)

    def _unpacker(self) -> zlib._Decompress | None:
        encoding = self._response.headers.get("content-encoding", "identity").strip().lower()
        if encoding in {"", "identity"}:
            return None
        if encoding not in {"gzip", "x-gzip", "deflate"}:
            raise httpx.DecodingError(f"the answer is packed as {encoding!r}, not as asked", request=self._request)
        return zlib.decompressobj(_GZIP_OR_ZLIB)

    def _unpacked(self, unpacker: zlib._Decompress, chunk: bytes, left: int) -> bytes:
        try:
            return unpacker.decompress(chunk, left + 1)
        except zlib.error as error:
            raise httpx.DecodingError(f"the packed answer is broken: {error}", request=self._request) from error

    def _too_long(self) -> httpx.ReadError:
        return httpx.ReadError(f"the answer is longer than {self._max_answer} bytes", request=self._request)

    async def aclose(self) -> None:
        await self._response.aclose()


@contextmanager
def _explained(request: httpx.Request, seconds: float) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise httpx.ReadTimeout(f"no whole answer within {seconds:g} seconds", request=request) from error
    except (httpx.TransportError, aiohttp.ClientError) as error:
        cause = error.__cause__ if isinstance(error, httpx.TransportError) else error
        for kind, meaning in _FAILURES:
            if isinstance(cause, kind):
                raise meaning(str(cause) or type(cause).__name__, request=request) from cause
        raise
