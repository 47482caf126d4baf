"""Whether a message left of which nobody knows: Twilio has no name of ours for it, but lists what goes to a number."""

from __future__ import annotations

import re
import unicodedata
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
#: Accents, and what takes no room.
_UNSEEN = frozenset({"Mn", "Me", "Cf"})
_BETWEEN = re.compile(r"[\W_]+")


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
            if _alike(made.body or "", message.text):
                return Done(result={"id": made.sid, "state": STATES.get(made.status, "queued")})
            hidden |= not made.body
        if not page.next_page_uri:
            reason = "Twilio does not show the text of a message that may be this one: look into the account's log"
            return Unknown(reason=reason) if hidden else Absent()
        query = dict(parse_qsl(page.next_page_uri.partition("?")[2]))
    return Unknown(reason=f"Twilio has more than {_SIZE * _PAGES} messages to this number: look into the account's log")


def _alike(body: str, text: str) -> bool:
    """Whether it is the same text; a messaging service may have written its quotes, dashes and the like more cheaply."""
    shown, meant = body.removeprefix(_TRIAL).strip(), text.strip()
    return shown == meant or (_bare(shown) == _bare(meant) != "")


def _bare(text: str) -> str:
    """Its words and figures alone."""
    letters = (one for one in unicodedata.normalize("NFKD", text) if unicodedata.category(one) not in _UNSEEN)
    return _BETWEEN.sub(" ", "".join(letters)).strip()


def _created(made: Made) -> datetime:
    try:
        moment = parsedate_to_datetime(made.date_created or "")
    except ValueError:
        raise unknown("Twilio does not say when a message was made") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
