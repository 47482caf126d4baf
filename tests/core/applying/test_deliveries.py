"""Batches of deliveries in one transaction, on both databases."""

from __future__ import annotations

import dataclasses
import threading
from datetime import timedelta

from sqlalchemy import Connection, func, select, text, update

from stampcard.applying.deliveries import Prepared, Settled, apply_deliveries
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Sourced
from stampcard.clock import to_micros
from stampcard.domain.deliveries import Delivery
from stampcard.domain.events import CustomerErased, CustomerSeen, CustomEvent, Event, OrderSeen, RefundSeen
from stampcard.sealing import Sealer
from stampcard.storage import inboxing
from stampcard.storage.database import Database
from stampcard.storage.tables import balance, entry, identity, inbox, lot, member, push, tombstone
from stampcard.storage.verifying import verify
from stampcard.testing.building import NOON, order, programs, refund

NOW = NOON + timedelta(hours=2)
REVIEWS = """
program: main
currency: EUR
timezone: Europe/Berlin
events: {review: {stars: integer}}
wallets: {points: {}}
rules: [{id: review, on: review, award: 5}]
"""


def store(database: Database, setting: Setting, *keys: str) -> list[int]:
    """Deliveries with these keys, in the inbox and claimed by "me"."""
    deliveries = [Delivery(connection="shop", key=key, topic="t", body=key.encode(), received_at=NOON) for key in keys]

    def work(connection: Connection) -> list[int]:
        inboxing.take_in(connection, "main", deliveries, setting.sealer, setting.numbering)
        rows = connection.execute(select(inbox.c.id, inbox.c.key).where(inbox.c.key.in_(keys)))
        ids = {row.key: row.id for row in rows}
        connection.execute(
            update(inbox)
            .where(inbox.c.id.in_(ids.values()))
            .values(claimed_by="me", claimed_until=to_micros(NOW + timedelta(minutes=1)))
        )
        return [ids[key] for key in keys]

    return database.write_now(work)


def prepared(delivery: int, *events: Event) -> Prepared:
    sourced = tuple(
        Sourced(event=event, connection="shop", source="shop", received_at=NOON, delivery=delivery) for event in events
    )
    return Prepared(delivery=delivery, connection="shop", source="shop", events=sourced)


def apply(database: Database, setting: Setting, *batch: Prepared) -> tuple[Settled, ...]:
    return database.write_now(lambda connection: apply_deliveries(connection, setting, batch, NOW, "me").settled)


def count(database: Database, table: object) -> int:
    statement = select(func.count()).select_from(table)  # type: ignore[arg-type]
    return database.read_now(lambda connection: connection.execute(statement).scalar() or 0)


def active(database: Database) -> list[int]:
    statement = select(balance.c.active).order_by(balance.c.member)
    return database.read_now(lambda connection: list(connection.execute(statement).scalars()))


def test_an_order_becomes_a_lot_and_a_push(database: Database, setting: Setting) -> None:
    (one,) = store(database, setting, "a")

    settled = apply(database, setting, prepared(one, OrderSeen(reference="A", snapshot=order(60, 40))))

    assert [s.status for s in settled] == ["done"]
    assert active(database) == [100]
    assert (count(database, lot), count(database, entry), count(database, push)) == (1, 1, 1)
    checked = database.read_now(lambda connection: verify(connection, "main"))
    assert (checked.findings, checked.total, checked.entries) == ((), 0, 1)


def test_a_redelivery_and_a_batch_with_repeats_count_once(database: Database, setting: Setting) -> None:
    event = OrderSeen(reference="A", snapshot=order(60, 40))
    ids = store(database, setting, "a", "b", "c")

    apply(database, setting, prepared(ids[0], event), prepared(ids[1], event))
    apply(database, setting, prepared(ids[2], event))

    assert active(database) == [100]
    assert count(database, entry) == 1


def test_a_refund_in_the_same_batch_before_its_order_is_counted(database: Database, setting: Setting) -> None:
    ids = store(database, setting, "a", "b")

    apply(
        database,
        setting,
        prepared(ids[0], RefundSeen(order="A", refund=refund("R", [("L2", 40)]))),
        prepared(ids[1], OrderSeen(reference="A", snapshot=order(60, 40))),
    )

    assert active(database) == [60]


def test_a_refused_delivery_leaves_no_trace_of_any_of_its_events(database: Database, setting: Setting) -> None:
    ids = store(database, setting, "bad", "good")
    ahead = OrderSeen(reference="B", snapshot=order(5, at=NOW + timedelta(days=1)))

    settled = apply(
        database,
        setting,
        prepared(ids[0], OrderSeen(reference="A", snapshot=order(100)), ahead),
        prepared(ids[1], OrderSeen(reference="C", snapshot=order(7))),
    )

    assert [(s.status, s.code) for s in settled] == [("quarantined", "from_the_future"), ("done", "")]
    assert active(database) == [7]


