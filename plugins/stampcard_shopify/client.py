from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
import msgspec

from stampcard.plugin import ConnectionContext, RetryLater
from stampcard_shopify.posting import CallFailed, Sending, failure, post, seconds_to_wait, unsure
from stampcard_shopify.tokens import Tokens

if TYPE_CHECKING:
    from stampcard_shopify.plugin import ShopifySettings

PING = "query Ping { shop { name } }"
#: Errors of the whole call after which surely nothing was done, and what to look at.
_REFUSED = {"ACCESS_DENIED": "check the app's access scopes", "MAX_COST_EXCEEDED": "", "SHOP_INACTIVE": ""}
T = TypeVar("T")


class Answer(msgspec.Struct, frozen=True, rename="camel"):
    """The base of what the Admin API answers (https://shopify.dev/docs/api/admin-graphql)."""


class Status(Answer, frozen=True):
    maximum_available: float
    currently_available: float
    restore_rate: float


class Cost(Answer, frozen=True):
    requested_query_cost: float
    throttle_status: Status


class Extensions(Answer, frozen=True):
    cost: Cost | None = None
    code: str = ""


class Trouble(Answer, frozen=True):
    extensions: Extensions | None = None


class Envelope(Answer, frozen=True):
    data: msgspec.Raw = msgspec.Raw(b"null")
    errors: tuple[Trouble, ...] = ()
    extensions: Extensions | None = None


class Client:
    """One shop's Admin API: knows the token, and how many of Shopify's points are left."""

    def __init__(self, context: ConnectionContext[ShopifySettings]) -> None:
        self._context = context
        self.tokens = Tokens(context)
        self._path = f"/admin/api/{context.settings.api_version}/graphql.json"
        self._cost: Cost | None = None
        self._known_at = context.clock.now()

    async def ask(self, document: str, variables: Mapping[str, Any], shape: type[T], sending: Sending = "state") -> T:
        """The answer's data in the given shape; raises CallFailed for whatever else comes."""
        content = msgspec.json.encode({"query": document, "variables": variables})
        token = await self.tokens.current()
        response = await self._post(content, token, sending)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            response = await self._post(content, await self.tokens.renewed(token), sending)
        return self._read(response, shape, sending)

    async def ping(self) -> None:
        """The cheapest question there is; raises CallFailed."""
        await self.ask(PING, {}, dict[str, Any])

    def pace(self) -> float:
        """Seconds until the shop has points again for a call like the last one."""
        if self._cost is None:
            return 0.0
        status = self._cost.throttle_status
        passed = (self._context.clock.now() - self._known_at).total_seconds()
        points = min(status.maximum_available, status.currently_available + passed * status.restore_rate)
        missing = min(self._cost.requested_query_cost, status.maximum_available) - points
        return max(0.0, missing / status.restore_rate) if status.restore_rate > 0 else 0.0

    async def _post(self, content: bytes, token: str, sending: Sending) -> httpx.Response:
        headers = {"content-type": "application/json", "accept": "application/json", "x-shopify-access-token": token}
        return await post(self._context, self._path, content, headers, sending)

    def _read(self, response: httpx.Response, shape: type[T], sending: Sending) -> T:
        envelope = _envelope(response.content)
        codes = {error.extensions.code if error.extensions else "" for error in envelope.errors} if envelope else set()
        if envelope and envelope.extensions and envelope.extensions.cost:
            self._cost, self._known_at = envelope.extensions.cost, self._context.clock.now()
        if "THROTTLED" in codes or response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            after = seconds_to_wait(response)
            raise CallFailed(
                RetryLater(reason="Shopify throttles us", after=self.pace() or None if after is None else after)
            )
        if response.status_code != httpx.codes.OK:
            raise failure(response, self.tokens.blame, sending)
        if codes:
            raise _refused(codes, sending)
        try:
            return msgspec.json.decode(envelope.data if envelope else b"", type=shape)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise unsure("Shopify's answer does not have the published shape", sending) from None


def _refused(codes: AbstractSet[str], sending: Sending) -> CallFailed:
    named = ", ".join(sorted(filter(None, codes))) or "no code"
    advice = "; ".join(_REFUSED[code] for code in sorted(codes) if _REFUSED.get(code))
    reason = f"Shopify answered with errors ({named})" + (f": {advice}" if advice else "")
    return CallFailed(RetryLater(reason=reason)) if codes <= _REFUSED.keys() else unsure(reason, sending)


def _envelope(content: bytes) -> Envelope | None:
    try:
        return msgspec.json.decode(content, type=Envelope)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
