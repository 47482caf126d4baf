"""Two members who are one person: merged and parted again, by people and by their shop, on both databases."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from tests.core.shops import Shop
from tests.databases import on_sqlite

from stampcard.applying import enrolling, joining, matching, merging, redeeming, requests, spending, using, verifying
from stampcard.applying.erasing import erase_members
from stampcard.applying.holding import hold
from stampcard.applying.requests import Answer
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Unit
from stampcard.domain.events import CustomerSeen, CustomersMerged, CustomEvent, OrderSeen
from stampcard.domain.value import replace
from stampcard.engine.rewarding import Asking
from stampcard.errors import Conflict, Merged, NotFound, RequestRefused
from stampcard.storage import addressing
from stampcard.storage import merging as stored
from stampcard.storage.database import Database
from stampcard.storage.loading import load_pasts
from stampcard.storage.reading import balances
from stampcard.storage.tables import metadata
from stampcard.storage.verifying import verify
from stampcard.testing.applying import apply, prepare, rows, store
from stampcard.testing.building import order

PROGRAM = """
program: main
currency: EUR
timezone: Europe/Berlin
events: {review: {}}
wallets:
  points: {expire: 30 days, refunds: {policy: within_balance}}
tiers: {by: spend, within: calendar year, levels: {green: 0, silver: 100, gold: 500}}
segments:
  spenders: {when: history.spend.months_12 >= 150}
  staff: {name: Our own}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR, limits: 400 points per year}
  - {id: welcome, on: sign_up, award: 10}
  - {id: review, on: review, award: 5, limits: 2 times ever}
  - {id: first, on: purchase, award: 3, limits: 5 members ever}
  - {id: up, on: tier_up, award: 7}
rewards:
  mug: {gives: merchandise, price: 20}
plans:
  plus: {skus: [PLUS], lasts: 1 year}
perks:
  early: {tiers: silver}
  dinner: {uses: 2 ever}
  shipping: {plans: [plus], uses: 4 per year}
proofs:
  nurse: {ask: false}
