"""What connections keep for themselves, and whether they are active, on both databases."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from stampcard.errors import PluginError
from stampcard.sealing import Sealer
from stampcard.storage.database import Database
from stampcard.storage.stating import SealedStore, load_states, set_state, was_resumed
from stampcard.testing.clock import NOON, FakeClock


def stores(database: Database, sealer: Sealer, count: int) -> list[SealedStore]:
    """The store of one connection, as each of several processes opens it."""
    return [SealedStore(database, "main", "shop", sealer) for _ in range(count)]


async def test_a_key_is_held_by_one_of_all_processes_at_a_time(database: Database, sealer: Sealer) -> None:
    inside, seen = 0, list[int]()

    async def renew(store: SealedStore) -> None:
        nonlocal inside
        async with store.hold("token"):
            inside += 1
            seen.append(inside)
            await asyncio.sleep(0.02)
            inside -= 1

    await asyncio.gather(*map(renew, stores(database, sealer, 4)))
    assert seen == [1, 1, 1, 1]


async def test_many_who_wait_in_one_process_ask_the_database_as_one(
    database: Database, sealer: Sealer, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, writes, write = SealedStore(database, "main", "shop", sealer), list[object](), database.write
    monkeypatch.setattr(database, "write", lambda work: writes.append(work) or write(work))  # type: ignore[func-returns-value]

    async def renew() -> None:
        async with store.hold("token"):
            await asyncio.sleep(0)

    async with store.hold("token"):
        waiting = [asyncio.create_task(renew()) for _ in range(20)]
        await asyncio.sleep(0.1)
    await asyncio.gather(*waiting)
    # Each of 21 takes and gives back.
    assert len(writes) == 42


async def test_who_waits_too_long_behind_others_of_the_process_gives_up(
    database: Database, sealer: Sealer, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SealedStore(database, "main", "shop", sealer)

    async def renew() -> None:
        async with store.hold("token"):
            pass

    async with store.hold("token"):
        monkeypatch.setattr("stampcard.storage.stating.HELD", timedelta(seconds=0.1))
        done = await asyncio.gather(*(renew() for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in done] == [PluginError] * 3
    await renew()


async def test_keys_and_connections_do_not_wait_for_each_other(database: Database, sealer: Sealer) -> None:
    store = SealedStore(database, "main", "shop", sealer)
    other = SealedStore(database, "main", "till", sealer)
    async with store.hold("token"), store.hold("states"), other.hold("token"):
        pass


async def test_a_value_is_kept_sealed_and_read_by_its_own_connection_alone(database: Database, sealer: Sealer) -> None:
    one, again = stores(database, sealer, 2)
    await one.set("token", b"hush")
    assert await again.get("token") == b"hush"
    assert await SealedStore(database, "main", "till", sealer).get("token") is None


def test_it_is_remembered_when_a_connection_was_let_work_again(database: Database) -> None:
    clock = FakeClock(NOON)
    database.write_now(lambda connection: set_state(connection, "main", "shop", "ended", "taken out", clock))
    assert not database.read_now(lambda connection: was_resumed(connection, "main", "shop", NOON - timedelta(1)))
    database.write_now(lambda connection: set_state(connection, "main", "shop", "active", "", clock))
    assert database.read_now(lambda connection: load_states(connection, "main")) == []
    assert database.read_now(lambda connection: was_resumed(connection, "main", "shop", NOON - timedelta(seconds=1)))
    assert not database.read_now(lambda connection: was_resumed(connection, "main", "shop", NOON))
