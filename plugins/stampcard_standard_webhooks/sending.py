from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import httpx
import msgspec

from stampcard.plugin import (
    Absent,
    Command,
    ConnectionContext,
    Delivered,
    Lookup,
    Outcome,
    Rejected,
    RetryLater,
    RetryPolicy,
    Sink,
)
from stampcard_standard_webhooks.notices import KIND
from stampcard_standard_webhooks.signing import key_of, signatures

if TYPE_CHECKING:
    from stampcard_standard_webhooks.plugin import StandardWebhooksSettings

#: Seconds for one attempt; the specification wants 15 to 30, and the host's own limit may end it sooner.
TIMEOUT = 20.0


class WebhookSink(Sink[Command]):
    """Posts each notice, signed anew for each attempt; what the settings leave out counts as told."""

    kind = KIND
    # The specification's own schedule: ten attempts in three days.
    retry = RetryPolicy(waits=(5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400))
    # A receiver knows a repeated webhook by its id.
    idempotent = True
    visible_after = timedelta(0)

    def __init__(self, context: ConnectionContext[StandardWebhooksSettings]) -> None:
        self._context = context
        self._keys = tuple(key_of(secret.get_secret_value()) for secret in context.settings.secrets)

    async def deliver(self, items: Sequence[Command]) -> Sequence[Outcome]:
        return [await self._tell(item) for item in items]

    async def lookup(self, command: Command) -> Lookup:  # noqa: ARG002 - true of each of them
        """Nobody can be asked, and a repeat does no harm: so it is sent again."""
        return Absent()

    async def _tell(self, item: Command) -> Outcome:
        if not any(fnmatchcase(item.data["type"], pattern) for pattern in self._context.settings.events):
            return Delivered()
        body = msgspec.json.encode(item.data)
        try:
            # The answer's body is of no interest, so it is never read: no fault in it can make a success fail.
            async with self._context.http.stream(
                "POST",
                self._context.settings.url,
                content=body,
                headers=self._headers(item.key, body),
                timeout=TIMEOUT,
                follow_redirects=False,
            ) as answer:
                return _outcome(answer, self._context.clock.now())
        except httpx.HTTPError as error:
            return RetryLater(reason=f"no answer from the receiver: {type(error).__name__}")

    def _headers(self, id_: str, body: bytes) -> Mapping[str, str]:
        timestamp = int(self._context.clock.now().timestamp())
        return {
            "content-type": "application/json",
            "user-agent": "Stampcard",
            "webhook-id": id_,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signatures(self._keys, id_, timestamp, body),
        }


def _outcome(answer: httpx.Response, now: datetime) -> Outcome:
    status = answer.status_code
    if answer.is_success:
        return Delivered()
    if status == httpx.codes.GONE:
        return Rejected(reason="the receiver wants no more webhooks (410): change url, or pause the connection")
    hint = ", and a redirect is not followed: check url" if answer.is_redirect else ""
    return RetryLater(reason=f"the receiver answered {status}{hint}", after=_seconds_to_wait(answer, now))


def _seconds_to_wait(answer: httpx.Response, now: datetime) -> float | None:
    """Retry-After, which is a number of seconds or a date; None for anything else."""
    text = answer.headers.get("retry-after", "")
    if text.isascii() and text.isdecimal():
        # No more digits than a year of seconds has: thousands of them would be infinity.
        return float(text[:9])
    try:
        due = parsedate_to_datetime(text)
        return max(0.0, (due.replace(tzinfo=due.tzinfo or UTC) - now).total_seconds())
    except (ValueError, OverflowError):
        return None
