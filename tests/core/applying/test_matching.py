"""Customers of two shops who are one person, by an address that both verified; on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from tests.core.crms import crm
from tests.core.shops import Shop
from tests.databases import on_sqlite

from stampcard.applying import matching, merging
from stampcard.applying.erasing import erase_members
from stampcard.applying.holding import hold
from stampcard.applying.requests import Answer
from stampcard.applying.setting import Setting
from stampcard.domain.events import CustomerSeen, OrderSeen
from stampcard.errors import RequestRefused
from stampcard.storage import saving
from stampcard.storage.addressing import duplicates_before
from stampcard.storage.database import Database
from stampcard.storage.tables import address, merge
from stampcard.testing.applying import apply, prepare, rows, store
from stampcard.testing.building import order

PROGRAM = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR}
"""


class TwoShops(Shop):
    """Two connections of one merchant."""

    def hears(self, source: str, *events: Any) -> None:
        for event in events:
            (id_,) = store(self.database, self.setting, b"{}", connection=source)
            (settled,) = apply(self.database, self.setting, [prepare(id_, event, source=source)], self.clock.now())
            assert settled.status == "done"

    def sees(self, source: str, reference: str, verified: bool = True, **attributes: Any) -> None:
        self.clock.advance(timedelta(seconds=1))
        kinds = frozenset(attributes) if verified else frozenset[str]()
        event = CustomerSeen(reference=reference, occurred_at=self.clock.now(), attributes=attributes, verified=kinds)
        self.hears(source, event)

    def bought(self, source: str, reference: str, customer: str, amount: int) -> None:
        self.hears(
            source, OrderSeen(reference=reference, snapshot=order(amount, customer=customer, at=self.clock.now()))
        )

    def of(self, source: str, reference: str) -> str:
        from stampcard.storage.loading import load_identities

        known = self.database.read_now(lambda c: load_identities(c, "main", [(source, reference)]))
        return str(known[source, reference].member)

    def doubtful(self) -> list[str]:
        found = self.database.read_now(lambda c: duplicates_before(c, "main", "doubtful", None, 9))
        return [f"{one.kind}: {one.reason}" for one in found]

    def act_on(self, work: Any) -> None:
        self.act(lambda unit: Answer(status=200, body={"done": work(unit) is None}))


@pytest.fixture
def shop(database: Database, setting: Setting) -> TwoShops:
    every = frozenset({"email", "phone"})
    return TwoShops(database, replace(setting, active=frozenset({"shop", "web"}), matching=every), PROGRAM)


@on_sqlite
async def test_two_shops_one_person_one_balance(shop: TwoShops) -> None:
    shop.sees("shop", "1", email="Ann@shop.example")
    shop.bought("shop", "A", "1", 30)
    shop.sees("web", "77", email="ann+news@SHOP.example")
    shop.bought("web", "B", "77", 12)
    assert shop.of("shop", "1") != shop.of("web", "77")

    await shop.timer.tick()

    assert shop.of("shop", "1") == shop.of("web", "77")
    assert shop.points("1") == 42
    (row,) = rows(shop.database, select(merge))
    assert (row.by, row.note) == ("matching", "the same verified email")
    assert shop.changes[-1].kinds
    shop.bought("web", "C", "77", 8)
    assert shop.points("1") == 50
    shop.proves()


@pytest.mark.parametrize("is_crm", [True, False])
async def test_two_contacts_at_a_crm_may_be_one_person_and_two_customers_of_a_shop_are_not(
    database: Database, setting: Setting, is_crm: bool
) -> None:
    setting = replace(setting, active=frozenset({"shop", "web"}), matching=frozenset({"email"}))
    shop = TwoShops(database, replace(setting, crms={"crm": crm()} if is_crm else {}), PROGRAM)
    shop.sees("shop", "1", email="ann@shop.example")
    shop.sees("web", "77", email="ann@shop.example")
    named = {"merchant": "main", "connection": "crm"}
    known = [
        {**named, "reference": "C1", "member": shop.of("shop", "1")},
        {**named, "reference": "C2", "member": shop.of("web", "77")},
    ]
    shop.database.write_now(lambda c: saving.insert(c, "identity", known))

    await shop.timer.tick()

    assert (shop.of("shop", "1") == shop.of("web", "77")) is is_crm
    assert len(shop.doubtful()) == (0 if is_crm else 1)


@on_sqlite
@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ({"email": "a.nn@gmail.com"}, {"email": "ann@googlemail.com"}, True),
        ({"phone": "+49 30 123456"}, {"phone": "0049 (30) 123-456"}, True),
        ({"phone": "030 123456"}, {"phone": "030 123456"}, False),
        ({"email": "ann@shop.example"}, {"email": "ann@shop.example", "verified": False}, False),
        ({"email": "ann@shop.example"}, {"email": "bob@shop.example"}, False),
        ({"email": None}, {"email": None}, False),
    ],
)
async def test_only_what_both_verified_and_is_the_same_makes_one(
    shop: TwoShops, first: dict[str, Any], second: dict[str, Any], same: bool
) -> None:
    shop.sees("shop", "1", **first)
    shop.sees("web", "77", **second)
    await shop.timer.tick()
    assert (shop.of("shop", "1") == shop.of("web", "77")) is same


