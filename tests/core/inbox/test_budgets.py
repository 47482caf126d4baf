"""A budget of money follows what orders show of a percentage, whoever's unit of work brings the news, on both databases."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import select
from tests.core.shops import START, Shop
from tests.databases import on_sqlite

from stampcard.applying import deliveries, redeeming
from stampcard.applying.redeeming import Asked, asked_rewards
from stampcard.applying.requests import Answer
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Unit
from stampcard.domain.events import OrderSeen, RefundSeen
from stampcard.domain.orders import OrderLine
from stampcard.engine.rewarding import Asking
from stampcard.errors import RequestRefused
from stampcard.storage.database import Database
from stampcard.storage.redemptions import Wanted, list_redemptions
from stampcard.storage.tables import counter, redemption
from stampcard.testing.applying import rows, tell
from stampcard.testing.building import order, refund

PROGRAM = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
rules: [{id: buy, on: purchase, award: 1 per 1 EUR}]
rewards:
  tenth: {gives: '10 % off, at most 30 EUR', price: 0, by: own, valid: 10 days, limits: '50 EUR ever, in all'}
"""


@pytest.fixture
def shop(database: Database, setting: Setting) -> Shop:
    found = Shop(database, setting, PROGRAM)
    for customer in ("ann", "ben"):
        found.buys(f"first of {customer}", 1, customer=customer)
    return found


def takes(shop: Shop, customer: str = "ann") -> str:
    """The code of one more."""
    member = shop.member(customer)
    shop.act(lambda unit: Answer(status=201, body={"id": redeeming.redeem(unit, member, "tenth", "", Asking()).id}))
    wanted = Wanted(member=member, status="issued")
    found = shop.database.read_now(lambda c: list_redemptions(c, "main", shop.setting.sealer, wanted, None, 9))
    return next(one.voucher.code for one in found if one.voucher is not None)


def seen(code: str, *, age: int = 0, customer: str = "ann", **more: Any) -> OrderSeen:
    line = OrderLine(reference="L1", quantity=1, gross=order(200).total, discount=order(20).total)
    snapshot = order(lines=(line,), customer=customer, codes=(code,), age=age, at=START, **more)
    return OrderSeen(reference="A", snapshot=snapshot)


def counted(shop: Shop) -> int:
    """What the budget has counted, in whole money."""
    found = rows(shop.database, select(counter.c.value).where(counter.c.scope == "reward:tenth:money/ever/all"))
    return int(sum(row.value for row in found)) // 10_000


@on_sqlite
async def test_the_promise_the_order_its_refund_and_what_is_not_used_in_time(shop: Shop) -> None:
    code = takes(shop)
    assert counted(shop) == 30
    with pytest.raises(RequestRefused, match="50 EUR ever"):
        takes(shop, "ben")

    shop.tell(seen(code))
    assert counted(shop) == 20
    takes(shop, "ben")
    assert counted(shop) == 50

    shop.tell(RefundSeen(order="A", refund=refund("R", [("L1", 90)])))  # names no code
    assert counted(shop) == 40
    await shop.on("2026-03-28")
    assert counted(shop) == 10
    shop.proves()


@on_sqlite
@pytest.mark.parametrize("turns", list(permutations(range(3))))
async def test_the_budget_ends_alike_in_whatever_order_one_orders_news_comes(
    shop: Shop, turns: tuple[int, ...]
) -> None:
    code = takes(shop)
    back = RefundSeen(order="A", refund=refund("R", [("L1", 90)]))
    news = [seen(code), back, seen(code.lower(), age=5, customer="ben")]
    for turn in (*turns, turns[0]):
        shop.tell(news[turn])

    assert counted(shop) == 10
    (row,) = rows(shop.database, select(redemption))
    assert (row.status, row.discounts) == ("used", '{"order:shop:A":100000}')


async def test_an_order_that_showed_a_code_since_it_was_looked_at_is_looked_at_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = takes(shop)
    shop.tell(seen(code))

    def before(unit: Unit, events: Any, orders: Any) -> Asked:
        monkeypatch.setattr(deliveries, "asked_rewards", asked_rewards)
        return replaced(asked_rewards(unit, events, orders))

    def replaced(asked: Asked) -> Asked:
        return Asked(owners=asked.owners, is_needed=False)

    monkeypatch.setattr(deliveries, "asked_rewards", before)
    back = RefundSeen(order="A", refund=refund("R", [("L1", 90)]))
    assert tell(shop.database, shop.setting, back, now=shop.clock.now()) == ["later"]
    assert counted(shop) == 20

    shop.tell(back)
    assert counted(shop) == 10
