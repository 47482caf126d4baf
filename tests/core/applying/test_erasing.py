"""What an erasure leaves, and what comes after it or beside it."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from tests.databases import on_sqlite

from stampcard.applying import erasing
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Unit
from stampcard.domain.events import CustomerErased, CustomerSeen, OrderSeen, SourceErased
from stampcard.storage.database import Database
from stampcard.storage.rows import open_object
from stampcard.storage.tables import balance, identity, inbox, member, order_state, tombstone
from stampcard.testing.applying import LATER, apply, prepare, rows, store, tell
from stampcard.testing.building import NOON, order, programs

READING = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
rules:
  - {id: purchase, on: purchase, award: 1 per 1 EUR, when: has(member.attributes.country)}
"""
BODY = b'{"email": "ann@shop.example"}'
ERASED = CustomerErased(reference="1", occurred_at=LATER)
ANN = CustomerSeen(reference="1", occurred_at=NOON, attributes={"email": "ann@shop.example", "country": "DE"})


def kept(database: Database) -> int:
    """How many bodies are kept."""
    return rows(database, select(func.count()).where(inbox.c.body_sealed.is_not(None)))[0][0]  # type: ignore[no-any-return]


@on_sqlite
@pytest.mark.parametrize(
    "handed_on",
    [
        order(100, age=5, customer="2"),
        order(100, age=5, customer="2", paid=False),
        order(100, age=5, customer=None),
    ],
    ids=["to another customer", "to another customer who has not paid", "to nobody"],
)
def test_an_order_that_was_handed_on_keeps_nothing_that_was_seen_of_who_was_erased(
    database: Database, setting: Setting, handed_on: Any
) -> None:
    setting = dataclasses.replace(setting, programs=programs(READING))
    tell(database, setting, ANN, OrderSeen(reference="A", snapshot=order(100)))
    tell(database, setting, OrderSeen(reference="A", snapshot=handed_on), ERASED)

    (row,) = rows(database, select(order_state))

    sealed = row.pinned_member_sealed
    seen = open_object(setting.sealer, sealed, "order:main:shop:A") if sealed else {}
    assert "DE" not in str(seen)
    assert "ann@shop.example" not in str(seen)


def test_neither_the_request_nor_what_comes_after_it_keeps_its_body(database: Database, setting: Setting) -> None:
    tell(database, setting, OrderSeen(reference="A", snapshot=order(100)), body=BODY)
    assert kept(database) == 1

    tell(database, setting, ERASED, body=b"forget ann@shop.example")
    assert kept(database) == 0

    tell(database, setting, OrderSeen(reference="A", snapshot=order(100, age=9)), ANN, body=BODY)
    assert kept(database) == 0


def test_who_came_back_is_somebody_new_whom_older_data_tells_nothing_of(database: Database, setting: Setting) -> None:
    back = LATER + timedelta(days=2)
    tell(database, setting, ANN, OrderSeen(reference="A", snapshot=order(100)), ERASED)
    tell(database, setting, OrderSeen(reference="B", snapshot=order(7, at=LATER + timedelta(days=1))), now=back)

    tell(database, setting, OrderSeen(reference="A", snapshot=order(100, age=60)), ANN, now=back)

    found = select(member, balance.c.active).join(balance, balance.c.member == member.c.id)
    living = [row for row in rows(database, found) if row.erased_at is None]
    assert [(row.active, row.attributes_sealed) for row in living] == [(7, None)]


def test_an_erasure_waits_for_the_first_sight_of_the_same_person_and_erases_it(
    new_postgresql: Callable[[], str], setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(new_postgresql())
    order_id, erasure_id = store(database, setting, b"order", b"erasure")
    made, go_on = threading.Event(), threading.Event()
    lock = Unit.lock
    first = threading.Thread(
        target=lambda: apply(
            database, setting, [prepare(order_id, ANN, OrderSeen(reference="A", snapshot=order(100)))]
        ),
    )

    def locking(unit: Unit, *arguments: Any, **more: Any) -> None:
        if threading.current_thread() is first:
            made.set()
            go_on.wait(30)
        lock(unit, *arguments, **more)

    monkeypatch.setattr(Unit, "lock", locking)
    second = threading.Thread(target=lambda: apply(database, setting, [prepare(erasure_id, ERASED)]))
    first.start()
    assert made.wait(30)
    second.start()
    second.join(0.3)
    go_on.set()
    first.join()
    second.join()

    people = rows(database, select(member))
    buried = rows(database, select(tombstone))
    known = rows(database, select(identity))
    database.close()
    assert [(row.erased_at is not None, row.attributes_sealed) for row in people] == [(True, None)]
    assert buried
    assert known == []


def test_a_source_with_more_people_than_one_statement_takes_is_erased_whole(
    database: Database, setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasing, "CHUNK", 4)
    here = [CustomerSeen(reference=str(number), occurred_at=NOON) for number in range(11)]
    both = store(database, setting, *[b"%d" % number for number in range(11)])
    apply(database, setting, [prepare(one, event) for one, event in zip(both, here, strict=True)])
    known = rows(database, select(identity.c.member).order_by(identity.c.member))
    elsewhere = [
        {"merchant": "main", "connection": "till", "reference": row.member, "member": row.member} for row in known[:5]
    ]
    database.write_now(lambda connection: connection.execute(identity.insert(), elsewhere))

    assert tell(database, setting, SourceErased(occurred_at=LATER)) == ["done"]

    assert {row.connection for row in rows(database, select(identity))} == {"till"}
    erased = [row.id for row in rows(database, select(member)) if row.erased_at is not None]
    assert sorted(erased) == [row.member for row in known[5:]]
