from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stampcard.plugin import (
    ConsentSeen,
    CustomerErased,
    CustomerSeen,
    CustomEvent,
    DataRequested,
    Delivery,
    Event,
    MalformedPayload,
    OrderSeen,
    Refetch,
    WebhookSource,
)
from stampcard.testing.rules.case import TRIAL, Case, Recording

#: JSON values that nobody expects, as they stand in a body; in Latin-1, so that one is no UTF-8.
ODD = (
    *("null", "true", "-1", "1.5", "1E400", "-1E-400", "9" * 400, '""', '"x"', "[]", "{}", "[[]]", '{"":null}'),
    *('"NaN"', '"1E999999"', '"-Infinity"', '"0001-01-01T00:00:00+14:00"', '"9999-12-31T23:59:59-14:00"'),
    *('"2026-02-30T00:00:00Z"', '"2026-03-10T12:00:00"', '"\\u0000"', '"\\ud800"', '"' + "x" * 5000 + '"', '"\xff"'),
)
#: At most so many odd values are tried in one payload.
TRIES = 150
DEEP = 100_000
GARBAGE = (b"", b"\xff\xfe", b"hello", b"null", b"7", b"[]", b"{}", b'{"data": null}', b'{"a":' * DEEP, b"[" * DEEP)


class DecodingRules(Case):
    """What is understood: the vendor's events, and of anything else nothing."""

    def test_every_recording_decodes_to_what_is_declared(self) -> None:
        """Each recorded payload gives the kinds of events in `expected`, in that order."""
        source = self.source()
        found = {recording.name: recording for recording in self.recordings()}
        assert found.keys() == self.expected.keys(), "expected tells of each recorded payload"
        for name, recording in found.items():
            kinds = [type(event).__name__ for event in self._understood(source, recording)]
            assert kinds == [kind.__name__ for kind in self.expected[name]], name

    def test_an_unknown_topic_has_no_events(self) -> None:
        """A topic that the plugin does not know is ignored: vendors add topics, merchants subscribe to more."""
        source = self.source()
        for recording in self.recordings():
            for topic in (self.unknown_topic, "", "\x00"):
                delivery = msgspec.structs.replace(self.delivery(recording), topic=topic)
                try:
                    events = list(source.events(delivery))
                except Exception as error:  # noqa: BLE001 - that is the finding
                    pytest.fail(f"the unknown topic {topic!r} raised {type(error).__name__}: {error}")
                assert events == [], f"events of the unknown topic {topic!r}"

    def test_decoding_twice_gives_equal_events(self) -> None:
        """Decoding is a function of the delivery alone, so that a replay changes nothing."""
        source, other = self.source(), self.source()
        for recording in self.recordings():
            first = self._understood(source, recording)
            assert first == self._understood(source, recording) == self._understood(other, recording), recording.name

    def test_every_moment_has_a_time_zone(self) -> None:
        """All datetimes in events are aware."""
        for name, part in self._parts():
            if isinstance(part, datetime):
                assert part.tzinfo is not None, f"{name}: {part} has no time zone"

    def test_no_number_is_a_float(self) -> None:
        """Money is Decimal and counts are int; a float loses cents."""
        for name, part in self._parts():
            assert not isinstance(part, float), f"{name}: {part!r} is a float"

    def test_a_body_that_is_no_json_is_malformed(self) -> None:
        """What is no JSON is a MalformedPayload or has no events."""
        self._not_understood(b"", b" ", b"\x00", b"\xff\xfe", b"hello", b"<html></html>", b"id=1&total=2", b'{"a":}')

    def test_a_truncated_body_is_malformed(self) -> None:
        """A body that was cut off is a MalformedPayload or has no events."""
        source = self.source()
        for recording in self.recordings():
            whole = recording.body.rstrip()
            for length in {1, len(whole) // 3, len(whole) // 2, len(whole) - 1}:
                self._nothing_from(source, self.delivery(recording, whole[:length]))

    def test_a_body_of_another_shape_is_malformed(self) -> None:
        """JSON that is no payload of the topic is a MalformedPayload or has no events."""
        self._not_understood(b"null", b"true", b"7", b'"text"', b"[]", b"[{}]", b'{"data": null}')

    def test_an_empty_object_is_malformed(self) -> None:
        """An object without any field is a MalformedPayload or has no events."""
        self._not_understood(b"{}")

    def test_a_deeply_nested_body_is_malformed(self) -> None:
        """Nesting beyond all measure is a MalformedPayload or has no events, and ends no process."""
        nested = [opening * DEEP + closing * DEEP for opening, closing in ((b"[", b"]"), (b'{"a":', b"}"))]
        self._not_understood(b"[" * DEEP, b'{"a":' * DEEP, *nested)

    def test_values_of_wrong_types_do_no_harm(self) -> None:
        """With any one value replaced by an odd one, a payload is malformed or decodes to sound events."""
        source = self.source()
        for recording in self.recordings():
            for body in _spoilt(recording.body):
                for part in _inside(self._told(source, self.delivery(recording, body))):
                    assert not isinstance(part, float), f"{recording.name}: {part!r} is a float"
                    assert not isinstance(part, Decimal) or part.is_finite(), f"{recording.name}: {part!r}"
                    assert not isinstance(part, datetime) or part.tzinfo is not None, f"{recording.name}: {part!r}"

    def test_random_bytes_are_malformed(self) -> None:
        """Random bytes are a MalformedPayload or have no events."""
        source, recordings = self.source(), self.recordings()

        @TRIAL
        @given(body=st.binary())
        def nothing(body: bytes) -> None:
            for recording in recordings:
                self._nothing_from(source, self.delivery(recording, body))

        nothing()

    def test_whom_a_body_tells_about_is_whom_its_events_name(self) -> None:
        """Where events name a customer, subject gives the same reference, or None: an erasure finds bodies by it."""
        source = self.source()
        for recording in self.recordings():
            named = {reference for event in self._understood(source, recording) if (reference := _customer(event))}
            subject = self._subject(source, self.delivery(recording))
            assert subject is None or not named or subject in named, f"{recording.name}: {subject!r}, not {named}"

    def test_asking_whom_a_body_tells_about_does_no_harm(self) -> None:
        """Whatever the topic and the body: subject is a reference that can be stored, or None, and raises nothing."""
        source = self.source()
        for recording in self.recordings():
            for body in (*GARBAGE, recording.body, recording.body[:-9], *_spoilt(recording.body)):
                delivery = self.delivery(recording, body)
                for topic in (recording.topic, self.unknown_topic):
                    self._subject(source, msgspec.structs.replace(delivery, topic=topic))

    def _subject(self, source: WebhookSource, delivery: Delivery) -> str | None:
        try:
            subject = source.subject(delivery)
        except Exception as error:  # noqa: BLE001 - that is the finding
            pytest.fail(f"{delivery.topic}: subject raised {type(error).__name__} for {delivery.body[:200]!r}")
        assert subject is None or isinstance(subject, str), f"subject gave a {type(subject).__name__}"
        assert subject is None or subject.encode(errors="ignore").decode() == subject, "subject gave no text"
        return subject

    def _understood(self, source: WebhookSource, recording: Recording) -> list[Event | Refetch]:
        try:
            return list(source.events(self.delivery(recording)))
        except Exception as error:  # noqa: BLE001 - that is the finding
            pytest.fail(f"{recording.name} is not understood: {type(error).__name__}: {error}")

    def _told(self, source: WebhookSource, delivery: Delivery) -> list[Event | Refetch]:
        """The events, none for a MalformedPayload; anything else that is raised breaks the rule."""
        try:
            return list(source.events(delivery))
        except MalformedPayload:
            return []
        except Exception as error:  # noqa: BLE001 - that is the finding
            pytest.fail(f"{delivery.topic}: {type(error).__name__}, not MalformedPayload, for {delivery.body[:200]!r}")

    def _nothing_from(self, source: WebhookSource, delivery: Delivery) -> None:
        assert self._told(source, delivery) == [], f"{delivery.topic}: events of {delivery.body[:60]!r}"

    def _not_understood(self, *bodies: bytes) -> None:
        source = self.source()
        for recording in {found.topic: found for found in self.recordings()}.values():
            for body in bodies:
                self._nothing_from(source, self.delivery(recording, body))

    def _parts(self) -> Iterator[tuple[str, object]]:
        source = self.source()
        for recording in self.recordings():
            for part in _inside(self._understood(source, recording)):
                yield recording.name, part


def _customer(event: Event | Refetch) -> str | None:
    """The customer whom an event names."""
    match event:
        case OrderSeen(snapshot=snapshot):
            return snapshot.customer
        case CustomerSeen(reference=reference) | CustomerErased(reference=reference):
            return reference
        case DataRequested(reference=reference):
            return reference
        case CustomEvent(customer=reference) | ConsentSeen(customer=reference):
            return reference
    return None


def _inside(value: object) -> Iterator[object]:
    """A value and everything in it."""
    yield value
    parts: Iterable[object] = ()
    if isinstance(value, msgspec.Struct):
        parts = msgspec.structs.astuple(value)
    elif isinstance(value, Mapping):
        parts = [*value.keys(), *value.values()]
    elif isinstance(value, list | tuple | set | frozenset):
        parts = value
    for part in parts:
        yield from _inside(part)


def _spoilt(body: bytes) -> Iterator[bytes]:
    """The payload with one value after another replaced by an odd one; the same ones in every run."""
    try:
        content = json.loads(body)
    except ValueError:
        return
    pairs = [(holder, key, odd) for holder, key in _places(content) for odd in ODD]
    for holder, key, odd in random.Random(len(body)).sample(pairs, min(TRIES, len(pairs))):
        kept, holder[key] = holder[key], "@@"
        yield json.dumps(content).replace('"@@"', odd, 1).encode("latin-1")
        holder[key] = kept


def _places(content: Any) -> Iterator[tuple[Any, Any]]:
    keys: Iterable[Any] = content.keys() if isinstance(content, dict) else range(len(content))
    for key in keys:
        yield content, key
        if isinstance(content[key], dict | list):
            yield from _places(content[key])