def test_a_custom_event_that_is_refused_leaves_its_key_free_and_counts_when_it_is_applied_again(
    database: Database, setting: Setting
) -> None:
    setting = dataclasses.replace(setting, programs=programs(REVIEWS))
    first, again = store(database, setting, "first", "again")
    review = CustomEvent(name="review", customer="1", key="r", occurred_at=NOW, data={"stars": 5})
    ahead = CustomEvent(
        name="review", customer="1", key="r", occurred_at=NOW + timedelta(minutes=10), data={"stars": 5}
    )

    (refused,) = apply(database, setting, prepared(first, ahead))
    (counted,) = apply(database, setting, prepared(again, review))

    assert [(s.status, s.code) for s in (refused, counted)] == [("quarantined", "from_the_future"), ("done", "")]
    assert active(database) == [5]


def test_a_refused_delivery_leaves_the_keys_of_all_its_events_free(database: Database, setting: Setting) -> None:
    setting = dataclasses.replace(setting, programs=programs(REVIEWS))
    first, again = store(database, setting, "first", "again")
    review = CustomEvent(name="review", customer="1", key="r", occurred_at=NOW, data={"stars": 5})
    ahead = OrderSeen(reference="B", snapshot=order(5, at=NOW + timedelta(days=1)))

    (refused,) = apply(database, setting, prepared(first, review, ahead))
    (counted,) = apply(database, setting, prepared(again, review))

    assert (refused.status, counted.status) == ("quarantined", "done")
    assert active(database) == [5]


def test_a_refund_beside_an_older_state_of_another_day_meets_the_limit_of_the_orders_own_day(
    database: Database, setting: Setting
) -> None:
    limited = "award: 1 per 1 EUR, limits: '50 points per day, in all'"
    text = REVIEWS.replace("on: review, award: 5", f"on: purchase, {limited}")
    setting = dataclasses.replace(setting, programs=programs(text))
    ids = store(database, setting, "a", "b", "c")
    older = order(40, at=NOON - timedelta(days=1), customer="2")
    events = [
        OrderSeen(reference="A", snapshot=order(50)),
        OrderSeen(reference="B", snapshot=order(40, age=90, customer="2")),
        OrderSeen(reference="B", snapshot=older, refunds=(refund("R", money=10),)),
    ]

    for id_, event in zip(ids, events, strict=True):
        apply(database, setting, prepared(id_, event))

    assert sorted(active(database)) == [0, 50]


def test_an_order_whose_formula_no_plugin_knows_is_not_paid_as_nothing(database: Database, setting: Setting) -> None:
    text = REVIEWS.replace("on: review, award: 5", "on: purchase, award: formula happy")
    (one,) = store(database, setting, "a")

    (settled,) = apply(
        database,
        dataclasses.replace(setting, programs=programs(text)),
        prepared(one, OrderSeen(reference="A", snapshot=order(60))),
    )

    assert (settled.status, settled.code) == ("failed", "PluginError")
    assert "no plugin knows the formula 'happy'" in settled.detail


def test_erasing_forgets_the_person_and_older_data_does_not_bring_them_back(
    database: Database, setting: Setting, sealer: Sealer
) -> None:
    ids = store(database, setting, "a", "b", "c", "d", "e")
    seen = CustomerSeen(reference="1", occurred_at=NOON, attributes={"email": "ann@shop.example"})
    apply(database, setting, prepared(ids[0], seen))
    apply(database, setting, prepared(ids[1], OrderSeen(reference="A", snapshot=order(10))))
    apply(database, setting, prepared(ids[2], CustomerErased(reference="1", occurred_at=NOON)))

    apply(database, setting, prepared(ids[3], seen))

    assert count(database, identity) == 0
    assert count(database, member) == 1
    assert count(database, tombstone) == 2
    bodies = select(func.count()).where(inbox.c.id.in_(ids[:2]), inbox.c.body_sealed.is_not(None))
    assert database.read_now(lambda connection: connection.execute(bodies).scalar()) == 0
    assert active(database) == [10]

    later = OrderSeen(reference="B", snapshot=order(3, at=NOW + timedelta(minutes=1)))
    apply(database, setting, prepared(ids[4], later))

    assert count(database, member) == 2
    assert sorted(active(database)) == [3, 10]


def test_the_same_new_customer_in_two_workers_becomes_one_member(database: Database, setting: Setting) -> None:
    # On SQLite one writes after the other, so that a few rounds show as much as many.
    rounds = 50 if database.is_sqlite else 200
    ids = store(database, setting, *[f"{half}{n}" for n in range(rounds) for half in "ab"])
    barrier = threading.Barrier(2)
    failures: list[BaseException] = []

    def work(half: int) -> None:
        try:
            for number in range(rounds):
                snapshot = order(10, customer=str(number))
                event = OrderSeen(reference=f"{half}-{number}", snapshot=snapshot)
                barrier.wait(30)
                apply(database, setting, prepared(ids[2 * number + half], event))
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=work, args=(half,)) for half in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    if not database.is_sqlite:
        deadlocks = text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        assert database.read_now(lambda connection: connection.execute(deadlocks).scalar()) == 0
    assert count(database, member) == rounds
    assert active(database) == [20] * rounds
    assert database.read_now(lambda connection: verify(connection, "main")).findings == ()
