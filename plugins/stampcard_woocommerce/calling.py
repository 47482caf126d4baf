"""One request to the shop: what is tried again at once, and what an answer that is none means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
    from stampcard_woocommerce.plugin import WooCommerceSettings

#: The request never left.
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout)
_LOST = (*_UNSENT, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)
#: Of the 4xx: time-outs, locks and throttling, by WordPress itself or by what stands before it.
_PASSING = frozenset({408, 409, 423, 425, 429})
API = "/wp-json/wc/v3/"


class CallFailed(PluginError):
    """A call that brought nothing; `outcome` says whether to come again: whatever we ask for may be asked for twice.

    `code`: WooCommerce's own word for it, if it said one.
    """

    def __init__(self, outcome: RetryLater | Rejected, code: str = "") -> None:
        self.outcome = outcome
        self.code = code
        super().__init__("woocommerce", outcome.reason)


def later(reason: str, after: float | None = None, code: str = "") -> CallFailed:
    return CallFailed(RetryLater(reason=reason, after=after), code)


async def call(
    context: ConnectionContext[WooCommerceSettings], method: str, path: str, *, again: bool = True, **request: Any
) -> httpx.Response:
    """Ask the shop, below its REST API; a lost connection is tried at once `again`, one that never was in any case."""
    attempts = AsyncRetrying(
        retry=retry_if_exception_type(_LOST if again else _UNSENT),
        stop=stop_after_attempt(3) | stop_after_delay(5),
        wait=wait_random_exponential(multiplier=0.2, max=1),
        sleep=context.clock.sleep,
        reraise=True,
    )
    url = context.settings.api_url.rstrip("/") + API + path
    try:
        return await attempts(context.http.request, method, url, follow_redirects=False, **request)
    except httpx.HTTPError as error:
        # The error holds the request with its key: its name is all that may leave.
        raise later(f"no answer from WooCommerce: {type(error).__name__}") from None


def failure(response: httpx.Response, code: str, blame: str) -> CallFailed:
    """What an answer other than 2xx means; `blame` says what to look at when the keys are refused."""
    status = response.status_code
    if status in {401, 403}:
        return later(f"WooCommerce refuses the keys ({status}): check {blame}", code=code)
    if response.is_redirect:
        return later(f"the shop sends us elsewhere ({status}): set shop to its own address")
    if status == httpx.codes.NOT_FOUND and not code.endswith("_id"):
        return later(f"there is no WooCommerce REST API at the shop ({status}): check shop", code=code)
    reason = f"WooCommerce answered {status}" + (f" ({code})" if code else "")
    if response.is_client_error and status not in _PASSING:
        return CallFailed(Rejected(reason=reason), code)
    return later(reason, seconds_to_wait(response), code)


def seconds_to_wait(response: httpx.Response) -> float | None:
    """Retry-After, if it is in seconds."""
    # No more digits than a year of seconds has: thousands of them would be infinity.
    text = response.headers.get("retry-after", "")[:9]
    return float(text) if text.isascii() and text.replace(".", "", 1).isdecimal() else None
