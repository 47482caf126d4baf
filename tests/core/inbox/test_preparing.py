"""Stored rows become events, or say why they do not."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Row, select

from stampcard.applying.setting import Setting
from stampcard.clock import to_micros
from stampcard.domain.deliveries import Delivery
from stampcard.domain.events import CustomerSeen, Event
from stampcard.host.connecting import Connection
from stampcard.inbox.preparing import prepare
from stampcard.plugin import Capabilities, Reply, UnverifiedRequest, VerifiedRequest, WebhookSource
from stampcard.sealing import new_key_text, read_keys
from stampcard.storage.database import Database
from stampcard.storage.tables import inbox
from stampcard.testing.applying import LATER, apply, rows, store
from stampcard.testing.building import NOON


class Register(WebhookSource):
    """Every body is a customer's reference."""

    def verify(self, request: UnverifiedRequest) -> VerifiedRequest | Reply:
        raise NotImplementedError

    def delivery_key(self, request: VerifiedRequest) -> str:
        raise NotImplementedError

    def events(self, delivery: Delivery) -> Iterable[Event]:
        return [CustomerSeen(reference=delivery.body.decode(), occurred_at=NOON)]


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
