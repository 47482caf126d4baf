"""Bytes from strangers, before and after somebody vouched for them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Literal, get_args

from stampcard.domain.value import Value


class UnverifiedRequest(Value, frozen=True):
    """A webhook request as it came in. `headers` have lower-case names; `url` is built from the public_url setting.

    `path`: of a request to a route, what stood in the open parts of its path.
    """

    url: str
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime
    path: Mapping[str, str] = {}

    def header(self, name: str) -> str:
        """A header's value, or the empty text."""
        return self.headers.get(name.lower(), "")


class VerifiedRequest(Value, frozen=True):
    """What `verify` vouches for. `topic` selects the parser; `headers` are the few worth keeping with the delivery."""

    topic: str
    body: bytes
    headers: Mapping[str, str] = {}


class Reply(Value, frozen=True):
    """An answer that is due at once and stores nothing: a vendor's challenge or ping, or what a route says.

    `location`: where a route sends a browser on to, with a status of 302 or 303. `frames`: origins whose pages may show a
    route's answer in a frame; nobody else may. `resumes`: the connection has access again, so what ended because the
    vendor took it away goes on. `headers`: a route's own, as far as they are among `REPLY_HEADERS`. `stores`: what a route's
    request told; it is a delivery like a webhook's, whose key and events the connection's webhook tells, and is committed
    before the answer leaves.
    """

    body: bytes = b""
    content_type: str = "text/plain"
    status: int = 200
    location: str = ""
    frames: tuple[str, ...] = ()
    resumes: bool = False
    headers: Mapping[str, str] = {}
    stores: VerifiedRequest | None = None


#: The headers that a route may answer with.
REPLY_HEADERS = frozenset({"cache-control", "content-disposition", "etag", "last-modified", "www-authenticate"})


Method = Literal["GET", "POST", "PUT", "DELETE"]
METHODS: tuple[Method, ...] = get_args(Method)


class Route(Value, frozen=True):
    """An address of a connection's own, for a vendor's installation flow say: ``/connections/{name}/{path}``.

    `path`: words of a–z, 0–9 and dashes between slashes; one in braces, such as ``{serial}``, is open and stands for any.
    The handler gets the raw request, which anybody may have sent, and
    raises InvalidSignature (answered 401), MalformedPayload (400), or PluginError (503) with a text that anybody may read.
    A body is at most 64 KiB, and calls are paced for each sender.
    """

    method: Method
    path: str
    handler: Callable[[UnverifiedRequest], Awaitable[Reply]]
