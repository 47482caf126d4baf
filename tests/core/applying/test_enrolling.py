"""How people become members, confirm it, leave and come back; on both databases."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select
from tests.core.shops import Shop
from tests.databases import on_sqlite

from stampcard.applying import enrolling, judging, redeeming, requests, spending
from stampcard.applying.requests import Answer
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Unit
from stampcard.domain.events import CustomerSeen, CustomEvent, OrderSeen
from stampcard.engine.rewarding import Asking
from stampcard.errors import Conflict, NotFound, RequestRefused
from stampcard.storage.database import Database
from stampcard.storage.loading import load_members
from stampcard.storage.reading import balances
from stampcard.storage.tables import event, membership
from stampcard.testing.applying import rows
from stampcard.testing.building import order

TEXT = """
program: main
currency: EUR
timezone: Europe/Berlin
enrolment: {enrolment}
events: {{review: {{}}}}
wallets: {{points: {{expire: 30 days}}}}
segments:
  spenders: {{when: history.spend.days_30 >= 100}}
  staff: {{name: Our own}}
rules:
  - {{id: buy, on: purchase, award: 1 per 1 EUR}}
  - {{id: later, on: purchase, award: 2, pending: 7 days}}
  - {{id: review, on: review, award: 5}}
  - {{id: hello, on: sign_up, award: 10}}
rewards:
  mug: {{gives: merchandise, price: 1}}
