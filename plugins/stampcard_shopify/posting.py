from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import httpx
from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_attempt,
    stop_after_delay,
    wait_random_exponential,
)

from stampcard.plugin import ConnectionContext, PluginError, Rejected, RetryLater, Unknown

if TYPE_CHECKING:
    from stampcard_shopify.plugin import ShopifySettings

#: What a repeat does: `state` overwrites itself, `guarded` is refused by the vendor, `once` happens again.
Sending = Literal["state", "guarded", "once"]
#: The request never left.
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout)
_LOST = (*_UNSENT, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)
_AT_ONCE: Mapping[Sending, tuple[type[httpx.HTTPError], ...]] = {"state": _LOST, "guarded": _LOST, "once": _UNSENT}
#: Of the 4xx: time-outs, throttling, and a shop that is frozen (402), locked (423) or flagged (430) for a while.
_PASSING = frozenset({402, 408, 409, 423, 425, 429, 430})


class CallFailed(PluginError):
    """A call that brought nothing; `outcome` says whether to come again, or that nobody knows what it did."""

    def __init__(self, outcome: RetryLater | Rejected | Unknown) -> None:
        self.outcome = outcome
        super().__init__("shopify", outcome.reason)


def unsure(reason: str, sending: Sending, after: float | None = None) -> CallFailed:
    """The request left, and no answer says what it did."""
    return CallFailed(RetryLater(reason=reason, after=after) if sending == "state" else Unknown(reason=reason))


async def post(
    context: ConnectionContext[ShopifySettings],
    path: str,
    content: bytes,
    headers: Mapping[str, str],
    sending: Sending = "state",
) -> httpx.Response:
    """Post to the shop; a lost connection is tried again at once where that does no harm."""
    attempts = AsyncRetrying(
        retry=retry_if_exception_type(_AT_ONCE[sending]),
        stop=stop_after_attempt(3) | stop_after_delay(5),
        wait=wait_random_exponential(multiplier=0.2, max=1),
        sleep=context.clock.sleep,
        reraise=True,
    )
    url = context.settings.api_url.rstrip("/") + path
    try:
        return await attempts(context.http.post, url, content=content, headers=dict(headers), follow_redirects=False)
    except (*_UNSENT, httpx.PoolTimeout, httpx.UnsupportedProtocol) as error:
        raise CallFailed(RetryLater(reason=_no_answer(error))) from None
    except httpx.HTTPError as error:
        raise unsure(_no_answer(error), sending) from None


def _no_answer(error: httpx.HTTPError) -> str:
    # The error holds the request with its token: its name is all that may leave.
    return f"no answer from Shopify: {type(error).__name__}"


def failure(response: httpx.Response, blame: str, sending: Sending = "state") -> CallFailed:
    """What an answer other than 200 means; `blame` names the settings that hold the credentials."""
    status = response.status_code
    if status == httpx.codes.UNAUTHORIZED:
        return CallFailed(RetryLater(reason=f"Shopify refuses the credentials (401): check {blame}"))
    reason = f"Shopify answered {status}"
    if response.is_client_error and status not in _PASSING:
        return CallFailed(Rejected(reason=reason))
    if response.is_server_error or status == httpx.codes.REQUEST_TIMEOUT:
        return unsure(reason, sending, seconds_to_wait(response))
    return CallFailed(RetryLater(reason=reason, after=seconds_to_wait(response)))


def seconds_to_wait(response: httpx.Response) -> float | None:
    """Retry-After, which Shopify gives in seconds."""
    # No more digits than a year of seconds has: thousands of them would be infinity.
    text = response.headers.get("retry-after", "")[:9]
    return float(text) if text.isascii() and text.replace(".", "", 1).isdecimal() else None
