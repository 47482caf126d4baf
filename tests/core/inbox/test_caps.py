"""The cap of a discount is used by orders that show its code, of one member, and given back with refunds."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select
from tests.core.shops import START, Shop
from tests.databases import on_sqlite

from stampcard.applying import redeeming
from stampcard.applying.erasing import erase_members
from stampcard.applying.evaluating import Cart, evaluate_cart
from stampcard.applying.requests import Answer
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Unit
from stampcard.engine.rewarding import Asking
from stampcard.errors import RequestRefused
from stampcard.storage.database import Database
from stampcard.storage.redemptions import Wanted, list_redemptions
from stampcard.storage.tables import base_use
from stampcard.testing.applying import rows
from stampcard.testing.building import order

PROGRAM = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
rules: [{id: buy, on: purchase, award: 1 per 1 EUR}]
rewards:
  pro: {gives: 50 % off, price: 0, by: own, uses: 1000, base_cap: 5000 EUR per year}
  once: {gives: 10 % off, price: 0, by: own, base_cap: 500 EUR ever}
"""


@pytest.fixture
def shop(database: Database, setting: Setting) -> Shop:
    found = Shop(database, setting, PROGRAM)
    found.buys("first", 1)
    return found


def code(shop: Shop, reward: str = "pro", customer: str = "ann") -> str:
    member = shop.member(customer)

    def take(unit: Unit) -> Answer:
        redeeming.redeem(unit, member, reward, "", Asking())
        return Answer(status=201, body={})

    shop.act(take)
    wanted = Wanted(member=member, status="issued")
    found = shop.database.read_now(lambda c: list_redemptions(c, "main", shop.setting.sealer, wanted, None, 9))
    return next(one.voucher.code for one in found if one.reward == reward and one.voucher is not None)


def used(shop: Shop, customer: str = "ann") -> list[tuple[str, int]]:
    """What each order keeps, in whole money."""
    member = shop.member(customer)
    found = rows(shop.database, select(base_use).where(base_use.c.member == member))
    return sorted((row.subject.rpartition(":")[2], row.kept // 10_000) for row in found)


def off(shop: Shop, amount: int, customer: str = "ann") -> tuple[Decimal | None, list[str]]:
    """What the discount would take off a cart, and why not."""
    cart = Cart(order=order(amount), source="shop", now=shop.clock.now(), member=shop.member(customer))
    found = shop.database.read_now(lambda c: evaluate_cart(c, shop.setting, cart))
    one = next(one for one in found.rewards if one.standing.of.name == "pro")
    return one.alone, [refusal.code for refusal in one.refusals]


async def test_only_what_is_left_of_a_year_is_discounted(shop: Shop) -> None:
    assert off(shop, 200) == (Decimal("100.00"), [])
    its = code(shop)
    shop.buys("A", 4900, codes=(its,))
    assert (used(shop), off(shop, 200)) == ([("A", 4900)], (Decimal("50.00"), []))
    shop.buys("B", 200, codes=(its,))
    assert used(shop) == [("A", 4900), ("B", 100)]
    assert off(shop, 200) == (Decimal("0.00"), ["takes_nothing"])
    with pytest.raises(RequestRefused, match="5000 EUR per year already"):
        code(shop)
    shop.returns("A", 2450)
    assert (used(shop), off(shop, 200)) == ([("A", 2450), ("B", 100)], (Decimal("100.00"), []))
    for _ in range(2):
        shop.buys("B", 200, codes=(its,))
        shop.returns("A", 2450)
    assert used(shop) == [("A", 2450), ("B", 100)]


async def test_an_order_that_changes_hands_or_is_cancelled_uses_nothing(shop: Shop) -> None:
    shop.buys("other", 1, customer="ben")
    its = code(shop)
    shop.buys("A", 300, codes=(its,))
    shop.buys("A", 300, codes=(its,), customer="ben", age=1, at=START)
    assert (used(shop), used(shop, "ben")) == ([], [])
    shop.buys("B", 300, codes=(its,))
    shop.buys("B", 300, codes=(its,), age=1, at=START, cancelled=True)
    assert used(shop) == [("B", 0)]


async def test_a_new_year_begins_with_the_whole_cap_and_an_erasure_leaves_nothing(shop: Shop) -> None:
    shop.buys("A", 5000, codes=(code(shop),))
    shop.clock.advance(86_400 * 300)
    assert off(shop, 200)[0] == Decimal("100.00")
    member = shop.member()

    def erase(unit: Unit) -> Answer:
        erase_members(unit, [member])
        return Answer(status=204, body={})

    shop.act(erase)
    assert not rows(shop.database, select(base_use))


@on_sqlite
@pytest.mark.parametrize("first", [0, 1])
async def test_refund_and_order_come_to_the_same_in_either_order(shop: Shop, first: int) -> None:
    its = code(shop)
    steps: list[Any] = [lambda: shop.buys("A", 400, codes=(its,)), lambda: shop.returns("A", 100)]
    for step in (steps[first], steps[1 - first], steps[first]):
        step()
    assert used(shop) == [("A", 300)]