async def test_an_address_that_somebody_has_no_more_makes_nobody_the_same(shop: TwoShops) -> None:
    shop.sees("shop", "1", email="ann@shop.example")
    await shop.timer.tick()
    shop.sees("shop", "1", email="ann@elsewhere.example")
    shop.sees("web", "77", email="ann@shop.example")
    await shop.timer.tick()
    assert shop.of("shop", "1") != shop.of("web", "77")
    shop.sees("web", "77", verified=False, email="ann@shop.example")
    assert [row.connection for row in rows(shop.database, select(address))] == ["shop"]


@on_sqlite
async def test_whoever_is_doubtful_is_listed_and_not_merged(shop: TwoShops) -> None:
    shop.sees("shop", "1", email="ann@shop.example")
    shop.sees("shop", "2", email="ann@shop.example")
    await shop.timer.tick()
    assert shop.doubtful() == ["email: one shop knows both, as two customers"]
    shop.sees("web", "77", email="ann@shop.example")
    await shop.timer.tick()
    assert (
        "email: more than two members have this address, two of them at one shop or called two people"
        in shop.doubtful()
    )
    shop.sees("shop", "3", phone="+49301234567")
    held = shop.of("shop", "3")
    shop.act_on(lambda unit: hold(unit, held, "a check"))
    shop.sees("web", "78", phone="+49301234567")
    await shop.timer.tick()
    assert "phone: one of them is on hold" in shop.doubtful()
    assert rows(shop.database, select(merge)) == []


@on_sqlite
async def test_whom_somebody_parted_or_called_two_people_stay_so(shop: TwoShops) -> None:
    shop.sees("shop", "1", email="ann@shop.example")
    shop.sees("web", "77", email="ann@shop.example")
    await shop.timer.tick()
    (row,) = rows(shop.database, select(merge))
    shop.act_on(lambda unit: merging.unmerge(unit, row.id, by="me") and None)
    shop.sees("web", "77", email="ANN@shop.example", phone="+49301234567")
    shop.sees("shop", "1", email="ann@shop.example", phone="+49301234567")
    await shop.timer.tick()
    assert shop.of("shop", "1") != shop.of("web", "77")
    assert shop.doubtful() == []
    shop.sees("shop", "5", phone="+49307654321")
    one, other = shop.of("shop", "5"), shop.of("web", "77")
    shop.act_on(lambda unit: matching.keep_apart(unit, other, one))
    with pytest.raises(RequestRefused, match="somebody else"):
        shop.act_on(lambda unit: matching.keep_apart(unit, one, one))
    shop.sees("web", "77", phone="+49307654321")
    await shop.timer.tick()
    assert shop.of("shop", "5") == one


async def test_a_third_is_neither_of_two_whom_somebody_called_two_people(shop: TwoShops) -> None:
    shop.sees("shop", "1", email="ann@shop.example")
    shop.sees("web", "77", email="bob@shop.example")
    one, other = shop.of("shop", "1"), shop.of("web", "77")
    shop.act_on(lambda unit: matching.keep_apart(unit, one, other))
    shop.sees("web", "77", email="ann@shop.example")
    shop.sees("till", "9", email="ann@shop.example")
    await shop.timer.tick()
    assert rows(shop.database, select(merge)) == []
    assert len(shop.doubtful()) == 2


@on_sqlite
async def test_whoever_is_doubtful_beside_a_merge_is_so_beside_who_is_left(shop: TwoShops) -> None:
    for source, reference in (("shop", "1"), ("till", "9"), ("web", "77")):
        shop.sees(source, reference, email=f"{source}@shop.example")
    held = max(shop.of("shop", "1"), shop.of("till", "9"))
    shop.act_on(lambda unit: hold(unit, held, "a check"))
    for source, reference in (("web", "77"), ("till", "9"), ("shop", "1")):
        shop.sees(source, reference, email="ann@shop.example")
    await shop.timer.tick()
    (row,) = rows(shop.database, select(merge))
    found = shop.database.read_now(lambda c: duplicates_before(c, "main", "doubtful", None, 9))
    assert {(one.first, one.second) for one in found} == {tuple(sorted((row.target, held)))}


async def test_an_erased_person_leaves_no_address_and_no_pair(shop: TwoShops) -> None:
    shop.sees("shop", "1", email="ann@shop.example")
    shop.sees("shop", "2", email="ann@shop.example")
    await shop.timer.tick()
    ann = shop.of("shop", "1")
    shop.act_on(lambda unit: erase_members(unit, [ann]))
    assert [row.reference for row in rows(shop.database, select(address))] == ["2"]
    assert shop.doubtful() == []


async def test_without_the_setting_members_stay_as_their_shops_have_them(shop: TwoShops) -> None:
    shop.setting = replace(shop.setting, matching=frozenset())
    shop.sees("shop", "1", email="ann@shop.example")
    assert rows(shop.database, select(address)) == []
