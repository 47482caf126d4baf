from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
import msgspec

from stampcard.plugin import ConnectionContext
from stampcard_woocommerce.calling import call, failure, later, seconds_to_wait
from stampcard_woocommerce.keys import Keys, Pair

if TYPE_CHECKING:
    from stampcard_woocommerce.plugin import WooCommerceSettings

#: Long enough to be fair to a shop that says for how long it is busy, short enough to notice that it no longer is.
_LONGEST = 600.0
_WORD = re.compile(r"[a-z0-9_-]{1,80}")
_BUSY = frozenset({429, 503})
T = TypeVar("T")
Query = Mapping[str, str | int]


class Trouble(msgspec.Struct, frozen=True):
    """WordPress's answer when something is wrong; of it only the word is told on, its message may quote anything."""

    code: str = ""


class Client:
    """One shop's REST API, which knows no limits of its own, but may say that it is busy."""

    def __init__(self, context: ConnectionContext[WooCommerceSettings]) -> None:
        self.context = context
        self.keys = Keys(context)
        self._busy_until = context.clock.now().timestamp()

    async def get(self, path: str, shape: type[T], **query: str | int) -> T:
        """What is there; raises CallFailed."""
        return await self.ask("GET", path, shape, query=query)

    async def listed(self, path: str, shape: type[T], query: Query) -> tuple[list[T], int]:
        """A page of a collection, and how many there are in all; raises CallFailed."""
        response = await self._sent("GET", path, query, None)
        items = _read(response, list[shape])  # type: ignore[valid-type]
        total = response.headers.get("x-wp-total", "")[:9]
        if not total.isascii() or not total.isdecimal():
            raise later("WooCommerce does not say how many there are: does something strip X-WP-Total?")
        return items, int(total)

    async def ask(
        self,
        method: str,
        path: str,
        shape: type[T],
        body: Any = None,
        *,
        query: Query | None = None,
        again: bool = True,
    ) -> T:
        """The answer in the given shape; raises CallFailed for whatever else comes."""
        return _read(await self._sent(method, path, query or {}, body, again=again), shape)

    async def try_(self, pair: Pair) -> None:
        """Whether these keys open what a connection needs; raises CallFailed."""
        for path in ("orders", "webhooks"):
            response = await self._request("GET", path, {"per_page": 1, "_fields": "id"}, None, pair)
            if not response.is_success:
                raise failure(response, _code(response), "the keys: their user must manage the shop")
            _read(response, list[Any])

    async def ping(self) -> None:
        """The cheapest question there is; raises CallFailed."""
        await self.get("orders", list[Any], per_page=1, _fields="id")

    def pace(self) -> float:
        """Seconds until the shop, which said that it is busy, wants to hear from us again."""
        return max(0.0, self._busy_until - self.context.clock.now().timestamp())

    async def _sent(self, method: str, path: str, query: Query, body: Any, *, again: bool = True) -> httpx.Response:
        pair = await self.keys.current()
        response = await self._request(method, path, query, body, pair, again=again)
        if response.status_code == httpx.codes.UNAUTHORIZED and (other := await self.keys.others(pair)) is not None:
            response = await self._request(method, path, query, body, other, again=again)
        if not response.is_success:
            raise failure(response, _code(response), self.keys.blame)
        return response

    async def _request(
        self, method: str, path: str, query: Query, body: Any, pair: Pair, *, again: bool = True
    ) -> httpx.Response:
        more: dict[str, Any] = {"params": dict(query)} if query else {}
        if body is not None:
            more["content"] = msgspec.json.encode(body)
        # Pages are often cached before they are asked for: what is read here must be as it is now.
        headers = {"accept": "application/json", "content-type": "application/json", "cache-control": "no-cache"}
        auth = httpx.BasicAuth(pair.consumer_key, pair.consumer_secret)
        response = await call(self.context, method, path, again=again, headers=headers, auth=auth, **more)
        after = seconds_to_wait(response) if response.status_code in _BUSY else None
        if after is not None:
            self._busy_until = self.context.clock.now().timestamp() + min(after, _LONGEST)
        return response


def _code(response: httpx.Response) -> str:
    try:
        word = msgspec.json.decode(response.content, type=Trouble).code
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""
    return word if _WORD.fullmatch(word) else ""


def _read(response: httpx.Response, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(response.content, type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise later("WooCommerce's answer does not have the published shape") from None
