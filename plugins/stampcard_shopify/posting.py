from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import httpx
from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_attempt,
    stop_after_delay,
    wait_random_exponential,
)

from stampcard.plugin import ConnectionContext, PluginError, Rejected, RetryLater

if TYPE_CHECKING:
    from stampcard_shopify.plugin import ShopifySettings

_LOST = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)
#: Of the 4xx: time-outs, throttling, and a shop that is frozen (402), locked (423) or flagged (430) for a while.
_PASSING = frozenset({402, 408, 409, 423, 425, 429, 430})


class CallFailed(PluginError):
    """A call that brought nothing; `outcome` says whether to come again."""

    def __init__(self, outcome: RetryLater | Rejected) -> None:
        self.outcome = outcome
        super().__init__("shopify", outcome.reason)


async def post(
    context: ConnectionContext[ShopifySettings], path: str, content: bytes, headers: Mapping[str, str]
) -> httpx.Response:
    """Post to the shop; everything we post may be repeated, so a lost connection is tried again at once."""
    attempts = AsyncRetrying(
        retry=retry_if_exception_type(_LOST),
        stop=stop_after_attempt(3) | stop_after_delay(5),
        wait=wait_random_exponential(multiplier=0.2, max=1),
        sleep=context.clock.sleep,
        reraise=True,
    )
    url = context.settings.api_url.rstrip("/") + path
    try:
        return await attempts(context.http.post, url, content=content, headers=dict(headers), follow_redirects=False)
    except httpx.HTTPError as error:
        # The error holds the request with its token: its name is all that may leave.
        raise CallFailed(RetryLater(reason=f"no answer from Shopify: {type(error).__name__}")) from None


def failure(response: httpx.Response, blame: str) -> CallFailed:
    """What an answer other than 200 means; `blame` names the settings that hold the credentials."""
    status = response.status_code
    if status == httpx.codes.UNAUTHORIZED:
        return CallFailed(RetryLater(reason=f"Shopify refuses the credentials (401): check {blame}"))
    reason = f"Shopify answered {status}"
    if response.is_client_error and status not in _PASSING:
        return CallFailed(Rejected(reason=reason))
    return CallFailed(RetryLater(reason=reason, after=seconds_to_wait(response)))


def seconds_to_wait(response: httpx.Response) -> float | None:
    """Retry-After, which Shopify gives in seconds."""
    # No more digits than a year of seconds has: thousands of them would be infinity.
    text = response.headers.get("retry-after", "")[:9]
    return float(text) if text.isascii() and text.replace(".", "", 1).isdecimal() else None
