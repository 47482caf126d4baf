"""The demonstration proves what it claims, and would notice if it did not hold."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from sqlalchemy import Connection, select, update

from stampcard.storage.database import Database
from stampcard.storage.tables import entry, lot
from stampcard.testing.demonstration import Demonstration
from stampcard_shopify.simulator import ShopifySimulator

REBUILT = "every balance is rebuilt from its entries"
SHOWN = "every balance in the shop equals what its books expect"


def shift_posting(database: Database, points: int) -> None:
    """Let one entry have granted more than it did; it still balances, so that no CHECK of the database objects."""

    def work(connection: Connection) -> None:
        key = connection.execute(
            select(entry.c.member, entry.c.wallet, entry.c.number).order_by(entry.c.member, entry.c.number).limit(1)
        ).one()
        found = connection.execute(
            update(entry)
            .where(entry.c.member == key.member, entry.c.wallet == key.wallet, entry.c.number == key.number)
            .values(active=entry.c.active + points, issued=entry.c.issued - points)
        )
        assert found.rowcount == 1

    database.write_now(work)


def shift_lot(database: Database, points: int) -> None:
    """Let one lot have less left than its entries say."""

    def work(connection: Connection) -> None:
        key = connection.execute(
            select(lot.c.member, lot.c.wallet, lot.c.number)
            .where(lot.c.remaining > 20)
            .order_by(lot.c.member, lot.c.number)
            .limit(1)
        ).one()
        connection.execute(
            update(lot)
            .where(lot.c.member == key.member, lot.c.wallet == key.wallet, lot.c.number == key.number)
            .values(remaining=lot.c.remaining - points)
        )

    database.write_now(work)


def shift_shown(shop: ShopifySimulator, points: int) -> None:
    """Let the shop show one customer something else than it was told."""
    field = next(iter(shop._shelf._fields.values()))
    before = f'"active":{shop.shown()[next(iter(shop.shown()))]},'
    shown = int(before.removeprefix('"active":').removesuffix(","))
    assert before in field.value
    field.value = field.value.replace(before, f'"active":{shown + points},')


async def failing(demonstration: Demonstration) -> set[str]:
    return {check.claim for check in await demonstration.prove() if not check.holds}


async def test_the_demonstration_is_proved_and_notices_every_alteration(
    database_url: str, demonstrate: Callable[..., AbstractAsyncContextManager[Demonstration]]
) -> None:
    shop = ShopifySimulator(11)
    async with demonstrate(shop, database=database_url) as demonstration:
        await shop.trade(demonstration.target, 80)
        assert await demonstration.settled(60)
        assert await failing(demonstration) == set()
        database = demonstration.application.database

        shift_posting(database, 5)
        assert await failing(demonstration) == {REBUILT}, "an altered posting"
        shift_posting(database, -5)

        shift_lot(database, 3)
        assert await failing(demonstration) == {REBUILT}, "an altered lot"
        shift_lot(database, -3)

        shift_shown(shop, 1)
        assert await failing(demonstration) == {SHOWN}, "an altered balance in the shop"
        shift_shown(shop, -1)

        assert await failing(demonstration) == set()
