"""Perks, plans, verifications and segments that both of two members have, merged and parted; on both databases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from tests.core.applying.test_merging import merge, undo
from tests.core.inbox.test_perks import cancel, give, standings, use
from tests.core.inbox.test_segments import segments
from tests.core.shops import Shop
from tests.databases import on_sqlite

from stampcard.applying import joining, judging, redeeming, verifying
from stampcard.applying.requests import Answer
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Unit
from stampcard.domain.orders import OrderLine
from stampcard.domain.proofs import Proof
from stampcard.engine.rewarding import Asking
from stampcard.errors import Conflict
from stampcard.storage.database import Database
from stampcard.storage.proving import find_request
from stampcard.storage.tables import base_use, push
from stampcard.testing.applying import rows

PROGRAM = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
tiers: {by: spend, levels: {silver: 100, gold: 500}}
segments:
  staff: {}
  spenders: {when: history.spend.ever >= 150}
plans:
  club: {skus: CLUB, lasts: 30 days}
perks:
  early: {tiers: silver, tag: early}
  shipping: {tiers: gold, uses: 5 per month}
  dinner: {uses: 3 ever}
proofs:
  coach: {evidence: {licence: The number}, valid: 12 months}
rules:
  - {id: approved, on: proof_approved, award: 100}
  - {id: used, on: perk_used, award: 5}
  - {id: gained, on: perk_gained, award: 7}
  - {id: lost, on: perk_lost, award: 9}
  - {id: entered, on: segment_entered, award: 11}
  - {id: left, on: segment_left, award: 13}
  - {id: started, on: plan_started, award: 17}
  - {id: ended, on: plan_ended, award: 19}
rewards:
  pro: {gives: 50 % off, price: 0, by: own, uses: 1000, base_cap: 5000 EUR per year}
"""


@pytest.fixture
def shop(database: Database, setting: Setting) -> Shop:
    found = Shop(database, replace(setting, targets={"shop": ("balance", "tags")}), PROGRAM)
    found.buys("A", 10)
    found.buys("B", 10, customer="bob")
    return found


def does(shop: Shop, work: Callable[[Unit], Any]) -> Any:
    return shop.act(lambda unit: Answer(status=200, body={"one": work(unit)}))["one"]


def asks(shop: Shop, customer: str) -> str:
    id_ = shop.member(customer)
    given = {"licence": "A-1"}
    return str(does(shop, lambda unit: verifying.ask(unit, id_, "", "coach", given, by_member=True)).one.request)


def decides(shop: Shop, request: str, *, approve: bool) -> None:
    does(shop, lambda unit: verifying.decide(unit, request, "Eve", approve=approve, reason="no"))


def verifies(shop: Shop, customer: str, until: datetime | None = None) -> None:
    id_ = shop.member(customer)
    does(shop, lambda unit: verifying.verify(unit, id_, "", "coach", until))


def proof(shop: Shop, customer: str = "ann") -> Proof:
    id_ = shop.member(customer)
    found = shop.database.read_now(lambda c: verifying.proof_standings(Unit(c, shop.setting, shop.clock.now()), id_))
    return found[0].one


def joins_club(shop: Shop, reference: str, customer: str) -> None:
    lines = (OrderLine(reference="L1", quantity=1, gross=30, sku="CLUB"),)  # type: ignore[arg-type]
    shop.buys(reference, lines=lines, customer=customer)


def in_club(shop: Shop, customer: str = "ann") -> bool:
    id_ = shop.member(customer)
    found = shop.database.read_now(lambda c: joining.plan_standings(Unit(c, shop.setting, shop.clock.now()), id_))
    return found[0].one.active


def marks(shop: Shop) -> set[str]:
    return {
        row.member
        for row in rows(shop.database, select(push).where(push.c.kind == "tags", push.c.wanted > push.c.sent))
    }


@on_sqlite
async def test_whoever_of_both_is_verified_is_so_and_each_again_when_they_part(shop: Shop) -> None:
    verifies(shop, "bob")
    before = proof(shop, "bob")
    asks(shop, "ann")
    id_ = merge(shop)
    assert (proof(shop).status, proof(shop).until) == ("approved", before.until)
    undo(shop, id_)
    assert (proof(shop).status, proof(shop, "bob")) == ("asked", before)


@on_sqlite
async def test_of_two_open_requests_one_is_withdrawn_and_open_again_when_they_part(shop: Shop) -> None:
    mine, theirs = asks(shop, "ann"), asks(shop, "bob")
    id_ = merge(shop)
    with pytest.raises(Conflict, match="withdrawn"):
        decides(shop, theirs, approve=True)
    with pytest.raises(Conflict, match="open since before"):
        asks(shop, "ann")
    decides(shop, mine, approve=True)
    assert proof(shop).verified_at(shop.clock.now())
    undo(shop, id_)
    assert proof(shop).verified_at(shop.clock.now())
    assert (proof(shop, "bob").status, proof(shop, "bob").request) == ("asked", theirs)
    decides(shop, theirs, approve=False)
    again = asks(shop, "bob")
    assert proof(shop, "bob").request == again


async def test_what_was_decided_of_the_others_request_goes_with_them(shop: Shop) -> None:
    theirs = asks(shop, "bob")
    decides(shop, asks(shop, "ann"), approve=False)
    id_ = merge(shop)
    decides(shop, theirs, approve=True)
    undo(shop, id_)
    assert (proof(shop).status, proof(shop, "bob").status) == ("refused", "approved")
    assert find(shop, theirs) == "approved"


