"""Messages on cards."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from stampcard.plugin import (
    Absent,
    Capabilities,
    Channel,
    Delivered,
    Done,
    Message,
    PassPush,
    PassSink,
    Rejected,
    RetryLater,
    Unknown,
)
from stampcard.testing.clock import NOON, FakeClock
from stampcard_google_wallet.simulator import GoogleWalletSimulator

SERIAL = "a0" * 12
Messages = Callable[..., Message]


@pytest.fixture
async def channel(able: Capabilities, passes: PassSink, push: Callable[..., PassPush]) -> Channel:
    """A channel of a member who has a card."""
    await passes.deliver([push()])
    (one,) = able.channels
    return one


async def test_a_message_stands_on_the_card_and_is_noticed(
    google: GoogleWalletSimulator, channel: Channel, message: Messages
) -> None:
    assert await channel.send([message(until=NOON + timedelta(days=2))]) == [Delivered(result={"state": "sent"})]
    assert google.card(SERIAL)["messages"] == [
        {
            "id": "msg-1",
            "header": "Good news",
            "body": "You have 12 points.\nhttps://points.example/m/1",
            "messageType": "TEXT_AND_NOTIFY",
            "displayInterval": {"end": {"date": "2026-03-12T12:00:00+00:00"}},
        }
    ]
    assert google.notices(SERIAL) == ["msg-1"]


async def test_a_fourth_message_of_a_day_is_there_without_a_notice(
    google: GoogleWalletSimulator, channel: Channel, message: Messages
) -> None:
    for number in range(4):
        assert [type(one) for one in await channel.send([message(id=f"msg-{number}", link="")])] == [Delivered]
    kinds = [one["messageType"] for one in google.card(SERIAL)["messages"]]
    assert kinds == ["TEXT_AND_NOTIFY"] * 3 + ["TEXT"]


async def test_several_messages_leave_in_one_call_each_with_its_outcome(
    google: GoogleWalletSimulator, channel: Channel, message: Messages
) -> None:
    outcomes = await channel.send([message(), message(id="msg-2", to="c2" * 12), message(id="msg-3", text="", link="")])
    assert outcomes[0] == Delivered(result={"state": "sent"})
    assert outcomes[1] == Rejected(reason="Google has no card of this member")
    assert outcomes[2] == Rejected(reason="Google answered 400: Message body must be set.")
    assert google.api.batches == [3]


@pytest.mark.parametrize(
    ("status", "reason", "kind"),
    [
        (0, "", Unknown),
        (500, "backendError", Unknown),
        (503, "backendError", Unknown),
        (400, "invalidResource", Rejected),
        (403, "permissionDenied", RetryLater),
        (403, "rateLimitExceeded", RetryLater),
        (429, "rateLimitExceeded", RetryLater),
    ],
)
async def test_a_message_that_may_have_arrived_is_unknown_and_no_other(
    google: GoogleWalletSimulator, channel: Channel, message: Messages, status: int, reason: str, kind: type
) -> None:
    google.fail("addMessage", status, reason=reason)
    assert [type(one) for one in await channel.send([message()])] == [kind]


async def test_what_nobody_knows_of_is_looked_up_on_the_card(
    google: GoogleWalletSimulator, channel: Channel, message: Messages, clock: FakeClock
) -> None:
    google.fail("addMessage", 500, done=True)
    at = clock.now()
    assert [type(one) for one in await channel.send([message()])] == [Unknown]
    assert isinstance(await channel.lookup(message(), at), Unknown)
    clock.advance(channel.visible_after)
    assert await channel.lookup(message(), at) == Done(result={"state": "sent"})
    assert await channel.lookup(message(id="msg-2"), at) == Absent()
    assert await channel.lookup(message(to="c2" * 12), at) == Absent()
    google.fail("GET loyaltyObject", 500)
    assert isinstance(await channel.lookup(message(), at), Unknown)


async def test_a_refusal_tells_nothing_of_the_message(
    google: GoogleWalletSimulator, channel: Channel, message: Messages
) -> None:
    (outcome,) = await channel.send([message(text="", link="", subject="Secret subject")])
    assert isinstance(outcome, Rejected)
    assert "Secret" not in outcome.reason
