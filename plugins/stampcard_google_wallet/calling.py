"""One request to Google, its answer, and what an answer means that is no success."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import msgspec

from stampcard.plugin import PluginError, Rejected, RetryLater

T = TypeVar("T")
#: No more digits than a year of seconds has: thousands of them would be infinity.
_LONGEST = 9
#: Letters of Google's own words that are told on, and runs of them that no word has but tokens and keys.
_MOST_WORDS, _RUN = 200, re.compile(r"\S{40,}")
#: What in a request is ours or Google's own, and nobody's secret.
_PLAIN = frozenset({"id", "classId", "state", "type", "language", "messageType", "reviewStatus", "redemptionChannel"})
#: Shorter texts are parts of ordinary words.
_SHORTEST = 3
#: What Google calls a refusal because too much was asked for, of notices as of requests.
_BUSY = frozenset({"quotaExceeded", "rateLimitExceeded", "userRateLimitExceeded"})
_OK, _ELSEWHERE, _REFUSED, _LATER = 200, 300, 400, 500

UNREADABLE = "Google's answer does not have the published shape"
#: What refuses a call although nothing is wrong with what was sent, and what to look at. Any other 4xx is final.
WAYS: Mapping[int, str] = {
    401: "Google refuses the token ({status}): check service_account",
    403: "Google does not let {who} in ({status}{words}): add it as a user in the Google Pay & Wallet console, and look "
    "whether issuer_id is that of this account and its project has the Google Wallet API enabled",
    404: "Google knows nothing of the kind ({status}{words}): check issuer_id and api_url",
    408: "Google answered {status}",
    409: "somebody else made it at the same moment ({status})",
    429: "Google wants fewer calls ({status})",
}


class Request(msgspec.Struct, frozen=True):
    """What is asked for; `path` is below ``/walletobjects/v1/``."""

    method: str
    path: str
    body: Any = None


class _Detail(msgspec.Struct, frozen=True):
    reason: str = ""


class _Error(msgspec.Struct, frozen=True):
    message: str = ""
    errors: tuple[_Detail, ...] = ()


class _Trouble(msgspec.Struct, frozen=True):
    error: _Error = _Error()


class Answer(msgspec.Struct, frozen=True):
    """What came back for one request.

    A `status` of 0: nothing that can be read, for `reason`. `left`: whether the request may have arrived.
    """

    status: int
    body: bytes = b""
    after: float | None = None
    reason: str = ""
    left: bool = True

    @property
    def is_success(self) -> bool:
        return _OK <= self.status < _ELSEWHERE

    @property
    def exceeds_quota(self) -> bool:
        """Whether it is refused because too much was asked for: of a notice, one too many within a day."""
        is_told = any(detail.reason == "quotaExceeded" for detail in self._error().errors)
        return _REFUSED <= self.status < _LATER and (is_told or "QuotaExceeded" in self._error().message)

    def read(self, shape: type[T]) -> T | None:
        """What it says, if it is a success and of the published shape."""
        return decoded(self.body, shape) if self.is_success else None

    def failure(self, request: Request, who: str = "the service account") -> RetryLater | Rejected:
        """What it means, other than what was hoped for."""
        status, error = self.status, self._error()
        if self.reason or self.is_success:
            return RetryLater(reason=self.reason or UNREADABLE, after=self.after)
        if _ELSEWHERE <= status < _REFUSED:
            return RetryLater(reason=f"Google sends us elsewhere ({status}): check api_url")
        if {detail.reason for detail in error.errors} & _BUSY:
            return RetryLater(reason=f"Google's quota is used up ({status})", after=self.after)
        words = _words(error.message, request.body)
        if _REFUSED <= status < _LATER and status not in WAYS:
            return Rejected(reason=f"Google answered {status}{words}")
        told = WAYS.get(status, "Google answered {status}")
        return RetryLater(reason=told.format(status=status, who=who, words=words), after=self.after)

    def _error(self) -> _Error:
        told = None if self.is_success else decoded(self.body, _Trouble)
        return told.error if told is not None else _Error()


class CallFailed(PluginError):
    """Something that has to be there before cards can be shown is not; `outcome` says whether to come again."""

    def __init__(self, outcome: RetryLater | Rejected) -> None:
        self.outcome = outcome
        super().__init__("google_wallet", outcome.reason)


def later(reason: str) -> CallFailed:
    return CallFailed(RetryLater(reason=reason))


def decoded(content: bytes, shape: type[T]) -> T | None:
    """JSON in the given shape, or None."""
    try:
        return msgspec.json.decode(content, type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def seconds(text: str) -> float | None:
    """Retry-After, if it is in seconds."""
    text = text[:_LONGEST]
    return float(text) if text.isascii() and text.replace(".", "", 1).isdecimal() else None


def _words(message: str, body: Any) -> str:
    """Google's own words behind a colon, without anything that was sent: that is a person's, or a secret."""
    texts = sorted({text for text in _texts(body) if len(text) >= _SHORTEST}, key=len, reverse=True)
    if texts:
        # At once: of two that share an end, such as a number and the same in groups, one would spoil the other.
        message = re.sub("|".join(map(re.escape, texts)), "…", message)
    told = _RUN.sub("…", " ".join(message.split()))[:_MOST_WORDS]
    return f": {told}" if told.isprintable() and told else ""


def _texts(body: Any) -> Iterator[str]:
    if isinstance(body, str):
        yield body
    elif isinstance(body, Mapping):
        for name, part in body.items():
            yield from _texts(part) if name not in _PLAIN else ()
    elif isinstance(body, list | tuple):
        for part in body:
            yield from _texts(part)