"""


def merge(shop: Shop, gone: str = "bob", kept: str = "ann") -> str:
    source, target = shop.member(gone), shop.member(kept)
    return str(
        shop.act(lambda unit: Answer(status=201, body={"id": merging.merge(unit, source, target, by="me").id}))["id"]
    )


def act(shop: Shop, work: Any) -> None:
    def done(unit: Unit) -> Answer:
        work(unit)
        return Answer(status=200, body={})

    shop.act(done)


def undo(shop: Shop, id_: str) -> dict[str, Any]:
    def work(unit: Unit) -> Answer:
        apart = merging.unmerge(unit, id_, by="me")
        return Answer(status=200, body={"spent": dict(apart.spent), "orders": apart.orders})

    return dict(shop.act(work))


def spends(shop: Shop, points: int, key: str, customer: str = "ann") -> None:
    member = shop.member(customer)

    def work(unit: Unit) -> Answer:
        spending.spend(unit, member, "points", points, key, "")
        return Answer(status=201, body={})

    shop.act(work)


def cancels(shop: Shop, key: str) -> None:
    def work(unit: Unit) -> Answer:
        spending.cancel_spend(unit, key, "")
        return Answer(status=200, body={})

    shop.act(work)


def redeems(shop: Shop, customer: str) -> str:
    member = shop.member(customer)

    def work(unit: Unit) -> Answer:
        return Answer(status=201, body={"id": redeeming.redeem(unit, member, "mug", "main", Asking()).id})

    return str(shop.act(work)["id"])


def releases(shop: Shop, id_: str) -> None:
    def work(unit: Unit) -> Answer:
        redeeming.release(unit, id_, "")
        return Answer(status=200, body={})

    shop.act(work)


def all_points(shop: Shop, customer: str = "ann") -> tuple[int, int]:
    """What a member can spend, and owes."""
    member = shop.member(customer)
    found = shop.database.read_now(lambda c: balances(c, "main", [member], shop.setting.programs, shop.clock.now()))
    return found[member]["points"].active, found[member]["points"].negative


def members_of(shop: Shop) -> list[Any]:
    return sorted(
        rows(shop.database, select(metadata.tables["membership"])),
        key=lambda row: str(row.state) == "left" or row.state == "active",
    )


def reviews(shop: Shop, customer: str, key: str) -> None:
    shop.tell(CustomEvent(name="review", customer=customer, key=key, occurred_at=shop.clock.now()))


#: What is written down as it comes, and figures that only rise.
_RUNNING = frozenset(
    {
        "entry",
        "event",
        "merge",
        "duplicate",
        "inbox",
        "push",
        "alembic_version",
        "revision",
        "effect",
        "idempotency",
    }
)
_IGNORED = frozenset(
    {"version", "booked_to", "entries", "opened", "attributes_sealed", "updated_at", "pinned_member_sealed", "state"}
)


_ONCE = frozenset({"counter", "perk", "plan"})


def state(shop: Shop) -> dict[str, list[tuple[Any, ...]]]:
    """All that is known now, table by table."""
    found = {}
    for name, table in metadata.tables.items():
        if name not in _RUNNING:
            statement = select(*(column for column in table.c if column.name not in _IGNORED))
            for column in {"value", "has", "active"} & set(table.c.keys()) if name in _ONCE else ():
                statement = statement.where(table.c[column] != 0)  # what was had meanwhile leaves a row
            found[name] = sorted(map(str, rows(shop.database, statement)))
    return found  # type: ignore[return-value]


@pytest.fixture
def shop(database: Database, setting: Setting) -> Shop:
    return Shop(database, setting, PROGRAM)


@on_sqlite
async def test_the_points_the_tier_and_the_history_of_two_become_those_of_one(shop: Shop) -> None:
    shop.buys("A", 60)
    shop.buys("B", 90, customer="bob")
    assert (shop.points("ann"), shop.points("bob")) == (73, 103)
    ann = shop.member("ann")

    merge(shop)

    assert shop.member("bob") == ann
    assert shop.points("bob") == shop.points("ann") == 176
    assert shop.tier().name == "silver"  # 150 in all; what nobody did anything for pays nothing
    past = shop.database.read_now(lambda c: load_pasts(c, "main", [ann], points=True, rewards=False))[ann]
    assert len(past.purchases) == 2
    assert sum(points for _, _, points in past.points) == 176
    shop.proves()
    assert shop.stored() == shop.anew()


@on_sqlite
async def test_a_refund_of_what_came_by_a_merge_takes_from_the_lots_that_it_gave(shop: Shop) -> None:
    shop.buys("A", 60)
    shop.buys("B", 90, customer="bob")
    spends(shop, 73, "s", "bob")  # 10 of the welcome, 63 of the order
    merge(shop)
    shop.returns("B", 90)
    # What is left of bob's own lots, 30, then what ann has.
    assert shop.points() == 73 - 63
    cancels(shop, "s")
    assert shop.points() == 83
    shop.proves()
    assert shop.stored() == shop.anew()


async def test_limits_count_what_both_used(shop: Shop) -> None:
    shop.buys("A", 300)
    shop.buys("B", 90, customer="bob")
    reviews(shop, "ann", "1")
    reviews(shop, "bob", "2")
    merge(shop)
    before = shop.points()
    reviews(shop, "ann", "3")
    shop.buys("C", 50, customer="bob")
    assert shop.points() == before + 10 + 3
    counted = {
        row.scope: row.value for row in rows(shop.database, select(metadata.tables["counter"])) if not row.member
    }
    assert {value for scope, value in counted.items() if "members/" in scope} == {1}
    shop.proves()


async def test_what_was_merged_and_parted_at_once_is_as_it_was(shop: Shop) -> None:
    shop.buys("A", 60)
    shop.buys("B", 90, 40, customer="bob")
    reviews(shop, "bob", "1")
    spends(shop, 20, "s", "bob")
    held = redeems(shop, "bob")
    shop.returns("B", 40, "L2")
    before, tiers = state(shop), [shop.tier(name) for name in ("ann", "bob")]

    undo(shop, merge(shop))

    after = state(shop)
    for name, known in before.items():
        assert after[name] == known, name
    # Only how often it changed is another matter.
    assert [replace(shop.tier(name), number=1) for name in ("ann", "bob")] == [replace(one, number=1) for one in tiers]
    shop.proves()
    releases(shop, held)
    cancels(shop, "s")
    assert shop.points("bob") == 10 + 90 + 5 + 2
    shop.proves()


async def test_perks_plans_and_proofs_of_both_are_those_of_one_and_part_again(shop: Shop) -> None:
    shop.buys("A", 60)
    shop.buys("B", 70, customer="bob")
    ann, bob = shop.member("ann"), shop.member("bob")
    act(shop, lambda unit: using.give_perk(unit, bob, "", "dinner", "given", None, "a good guest"))
    act(shop, lambda unit: using.use_perk(unit, bob, "", "dinner", "monday", "till", ""))
    act(shop, lambda unit: joining.give_plan(unit, bob, "", "plus", None, "1", ""))
    act(shop, lambda unit: verifying.verify(unit, bob, "", "nurse", None))
    before = state(shop)

    id_ = merge(shop)

    def looked(unit: Unit) -> Answer:
        perks = {one.name: one.left for one in using.perk_standings(unit, ann) if one.has}
        plans = {one.name for one in joining.plan_standings(unit, ann) if one.one.active}
        proofs = {one.one.name for one in verifying.proof_standings(unit, ann) if one.one.verified_at(unit.now)}
        return Answer(status=200, body={"perks": perks, "plans": plans, "proofs": proofs})

    assert shop.act(looked) == {
        "perks": {"early": None, "dinner": 1, "shipping": 4}, "plans": {"plus"}, "proofs": {"nurse"},
    }  # fmt: skip
    undo(shop, id_)
    after = state(shop)
    for name, known in before.items():
        assert after[name] == known, name
    shop.proves()


@on_sqlite
async def test_what_was_spent_meanwhile_stays_spent_and_is_told(shop: Shop) -> None:
    shop.buys("A", 10)
    shop.buys("B", 90, customer="bob")
    id_ = merge(shop)
    shop.clock.advance(timedelta(minutes=1))
    spends(shop, 60, "s")
    shop.buys("C", 5, customer="bob")

    assert undo(shop, id_) == {"spent": {"points": 60 - 23}, "orders": 1}
    assert (shop.points("ann"), shop.points("bob")) == (0, 103 - 37 + 8)  # what they bought since is theirs
    shop.proves()
    together = shop.points("ann") + shop.points("bob")
    assert together == 23 + 103 + 5 + 3 - 60
    cancels(shop, "s")
    assert shop.points("ann") + shop.points("bob") == together + 60
    shop.proves()


async def test_a_member_who_is_another_by_now_says_so_and_cannot_be_merged_again(shop: Shop) -> None:
    shop.buys("A", 10)
    shop.buys("B", 20, customer="bob")
    shop.buys("C", 30, customer="cid")
    bob, ann, cid = shop.member("bob"), shop.member("ann"), shop.member("cid")
    first = merge(shop)

    with pytest.raises(Merged, match=f"was merged into '{ann}'"):
        act(shop, lambda unit: requests.adjust(unit, bob, "points", 5, "k", "why"))
    with pytest.raises(Merged):
        act(shop, lambda unit: merging.merge(unit, bob, cid, by="me"))
    with pytest.raises(Merged):
        act(shop, lambda unit: merging.merge(unit, cid, bob, by="me"))
    with pytest.raises(RequestRefused, match="into itself"):
        act(shop, lambda unit: merging.merge(unit, ann, ann, by="me"))
    with pytest.raises(NotFound):
        act(shop, lambda unit: merging.merge(unit, "nobody", ann, by="me"))
    second = merge(shop, "ann", "cid")
    assert shop.points("bob") == 23 + 33 + 43
    with pytest.raises(Conflict, match=f"undo the merge {second} first"):
        undo(shop, first)
    undo(shop, second)
    assert shop.points("bob") == shop.points("ann") == 23 + 33
    undo(shop, first)
    assert (shop.points("bob"), shop.points("ann"), shop.points("cid")) == (33, 23, 43)
    with pytest.raises(Conflict, match="was undone"):
        undo(shop, first)
    with pytest.raises(NotFound):
        undo(shop, "x_none")
    shop.proves()


@on_sqlite
async def test_a_hold_goes_with_the_person(shop: Shop) -> None:
    shop.buys("A", 10)
    shop.buys("B", 20, customer="bob")
    bob = shop.member("bob")
    act(shop, lambda unit: hold(unit, bob, "a check"))
    merge(shop)
    shop.buys("C", 40)
    assert shop.points() == 23 + 33


@on_sqlite
async def test_a_shop_that_makes_one_customer_of_two_makes_one_member(shop: Shop) -> None:
    shop.buys("A", 10)
    shop.buys("B", 20, customer="bob")
    told = CustomersMerged(kept="ann", gone="bob", occurred_at=shop.clock.now())
    shop.tell(told)
    shop.tell(told)
    assert (shop.points("ann"), shop.points("bob")) == (56, 56)
    # Whom we had never heard of is the other one.
    shop.tell(CustomersMerged(kept="new", gone="ann", occurred_at=shop.clock.now()))
    shop.tell(CustomersMerged(kept="bob", gone="old", occurred_at=shop.clock.now()))
    shop.tell(CustomersMerged(kept="nobody", gone="noone", occurred_at=shop.clock.now()))
    assert shop.member("new") == shop.member("old") == shop.member("ann")
    shop.tell(OrderSeen(reference="B", snapshot=order(25, customer="ann", at=shop.clock.now(), age=9)))
    assert shop.points("ann") == 61
    shop.proves()


@on_sqlite
async def test_who_comes_and_is_merged_in_one_delivery_has_both(shop: Shop) -> None:
    """As where opening an account takes over what a guest had, and an order of that account came along."""
    shop.buys("A", 10, customer="guest")
    now = shop.clock.now()
    told = (
        CustomersMerged(kept="ann", gone="guest", occurred_at=now),
        CustomerSeen(reference="ann", occurred_at=now, attributes={"email": "ann@mail.example"}),
        OrderSeen(reference="B", snapshot=order(20, customer="ann", at=now)),
    )
    for _ in range(2):
        (delivery,) = store(shop.database, shop.setting, b"{}")
        (settled,) = apply(shop.database, shop.setting, [prepare(delivery, *told)], now)
        assert (settled.status, settled.member) == ("done", shop.member("ann"))
        assert settled.subject_print is not None
    assert shop.points("ann") == shop.points("guest") == 3 * 10 + 2 * 10 + 6
    shop.proves()


async def test_an_order_that_went_from_one_to_the_other_before_is_one_award(shop: Shop) -> None:
    shop.buys("A", 30, customer="bob")
    shop.buys("A", 30, customer="ann", age=5)
    id_ = merge(shop)
    shop.proves()
    shop.returns("A", 10)
    shop.proves()
    assert shop.points() == 10 + 10 + 20 + 2
    undo(shop, id_)
    shop.proves()
    assert (shop.points("ann"), shop.points("bob")) == (10 + 20 + 2, 10)


UNLIMITED = PROGRAM.replace("within_balance", "unlimited")


@on_sqlite
@pytest.mark.parametrize("owing", ["ann", "bob"])
async def test_what_a_merge_paid_of_a_debt_is_owed_again_when_it_is_undone(shop: Shop, owing: str) -> None:
    shop.applies(UNLIMITED)
    other = {"ann": "bob", "bob": "ann"}[owing]
    shop.buys("A", 50, customer=owing)
    shop.buys("B", 90, customer=other)
    spends(shop, 63, "s", owing)
    shop.returns("A", 50)
    before = {name: all_points(shop, name) for name in ("ann", "bob")}
    assert before[owing][1] > 0

    id_ = merge(shop)

    assert all_points(shop) == (before[other][0] - before[owing][1], 0)
    shop.buys("C", 5, customer=other)
    undo(shop, id_)
    assert all_points(shop, owing) == before[owing]
    assert all_points(shop, other) == (before[other][0] + 5 + 3, 0)
    shop.proves()


@on_sqlite
async def test_an_order_that_was_paid_or_grew_while_they_were_one_is_whose_it_was(shop: Shop) -> None:
    shop.buys("A", 10)
    shop.buys("B", 20, customer="bob", paid=False)
    shop.buys("C", 30, customer="bob")
    id_ = merge(shop)
    shop.clock.advance(timedelta(minutes=1))
    shop.buys("B", 20, customer="bob", age=5)
    shop.buys("C", 36, customer="bob", age=5)
    assert shop.points() == 10 + 10 + 20 + 36 + 10 + 3 * 3

    undo(shop, id_)

    assert (shop.points("ann"), shop.points("bob")) == (10 + 10 + 3, 20 + 36 + 10 + 2 * 3)
    shop.proves()
    assert shop.stored() == shop.anew()


@on_sqlite
async def test_an_order_that_the_shop_gave_to_the_other_meanwhile_stays_theirs(shop: Shop) -> None:
    shop.buys("A", 10)
    shop.buys("B", 20, customer="bob")
    id_ = merge(shop)
    shop.clock.advance(timedelta(minutes=1))
    shop.buys("B", 25, customer="ann", age=5)
    undo(shop, id_)
    assert (shop.points("ann"), shop.points("bob")) == (10 + 10 + 3 + 25 + 3, 10)
    shop.proves()


CONFIRMING = PROGRAM.replace("events:", "enrolment: {confirm: 14 days}\nevents:")


@on_sqlite
@pytest.mark.parametrize("confirmed", ["ann", "bob"])
async def test_who_has_confirmed_as_one_has_confirmed_as_both(shop: Shop, confirmed: str) -> None:
    shop.applies(CONFIRMING)
    shop.buys("A", 30)
    shop.buys("B", 20, customer="bob")
    id_ = shop.member(confirmed)
    act(shop, lambda unit: enrolling.confirm(unit, id_, "main"))
    pair = merge(shop)
    assert shop.points() == 43 + 33
    await shop.on("2026-04-01")
    assert shop.points() == 76
    undo(shop, pair)
    assert [(row.member == id_, row.state) for row in members_of(shop)] == [(False, "unconfirmed"), (True, "active")]
    shop.proves()


@on_sqlite
async def test_what_somebody_confirmed_or_left_since_a_merge_stays_so(shop: Shop) -> None:
    shop.applies(CONFIRMING)
    shop.buys("A", 30)
    shop.buys("B", 20, customer="bob")
    pair = merge(shop)
    ann = shop.member()
    act(shop, lambda unit: enrolling.confirm(unit, ann, "main"))
    undo(shop, pair)
    assert [(row.member == ann, row.state) for row in members_of(shop)] == [(False, "unconfirmed"), (True, "active")]
    pair = merge(shop)
    act(shop, lambda unit: enrolling.leave(unit, ann, "main"))
    undo(shop, pair)
    assert [(row.member == ann, row.state) for row in members_of(shop)] == [(False, "unconfirmed"), (True, "left")]
    shop.proves()


async def test_who_was_called_another_person_stays_that_after_a_merge(shop: Shop) -> None:
    for name in ("ann", "bob", "cid"):
        shop.buys(name, 10, customer=name)
    ann, bob, cid = (shop.member(name) for name in ("ann", "bob", "cid"))
    act(shop, lambda unit: matching.keep_apart(unit, bob, cid))
    pair = merge(shop)

    def apart(one: str, other: str) -> bool:
        return shop.database.read_now(lambda c: addressing.are_apart(c, "main", one, other))

    assert apart(ann, cid)
    assert apart(cid, ann)
    undo(shop, pair)
    assert not apart(ann, cid)


async def test_an_award_that_does_not_fit_the_entries_of_one_person_is_found(shop: Shop) -> None:
    shop.applies(PROGRAM.replace("events:", "enrolment: request\nevents:"))
    for name in ("bob", "cid", "dan", "eve", "fay"):
        shop.tell(CustomerSeen(reference=name, occurred_at=shop.clock.now()))
    shop.applies(PROGRAM)
    shop.buys("A", 30)
    for name in ("bob", "cid", "dan", "eve", "fay"):
        merge(shop, name)
    award = metadata.tables["award"]
    shop.database.write_now(lambda c: c.execute(award.update().values(granted=award.c.granted + 1)))
    found = shop.database.read_now(lambda c: verify(c, "main"))
    assert len(found.findings) > 0


@on_sqlite
async def test_who_is_erased_is_erased_with_whoever_was_merged(shop: Shop) -> None:
    shop.buys("A", 10)
    shop.buys("B", 20, customer="bob")
    id_ = merge(shop)
    both = shop.member("ann")
    act(shop, lambda unit: erase_members(unit, [both]))
    assert all(row.erased_at is not None for row in rows(shop.database, select(metadata.tables["member"])))
    with pytest.raises(Conflict, match="was erased"):
        undo(shop, id_)
    (row,) = rows(shop.database, select(metadata.tables["merge"]))
    assert (row.data_sealed, row.note) == (None, "")
    shop.proves()


def test_a_merge_knows_every_table_that_knows_members() -> None:
    known = {table.name for table in (*stored.MOVED, *stored.NAMED, *stored.JOINED)} | stored.STAYING
    assert {name for name, table in metadata.tables.items() if "member" in table.c} == known


PEOPLE = st.sampled_from(["ann", "bob", "cid"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("buy"), PEOPLE, st.integers(1, 90)),
        st.tuples(st.just("edit"), st.integers(0, 5), st.integers(1, 90)),
        st.tuples(st.just("return"), st.integers(0, 5), st.integers(1, 40)),
        st.tuples(st.just("spend"), PEOPLE, st.integers(1, 60)),
        st.tuples(st.just("cancel"), st.integers(0, 3), st.just(0)),
        st.tuples(st.just("redeem"), PEOPLE, st.just(0)),
        st.tuples(st.just("release"), st.integers(0, 3), st.just(0)),
        st.tuples(st.just("merge"), PEOPLE, PEOPLE),
        st.tuples(st.just("undo"), st.integers(0, 2), st.just(0)),
        st.tuples(st.just("wait"), st.integers(1, 20), st.just(0)),
    ),
    min_size=4,
    max_size=14,
)


class Life:
    """Steps that may be refused; whatever happens, everything must add up."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.orders: list[str] = []
        self.customers: list[str] = []
        self.spends: list[str] = []
        self.redemptions: list[str] = []
        self.merges: list[str] = []
        self.edits = 0

    def step(self, what: str, one: Any, two: Any) -> None:
        with contextlib.suppress(RequestRefused):
            getattr(self, what)(one, two)

    def buy(self, customer: str, amount: int) -> None:
        self.orders.append(f"O{len(self.orders)}")
        self.customers.append(customer)
        self.shop.buys(self.orders[-1], amount, customer=customer, age=len(self.orders), paid=amount % 5 > 0)

    def edit(self, which: int, amount: int) -> None:
        """Another amount, and whoever had not paid has."""
        if which < len(self.orders):
            self.edits += 1
            self.shop.buys(self.orders[which], amount, customer=self.customers[which], age=100 + self.edits)

    def return_(self, which: int, amount: int) -> None:
        if which < len(self.orders):
            self.shop.returns(self.orders[which], amount)

    def spend(self, customer: str, points: int) -> None:
        spends(self.shop, points, f"s{len(self.spends)}", customer)
        self.spends.append(f"s{len(self.spends)}")

    def cancel(self, which: int, _: int) -> None:
        if which < len(self.spends):
            cancels(self.shop, self.spends[which])

    def redeem(self, customer: str, _: int) -> None:
        self.redemptions.append(redeems(self.shop, customer))

    def release(self, which: int, _: int) -> None:
        if which < len(self.redemptions):
            releases(self.shop, self.redemptions[which])

    def merge(self, gone: str, kept: str) -> None:
        if self.shop.member(gone) != self.shop.member(kept):
            self.merges.append(merge(self.shop, gone, kept))

    def undo(self, which: int, _: int) -> None:
        if which < len(self.merges):
            undo(self.shop, self.merges[which])

    def wait(self, days: int, _: int) -> None:
        self.shop.clock.advance(timedelta(days=days))


@on_sqlite
@pytest.mark.parametrize("key", ["R1", ""])
def test_an_event_that_is_told_again_after_a_merge_is_the_same_still(
    database: Database, setting: Setting, key: str
) -> None:
    shop = Shop(database, setting, PROGRAM)
    shop.buys("A", 10)
    event = CustomEvent(name="review", customer="bob", key=key, occurred_at=shop.clock.now())
    shop.buys("B", 10, customer="bob")
    shop.tell(event)
    merged, points = merge(shop), shop.points()
    shop.tell(event)
    assert shop.points() == points
    undo(shop, merged)
    shop.tell(event)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps=STEPS, program=st.sampled_from([PROGRAM, UNLIMITED]))
def test_whatever_is_merged_and_parted_every_balance_is_proved(
    database: Database, setting: Setting, steps: Any, program: str
) -> None:
    from stampcard.storage import migrating

    def empty(connection: Any) -> None:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())

    database.write_now(empty)
    assert migrating.head()
    shop = Shop(database, setting, program)
    life = Life(shop)
    for name in ("ann", "bob", "cid"):
        life.buy(name, 20)
    for what, one, two in steps:
        life.step("return_" if what == "return" else what, one, two)
        shop.proves()
    assert shop.stored() == shop.anew()
