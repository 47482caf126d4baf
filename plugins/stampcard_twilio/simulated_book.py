"""What the simulated account knows: its messages, and the numbers with something about them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from typing import Any

from stampcard.plugin import parts_of

_STOPPING = frozenset({"STOP", "UNSUBSCRIBE", "END", "QUIT", "STOPALL", "REVOKE", "OPTOUT", "CANCEL"})
_STARTING = frozenset({"START", "YES", "UNSTOP"})


@dataclass(slots=True, kw_only=True)
class Text:
    """One message. `callback`: where reports go; `told`: the statuses that were reported already."""

    sid: str
    account: str
    to: str
    sender: str
    body: str
    created: datetime
    service: str | None = None
    direction: str = "outbound-api"
    status: str = "queued"
    callback: str = ""
    validity: int | None = None
    code: int | None = None
    sent: datetime | None = None
    told: list[str] = field(default_factory=list)

    def resource(self) -> dict[str, Any]:
        """As the API shows it."""
        uri = f"/2010-04-01/Accounts/{self.account}/Messages/{self.sid}"
        return {
            "account_sid": self.account,
            "api_version": "2010-04-01",
            "body": self.body,
            "date_created": format_datetime(self.created),
            "date_sent": format_datetime(self.sent) if self.sent else None,
            "date_updated": format_datetime(self.sent or self.created),
            "direction": self.direction,
            "error_code": self.code,
            "error_message": "it failed" if self.code else None,
            "from": self.sender or None,
            "messaging_service_sid": self.service,
            "num_media": "0",
            "num_segments": "0" if self.service else str(parts_of(self.body)),
            "price": None,
            "price_unit": "USD",
            "sid": self.sid,
            "status": self.status,
            "subresource_uris": {"media": f"{uri}/Media.json"},
            "to": self.to,
            "uri": f"{uri}.json",
        }


class Book:
    """All messages in both directions, the newest last; `stopped` are the numbers that wrote STOP."""

    def __init__(self, account: str, number: str, seed: int) -> None:
        self.account, self.number = account, number
        self.messages: list[Text] = []
        self.received: list[Text] = []
        self.stopped: set[str] = set()
        #: Numbers to the code with which a message is refused at once, or fails after it was taken.
        self.refused: dict[str, int] = {}
        self.undelivered: dict[str, int] = {}
        self._chance = random.Random(f"numbers {seed}")

    def make(self, form: Mapping[str, str], at: datetime) -> Text:
        """Take a message of ours."""
        service = form.get("MessagingServiceSid")
        made = Text(
            sid=self.new_sid(),
            account=self.account,
            to=form["To"],
            sender=form.get("From", ""),
            body=form["Body"],
            created=at.replace(microsecond=0),
            service=service,
            status="accepted" if service else "queued",
            callback=form.get("StatusCallback", ""),
            validity=int(form["ValidityPeriod"]) if "ValidityPeriod" in form else None,
        )
        self.messages.append(made)
        return made

    def hear(self, number: str, text: str, at: datetime) -> Text:
        """Note what somebody wrote; single words stop and start what we may send there."""
        word = text.strip().upper()
        if word in _STOPPING:
            self.stopped.add(number)
        elif word in _STARTING:
            self.stopped.discard(number)
        at = at.replace(microsecond=0)
        heard = Text(
            sid=self.new_sid(), account=self.account, to=self.number, sender=number, body=text, created=at, sent=at,
            direction="inbound", status="received",
        )  # fmt: skip
        self.received.append(heard)
        return heard

    def listed(self, query: Mapping[str, str]) -> list[Text]:
        """What fits the filters, the newest first; what was not sent yet has no day to be found by."""
        found = [text for text in (*self.messages, *self.received) if _fits(text, query)]
        return sorted(found, key=lambda text: text.created, reverse=True)

    def new_sid(self) -> str:
        return f"SM{self._chance.getrandbits(128):032x}"


def _fits(text: Text, query: Mapping[str, str]) -> bool:
    if query.get("To", text.to) != text.to or query.get("From", text.sender) != text.sender:
        return False
    for name, fits in _DAYS.items():
        if name in query and (text.sent is None or not fits(text.sent.date().isoformat(), query[name][:10])):
            return False
    return True


_DAYS = {"DateSent": str.__eq__, "DateSent>": str.__ge__, "DateSent<": str.__le__}
