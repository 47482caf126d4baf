"""The convergence of one order's deliveries, through the real unit of work on both databases."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select, update

from stampcard.applying.deliveries import Prepared, apply_deliveries
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Sourced
from stampcard.clock import to_micros
from stampcard.domain.deliveries import Delivery
from stampcard.domain.events import OrderSeen, RefundSeen
from stampcard.storage import inboxing
from stampcard.storage.database import Database
from stampcard.storage.tables import award, identity, inbox
from stampcard.storage.verifying import verify
from stampcard.testing.building import NOON, programs
from stampcard.testing.histories import histories, program_texts

NOW = NOON + timedelta(hours=2)
Event = OrderSeen | RefundSeen
_numbers = itertools.count()


def play(database: Database, setting: Setting, batches: Sequence[Sequence[Event]]) -> dict[tuple[str, str], int]:
    """What is due by customer and rule, once these batches were applied for this merchant alone."""
    for batch in batches:
        database.write_now(lambda connection: apply_batch(connection, setting, batch))  # noqa: B023 - runs at once
    checked = database.read_now(lambda connection: verify(connection, setting.merchant))
    assert (checked.findings, checked.total) == ((), 0)
    return database.read_now(lambda connection: dues(connection, setting.merchant))


def apply_batch(connection: Connection, setting: Setting, batch: Sequence[Event]) -> None:
    keys = [f"k{next(_numbers)}" for _ in batch]
    deliveries = [Delivery(connection="shop", key=key, topic="t", body=key.encode(), received_at=NOON) for key in keys]
    inboxing.take_in(connection, setting.merchant, deliveries, setting.sealer, setting.numbering)
    connection.execute(
        update(inbox)
        .where(inbox.c.merchant == setting.merchant)
        .values(claimed_by="me", claimed_until=to_micros(NOW + timedelta(minutes=1)))
    )
    found = connection.execute(select(inbox.c.key, inbox.c.id).where(inbox.c.key.in_(keys)))
    ids = {row.key: row.id for row in found}
    prepared = [
        Prepared(
            delivery=ids[key],
            connection="shop",
            source="shop",
            events=(Sourced(event=event, connection="shop", source="shop", received_at=NOON, delivery=ids[key]),),
        )
        for key, event in zip(keys, batch, strict=True)
    ]
    settled = apply_deliveries(connection, setting, prepared, NOW, "me").settled
    assert {one.status for one in settled} <= {"done"}


def dues(connection: Connection, merchant: str) -> dict[tuple[str, str], int]:
    who = {
        row.member: row.reference for row in connection.execute(select(identity).where(identity.c.merchant == merchant))
    }
    return {
        (who[row.member], row.rule): due
        for row in connection.execute(select(award).where(award.c.merchant == merchant))
        if (due := row.granted - row.taken - row.written_off)
    }


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(text=program_texts(), events=histories(), data=st.data())
def test_the_same_is_due_whatever_the_order_the_repeats_and_the_batches(
    database: Database, setting: Setting, text: str, events: list[Event], data: st.DataObject
) -> None:
    number = next(_numbers)
    left = dataclasses.replace(setting, merchant=f"left-{number}", programs=programs(text))
    right = dataclasses.replace(setting, merchant=f"right-{number}", programs=programs(text))
    repeats = data.draw(st.lists(st.sampled_from(events), max_size=3))
    shuffled = data.draw(st.permutations([*events, *repeats]))
    cut = data.draw(st.integers(0, len(shuffled)))

    one_by_one = play(database, left, [[event] for event in events])
    in_batches = play(database, right, [part for part in (shuffled[:cut], shuffled[cut:]) if part])

    assert one_by_one == in_batches


@pytest.mark.parametrize("size", [1, 2, 7])
def test_any_cut_into_batches_pays_the_same(database: Database, setting: Setting, size: int) -> None:
    from stampcard.testing.building import order, refund

    events: list[Event] = [
        OrderSeen(reference="A", snapshot=order(60, 40)),
        RefundSeen(order="A", refund=refund("R1", [("L2", 40)])),
        OrderSeen(reference="A", snapshot=order(60, 40, 5, age=9)),
        RefundSeen(order="A", refund=refund("R2", money=30)),
    ]
    batches = [events[start : start + size] for start in range(0, len(events), size)]

    # 105 less the returned 40, less 30/105 of 105 in money
    assert play(database, setting, batches) == {("1", "purchase"): 35}
