"""Conditions see which rewards a member took, and for how many points, as the database does, on both databases."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select
from tests.core.shops import Shop
from tests.databases import on_sqlite

from stampcard.applying import redeeming
from stampcard.applying.choosing import choose
from stampcard.applying.requests import Answer
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Unit
from stampcard.clock import EPOCH
from stampcard.domain.rewards import Redemption
from stampcard.engine.rewarding import Asking
from stampcard.engine.versions import compiled
from stampcard.errors import RequestRefused
from stampcard.program.reading import read_program
from stampcard.storage import loading, rows
from stampcard.storage.database import Database
from stampcard.storage.simulating import Comparison, simulate
from stampcard.storage.tables import redemption, segment_member
from stampcard.testing import applying

PROGRAM = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {scale: 1, refunds: {spent: proportional}}}
events: {visit: {}}
rules:
  - {id: buy, on: purchase, award: 10 per 1 EUR, when: order.total < 1000}
  - {id: fan, on: purchase, award: 7, when: history.redemptions.days_30 >= 2 && history.redeemed.ever >= 60.0}
  - {id: box, on: purchase, award: reward box, when: order.total >= 1000}
segments:
  takers: {when: history.redemptions.ever >= 1}
  spenders: {when: history.redeemed.this_month >= 50.0}
rewards:
  five: {gives: 5 EUR off, price: 40, by: own, unused: return, valid: 10 days}
  by-hand: {gives: merchandise, price: 20}
  welcome: {gives: 5 EUR off, price: 1, by: own, when: history.redemptions.ever == 0}
  box: {gives: 'choice of tea, by-hand'}
  tea: {gives: merchandise}
"""


@pytest.fixture
def shop(database: Database, setting: Setting) -> Shop:
    found = Shop(database, setting, PROGRAM)
    found.buys("first", 100)
    return found


def does(shop: Shop, work: Any, *arguments: Any, **more: Any) -> Redemption:
    done: list[Redemption] = []

    def act(unit: Unit) -> Answer:
        done.append(work(unit, *arguments, **more))
        # What the next decision of the same unit would see is what is stored behind it.
        seen.update({id_: past.taken for id_, past in unit.pasts.items()})
        return Answer(status=200, body={})

    seen: dict[str, Any] = {}
    shop.act(act)
    member = shop.member()
    stored = shop.database.read_now(lambda c: loading.load_taken(c, "main", [member])).get(member, {})
    assert seen.get(member, {}) == stored
    return done[0]


def takes(shop: Shop, reward: str) -> Redemption:
    return does(shop, redeeming.redeem, shop.member(), reward, "", Asking())


def segments(shop: Shop) -> set[str]:
    return {row.segment for row in applying.rows(shop.database, select(segment_member))}


@on_sqlite
async def test_a_rule_pays_for_what_was_taken_and_not_given_back(shop: Shop) -> None:
    first, second = takes(shop, "five"), takes(shop, "by-hand")
    before = shop.points()
    shop.buys("A", 1)
    assert shop.points() - before == 10 * 10 + 70  # with one decimal

    does(shop, redeeming.release, second.id, "changed their mind")
    before = shop.points()
    shop.buys("B", 1)
    assert shop.points() - before == 10 * 10

    does(shop, redeeming.revoke, first.id, "a mistake", keep_points=False)
    assert segments(shop) == set()
    shop.proves()


@on_sqlite
async def test_segments_follow_at_once_and_what_expires_unused_counts_no_more(shop: Shop) -> None:
    takes(shop, "five")
    assert segments(shop) == {"takers"}
    takes(shop, "by-hand")
    assert segments(shop) == {"takers", "spenders"}
    await shop.on("2026-03-28")
    assert segments(shop) == {"takers"}
    (kept,) = remembered(shop).values()
    assert kept.points == 200


async def test_a_refund_of_the_order_that_used_it_lowers_what_was_spent(shop: Shop) -> None:
    one = takes(shop, "five")
    assert one.voucher is not None
    takes(shop, "by-hand")
    shop.buys("A", 20, codes=(one.voucher.code,))
    assert segments(shop) == {"takers", "spenders"}

    shop.returns("A", 10)

    assert sorted(taken.points for taken in remembered(shop).values()) == [200, 200]
    assert segments(shop) == {"takers"}


@on_sqlite
async def test_a_reward_for_newcomers_is_taken_once(shop: Shop) -> None:
    takes(shop, "welcome")
    with pytest.raises(RequestRefused, match="not true"):
        takes(shop, "welcome")


@on_sqlite
async def test_a_choice_that_a_rule_gives_counts_once_whatever_is_picked(shop: Shop) -> None:
    shop.buys("A", 1000)
    (box,) = (rows.redemption_of(row, shop.setting.sealer) for row in applying.rows(shop.database, select(redemption)))
    does(shop, choose, box.id, "tea", Asking())

    assert list(remembered(shop)) == [box.id]


@on_sqlite
async def test_a_simulation_sees_the_rewards_that_were_taken_in_truth(shop: Shop) -> None:
    shop.clock.advance(60)  # behind the first order
    takes(shop, "five")
    takes(shop, "by-hand")
    shop.clock.advance(60)
    shop.buys("A", 1)
    changed = compiled(read_program(PROGRAM.replace("award: 7", "award: 9"), "changed"), 1, EPOCH)
    now = compiled(read_program(PROGRAM, "now"), 1, EPOCH)

    tally = simulate(shop.database, shop.setting.sealer, Comparison(merchant="main", before=now, after=changed))

    fan = tally.rules["fan", "points"]
    assert (fan.before, fan.after, fan.times_after) == (70, 90, 1)  # with one decimal


def remembered(shop: Shop) -> Any:
    """What the database knows of the rewards that ann took, by redemption."""
    member = shop.member()
    return shop.database.read_now(lambda c: loading.load_taken(c, "main", [member])).get(member, {})
