"""Stored rows become events, or say why they do not."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from sqlalchemy import Row, select

from stampcard.applying.setting import Setting
from stampcard.clock import to_micros
from stampcard.domain.deliveries import Delivery
from stampcard.domain.events import CustomerErased, CustomerSeen, Event
from stampcard.errors import MalformedPayload
from stampcard.host.connecting import Connection
from stampcard.inbox import preparing
from stampcard.inbox.preparing import prepare
from stampcard.plugin import Capabilities, Reply, UnverifiedRequest, VerifiedRequest, WebhookSource
from stampcard.sealing import new_key_text, read_keys
from stampcard.storage.database import Database
from stampcard.storage.tables import inbox
from stampcard.testing.applying import LATER, apply, rows, store, tell
from stampcard.testing.building import NOON
from stampcard.testing.listening import Lines, recording_log


class Register(WebhookSource):
    """Every body is a customer's reference."""

    def verify(self, request: UnverifiedRequest) -> VerifiedRequest | Reply:
        raise NotImplementedError

    def delivery_key(self, request: VerifiedRequest) -> str:
        raise NotImplementedError

    def events(self, delivery: Delivery) -> Iterable[Event]:
        return [CustomerSeen(reference=delivery.body.decode(), occurred_at=NOON)]


class Asked(Register):
    """A body is a customer's reference; of a small letter it makes nothing, and nobody knows whom a "?" is about."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    def events(self, delivery: Delivery) -> Iterable[Event]:
        if delivery.body.startswith(b"malformed"):
            raise MalformedPayload("not understood")
        return [] if delivery.body.islower() or delivery.body == b"?" else super().events(delivery)

    def subject(self, delivery: Delivery) -> str | None:
        self.asked.append(delivery.body)
        if delivery.body == b"odd":
            return "\ud800"
        if delivery.body == b"broken":
            raise KeyError(delivery.body)
        return None if delivery.body == b"?" else delivery.body.decode().upper()


STANDING = {"shop": Connection(name="shop", plugin="register", capabilities=Capabilities(webhook=Register()))}
BROKEN = {"shop": Connection(name="shop", plugin="register", problem="the vendor is down")}


def stored(database: Database) -> Sequence[Row[Any]]:
    return rows(database, select(inbox).order_by(inbox.c.id))


def test_a_body_that_does_not_open_is_set_aside_alone(database: Database, setting: Setting) -> None:
    elsewhere = dataclasses.replace(setting, sealer=read_keys(new_key_text()))
    (unreadable,) = store(database, elsewhere, b"1")
    (good,) = store(database, setting, b"2")

    batch = prepare(stored(database), STANDING, {}, setting.sealer)
    settled = apply(database, setting, batch)

    assert {one.delivery: (one.status, one.code) for one in settled} == {
        unreadable: ("quarantined", "unreadable"),
        good: ("done", ""),
    }


def test_deliveries_of_a_connection_that_could_not_connect_wait_until_it_can(
    database: Database, setting: Setting
) -> None:
    store(database, setting, b"1")

    apply(database, setting, prepare(stored(database), BROKEN, {}, setting.sealer))

    (row,) = stored(database)
    assert (row.status, row.code, row.attempts) == ("ready", "waits", 0)
    assert row.detail == "connection 'shop': the vendor is down"
    assert row.next_at > to_micros(LATER)

    (settled,) = apply(database, setting, prepare(stored(database), STANDING, {}, setting.sealer))

    assert settled.status == "done"


def test_deliveries_of_a_connection_that_was_removed_are_set_aside(database: Database, setting: Setting) -> None:
    store(database, setting, b"1")

    (settled,) = apply(database, setting, prepare(stored(database), {}, {}, setting.sealer))

    assert settled.status == "quarantined"
    assert "there is no connection 'shop' any more" in settled.detail


def asked(database: Database, setting: Setting, *bodies: bytes) -> list[bytes]:
    """Apply bodies; answers of which the plugin was asked whom they are about."""
    webhook = Asked()
    connections = {"shop": Connection(name="shop", plugin="asked", capabilities=Capabilities(webhook=webhook))}
    before = {row.id for row in stored(database)}
    store(database, setting, *bodies)
    fresh = [row for row in stored(database) if row.id not in before]
    apply(database, setting, prepare(fresh, connections, {}, setting.sealer))
    return webhook.asked


def kept(database: Database) -> list[tuple[str, bool]]:
    """The statuses of all deliveries, and whether their bodies are there."""
    return [(row.status, row.body_sealed is not None) for row in stored(database)]


def test_an_erasure_finds_bodies_that_led_to_nothing(database: Database, setting: Setting) -> None:
    assert asked(database, setting, b"ann", b"malformed") == [b"ann", b"malformed"]
    assert kept(database) == [("done", True), ("quarantined", True)]

    for name in ("ANN", "MALFORMED"):
        tell(database, setting, CustomerErased(reference=name, occurred_at=LATER))

    assert kept(database)[:2] == [("done", False), ("dropped", False)]


def test_what_led_to_nothing_and_comes_after_the_erasure_is_not_kept(database: Database, setting: Setting) -> None:
    tell(database, setting, CustomerErased(reference="ANN", occurred_at=LATER))
    asked(database, setting, b"ann")
    assert kept(database)[-1] == ("done", False)


def test_whom_a_body_is_about_is_asked_only_where_no_event_says_it(database: Database, setting: Setting) -> None:
    assert asked(database, setting, b"ANN", b"?") == [b"?"]
    assert [row.subject_print is not None for row in stored(database)] == [True, False]


def test_a_plugin_that_fails_to_say_whom_a_body_is_about_stops_nothing(
    database: Database, setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = Lines()
    monkeypatch.setattr(preparing, "log", recording_log(lines))

    asked(database, setting, b"broken", b"odd", b"ANN")

    assert {row.status for row in stored(database)} == {"done"}
    assert ["subject_failed" in line for line in lines] == [True, True]
