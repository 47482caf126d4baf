"""One request to HubSpot: what is tried again at once, and what an answer that is none means."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

import httpx
import msgspec
from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_attempt,
    stop_after_delay,
    wait_random_exponential,
)

from stampcard.plugin import ConnectionContext, PluginError, Rejected, RetryLater
from stampcard_hubspot.payloads import Trouble

if TYPE_CHECKING:
    from stampcard_hubspot.settings import HubSpotSettings

#: All that we ask for may be asked for twice: state is written over, and what is made has a name of its own.
_LOST = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)
#: No more digits than a year of seconds has: thousands of them would be infinity.
_LONGEST = 9
_WORD = re.compile(r"[A-Z][A-Z0-9_.]{1,79}")
_SCOPE = re.compile(r"[a-z][a-z0-9_.-]{0,99}")
#: Scopes stand in lists under several names, or in a text that looks like one.
_SCOPES = re.compile(r"[sS]copes['\"]?\s*[:=]\s*\[([^\]]{0,2000})\]")
_EXISTING = re.compile(r"Existing ID:? ?([1-9][0-9]{0,18})")
_MOST = 10


class Way(msgspec.Struct, frozen=True):
    """What a status asks for: to come `again`, `after` so many seconds at least, and what people are to look at."""

    again: bool
    after: float | None = None
    look: Literal["", "credentials", "scopes"] = ""


_LATER, _NEVER, _ELSEWHERE = Way(again=True), Way(again=False), Way(again=True, after=300)
#: By https://developers.hubspot.com/docs/api-reference/error-handling. What is broken between HubSpot and its own network
#: (522, 525, 526) does not pass soon; any other 4xx is ours, any other 5xx passes.
WAYS: Mapping[int, Way] = {
    400: _NEVER,
    401: Way(again=True, look="credentials"),
    403: Way(again=True, look="scopes"),
    404: _NEVER,
    408: _LATER,
    409: _NEVER,
    423: Way(again=True, after=2),
    429: _LATER,
    477: _LATER,
    502: _LATER,
    503: _LATER,
    504: _LATER,
    521: _LATER,
    522: _ELSEWHERE,
    523: _LATER,
    524: _LATER,
    525: _ELSEWHERE,
    526: _ELSEWHERE,
}
#: After how many seconds a limit that was hit lets us go on, by its `policyName`.
POLICIES: Mapping[str, float] = {"DAILY": 3600, "TEN_SECONDLY_ROLLING": 10, "SECONDLY": 1}


#: The category of an error about a record that is not there.
MISSING = "OBJECT_NOT_FOUND"


class CallFailed(PluginError):
    """A call that brought nothing; `outcome` says whether to come again, `trouble` what HubSpot says of it, `status` is 0 without an answer."""

    def __init__(self, outcome: RetryLater | Rejected, trouble: Trouble | None = None, status: int = 0) -> None:
        self.outcome = outcome
        self.trouble = trouble or Trouble()
        self.status = status
        super().__init__("hubspot", outcome.reason)


def later(reason: str, after: float | None = None) -> CallFailed:
    return CallFailed(RetryLater(reason=reason, after=after))


async def call(context: ConnectionContext[HubSpotSettings], method: str, path: str, **request: Any) -> httpx.Response:
    """Ask HubSpot; a lost connection is tried again at once. Raises CallFailed where no answer comes."""
    attempts = AsyncRetrying(
        retry=retry_if_exception_type(_LOST),
        stop=stop_after_attempt(3) | stop_after_delay(5),
        wait=wait_random_exponential(multiplier=0.2, max=1),
        sleep=context.clock.sleep,
        reraise=True,
    )
    url = context.settings.api_url.rstrip("/") + path
    try:
        return await attempts(context.http.request, method, url, follow_redirects=False, **request)
    except httpx.HTTPError as error:
        # The error holds the request with its token: its name is all that may leave.
        raise later(f"no answer from HubSpot: {type(error).__name__}") from None


def failure(response: httpx.Response, blame: str) -> CallFailed:
    """What an answer other than 2xx means; `blame` names the settings that hold the credentials."""
    status, trouble = response.status_code, _trouble(response)
    if response.is_redirect:
        return later(f"HubSpot sends us elsewhere ({status}): check api_url")
    way = WAYS.get(status, _NEVER if response.is_client_error else _LATER)
    reason = f"HubSpot answered {status}{in_words(trouble)}"
    if way.look == "credentials":
        reason = f"HubSpot refuses the credentials ({status}): check {blame}"
    elif way.look == "scopes":
        named = ", ".join(scopes_of(trouble)) or "its scopes"
        reason = f"HubSpot does not allow this ({status}{in_words(trouble)}): let the app have {named}"
    if not way.again:
        return CallFailed(Rejected(reason=reason), trouble, status)
    told, policy = seconds_to_wait(response), POLICIES.get(str(trouble.policy_name)[:40])
    least = max((wait for wait in (told, way.after) if wait is not None), default=policy)
    return CallFailed(RetryLater(reason=reason, after=least), trouble, status)


def seconds_to_wait(response: httpx.Response) -> float | None:
    """Retry-After, if it is in seconds."""
    text = response.headers.get("retry-after", "")[:_LONGEST]
    return float(text) if text.isascii() and text.replace(".", "", 1).isdecimal() else None


def in_words(trouble: Trouble) -> str:
    """The words for an error, in brackets; its message is never told on, for it may quote a person's data."""
    told = [
        word for word in (trouble.category, trouble.sub_category) if isinstance(word, str) and _WORD.fullmatch(word)
    ]
    return f" ({', '.join(dict.fromkeys(told))})" if told else ""


def scopes_of(trouble: Trouble) -> list[str]:
    """The scopes that an error asks for."""
    text = _shown(trouble.context) + _shown(trouble.errors)
    listed = (part.strip(" '\"") for group in _SCOPES.findall(text) for part in group.split(","))
    return [scope for scope in dict.fromkeys(listed) if _SCOPE.fullmatch(scope)][:_MOST]


def existing(trouble: Trouble) -> str:
    """The contact that is in the way, as the message alone tells; or the empty text."""
    found = _EXISTING.search(trouble.message) if isinstance(trouble.message, str) else None
    return found[1] if found else ""


def blamed(trouble: Trouble, names: Collection[str]) -> list[str]:
    """Which of these properties an error is about."""
    text = f"{trouble.message if isinstance(trouble.message, str) else ''}{_shown(trouble.context)}{_shown(trouble.errors)}"
    quoted = set(re.findall(r"[\"']([a-z][a-z0-9_]{0,99})\\?[\"']", text))
    return sorted(quoted & set(names))[:_MOST]


def about(trouble: Trouble) -> Iterator[str]:
    """The ids and traces of the inputs that an error of a batch is about."""
    told = trouble.context if isinstance(trouble.context, dict) else {}
    for name in ("objectWriteTraceId", "ids", "id"):
        listed = told.get(name)
        yield from (one for one in (listed if isinstance(listed, list) else [listed]) if isinstance(one, str))


def _shown(told: Any) -> str:
    try:
        return msgspec.json.encode(told).decode()[:20_000] if told else ""
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, TypeError):
        return ""


def _trouble(response: httpx.Response) -> Trouble:
    try:
        return msgspec.json.decode(response.content, type=Trouble)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Trouble()
