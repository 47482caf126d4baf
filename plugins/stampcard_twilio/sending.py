"""Text messages, each in a call of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from urllib.parse import quote

from stampcard.plugin import (
    Channel,
    Clock,
    Delivered,
    Lookup,
    Message,
    Outcome,
    Rate,
    Rejected,
    Unknown,
    parts_of,
)
from stampcard_twilio.calling import CallFailed, Client
from stampcard_twilio.codes import MEANINGS
from stampcard_twilio.finding import find
from stampcard_twilio.payloads import STATES, Made
from stampcard_twilio.settings import LONGEST_VALIDITY, TwilioSettings

SMS = "sms"
#: Letters that Twilio takes in one message.
LONGEST = 1600
#: In the query of the address that reports come to: our id of the message.
MESSAGE = "message"


class SmsChannel(Channel):
    """Twilio knows no key by which a message would leave once: what nobody knows of is looked up, and never sent again."""

    name = SMS
    needs = "phone"
    visible_after = timedelta(minutes=2)
    disturbs = True

    def __init__(self, client: Client, settings: TwilioSettings, clock: Clock) -> None:
        self._client, self._settings, self._clock = client, settings, clock
        self.hears = settings.takes_replies
        self.rate = Rate(per_second=settings.segments_per_second, burst=math.ceil(settings.segments_per_second))

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        return [await self._send(message) for message in messages]

    async def lookup(self, message: Message, attempted_at: datetime) -> Lookup:
        if self._clock.now() - attempted_at < self.visible_after:
            return Unknown(reason="Twilio may not show it yet")
        try:
            return await find(self._client, message, attempted_at)
        except CallFailed as failed:
            return Unknown(reason=failed.outcome.reason)

    def parts(self, message: Message) -> int:
        return parts_of(message.text)

    def price(self) -> Decimal | None:
        return self._settings.price

    def pace(self) -> float:
        return self._client.pace()

    async def _send(self, message: Message) -> Outcome:
        if len(message.text) > LONGEST:
            return Rejected(reason=f"the text has {len(message.text)} letters, and Twilio takes {LONGEST}")
        try:
            return _outcome_of(await self._client.send(self._form(message)))
        except CallFailed as failed:
            return failed.outcome

    def _form(self, message: Message) -> dict[str, str]:
        settings = self._settings
        form = {"To": message.to, "Body": message.text}
        if settings.messaging_service is not None:
            form["MessagingServiceSid"] = settings.messaging_service
        else:
            form["From"] = settings.sender or ""
        if message.reports:
            mark = "&" if "?" in message.reports else "?"
            form["StatusCallback"] = f"{message.reports}{mark}{MESSAGE}={quote(message.id, safe='')}"
        if (validity := self._validity(message)) is not None:
            form["ValidityPeriod"] = str(validity)
        return form

    def _validity(self, message: Message) -> int | None:
        """Seconds for which it may wait at Twilio: as the settings say, but not beyond what it is worth."""
        limits = [] if self._settings.validity is None else [self._settings.validity]
        if message.until is not None:
            left = int((message.until - self._clock.now()).total_seconds())
            limits.append(min(max(left, 1), LONGEST_VALIDITY))
        return min(limits, default=None)


def _outcome_of(made: Made) -> Outcome:
    state = STATES.get(made.status, "queued")
    if state != "failed":
        return Delivered(result={"id": made.sid, "state": state})
    meaning = MEANINGS.get(made.error_code or 0)
    told = meaning.text if meaning is not None else f"the message is {made.status}"
    code = f" ({made.error_code})" if made.error_code else ""
    return Rejected(reason=f"Twilio: {told}{code}", because=meaning.because if meaning is not None else "")
