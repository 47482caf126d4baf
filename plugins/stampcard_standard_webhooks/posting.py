"""One signed webhook on its way, and what its answer means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import httpx
import msgspec

from stampcard.plugin import ConnectionContext, Delivered, Outcome, Rejected, RetryLater, RetryPolicy
from stampcard_standard_webhooks.signing import signatures

if TYPE_CHECKING:
    from stampcard_standard_webhooks.settings import StandardWebhooksSettings

#: Seconds for one attempt; the specification wants 15 to 30, and the host's own limit may end it sooner.
TIMEOUT = 20.0
#: The specification's own schedule: ten attempts in three days.
SCHEDULE = RetryPolicy(waits=(5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400))


async def post(
    context: ConnectionContext[StandardWebhooksSettings],
    url: str,
    keys: Sequence[bytes],
    id_: str,
    told: Mapping[str, Any],
    setting: str,
) -> Outcome:
    """Post a webhook, signed anew for each attempt; `setting`: where its address stands."""
    body, now = msgspec.json.encode(told), context.clock.now()
    headers = {
        "content-type": "application/json",
        "user-agent": "Stampcard",
        "webhook-id": id_,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signatures(keys, id_, int(now.timestamp()), body),
    }
    try:
        # The answer's body is of no interest, so it is never read: no fault in it can make a success fail.
        async with context.http.stream(
            "POST", url, content=body, headers=headers, timeout=TIMEOUT, follow_redirects=False
        ) as answer:
            return _outcome(answer, context.clock.now(), setting)
    except httpx.HTTPError as error:
        return RetryLater(reason=f"no answer from the receiver: {type(error).__name__}")


def _outcome(answer: httpx.Response, now: datetime, setting: str) -> Outcome:
    status = answer.status_code
    if answer.is_success:
        return Delivered()
    if status == httpx.codes.GONE:
        return Rejected(reason=f"the receiver wants no more webhooks (410): change {setting}, or pause the connection")
    hint = f", and a redirect is not followed: check {setting}" if answer.is_redirect else ""
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
