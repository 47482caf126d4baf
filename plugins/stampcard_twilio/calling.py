"""One request to Twilio, and what an answer that is none means: no message may leave twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
import msgspec

from stampcard.plugin import ConnectionContext, PluginError, Rejected, RetryLater, Unknown
from stampcard_twilio.codes import MEANINGS
from stampcard_twilio.payloads import Account, Made, Page, Trouble

if TYPE_CHECKING:
    from stampcard_twilio.settings import TwilioSettings

#: The request never left.
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
#: Where no code says more: what refuses a call before Twilio has looked at it, and what to look at. Any other 4xx is final.
_PASSING: Mapping[int, str] = {
    401: "Twilio refuses the credentials ({status}): check {blame}",
    403: "Twilio does not allow this ({status}): check {blame}",
    404: "Twilio knows no such account ({status}): check account_sid and api_url",
    408: "Twilio answered {status}",
    429: "Twilio wants fewer calls ({status})",
}
#: Seconds of a pause, at most: to notice that Twilio takes more again.
_LONGEST = 600.0
T = TypeVar("T")


class CallFailed(PluginError):
    """A call that brought nothing; `outcome` says what that means for a message."""

    def __init__(self, outcome: RetryLater | Rejected | Unknown) -> None:
        self.outcome = outcome
        super().__init__("twilio", outcome.reason)


def unknown(reason: str) -> CallFailed:
    return CallFailed(Unknown(reason=reason))


class Client:
    """One account's part of Twilio's API of 2010-04-01."""

    def __init__(self, context: ConnectionContext[TwilioSettings]) -> None:
        self._context = context
        self._settings = context.settings
        self._path = f"/2010-04-01/Accounts/{context.settings.account_sid}"
        self._busy_until = context.clock.now().timestamp()

    async def send(self, form: Mapping[str, str]) -> Made:
        """Make a message; raises CallFailed."""
        return _read(await self._call("POST", "/Messages.json", data=dict(form)), Made)

    async def page(self, query: Mapping[str, str]) -> Page:
        """One page of messages; raises CallFailed."""
        return _read(await self._call("GET", "/Messages.json", params=dict(query)), Page)

    async def ping(self) -> str:
        """Whether the account can be used, else why not; raises CallFailed."""
        if self._settings.api_key_sid is not None:  # which opens messages, but perhaps not the account
            await self.page({"PageSize": "1"})
            return ""
        account = _read(await self._call("GET", ".json"), Account)
        return "" if account.status == "active" else "the account is suspended or closed: look at account_sid"

    def pace(self) -> float:
        """Seconds until Twilio, which asked for patience, wants to hear from us again."""
        return max(0.0, self._busy_until - self._context.clock.now().timestamp())

    async def _call(self, method: str, path: str, **request: Any) -> httpx.Response:
        url = self._settings.api_url.rstrip("/") + self._path + path
        auth = httpx.BasicAuth(*self._settings.credentials)
        try:
            response = await self._context.http.request(method, url, auth=auth, follow_redirects=False, **request)
        except httpx.HTTPError as error:
            # The error holds the request with its credentials: its name is all that may leave.
            reason = f"no answer from Twilio: {type(error).__name__}"
            raise CallFailed(
                RetryLater(reason=reason) if isinstance(error, _UNSENT) else Unknown(reason=reason)
            ) from None
        if response.is_success:
            return response
        failed = _failure(response, self._settings.blame)
        if isinstance(failed, RetryLater) and failed.after is not None:
            self._busy_until = self._context.clock.now().timestamp() + min(failed.after, _LONGEST)
        raise CallFailed(failed)


def _failure(response: httpx.Response, blame: str) -> RetryLater | Rejected | Unknown:
    """What an answer other than 2xx means; `blame` names the settings that hold the credentials."""
    status, code = response.status_code, _code(response)
    if response.is_redirect:
        return RetryLater(reason=f"Twilio sends us elsewhere ({status}): check api_url")
    if not response.is_client_error:
        return Unknown(reason=f"Twilio answered {status}" + (f" ({code})" if code else ""))
    if code in MEANINGS:
        return MEANINGS[code].outcome(code, _seconds_to_wait(response))
    if status in _PASSING:
        reason = _PASSING[status].format(status=status, blame=blame)
        return RetryLater(reason=reason, after=_seconds_to_wait(response))
    return Rejected(reason=f"Twilio answered {status}" + (f" ({code})" if code else ""))


def _seconds_to_wait(response: httpx.Response) -> float | None:
    """Retry-After, if it is in seconds."""
    # No more digits than a year of seconds has: thousands of them would be infinity.
    text = response.headers.get("retry-after", "")[:9]
    return float(text) if text.isascii() and text.replace(".", "", 1).isdecimal() else None


def _code(response: httpx.Response) -> int:
    try:
        return msgspec.json.decode(response.content, type=Trouble).code
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return 0


def _read(response: httpx.Response, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(response.content, type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise unknown("Twilio's answer does not have the published shape: it may have done what we asked") from None
