"""Who joins an audience and who leaves it is told by hashes, with consent only; on both databases."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.core.audience import PROGRAM, Advertiser, Mood, hashed
from tests.databases import on_sqlite

from stampcard.applying.setting import Setting
from stampcard.clock import to_micros
from stampcard.domain.audiences import Place, hashes_of
from stampcard.domain.consents import current
from stampcard.storage import loading
from stampcard.storage.audiences import tell_anew
from stampcard.storage.consenting import load_consents
from stampcard.storage.database import Database
from stampcard.storage.exporting import export_member
from stampcard.storage.plugging import remove_plugged
from stampcard.storage.requeueing import retry_pushes
from stampcard.storage.segmenting import load_segments
from stampcard.storage.tables import member
from stampcard.testing.applying import rows

ANN, NEW, PHONE, OTHER = "ann@example.com", "ann@new.example", "+4915112345678", "+4915187654321"
Opening = Callable[..., Advertiser]


@pytest.fixture
def shop(database: Database, setting: Setting) -> Opening:
    return partial(Advertiser, database, setting)


async def spender(shop: Advertiser, customer: str = "ann", **attributes: Any) -> str:
    """Somebody who is in the segment, has agreed, and is known there."""
    id_ = shop.joins(customer, **attributes)
    shop.buys(f"{customer}-1", 150, customer=customer)
    shop.says(customer, "email")
    await shop.enlists()
    shop.board.told()
    return id_


async def test_whoever_is_in_the_segment_and_has_agreed_joins_by_hashes_alone(shop: Opening) -> None:
    now = shop()
    now.joins("ann", phone=PHONE)
    now.buys("A", 150)
    await now.enlists()
    assert now.board.told() == [], "nobody asked them"
    now.says("ann", "email")
    await now.enlists()
    assert now.board.people == hashed(ANN, PHONE)
    assert now.board.told() == [(("a1",), (), ("email", "phone"))]
    now.buys("B", 10)
    await now.enlists()
    assert now.board.told() == [], "nothing is told where nothing changed"
    assert ANN not in str(now.kept())
    assert next(iter(hashed(ANN))).hash not in str(now.kept())


@on_sqlite
@pytest.mark.parametrize("state", ["refused", "pending", "withdrawn"])
async def test_without_consent_nobody_joins(shop: Opening, state: str) -> None:
    now = shop()
    now.joins("ann")
    now.buys("A", 150)
    now.says("ann", "email", state)
    now.says("ann", "sms")
    await now.enlists()
    assert now.board.calls == []
    assert now.kept() == []


@on_sqlite
async def test_consent_is_asked_for_by_the_channel_and_purpose_of_the_settings(shop: Opening) -> None:
    now = shop(consent="sms.profiling")
    now.joins("ann")
    now.buys("A", 150)
    now.says("ann", "email")
    await now.enlists()
    assert now.board.people == set()
    now.says("ann", "sms", purpose="profiling")
    await now.enlists()
    assert now.board.people == hashed(ANN)


@on_sqlite
async def test_whoever_withdraws_leaves_at_once(shop: Opening) -> None:
    now = shop()
    await spender(now)
    now.says("ann", "email", "withdrawn")
    await now.enlists()
    assert now.board.told() == [((), ("a1",), ("email",))]
    assert (now.board.people, now.kept()) == (set(), [])


@on_sqlite
async def test_whoever_leaves_the_segment_leaves_the_audience(shop: Opening) -> None:
    now = shop()
    await spender(now)
    now.returns("ann-1", 100)
    await now.enlists()
    assert now.board.people == set()


@on_sqlite
async def test_another_address_leaves_by_the_old_hash_and_joins_by_the_new_one(shop: Opening) -> None:
    now = shop()
    await spender(now, phone=PHONE)
    now.tell_attributes("ann", email=NEW, phone=PHONE)
    await now.enlists()
    # Whoever is taken out by the old one is in again by all that is left.
    assert now.board.told() == [((), ("a1",), ("email",)), (("a1",), (), ("email", "phone"))]
    assert now.board.people == hashed(NEW, PHONE)


@on_sqlite
async def test_an_address_that_two_have_stays_as_long_as_one_of_them_does(shop: Opening) -> None:
    now = shop()
    await spender(now, email=ANN)
    await spender(now, "bob", email=ANN)
    now.says("ann", "email", "withdrawn")
    await now.enlists()
    assert now.board.told() == []
    assert now.board.people == hashed(ANN)
    now.says("bob", "email", "withdrawn")
    await now.enlists()
    assert now.board.people == set()


@on_sqlite
async def test_two_who_have_an_address_and_leave_together_are_both_out(shop: Opening) -> None:
    now = shop()
    await spender(now, email=ANN)
    await spender(now, "bob", email=ANN)
    now.says("ann", "email", "withdrawn")
    now.says("bob", "email", "withdrawn")
    await now.enlists()
    assert (now.board.people, now.kept()) == (set(), [])


@on_sqlite
async def test_an_address_that_goes_over_to_somebody_else_is_in_at_the_end(shop: Opening) -> None:
    now = shop()
    await spender(now, email=ANN)
    await spender(now, "bob")
    now.tell_attributes("ann", email=NEW)
    now.tell_attributes("bob", email=ANN)
    await now.enlists()
    assert now.board.people == hashed(NEW) | hashed(ANN)


async def test_whoever_is_erased_is_taken_out_and_then_forgotten(shop: Opening) -> None:
    now = shop()
    id_ = await spender(now, phone=PHONE)
    now.erases(id_)
    assert now.kept() != [], "their hashes are needed until they are out"
    await now.enlists("busy", "lost", patient=False)
    assert now.kept() != []
    await now.enlists()
    assert (now.board.people, now.kept()) == (set(), [])


async def test_whoever_is_merged_into_another_leaves_and_the_other_stays(shop: Opening) -> None:
    now = shop()
    ann, bob = await spender(now, email=ANN), await spender(now, "bob", email=ANN, phone=PHONE)
    once = now.merges(bob, ann)
    await now.enlists()
    assert now.board.people == hashed(ANN, PHONE)
    assert {row.member for row in now.kept()} == {ann}
    now.parts(once)
    await now.enlists()
    assert now.board.people == hashed(ANN, PHONE)
    assert {row.member for row in now.kept()} == {ann, bob}


async def test_whoever_leaves_the_program_leaves_its_audiences(shop: Opening) -> None:
    gate = "enrolment: {how: segment, segment: buyers, leaving: freeze}\n"
    segments = "segments:\n  buyers: {when: history.spend.ever >= 120}\n"
    now = shop(PROGRAM.replace("segments:\n", segments) + gate)
    await spender(now)
    assert now.board.people == hashed(ANN)
    now.returns("ann-1", 40)  # who still is a big spender
    await now.enlists()
    assert now.board.people == set()


@on_sqlite
@pytest.mark.parametrize("state", ["draft", "test", "ended"])
async def test_a_program_that_is_not_for_everybody_puts_nobody_into_an_audience(shop: Opening, state: str) -> None:
    now = shop()
    await spender(now)
    who = "\naudience: {members: [shop:ann]}\n" if state == "test" else "\n"
    now.applies(f"{PROGRAM}state: {state}{who}")
    await now.enlists()
    assert now.board.people == set()


@on_sqlite
async def test_while_a_program_is_stopped_nobody_joins_and_whoever_withdraws_leaves(shop: Opening) -> None:
    now = shop()
    await spender(now)
    await spender(now, "bob")
    now.joins("cid")
    now.buys("cid-1", 150, customer="cid")
    now.stops("program:main")
    now.says("cid", "email")
    await now.enlists()
    assert now.board.people == hashed(ANN) | hashed("bob@example.com")
    now.says("bob", "email", "withdrawn")
    await now.enlists()
    assert now.board.people == hashed(ANN)
    now.stops()
    await now.enlists()
    assert now.board.people == hashed(ANN) | hashed("cid@example.com")


@on_sqlite
async def test_other_settings_let_everybody_be_looked_at(shop: Opening) -> None:
    now = shop(audiences={})
    for customer in ("ann", "bob", "cid"):
        await spender(now, customer)
    assert now.board.people == set()
    now.set(audiences={"spenders": "a1"})
    await now.enlists()
    everybody = {name: f"{name}@example.com" for name in ("ann", "bob", "cid")}
    assert now.board.people == set().union(*(hashed(email) for email in everybody.values()))
    now.set(audiences={"spenders": "a2"})
    await now.enlists()
    assert now.board.people == set().union(*(hashed(email, audience="a2") for email in everybody.values()))
    assert {(joins, leaves) for joins, leaves, _ in now.board.told()[-3:]} == {(("a2",), ("a1",))}


@on_sqlite
async def test_what_may_have_been_taken_is_taken_back_from_whoever_withdrew_meanwhile(shop: Opening) -> None:
    moods: tuple[Mood, ...] = ("lost", "crash")
    now = shop()
    now.joins("ann")
    now.buys("A", 150)
    for mood in moods:
        now.says("ann", "email")
        await now.enlists(mood, patient=False)
        assert now.board.people == hashed(ANN), mood
        now.says("ann", "email", "withdrawn")
        await now.enlists()
        assert (now.board.people, now.kept()) == (set(), []), mood


@on_sqlite
async def test_what_an_audience_refuses_waits_for_people(shop: Opening) -> None:
    now = shop()
    now.joins("ann")
    now.buys("A", 150)
    now.says("ann", "email")
    await now.enlists("refused", patient=False)
    assert now.waiting() == {}
    at = to_micros(now.clock.now())
    now.database.write_now(lambda c: retry_pushes(c, "main", "ads", None, ("", "", ""), at))
    await now.enlists()
    assert now.board.people == hashed(ANN)


async def test_everybody_is_told_anew_where_people_want_it(shop: Opening) -> None:
    now = shop()
    await spender(now)
    now.board.people.clear()
    assert now.database.write_now(lambda c: tell_anew(c, "main", "ads", None, "", now.clock.now()))[0] == 1
    await now.enlists()
    assert now.board.people == hashed(ANN)


@on_sqlite
async def test_the_vendors_batch_is_kept(shop: Opening) -> None:
    now = shop(batch_size=1)
    await spender(now, phone=PHONE)
    now.tell_attributes("ann", email=NEW, phone=OTHER)
    await now.enlists()
    assert now.board.people == hashed(NEW, OTHER)


async def test_a_person_gets_what_is_kept_of_them(shop: Opening) -> None:
    now = shop()
    ann = await spender(now)
    found = now.database.read_now(lambda c: export_member(c, "main", now.setting.sealer, ann))
    (row,) = found["audience_member"]
    assert (row["connection"], row["audience"], row["kind"]) == ("ads", "a1", "email")
    assert row["hash"] == {"sha256": hashes_of(ANN, "", ("email",))["email"]}
    now.database.write_now(
        lambda c: remove_plugged(c, "main", now.setting.sealer, now.setting.numbering, "ads", now.clock.now())
    )
    assert now.kept() == []


MOODS = st.lists(st.sampled_from(["well", "lost", "busy", "refused", "crash"]), max_size=3)
WHO = st.sampled_from(["ann", "bob", "cid"])
EMAILS = ("ann@example.com", "b.ob@gmail.com", "bob@gmail.com", "")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("buys"), WHO),
        st.tuples(st.just("returns"), WHO),
        st.tuples(st.just("says"), WHO, st.sampled_from(["given", "withdrawn", "refused", "pending"])),
        st.tuples(st.just("moves"), WHO, st.sampled_from(EMAILS), st.sampled_from([PHONE, OTHER, "", "0151"])),
        st.tuples(st.just("enlists"), MOODS),
        st.tuples(st.just("enlists"), MOODS),
        st.tuples(st.just("sets"), st.sampled_from([{"spenders": "a1"}, {"spenders": "a2"}, {"spenders": "a1", "staff": "a1"}])),
        st.tuples(st.just("stops"), st.sampled_from([["program:main"], []])),
        st.tuples(st.just("erases"), WHO),
        st.tuples(st.just("merges"), WHO, WHO),
    ),
    min_size=4,
    max_size=22,
)  # fmt: skip


class Life:
    """What happens to three customers, one thing after the other."""

    def __init__(self, shop: Advertiser) -> None:
        self.shop, self.names, self.gone = shop, ("ann", "bob", "cid"), set[str]()
        self.orders = dict.fromkeys(self.names, 1)
        for customer, email in zip(self.names, (EMAILS[0], EMAILS[0], EMAILS[1]), strict=True):
            shop.joins(customer, email=email, phone=PHONE)
            shop.buys(f"{customer}1", 150, customer=customer)
            shop.says(customer, "email")

    async def lives(self, steps: Sequence[tuple[Any, ...]]) -> None:
        for what, *of in steps:
            self.shop.clock.advance(timedelta(seconds=1))
            if self.gone.isdisjoint(map(str, of)):
                await getattr(self, what)(*of)
        self.shop.stops()
        self.shop.clock.advance(timedelta(seconds=1))
        at = to_micros(self.shop.clock.now())
        self.shop.database.write_now(lambda c: retry_pushes(c, "main", "ads", None, ("", "", ""), at))
        await self.shop.enlists()

    async def buys(self, who: str) -> None:
        self.orders[who] += 1
        self.shop.buys(f"{who}{self.orders[who]}", 150, customer=who)

    async def returns(self, who: str) -> None:
        if self.orders[who]:
            self.shop.returns(f"{who}{self.orders[who]}", 100)
            self.orders[who] -= 1

    async def says(self, who: str, state: str) -> None:
        self.shop.says(who, "email", state)

    async def moves(self, who: str, email: str, phone: str) -> None:
        self.shop.tell_attributes(who, email=email, phone=phone)

    async def enlists(self, moods: Sequence[Mood]) -> None:
        await self.shop.enlists(*moods, patient=False)

    async def sets(self, audiences: Mapping[str, str]) -> None:
        self.shop.set(audiences=audiences)

    async def stops(self, targets: Sequence[str]) -> None:
        self.shop.stops(*targets)

    async def erases(self, who: str) -> None:
        mine = self.shop.member(who)
        self.gone |= {name for name in set(self.names) - self.gone if self.shop.member(name) == mine}
        self.shop.erases(mine)

    async def merges(self, who: str, other: str) -> None:
        if self.shop.member(who) != self.shop.member(other):
            self.shop.merges(self.shop.member(who), self.shop.member(other))


def belonging(shop: Advertiser) -> set[Place]:
    """Who is to be where, worked out of what is stored alone."""
    ids = [row.id for row in rows(shop.database, select_members())]
    sealer, audiences = shop.setting.sealer, shop.enlisting._connection.settings.audiences  # type: ignore[union-attr]
    people = shop.database.read_now(lambda c: loading.load_members(c, "main", ids, sealer, attributes=True, lock=False))
    said = shop.database.read_now(lambda c: load_consents(c, "main", ids, sealer, evidence=False))
    inside = shop.database.read_now(lambda c: load_segments(c, "main", ids))
    found = set[Place]()
    for id_, one in people.items():
        agreed = current(said.get(id_, ())).get("email.marketing")
        if one.is_there and agreed is not None and agreed.state == "given":
            for segment in inside.get(id_, {}).get("main", set()) & audiences.keys():
                address = str(one.attributes.get("email", "")), str(one.attributes.get("phone", ""))
                found |= hashed(*address, audience=audiences[segment])
    return found


def select_members() -> Any:
    return member.select().where(member.c.erased_at.is_(None))


@given(steps=STEPS, batch_size=st.sampled_from([1, 3, 100]))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])  # fmt: skip
def test_once_all_is_told_those_are_in_who_belong_there_and_nobody_else(
    batch_size: int,
    steps: Sequence[tuple[Any, ...]],
    setting: Setting,
    sqlite_template: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    file = tmp_path_factory.mktemp("audience") / "stampcard.db"
    shutil.copy(sqlite_template, file)
    database = Database(f"sqlite:///{file}")
    try:
        shop = Advertiser(database, setting, batch_size=batch_size)
        asyncio.run(Life(shop).lives(steps))
        assert shop.board.people == belonging(shop)
        assert {Place(row.audience, row.kind, "") for row in shop.kept()} == {
            Place(place.audience, place.kind, "") for place in shop.board.people
        }
        assert all(row.sure for row in shop.kept())
    finally:
        database.close()
        file.unlink()
