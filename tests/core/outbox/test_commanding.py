"""Commands are done once: whoever dies, hangs or comes late."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from stampcard.applying.setting import Setting
from stampcard.calling.leases import Lease
from stampcard.calling.lines import Line
from stampcard.clock import to_micros
from stampcard.outbox import commanding
from stampcard.outbox.commanding import Commanding
from stampcard.plugin import Absent, Command, Delivered, Done, Lookup, Outcome, Sink
from stampcard.sealing import new_key_text, read_keys
from stampcard.storage import saving
from stampcard.storage.commanding import due_commands, forget_commands
from stampcard.storage.database import Database
from stampcard.storage.requeueing import drop_command
from stampcard.storage.rows import seal_object
from stampcard.storage.tables import outbox
from stampcard.testing.applying import LATER, rows
from stampcard.testing.clock import FakeClock


class Vendor:
    """Takes messages, and shows them to lookups a minute and a half later."""

    def __init__(self) -> None:
        self.clock = FakeClock(LATER)
        self.sent: dict[str, list[datetime]] = {}

    def shows(self, key: str) -> bool:
        return any(self.clock.now() - at >= timedelta(seconds=90) for at in self.sent.get(key, ()))


class Notes(Sink[Command]):
    kind = "note"
    visible_after = timedelta(minutes=5)

    def __init__(self, vendor: Vendor) -> None:
        self.vendor = vendor
        self.dies = False
        #: A lookup's answer is on its way until this is set.
        self.arrives = asyncio.Event()
        self.arrives.set()

    async def deliver(self, items: Sequence[Command]) -> Sequence[Outcome]:
        for item in items:
            self.vendor.sent.setdefault(item.key, []).append(self.vendor.clock.now())
        if self.dies:
            raise asyncio.CancelledError
        return [Delivered() for _ in items]

    async def lookup(self, command: Command) -> Lookup:
        answer = Done() if self.vendor.shows(command.key) else Absent()
        await self.arrives.wait()
        return answer


class Process:
    """One of the processes that send notes to a vendor."""

    def __init__(self, database: Database, setting: Setting, vendor: Vendor, owner: str) -> None:
        self.sink = Notes(vendor)
        self.job = Commanding(
            database, vendor.clock, "main", setting.sealer, Line("shop", self.sink), setting.numbering
        )
        self.lease = Lease(database, vendor.clock, "main", "connection:shop", owner)

    async def turn(self) -> None:
        """Send, or find out about, what is due."""
        token = await self.lease.hold()
        assert token is not None
        commands = await self.job.due()
        try:
            await self.job.send(commands, self.lease.name, token)
        finally:
            self.job.release(commands)


def put(database: Database, setting: Setting, status: str = "ready") -> None:
    """A note that is due."""
    row = {
        "merchant": "main",
        "id": 1,
        "connection": "shop",
        "kind": "note",
        "key": "k",
        "member": "ann",
        "reference": "1",
        "status": status,
        "data_sealed": seal_object(setting.sealer, {"to": "ann@shop.example"}, "outbox:main:shop:k"),
        "due_at": to_micros(LATER),
        "created_at": to_micros(LATER),
    }
    database.write_now(lambda connection: saving.insert(connection, "outbox", [row]))


def status(database: Database) -> Any:
    return rows(database, select(outbox.c.status))[0].status


async def test_an_abandoned_attempt_is_looked_for_only_once_it_would_surely_be_visible(
    database: Database, setting: Setting
) -> None:
    vendor = Vendor()
    put(database, setting)
    killed, heir = (Process(database, setting, vendor, owner) for owner in ("killed", "heir"))
    killed.sink.dies = True
    with pytest.raises(asyncio.CancelledError):
        await killed.turn()

    vendor.clock.advance(61)
    await heir.turn()
    assert status(database) == "unknown"

    vendor.clock.advance(Notes.visible_after)
    await heir.turn()

    assert status(database) == "done"
    assert len(vendor.sent["k"]) == 1


async def test_a_late_lookup_of_a_former_owner_does_not_turn_back_what_is_done(
    database: Database, setting: Setting
) -> None:
    vendor = Vendor()
    put(database, setting, "unknown")
    former, owner = (Process(database, setting, vendor, owner) for owner in ("former", "owner"))
    former.sink.arrives.clear()
    late = asyncio.create_task(former.turn())
    while not former.job._flying:  # noqa: ASYNC110 - what is waited for happens in a database
        await asyncio.sleep(0.01)
    vendor.clock.advance(41)
    await owner.turn()
    await owner.turn()
    assert status(database) == "done"

    former.sink.arrives.set()
    await late
    await owner.turn()

    assert status(database) == "done"
    assert len(vendor.sent["k"]) == 1


async def test_a_lookup_that_hangs_ends_and_tells_nothing(
    database: Database, setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commanding, "ATTEMPT", 0.05)
    vendor = Vendor()
    put(database, setting, "unknown")
    process = Process(database, setting, vendor, "me")
    process.sink.arrives.clear()

    await process.turn()

    (row,) = rows(database, select(outbox))
    assert (row.status, row.error) == ("unknown", "the lookup failed: TimeoutError")
    assert row.due_at == to_micros(LATER + Notes.visible_after)
    assert vendor.sent == {}


async def test_a_command_that_is_dropped_before_it_leaves_never_leaves(database: Database, setting: Setting) -> None:
    vendor = Vendor()
    put(database, setting)
    process = Process(database, setting, vendor, "me")
    token = await process.lease.hold()
    assert token is not None
    commands = await process.job.due()
    database.write_now(lambda connection: drop_command(connection, "main", 1, "by hand", vendor.clock.now()))

    await process.job.send(commands, process.lease.name, token)

    assert status(database) == "dropped"
    assert vendor.sent == {}


async def test_a_command_that_does_not_open_is_given_up_visibly(database: Database, setting: Setting) -> None:
    vendor = Vendor()
    put(database, dataclasses.replace(setting, sealer=read_keys(new_key_text())))

    await Process(database, setting, vendor, "me").turn()

    (row,) = rows(database, select(outbox))
    assert row.status == "dead"
    assert row.error
    assert vendor.sent == {}


def test_what_is_asked_of_a_reward_keeps_its_order_across_the_queues(database: Database, setting: Setting) -> None:
    def command(id_: int, kind: str, key: str, status: str = "ready") -> None:
        sealed = seal_object(setting.sealer, {}, f"outbox:main:shop:{key}")
        at = {"due_at": to_micros(LATER), "created_at": to_micros(LATER)}
        row = {"merchant": "main", "id": id_, "connection": "shop", "kind": kind, "key": key, "member": "ann", **at}
        row |= {"reference": "", "status": status, "data_sealed": sealed}
        database.write_now(lambda connection: saving.insert(connection, "outbox", [row]))

    def due(now: datetime = LATER) -> list[int]:
        found = database.write_now(
            lambda c: due_commands(
                c, "main", "shop", "reward_restore", setting.sealer, now, 9, (), timedelta(minutes=5)
            )
        )
        return [one.id for one in found]

    command(1, "reward_withdraw", "r_1:withdraw:1", "unknown")
    command(2, "reward_restore", "r_1:restore:2")
    command(3, "reward_restore", "r_2:restore:1")
    command(4, "reward_withdraw", "r_2:withdraw:2")
    assert due() == [3]
    assert due(LATER + timedelta(seconds=2)) == [3]
    database.write_now(lambda c: c.execute(update(outbox).where(outbox.c.id == 1).values(status="done")))
    assert due(LATER + timedelta(seconds=4)) == [3, 2]


def test_commands_that_are_over_are_forgotten_in_time_and_no_others(database: Database, setting: Setting) -> None:
    for age in (timedelta(days=40), timedelta(days=1)):
        for status in ("done", "dropped", "ready", "unknown", "dead"):
            at = LATER - age
            row = {
                "merchant": "main", "id": setting.numbering.next(at), "connection": "shop", "kind": "note",
                "key": f"{status} {age.days}", "member": "m", "reference": "1", "status": status,
                "due_at": to_micros(at), "created_at": to_micros(at),
            }  # fmt: skip
            database.write_now(lambda connection, row=row: saving.insert(connection, "outbox", [row]))  # type: ignore[misc]
    before = LATER - timedelta(days=30)
    gone = database.write_now(lambda connection: forget_commands(connection, "main", before))
    left = database.read_now(lambda connection: connection.execute(select(outbox.c.key)).scalars().all())
    assert gone == 2
    assert {"done 40", "dropped 40"} & set(left) == set()
    assert len(left) == 8
