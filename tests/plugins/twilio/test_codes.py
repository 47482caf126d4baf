"""What each of Twilio's codes leads to, at once and in a report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import httpx
import pytest

from stampcard.plugin import Message, MessageReported, Rejected, RetryLater
from stampcard_twilio.codes import MEANINGS
from stampcard_twilio.sending import SmsChannel


class Row(NamedTuple):
    code: int
    outcome: type
    because: str = ""
    after: float | None = None


ROWS = (
    Row(20429, RetryLater),
    Row(21211, Rejected, "address"),
    Row(21408, Rejected),
    Row(21610, Rejected, "opted_out"),
    Row(21611, RetryLater, after=900),
    Row(21612, Rejected),
    Row(21614, Rejected, "address"),
    Row(30001, RetryLater, after=900),
    Row(30003, RetryLater, after=900),
    Row(30004, Rejected),
    Row(30005, Rejected, "address"),
    Row(30006, Rejected, "address"),
    Row(30007, Rejected),
    Row(30008, RetryLater, after=900),
    Row(30022, RetryLater, after=900),
    Row(30023, RetryLater, after=3600),
    Row(30034, Rejected),
    Row(30036, Rejected),
    Row(30038, Rejected),
    Row(63018, RetryLater, after=3600),
)


def test_every_code_has_its_row() -> None:
    assert {row.code for row in ROWS} == MEANINGS.keys()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row.code))
async def test_what_a_refusal_leads_to(
    played: Callable[..., SmsChannel], message: Callable[..., Message], row: Row
) -> None:
    status = 429 if row.code == 20429 else 400
    body = {"code": row.code, "message": "The number +14155550123 is wrong", "more_info": "", "status": status}
    channel = played(lambda _: httpx.Response(status, json=body))
    (outcome,) = await channel.send([message()])
    assert type(outcome) is row.outcome
    reason: str = outcome.reason  # type: ignore[union-attr]
    assert str(row.code) in reason
    assert "+1415" not in reason
    if isinstance(outcome, Rejected):
        assert outcome.because == row.because
    if isinstance(outcome, RetryLater):
        assert outcome.after == row.after
        assert channel.pace() == min(row.after or 0.0, 600.0)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row.code))
def test_what_a_report_with_it_says(decode: Callable[..., list[Any]], row: Row) -> None:
    """Also what passes has failed once it is reported: a message leaves at most once."""
    form = {
        "MessageSid": "SM" + "0" * 32,
        "MessageStatus": "undelivered",
        "AccountSid": "AC" + "0123456789abcdef" * 2,
        "ErrorCode": str(row.code),
        "To": "+14155550123",
        "ApiVersion": "2010-04-01",
    }
    (event,) = decode(form, message="msg-1")
    assert isinstance(event, MessageReported)
    assert (event.state, event.code, event.because) == ("failed", str(row.code), row.because)
    assert event.reason == MEANINGS[row.code].text


async def test_what_twilio_says_of_the_time_wins(
    played: Callable[..., SmsChannel], message: Callable[..., Message]
) -> None:
    body = {"code": 20429, "message": "", "status": 429}
    channel = played(lambda _: httpx.Response(429, json=body, headers={"retry-after": "7"}))
    (outcome,) = await channel.send([message()])
    assert isinstance(outcome, RetryLater)
    assert (outcome.after, channel.pace()) == (7, 7)