"""


@pytest.fixture
def shop(database: Database, setting: Setting, request: pytest.FixtureRequest) -> Shop:
    return Shop(database, setting, TEXT.format(enrolment=request.param))


def enrolled(how: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("shop", [how], indirect=True)


def figures(shop: Shop, customer: str = "ann") -> tuple[int, int]:
    member = shop.member(customer)
    found = shop.database.read_now(lambda c: balances(c, "main", [member], shop.setting.programs, shop.clock.now()))
    balance = found[member].get("points")
    return (balance.active, balance.pending) if balance is not None else (0, 0)


def state(shop: Shop, customer: str = "ann") -> str | None:
    id_ = shop.member(customer)
    found = shop.database.read_now(
        lambda c: load_members(c, "main", [id_], shop.setting.sealer, attributes=False, lock=False)
    )
    return found[id_].states.get("main", "active") if "main" in found[id_].programs else None


def act(shop: Shop, work: Any) -> None:
    def done(unit: Unit) -> Answer:
        work(unit)
        return Answer(status=200, body={})

    shop.act(done)


def reviews(shop: Shop, key: str, customer: str = "ann") -> None:
    shop.tell(CustomEvent(name="review", customer=customer, key=key, occurred_at=shop.clock.now()))


@enrolled("{how: automatic}")
async def test_whoever_a_shop_tells_of_takes_part(shop: Shop) -> None:
    shop.tell(CustomerSeen(reference="ann", occurred_at=shop.clock.now()))
    assert (state(shop), figures(shop)) == ("active", (10, 0))


@on_sqlite
@enrolled("{how: first purchase}")
async def test_the_first_paid_order_makes_a_member_and_earns(shop: Shop) -> None:
    shop.tell(CustomerSeen(reference="ann", occurred_at=shop.clock.now()))
    reviews(shop, "1")
    shop.buys("A", 30, paid=False)
    assert (state(shop), figures(shop)) == (None, (0, 0))
    shop.buys("A", 30, age=5)
    assert (state(shop), figures(shop)) == ("active", (40, 2))
    reviews(shop, "2")
    assert figures(shop) == (45, 2)
    shop.proves()


@on_sqlite
@enrolled("{how: request}")
async def test_only_who_asks_takes_part_and_earns_from_then_on(shop: Shop) -> None:
    shop.buys("A", 30)
    reviews(shop, "1")
    assert (state(shop), figures(shop)) == (None, (0, 0))
    ann = shop.member()
    with pytest.raises(RequestRefused, match="did not take part"):
        act(shop, lambda unit: spending.spend(unit, ann, "points", 1, "k", ""))
    with pytest.raises(RequestRefused, match="does not take part"):
        act(shop, lambda unit: redeeming.redeem(unit, ann, "mug", "main", Asking()))
    await shop.on("2026-03-11")

    act(shop, lambda unit: enrolling.join(unit, ann, "main"))

    assert (state(shop), figures(shop)) == ("active", (10, 0))
    with pytest.raises(Conflict, match="takes part in 'main' already"):
        act(shop, lambda unit: enrolling.join(unit, ann, "main"))
    with pytest.raises(NotFound):
        act(shop, lambda unit: enrolling.join(unit, ann, "other"))
    await shop.on("2026-03-12")
    shop.buys("A", 35, age=7, at=shop.clock.now().replace(day=10))  # of before: an edit pays nothing either
    assert figures(shop) == (10, 0)
    shop.buys("B", 20)
    assert figures(shop) == (30, 2)
    shop.proves()


@enrolled("request")
async def test_a_member_whom_somebody_made_has_asked(shop: Shop) -> None:
    def make(unit: Unit) -> Answer:
        return Answer(status=201, body={"id": requests.create_member(unit, ("shop", "ann"), {})})

    shop.act(make)
    assert (state(shop), figures(shop)) == ("active", (10, 0))


@enrolled("{confirm: 14 days}")
async def test_until_it_is_confirmed_points_wait_and_nothing_is_redeemed(shop: Shop) -> None:
    shop.buys("A", 30)
    assert (state(shop), figures(shop)) == ("unconfirmed", (0, 42))
    ann = shop.member()
    with pytest.raises(RequestRefused, match="has not confirmed"):
        act(shop, lambda unit: redeeming.redeem(unit, ann, "mug", "main", Asking()))
    shop.returns("A", 10)
    assert figures(shop)[0] == 0
    await shop.on("2026-03-14")

    act(shop, lambda unit: enrolling.confirm(unit, ann, "main"))

    assert (state(shop), figures(shop)) == ("active", (30, 1))  # the rule's own week is not over
    with pytest.raises(Conflict, match="nothing to be confirmed"):
        act(shop, lambda unit: enrolling.confirm(unit, ann, "main"))
    told = [row.kind for row in rows(shop.database, select(event)) if row.kind == "membership_changed"]
    assert len(told) == 1
    await shop.on("2026-03-18")
    assert figures(shop) == (31, 0)
    shop.buys("B", 5)
    assert figures(shop) == (36, 2)
    shop.proves()


@on_sqlite
@enrolled("{confirm: 14 days}")
async def test_points_that_nobody_confirms_are_cancelled(shop: Shop) -> None:
    shop.buys("A", 30)
    await shop.on("2026-03-26")
    assert (state(shop), figures(shop)) == ("unconfirmed", (0, 0))
    shop.proves()
    ann = shop.member()
    act(shop, lambda unit: enrolling.confirm(unit, ann, "main"))
    shop.buys("B", 5)
    assert figures(shop) == (5, 2)


@on_sqlite
@enrolled("{how: segment, segment: spenders, leaving: freeze}")
async def test_a_segment_makes_members_and_leaving_it_freezes_them(shop: Shop) -> None:
    shop.buys("A", 60)
    assert (state(shop), figures(shop)) == (None, (0, 0))
    shop.buys("B", 50)
    assert (state(shop), figures(shop)) == ("active", (10, 0))  # what made the member was before
    await shop.on("2026-03-11")
    shop.buys("C", 20)
    assert figures(shop) == (30, 2)
    await shop.on("2026-04-12")
    assert state(shop) == "frozen"
    ann = shop.member()
    shop.buys("D", 30)
    reviews(shop, "1")
    with pytest.raises(RequestRefused, match="is frozen"):
        act(shop, lambda unit: spending.spend(unit, ann, "points", 1, "k", ""))
    before = figures(shop)
    shop.buys("E", 80)
    assert state(shop) == "active"
    shop.buys("D", 30, age=9, at=shop.clock.now())
    assert figures(shop) == before
    await shop.on("2026-04-13")
    shop.buys("F", 7)
    assert figures(shop)[0] >= 7
    shop.proves()


@on_sqlite
@enrolled("{how: segment, segment: staff, leaving: close}")
async def test_leaving_a_segment_may_close_what_somebody_had(shop: Shop) -> None:
    shop.tell(CustomerSeen(reference="ann", occurred_at=shop.clock.now()))
    ann = shop.member()
    act(shop, lambda unit: judging.put(unit, "main", "staff", [ann], []))
    assert (state(shop), figures(shop)) == ("active", (10, 0))
    await shop.on("2026-03-11")
    shop.buys("A", 20)
    assert figures(shop) == (30, 2)
    act(shop, lambda unit: judging.put(unit, "main", "staff", [], [ann]))
    assert (state(shop), figures(shop)) == ("closed", (0, 0))
    shop.returns("A", 5)
    shop.buys("B", 20)
    assert figures(shop) == (0, 0)
    shop.proves()
    act(shop, lambda unit: judging.put(unit, "main", "staff", [ann], []))
    await shop.on("2026-03-12")
    shop.buys("C", 9)
    assert (state(shop), figures(shop)) == ("active", (9, 2))
    shop.proves()


@enrolled("{how: segment, segment: spenders, leaving: keep}")
async def test_by_default_leaving_the_segment_changes_nothing(shop: Shop) -> None:
    shop.buys("A", 160)
    shop.returns("A", 150)
    assert state(shop) == "active"


@on_sqlite
@enrolled("automatic")
async def test_who_left_is_not_taken_in_again_but_may_come_back(shop: Shop) -> None:
    shop.buys("A", 20)
    ann = shop.member()
    act(shop, lambda unit: enrolling.leave(unit, ann, "main"))
    assert (state(shop), figures(shop)) == ("left", (0, 0))
    with pytest.raises(Conflict, match="takes no part"):
        act(shop, lambda unit: enrolling.leave(unit, ann, "main"))
    shop.tell(OrderSeen(reference="B", snapshot=order(30, customer="ann", at=shop.clock.now())))
    assert figures(shop) == (0, 0)
    act(shop, lambda unit: enrolling.join(unit, ann, "main"))
    shop.buys("C", 4)
    assert (state(shop), figures(shop)) == ("active", (4, 2))
    assert [row.state for row in rows(shop.database, select(membership))] == ["active"]
    shop.proves()


@on_sqlite
@enrolled("{how: segment, segment: staff, leaving: freeze, confirm: 14 days}")
async def test_who_was_frozen_before_they_confirmed_must_still_confirm(shop: Shop) -> None:
    shop.tell(CustomerSeen(reference="ann", occurred_at=shop.clock.now()))
    ann = shop.member()
    act(shop, lambda unit: judging.put(unit, "main", "staff", [ann], []))
    act(shop, lambda unit: judging.put(unit, "main", "staff", [], [ann]))
    assert state(shop) == "frozen"
    act(shop, lambda unit: judging.put(unit, "main", "staff", [ann], []))
    assert (state(shop), figures(shop)) == ("unconfirmed", (0, 10))
    act(shop, lambda unit: enrolling.confirm(unit, ann, "main"))
    act(shop, lambda unit: judging.put(unit, "main", "staff", [], [ann]))
    act(shop, lambda unit: judging.put(unit, "main", "staff", [ann], []))
    assert (state(shop), figures(shop)) == ("active", (10, 0))


@on_sqlite
@enrolled("{how: segment, segment: staff, leaving: freeze}")
async def test_a_segment_does_not_bring_back_who_left_the_program(shop: Shop) -> None:
    shop.tell(CustomerSeen(reference="ann", occurred_at=shop.clock.now()))
    ann = shop.member()
    act(shop, lambda unit: judging.put(unit, "main", "staff", [ann], []))
    act(shop, lambda unit: enrolling.leave(unit, ann, "main"))
    for add, remove in (([], [ann]), ([ann], [])):
        act(shop, lambda unit, add=add, remove=remove: judging.put(unit, "main", "staff", add, remove))
        assert (state(shop), figures(shop)) == ("left", (0, 0))
    act(shop, lambda unit: enrolling.join(unit, ann, "main"))
    assert state(shop) == "active"