def find(shop: Shop, request: str) -> str:
    found = shop.database.read_now(lambda c: find_request(c, "main", shop.setting.sealer, request))
    assert found is not None
    return found.status


async def test_a_request_that_was_made_together_stays_with_who_is_kept(shop: Shop) -> None:
    decides(shop, asks(shop, "bob"), approve=False)
    id_ = merge(shop)
    made = asks(shop, "ann")
    undo(shop, id_)
    assert (proof(shop).request, proof(shop, "bob").request) == (made, "")
    assert asks(shop, "bob")


@on_sqlite
@pytest.mark.parametrize(("hand", "has"), [("taken", False), ("given", True)])
async def test_what_people_said_of_a_perk_stands_after_a_merge_and_with_whom_it_was_said_of_after_its_undoing(
    shop: Shop, hand: Any, has: bool
) -> None:
    name = {"taken": "early", "given": "dinner"}[hand]
    shop.buys("C", 100)
    shop.buys("D", 100, customer="bob")
    if hand == "given":
        give(shop, name, "given")
        give(shop, name, "")  # ann had it once
    give(shop, name, hand, customer="bob")
    before = standings(shop)[name].has
    id_ = merge(shop)
    assert standings(shop)[name].has is has
    undo(shop, id_)
    assert (standings(shop)[name].has, standings(shop, "bob")[name].has) == (before, has)


async def test_two_uses_by_one_key_are_two_and_each_is_cancelled_with_what_it_paid(shop: Shop) -> None:
    for name in ("ann", "bob"):
        give(shop, "dinner", "given", customer=name)
        use(shop, "dinner", "k", name)
    id_ = merge(shop)
    assert standings(shop)["dinner"].used == 2
    before = shop.points()
    cancel(shop, "dinner", "k")
    assert shop.points() == before - 5
    cancel(shop, "dinner", f"k of {source_of(shop)}")
    assert shop.points() == before - 10
    undo(shop, id_)
    assert [standings(shop, name)["dinner"].used for name in ("ann", "bob")] == [0, 0]
    shop.proves()


def source_of(shop: Shop) -> str:
    from stampcard.storage.tables import merge as merges

    (row,) = rows(shop.database, select(merges))
    return str(row.source)


@pytest.mark.parametrize("ended", ["ann", "bob"])
async def test_a_plan_that_people_ended_ends_nothing_of_the_others(shop: Shop, ended: str) -> None:
    joins_club(shop, "C", "ann")
    joins_club(shop, "D", "bob")
    shop.clock.advance(timedelta(days=2))
    id_ = shop.member(ended)
    does(shop, lambda unit: joining.end_plan(unit, id_, "", "club", "asked to"))
    other = {"ann": "bob", "bob": "ann"}[ended]
    merged = merge(shop)
    assert in_club(shop)
    undo(shop, merged)
    assert (in_club(shop, ended), in_club(shop, other)) == (False, True)


async def test_a_merge_and_its_undoing_pay_nothing_however_often(shop: Shop) -> None:
    joins_club(shop, "C", "ann")
    await shop.on("2026-04-20")
    joins_club(shop, "D", "bob")
    shop.buys("E", 500, customer="bob")
    shop.buys("F", 90)
    give(shop, "dinner", "given", customer="bob")
    bob = shop.member("bob")
    does(shop, lambda unit: judging.put(unit, "main", "staff", [bob], []))
    before = {name: shop.points(name) for name in ("ann", "bob")}
    for _ in range(3):
        id_ = merge(shop)
        assert shop.points() == sum(before.values())
        undo(shop, id_)
        assert {name: shop.points(name) for name in ("ann", "bob")} == before
    shop.proves()


@on_sqlite
async def test_who_was_put_into_a_segment_before_stays_in_it(shop: Shop) -> None:
    both = [shop.member("ann"), shop.member("bob")]
    does(shop, lambda unit: judging.put(unit, "main", "staff", both, []))
    id_ = merge(shop)
    undo(shop, id_)
    assert "staff" in segments(shop)
    assert "staff" in segments(shop, "bob")


async def test_the_shop_marks_every_account_of_who_is_one_now_and_each_anew_when_they_part(shop: Shop) -> None:
    shop.buys("C", 120)

    def sent() -> None:
        shop.database.write_now(lambda c: c.execute(push.update().values(sent=push.c.wanted)))

    sent()
    shop.clock.advance(60)
    id_ = merge(shop)
    assert shop.member() in marks(shop)
    sent()
    shop.clock.advance(60)
    undo(shop, id_)
    assert marks(shop) == {shop.member("ann"), shop.member("bob")}


async def test_what_an_order_used_of_a_cap_goes_with_it(shop: Shop) -> None:
    bob = shop.member("bob")
    code = does(shop, lambda unit: redeeming.redeem(unit, bob, "pro", "main", Asking())).voucher.code
    id_ = merge(shop)
    shop.clock.advance(60)
    shop.buys("C", 4900, customer="bob", codes=(code,))
    undo(shop, id_)
    assert [(row.member, row.kept) for row in rows(shop.database, select(base_use))] == [(bob, 49_000_000)]


@on_sqlite
async def test_the_longer_verification_counts(shop: Shop) -> None:
    verifies(shop, "ann", datetime(2026, 5, 1, tzinfo=UTC))
    verifies(shop, "bob", datetime(2026, 9, 1, tzinfo=UTC))
    id_ = merge(shop)
    assert proof(shop).until == datetime(2026, 9, 1, tzinfo=UTC)
    await shop.on("2026-06-01")
    undo(shop, id_)
    assert (proof(shop).status, proof(shop, "bob").status) == ("expired", "approved")
