"""Whether a message left of which nobody knows: Twilio has no name of ours for it, but lists what goes to a number."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qsl

from stampcard.plugin import Absent, Done, Lookup, Message, Unknown
from stampcard_twilio.calling import Client, unknown
from stampcard_twilio.payloads import STATES, Made

#: How far Twilio's clock may be behind ours.
_LEEWAY = timedelta(seconds=5)
_SIZE, _PAGES = 200, 10
#: What Twilio writes before the texts of accounts that are on trial.
_TRIAL = "Sent from your Twilio trial account - "


async def find(client: Client, message: Message, attempted_at: datetime) -> Lookup:
    """Look through all that went to the number; raises CallFailed.

    Twilio filters by the day of sending, which what still waits there does not have, and says nothing of its order: so all
    of it is read, or nothing is said.
    """
    query, hidden = {"To": message.to, "PageSize": str(_SIZE)}, False
    for _ in range(_PAGES):
        page = await client.page(query)
        for made in page.messages:
            if _created(made) < attempted_at - _LEEWAY:
                continue
            if (made.body or "").removeprefix(_TRIAL).strip() == message.text.strip():
                return Done(result={"id": made.sid, "state": STATES.get(made.status, "queued")})
            hidden |= not made.body
        if not page.next_page_uri:
            reason = "Twilio does not show the text of a message that may be this one: look into the account's log"
            return Unknown(reason=reason) if hidden else Absent()
        query = dict(parse_qsl(page.next_page_uri.partition("?")[2]))
    return Unknown(reason=f"Twilio has more than {_SIZE * _PAGES} messages to this number: look into the account's log")


def _created(made: Made) -> datetime:
    try:
        moment = parsedate_to_datetime(made.date_created or "")
    except ValueError:
        raise unknown("Twilio does not say when a message was made") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
