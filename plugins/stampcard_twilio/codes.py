"""Twilio's error codes: what each means, and what is to be done (https://www.twilio.com/docs/api/errors)."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from stampcard.plugin import Because, Rejected, RetryLater

#: Seconds after which a queue of ten hours has room again, and after which a limit for the day is looked at again.
_SLOWLY, _NEXT_WINDOW = 900.0, 3600.0


class Meaning(msgspec.Struct, frozen=True, kw_only=True):
    """What a code says in our words: whether to come `again`, `after` how many seconds, and `because` of whom it failed."""

    text: str
    again: bool = False
    after: float | None = None
    because: Because = ""

    def outcome(self, code: int, after: float | None) -> RetryLater | Rejected:
        """What it means for a message that was refused with it; `after`: the seconds that the answer itself tells."""
        reason = f"Twilio: {self.text} ({code})"
        if self.again:
            return RetryLater(reason=reason, after=self.after if after is None else after)
        return Rejected(reason=reason, because=self.because)


def _passing(text: str, after: float | None = None) -> Meaning:
    return Meaning(text=text, again=True, after=after)


def _lasting(text: str, because: Because = "") -> Meaning:
    return Meaning(text=text, because=because)


MEANINGS: Mapping[int, Meaning] = {
    20429: _passing("too many calls at once"),
    21211: _lasting("the number is no valid phone number", "address"),
    21408: _lasting("the account may not send to this country: allow it in the console, under geo permissions"),
    21610: _lasting("the person has written STOP to this sender", "opted_out"),
    21611: _passing("the sender's queue is full", _SLOWLY),
    21612: _lasting("this sender cannot reach that number: check sender or messaging_service"),
    21614: _lasting("the number is no mobile number", "address"),
    30001: _passing("the queue is full", _SLOWLY),
    30003: _passing("the phone cannot be reached now", _SLOWLY),
    30004: _lasting("the message was blocked: look into the account's log"),
    30005: _lasting("the number is unknown, or not in use any more", "address"),
    30006: _lasting("the number is a landline, or its network cannot be reached", "address"),
    30007: _lasting("the message was filtered as spam: look at its text and at the sender's registration"),
    30008: _passing("it failed for a reason that nobody knows", _SLOWLY),
    30022: _passing("the sender's rate at US networks is used up", _SLOWLY),
    30023: _passing("the brand's messages of the day at US networks are used up", _NEXT_WINDOW),
    30034: _lasting("the sender is not registered for US networks (A2P 10DLC)"),
    30036: _lasting("it waited for longer than it was worth anything"),
    30038: _lasting("the message was filtered for what looks like a one-time password"),
    63018: _passing("the sender's rate at this channel is used up", _NEXT_WINDOW),
}
