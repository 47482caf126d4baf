"""Channels as the core sees them: which connections send by each, and how messages leave by one."""

from __future__ import annotations

from datetime import timedelta

from tests.core.letters import Box

from stampcard.domain.messages import Message
from stampcard.engine.announcing import Way
from stampcard.host.channels import ChannelSink, ways_of
from stampcard.host.connecting import Connection
from stampcard.plugin import Capabilities, Delivered, Rate, Rejected, RetryPolicy, Unknown
from stampcard.testing.building import NOON


def connection(name: str, *boxes: Box) -> Connection:
    return Connection(name=name, plugin="test", capabilities=Capabilities(channels=boxes))


def message(number: int = 1) -> Message:
    return Message(
        id=str(number), name="welcome", member="m_1", to="ann@example.com", purpose="marketing", language="en",
        direction="ltr", text="Hello",
    )  # fmt: skip


def test_who_sends_by_a_channel_is_told_in_the_order_of_their_names() -> None:
    ways = ways_of(
        {"twilio": connection("twilio", Box("sms")), "mail": connection("mail", Box("email"), Box("sms")), "shop": connection("shop")}
    )  # fmt: skip
    assert {channel: [way.connection for way in of] for channel, of in ways.items()} == {
        "email": ["mail"],
        "sms": ["mail", "twilio"],
    }


def test_a_connection_that_stands_not_yet_sends_by_nothing() -> None:
    assert ways_of({"mail": Connection(name="mail", plugin="test", capabilities=None)}) == {}
    assert ways_of({}) == {}


def test_a_way_has_the_traits_of_its_channel() -> None:
    ways = ways_of(
        {
            "mail": connection("mail", Box("email")),
            "text": connection("text", Box("sms", disturbs=True, hears=True)),
            "app": connection("app", Box("inbox", form="note", kept=True)),
            "push": connection("push", Box("push", form="note", needs="reference", disturbs=True)),
        }
    )
    assert [ways[name] for name in ("email", "sms", "inbox", "push")] == [
        (Way(connection="mail", channel="email", form="mail", needs="email"),),
        (Way(connection="text", channel="sms", form="text", needs="phone", disturbs=True, hears=True),),
        (Way(connection="app", channel="inbox", form="note", needs="nothing", kept=True),),
        (Way(connection="push", channel="push", form="note", needs="reference", disturbs=True),),
    ]


def test_a_channel_is_called_with_its_own_size_rate_and_patience_and_never_twice_for_one_message() -> None:
    rate, retry = Rate(per_second=3, burst=7), RetryPolicy(waits=(1, 2))
    sink = ChannelSink(Box("sms", batch_size=9, rate=rate, retry=retry, visible_after=timedelta(minutes=3)))
    assert (sink.kind, sink.idempotent, sink.batch_size) == ("message:sms", False, 9)
    assert (sink.rate, sink.retry, sink.visible_after) == (rate, retry, timedelta(minutes=3))
    assert sink.pace() == 0.0


async def test_what_a_channel_answers_is_what_became_of_each_message() -> None:
    box = Box("email")
    box.answers = [Rejected(reason="no such mailbox", because="address"), Unknown(reason="no answer")]
    outcomes = await ChannelSink(box).deliver([message(1), message(2), message(3)])
    assert [type(one) for one in outcomes] == [Rejected, Unknown, Delivered]
    assert [one.id for one in box.sent] == ["3"]


async def test_a_channel_that_cannot_be_asked_does_not_know_what_became_of_a_message() -> None:
    answer = await ChannelSink(Box("email")).find_out(message(), NOON)
    assert isinstance(answer, Unknown)
