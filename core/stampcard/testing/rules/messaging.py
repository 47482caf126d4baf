from __future__ import annotations

import json
import math
import traceback
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any, get_args
from urllib.parse import unquote_plus

import httpx
import pytest

from stampcard.domain.messages import REPORTED
from stampcard.plugin import (
    Absent,
    Because,
    Capabilities,
    Channel,
    Delivered,
    Dial,
    Done,
    Form,
    Lookup,
    Message,
    MessageReceived,
    MessageReported,
    Need,
    Outcome,
    Rejected,
    RetryLater,
    Unknown,
)
from stampcard.program.texts import OUTPUT
from stampcard.testing.clock import NOON
from stampcard.testing.listening import Lines, listening
from stampcard.testing.rules.case import Mood, Vendor, Visit
from stampcard.testing.rules.configuring import ConfiguringRules
from stampcard.testing.rules.delivering import (
    GARBAGE,
    GREETINGS,
    HTML,
    HUGE,
    LONGEST,
    LOST,
    UNDIALLED,
    UNREADABLE,
    UNSENT,
    greeting,
    refusing,
)
from stampcard.testing.rules.knowing import raising

#: Answers of what stands before the vendor, which may have the message all the same.
_GATEWAYS = (502, 504)
#: Where no redirect may lead to.
_ASTRAY = "https://elsewhere.example/messages"
#: What httpx says of each call, where somebody listens to it: the host does not, and no plugin can keep it from that.
_HTTPX = "HTTP Request: "
#: In whichever language: what members are told.
_TEXTS: Mapping[str, str] = {
    "Arabic": "لديك ١٢ نقطة في المتجر، شكراً لك.",
    "emoji": "☕️ 👩🏽‍🍳 🎉 🇪🇬",
    "no text": "",
    "the longest text": ("points and " * OUTPUT)[:OUTPUT],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What the vendor is like: as HTTP shows it, and for whoever dials."""

    vendor: Vendor | None = None
    dial: Mood | Dial = "well"


WELL = Played()


class MessagingRules(ConfiguringRules):
    """How a plugin brings messages: one honest outcome for each, and none that leaves twice."""

    def test_its_channels_are_those_that_are_declared(self) -> None:
        """The connection's channels are called as the author says; each has a form, a need, a batch size and a pace that work."""
        found = self._found()
        assert sorted(channel.name for channel in found.channels) == sorted(self.channels)
        for channel in found.channels:
            assert channel.form in get_args(Form), f"{channel.name}: form is one of {get_args(Form)}"
            assert channel.needs in get_args(Need), f"{channel.name}: needs is one of {get_args(Need)}"
            assert channel.batch_size >= 1, f"{channel.name}: a batch has at least one message"
            _check_pace(channel)
            told = found.webhook is not None or not channel.hears
            assert told, f"{channel.name}: it hears, and the connection has no webhook to hear by"

    def test_each_message_that_is_taken_is_delivered(self) -> None:
        """When the vendor is well, each message of a batch of any allowed size is told to it, and Delivered, in order."""
        for channel in self._sending():
            for count in sorted({0, 1, channel.batch_size}):
                outcomes, visit = self._sent(channel, self._messages(channel, count))
                assert [type(outcome) for outcome in outcomes] == [Delivered] * count, f"{channel.name}: {outcomes}"
                called = bool(visit.requests or visit.dialled)
                assert called == bool(count), f"{channel.name}: {count} messages, and the vendor was asked: {called}"
                results = [outcome.result for outcome in outcomes if isinstance(outcome, Delivered)]
                _check_results(channel.name, results)

    def test_a_message_that_is_refused_is_alone_in_that(self) -> None:
        """A message to an address that is no good is Rejected for that, at its own place; the others are Delivered."""
        for channel in self._sending():
            if not self.unfit_address:
                pytest.skip("the vendor refuses no address: unfit_address")
            count = min(3, channel.batch_size)
            for place in range(count):
                messages = self._messages(channel, count)
                messages[place] = self.message(channel, place, to=self.unfit_address)
                outcomes, _ = self._sent(channel, messages)
                expected = [Rejected if position == place else Delivered for position in range(count)]
                assert [type(outcome) for outcome in outcomes] == expected, f"{channel.name}: {outcomes}"
                assert getattr(outcomes[place], "reason", ""), f"{channel.name}: say why it is refused"
                because = getattr(outcomes[place], "because", "")
                assert because == "address", f"{channel.name}: it is the address that is no good: because"

    def test_a_message_whose_answer_is_lost_is_unknown(self) -> None:
        """Where the vendor may have a message, and its answer is lost, that is Unknown: RetryLater would send it twice."""
        for channel, played in self._each(map(raising, LOST), ("lost",)):
            for count in sorted({1, channel.batch_size}):
                messages = self._messages(channel, count)
                outcomes, visit = self._sent(channel, messages, played)
                self._check_undecided(channel, outcomes)
                assert Unknown in map(type, outcomes), f"{channel.name}: a message may have arrived: {outcomes!r:.300}"
                left = [unquote_plus(request.content.decode(errors="replace")) for request in visit.requests]
                for message, outcome in zip(messages, outcomes, strict=True):
                    told = isinstance(outcome, Unknown) or not any(message.text in text for text in left)
                    assert told, f"{channel.name}: this message may have arrived: {outcome}"

    def test_a_message_that_never_left_is_sent_later(self) -> None:
        """Where nobody answers, so that nothing left, each message is RetryLater: Unknown would keep it from leaving at all."""
        for channel, played in self._each(map(raising, UNSENT), map(refusing, UNDIALLED)):
            for count in sorted({1, channel.batch_size}):
                outcomes, _ = self._sent(channel, self._messages(channel, count), played)
                assert [type(outcome) for outcome in outcomes] == [RetryLater] * count, f"{channel.name}: {outcomes}"
                self._check_undecided(channel, outcomes)

    def test_a_vendor_that_wants_fewer_messages_gets_them_later(self) -> None:
        """429 is RetryLater, after as many seconds as Retry-After says if it is a number; so is what is wanted later otherwise."""
        for channel, played in self._each(map(_busy, ("7", "90", *UNREADABLE)), ("busy",)):
            for count in sorted({1, channel.batch_size}):
                outcomes, visit = self._sent(channel, self._messages(channel, count), played)
                pace = visit.channel(channel.name).pace()
                assert 0 <= pace < math.inf, f"{channel.name}: the pace is {pace}"
                for outcome in outcomes:
                    assert isinstance(outcome, RetryLater), f"{channel.name}: {outcome}"
                    sound = outcome.after is None or 0 <= outcome.after < math.inf
                    assert sound, f"{channel.name}: it is sent again after {outcome.after} seconds"
        for channel, seconds in ((channel, seconds) for channel in self._sending() for seconds in (7, 90)):
            if self.calls_by_http:
                outcomes, _ = self._sent(channel, self._messages(channel, 1), Played(vendor=_busy(str(seconds))))
                assert getattr(outcomes[0], "after", None) == seconds, f"{channel.name}: Retry-After was {seconds}"

    def test_an_answer_that_says_nothing_leaves_it_open(self) -> None:
        """A success with garbage, with megabytes or with nothing in it, and a gateway without an answer, are Unknown."""
        odd = [_answering(status, body) for status in (200, 202) for body in (*GARBAGE, *HUGE)]
        lost = [_answering(status, HTML) for status in _GATEWAYS]
        allowed = (Unknown,) if self.success_is_in_the_body else (Unknown, Delivered)
        for channel, played in self._each((*odd, *lost), ("odd",)):
            outcomes, _ = self._sent(channel, self._messages(channel, 1), played)
            fits = isinstance(outcomes[0], (Unknown,) if played.vendor in lost else allowed)
            assert fits, f"{channel.name}: it may have arrived: {outcomes[0]!r:.300}"
            self._check_short(channel, outcomes)

    def test_a_vendor_in_trouble_loses_no_message(self) -> None:
        """5xx, redirects, refused credentials and strangers in the vendor's place are RetryLater or Unknown; none is followed."""
        vendors = [_answering(status, body) for status in (500, 503, 599) for body in (HTML, HUGE[1])]
        vendors += [_answering(status, "", {"location": _ASTRAY}) for status in (301, 302, 303, 307, 308)]
        vendors += [_answering(401, ""), _answering(401, HUGE[0])]
        for channel, played in self._each(vendors, map(greeting, GREETINGS)):
            outcomes, visit = self._sent(channel, self._messages(channel, min(2, channel.batch_size)), played)
            self._check_undecided(channel, outcomes)
            assert _ASTRAY not in [str(request.url) for request in visit.requests], f"{channel.name}: it was led astray"

    def test_whatever_refuses_a_message_does_no_harm(self) -> None:
        """Garbage and megabytes under 400, 403, 404 and 422 end in an outcome with a short reason, and are no success."""
        vendors = [_answering(status, body) for status in (400, 403, 404, 422) for body in (*GARBAGE, *HUGE)]
        for channel, played in self._each(vendors, ("quoting",)):
            outcomes, _ = self._sent(channel, self._messages(channel, 1), played)
            assert not isinstance(outcomes[0], Delivered), f"{channel.name}: it was refused: {outcomes[0]}"
            self._check_short(channel, outcomes)

    def test_a_message_in_any_script_is_taken_or_refused(self) -> None:
        """Messages in Arabic, with emoji, with no text and with the longest are Delivered or Rejected, when the vendor is well."""
        for channel in self._sending():
            for name, message in self._scripts(channel):
                outcomes, _ = self._sent(channel, [message])
                assert isinstance(outcomes[0], Delivered | Rejected), f"{channel.name}: {name}: {outcomes[0]!r:.300}"
                self._check_short(channel, outcomes)

    def test_parts_are_counted_alike(self) -> None:
        """Parts are a whole number of at least 1, the same whenever they are asked for, whatever the message says."""
        for channel in self._found().channels:
            (again,) = (one for one in self._found().channels if one.name == channel.name)
            for name, message in (("a plain text", self.message(channel, 1)), *self._scripts(channel)):
                try:
                    counted = [one.parts(message) for one in (channel, channel, again)]
                except Exception as error:  # noqa: BLE001 - that is the finding
                    pytest.fail(f"{channel.name}: parts raised {type(error).__name__} for {name}")
                assert all(type(parts) is int and parts >= 1 for parts in counted), f"{channel.name}: {name}: {counted}"
                assert len(set(counted)) == 1, f"{channel.name}: {name} is counted otherwise each time: {counted}"

    def test_a_lookup_of_a_message_that_learns_nothing_says_so(self) -> None:
        """A lookup is Done, Absent or Unknown, and raises nothing; while the vendor is in trouble it is Unknown."""
        # A list with nothing in it may well be the answer to a search.
        vendors = [_answering(200, body) for body in (*GARBAGE, *HUGE) if body != b"[]"]
        vendors += [_answering(status, HTML) for status in (401, 429, 500, 503, *_GATEWAYS)]
        vendors += map(raising, (*LOST, *UNSENT))
        for channel in self._sending():
            self._found_out(channel, WELL)
        for channel, played in self._each(vendors, (*map(refusing, UNDIALLED), *map(greeting, GREETINGS))):
            found = self._found_out(channel, played)
            assert isinstance(found, Unknown), f"{channel.name}: nothing could be found out: {found!r:.300}"
            self._check_short(channel, [found])

    def test_no_secret_shows_in_what_becomes_of_a_message(self) -> None:
        """No secret of the settings shows in an outcome, a lookup, a log line or a repr, whatever the vendor sends back."""
        for channel, played in self._each(self._indiscreet(), ("quoting",), also_well=True):
            logged, told = self.run(self._overheard_of(channel.name, played))
            for text in (*logged, *told):
                for secret in self.hidden():
                    assert secret not in text, f"a secret shows in {text.replace(secret, '<secret>')[:300]}"

    def test_nothing_of_a_message_is_told_on(self) -> None:
        """What a message says, and whom it is for, stand in no log line and no reason, whatever the vendor sends back."""
        for channel, played in self._each(self._indiscreet(), ("quoting", "lost", "odd"), also_well=True):
            message = self.message(channel, 1)
            logged, told = self.run(self._overheard_of(channel.name, played))
            own = [line for line in logged if not line.startswith(_HTTPX)]
            private = ("Amaryllis", "Bellflower", "Columbine", "daffodil", *filter(None, [message.to]))
            for text in (*own, *told):
                for word in private:
                    assert word not in text, f"{channel.name}: {word} shows in {text[:300]}"

    def test_what_is_kept_calls_nobody(self) -> None:
        """A channel that keeps its messages calls nobody: whatever it is asked, and it gives an outcome for each."""
        kept = [channel for channel in self._found().channels if channel.kept]
        if not kept:
            pytest.skip("keeps no messages")
        for channel in kept:
            outcomes, visit = self._sent(channel, self._messages(channel, channel.batch_size), look=True)
            assert [type(outcome) for outcome in outcomes] == [Delivered] * channel.batch_size, (
                f"{channel.name}: {outcomes}"
            )
            assert not visit.requests, f"{channel.name}: it called {visit.requests[:1]}"
            assert not visit.dialled, f"{channel.name}: it dialled {visit.dialled[:1]}"

    def test_what_is_told_of_messages_is_of_a_channel_that_there_is(self) -> None:
        """Reports and answers name a channel of the connection, and which message or whom; whatever hears has one recorded."""
        channels, source = {channel.name: channel for channel in self._found().channels}, self.source()
        heard = set()
        for recording in self.recordings():
            for event in source.events(self.delivery(recording)):
                if isinstance(event, MessageReported | MessageReceived):
                    assert event.channel in channels, f"{recording.name}: there is no channel {event.channel!r}"
                    _check_told(recording.name, event)
                if isinstance(event, MessageReceived):
                    heard.add(event.channel)
        hearing = {name for name, channel in channels.items() if channel.hears}
        assert heard == hearing, f"these hear: {sorted(hearing)}; something is heard by {sorted(heard)}"

    def _found(self) -> Capabilities:
        async def get() -> Capabilities:
            async with self.visiting() as visit:
                return visit.capabilities

        found = self.run(get())
        if not found.channels and not self.channels:
            pytest.skip("has no channels")
        return found

    def _sending(self) -> list[Channel]:
        """The channels by which something leaves, for what they say of themselves."""
        found = [channel for channel in self._found().channels if not channel.kept]
        if not found:
            pytest.skip("keeps its messages, and sends none")
        return found

    def _each(
        self, vendors: Iterable[Vendor], dials: Iterable[Mood | Dial], *, also_well: bool = False
    ) -> Iterator[tuple[Channel, Played]]:
        """Each channel with each way to be of a vendor, as far as it is called like that."""
        played = [Played(vendor=vendor) for vendor in vendors] if self.calls_by_http else []
        played += [Played(dial=dial) for dial in dials] if self.dials else []
        for channel in self._sending():
            assert played, f"{channel.name}: say how the vendor is reached: calls_by_http, open_dial"
            yield from ((channel, one) for one in ([WELL, *played] if also_well else played))

    def _messages(self, channel: Channel, count: int) -> list[Message]:
        return [self.message(channel, number) for number in range(count)]

    def _scripts(self, channel: Channel) -> Iterator[tuple[str, Message]]:
        for number, (name, text) in enumerate(_TEXTS.items()):
            fields: dict[str, Any] = {"text": text, "direction": "rtl" if name == "Arabic" else "ltr"}
            fields |= {"html": f"<p>{text}</p>" if channel.form == "mail" else ""}
            fields |= {"subject": "" if channel.form == "text" else text[:300]}
            yield name, self.message(channel, number, **fields)

    def _sent(
        self, channel: Channel, messages: Sequence[Message], played: Played = WELL, *, look: bool = False
    ) -> tuple[list[Outcome], Visit]:
        """Send in one attempt, and check that each has an outcome; the visit tells of calls since then."""

        async def send() -> tuple[list[Outcome], Visit]:
            async with self.visiting(played.vendor, dial=played.dial) as visit:
                visit.requests.clear()
                visit.dialled.clear()
                sender = visit.channel(channel.name)
                try:
                    outcomes = list(await sender.send(messages))
                    for message in messages if look else ():
                        await sender.lookup(message, NOON)
                except Exception as error:  # noqa: BLE001 - that is the finding
                    pytest.fail(f"{channel.name}: {type(error).__name__} was raised: {error!r:.300}")
            return outcomes, visit

        outcomes, visit = self.run(send())
        assert all(isinstance(outcome, Outcome) for outcome in outcomes), f"{channel.name}: {outcomes!r:.300}"
        assert len(outcomes) == len(messages), f"{channel.name}: one outcome for each message"
        return outcomes, visit

    def _found_out(self, channel: Channel, played: Played) -> Lookup:
        async def look() -> Lookup:
            async with self.visiting(played.vendor, dial=played.dial) as visit:
                visit.clock.advance(channel.visible_after + timedelta(hours=1))
                try:
                    return await visit.channel(channel.name).lookup(self.message(channel, 1), NOON)
                except Exception as error:  # noqa: BLE001 - that is the finding
                    pytest.fail(f"{channel.name}: lookup raised {type(error).__name__}: {error!r:.300}")

        found = self.run(look())
        assert isinstance(found, Done | Absent | Unknown), f"{channel.name}: {found!r:.300}"
        if isinstance(found, Done):
            _check_results(channel.name, [found.result])
        return found

    def _check_undecided(self, channel: Channel, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            assert isinstance(outcome, RetryLater | Unknown), f"{channel.name}: {outcome!r:.300}"
        self._check_short(channel, outcomes)

    def _check_short(self, channel: Channel, outcomes: Sequence[Outcome | Lookup]) -> None:
        for outcome in outcomes:
            short = len(getattr(outcome, "reason", "")) <= LONGEST
            assert short, f"{channel.name}: a reason of more than {LONGEST} letters"

    def _indiscreet(self) -> Iterator[Vendor]:
        """Vendors that send back what they were sent and what they know, and a network whose errors quote it."""

        def quoted(request: httpx.Request) -> str:
            content = unquote_plus(request.content.decode(errors="replace"))
            return " ".join((*self.hidden(), *request.headers.values(), content, unquote_plus(str(request.url))))

        def answering(status: int, request: httpx.Request) -> httpx.Response:
            said = quoted(request)
            fields = ("message", "error", "detail", "reason", "title")
            return httpx.Response(status, json=dict.fromkeys(fields, said))

        def failing(error: type[httpx.TransportError], request: httpx.Request) -> httpx.Response:
            raise error(quoted(request), request=request)

        yield from (partial(answering, status) for status in (200, 400, 401, 403, 404, 422, 429, 500))
        yield from (partial(failing, error) for error in (httpx.ReadTimeout, httpx.ConnectError))

    async def _overheard_of(self, name: str, played: Played) -> tuple[list[str], list[str]]:
        """What is logged while a message leaves and is looked for, and what is told of it."""
        logged, told = Lines(), list[str]()
        with listening(logged):
            async with self.visiting(played.vendor, dial=played.dial) as visit:
                channel = visit.channel(name)
                message = self.message(channel, 1)
                told += [repr(visit.capabilities), repr(channel)]
                await _hear(told, partial(channel.send, [message]))
                visit.clock.advance(channel.visible_after)
                await _hear(told, partial(_looked, channel, message))
        return [*logged, *visit.lines], told


async def _looked(channel: Channel, message: Message) -> list[Lookup]:
    return [await channel.lookup(message, NOON)]


async def _hear(told: list[str], call: Callable[[], Awaitable[Sequence[Outcome | Lookup]]]) -> None:
    """Note what a call gives, or its error with all that it came from."""
    try:
        told.extend(map(repr, await call()))
    except Exception as error:  # noqa: BLE001 - its text is what matters here
        told.extend(traceback.format_exception(error))


def _check_pace(channel: Channel) -> None:
    """What says how fast and how long is a number that something can be done with."""
    name, rate = channel.name, channel.rate
    if rate is not None:
        assert 0 < rate.per_second < math.inf, f"{name}: a rate of {rate.per_second} a second lets nothing through"
        assert rate.burst >= 1, f"{name}: a rate with a burst of {rate.burst} lets nothing through"
    assert all(0 < wait < math.inf for wait in channel.retry.waits), f"{name}: {channel.retry} has an odd wait"
    assert channel.visible_after > timedelta(0), f"{name}: visible_after is {channel.visible_after}"
    assert 0 <= channel.pace() < math.inf, f"{name}: the pace is {channel.pace()} before anything was sent"
    price = channel.price()
    assert price is None or isinstance(price, Decimal), f"{name}: the price is a {type(price).__name__}"
    assert price is None or (price.is_finite() and price >= 0), f"{name}: the price is {price}"


def _check_results(name: str, results: Sequence[Mapping[str, Any]]) -> None:
    """What the vendor gave back is what reports will find a message by."""
    ids = [result["id"] for result in results if "id" in result]
    assert all(isinstance(one, str) and one for one in ids), f"{name}: an id is a text: {ids[:3]}"
    assert len(set(ids)) == len(ids), f"{name}: two messages have one id: {ids[:3]}"
    for result in results:
        assert result.get("state", "sent") in REPORTED, f"{name}: nobody knows the state {result['state']!r}"


def _check_told(name: str, event: MessageReported | MessageReceived) -> None:
    if isinstance(event, MessageReceived):
        assert event.address, f"{name}: it does not say who wrote: address"
        assert event.key, f"{name}: it has no name by which it counts once: key"
        return
    assert event.state in REPORTED, f"{name}: nobody knows the state {event.state!r}"
    assert event.because in get_args(Because), f"{name}: nobody knows {event.because!r}: because"
    named = event.message or event.reference or event.address
    assert named, f"{name}: it says of no message that it is {event.state}: message, reference or address"


def _answering(status: int, content: str | bytes, headers: Mapping[str, str | bytes] | None = None) -> Vendor:
    told = [(name, text.encode() if isinstance(text, str) else text) for name, text in (headers or {}).items()]
    return lambda _: httpx.Response(status, content=content, headers=[(name.encode(), text) for name, text in told])


def _busy(after: str) -> Vendor:
    """A vendor that wants fewer calls."""
    return _answering(429, json.dumps({"message": "slow down"}), {"retry-after": after} if after else {})
