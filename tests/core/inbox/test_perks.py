"""Perks follow tiers, segments and conditions in the same transaction, end with time, and are counted when used."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from tests.core.shops import Shop
from tests.databases import on_sqlite

from stampcard.applying import enrolling, entitling, judging, using
from stampcard.applying.erasing import erase_members
from stampcard.applying.holding import hold
from stampcard.applying.requests import Answer
from stampcard.applying.setting import Setting
from stampcard.applying.settling import end_lasting
from stampcard.applying.unit import Unit
from stampcard.engine.deciding import decide_perk
from stampcard.engine.entitling import PerkStanding
from stampcard.errors import Conflict, NotFound, RequestRefused
from stampcard.storage.database import Database
from stampcard.storage.entitling import load_tags, load_uses
from stampcard.storage.exporting import export_member
from stampcard.storage.tables import perk, perk_use
from stampcard.testing.applying import rows

PROGRAM = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
tiers: {by: spend, levels: {silver: 100, gold: 500}}
segments:
  staff: {}
  loyal: {when: history.orders.ever >= 2}
perks:
  early: {name: Early access, tiers: [silver, gold], tag: early-access}
  shipping: {tiers: gold, segments: staff, uses: 2 per month, tag: two-day}
  month: {when: history.spend.ever >= 50, valid: 30 days}
  fresh: {when: history.orders.days_30 >= 1}
  sundays: {segments: [loyal, staff], when: history.spend.ever >= 60, during: {weekdays: [sun]}}
  dinner: {name: Dinner with us, uses: 1 ever}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR}
  - {id: hello, on: perk_gained, award: 7, when: event.data.perk == 'shipping'}
  - {id: pity, on: perk_lost, award: 3, when: event.data.why == 'ended'}
  - {id: thanks, on: perk_used, award: 5, when: event.data.perk == 'dinner' && event.data.left == 0}
  - {id: extra, on: purchase, award: 2, when: "'early' in member.perks"}
"""


@pytest.fixture
def shop(database: Database, setting: Setting) -> Shop:
    return Shop(database, setting, PROGRAM)


def standings(shop: Shop, customer: str = "ann") -> dict[str, PerkStanding]:
    member = shop.member(customer)
    found = shop.database.read_now(lambda c: using.perk_standings(Unit(c, shop.setting, shop.clock.now()), member))
    return {one.name: one for one in found}


def having(shop: Shop, customer: str = "ann") -> set[str]:
    """The perks as they are stored; what readers see is the same."""
    member = shop.member(customer)
    stored = {row.name for row in rows(shop.database, select(perk).where(perk.c.member == member, perk.c.has == 1))}
    assert {name for name, one in standings(shop, customer).items() if one.has} == stored
    return stored


def tags(shop: Shop, customer: str = "ann") -> set[str]:
    member = shop.member(customer)
    return set(shop.database.read_now(lambda c: load_tags(c, "main", [member], shop.clock.now()))[member])


async def jump(shop: Shop, day: str) -> None:
    """That noon, in one step."""
    shop.clock.advance(datetime.fromisoformat(day).replace(hour=12, tzinfo=UTC) - shop.clock.now())
    await shop.timer.tick()


def use(shop: Shop, name: str, key: str = "one", customer: str = "ann") -> Any:
    member = shop.member(customer)

    def work(unit: Unit) -> Answer:
        after = using.use_perk(unit, member, "", name, key, "till", "a note")
        return Answer(status=201, body={"left": after.left})

    return shop.act(work)["left"]


def cancel(shop: Shop, name: str, key: str = "one") -> Any:
    member = shop.member()

    def work(unit: Unit) -> Answer:
        return Answer(status=200, body={"left": using.cancel_use(unit, member, "", name, key).left})

    return shop.act(work)["left"]


def give(
    shop: Shop, name: str, hand: Any, until: datetime | None = None, reason: str = "a friend", customer: str = "ann"
) -> Any:
    member = shop.member(customer)

    def work(unit: Unit) -> Answer:
        return Answer(status=200, body={"has": using.give_perk(unit, member, "", name, hand, until, reason).has})

    return shop.act(work)["has"]


@on_sqlite
async def test_tiers_segments_and_conditions_give_perks_and_refunds_take_them(shop: Shop) -> None:
    shop.buys("A", 20)
    assert having(shop) == {"fresh"}
    shop.buys("B", 100)
    assert (having(shop), tags(shop)) == ({"fresh", "month", "early", "sundays"}, {"early-access"})
    shop.buys("C", 500)
    assert having(shop) == {"fresh", "month", "early", "sundays", "shipping"}
    assert tags(shop) == {"early-access", "two-day"}
    assert shop.points() == 20 + 100 + 500 + 2 + 7
    shop.returns("C", 500)
    assert (having(shop), tags(shop)) == ({"fresh", "month", "early", "sundays"}, {"early-access"})
    shop.proves()


@on_sqlite
async def test_a_perk_ends_with_its_validity_and_comes_again_only_when_it_is_fulfilled_anew(shop: Shop) -> None:
    shop.buys("A", 60)
    assert standings(shop)["month"].one.met_until == datetime(2026, 4, 9, 22, tzinfo=UTC)
    await jump(shop, "2026-04-09")
    assert "month" in having(shop)
    await jump(shop, "2026-04-10")
    assert having(shop) == set()  # and of what is judged each night, the last 30 days are over, too
    assert shop.points() == 60 + 3
    shop.buys("B", 10)
    assert "month" not in having(shop)
    shop.returns("A", 60)
    shop.buys("C", 55)
    assert "month" in having(shop)
    shop.proves()


@on_sqlite
async def test_a_late_timer_is_never_seen(shop: Shop) -> None:
    shop.buys("A", 60)
    shop.clock.advance(timedelta(days=41))
    assert not standings(shop)["month"].has
    with pytest.raises(RequestRefused, match="does not have month"):
        use(shop, "month")


@on_sqlite
async def test_uses_are_counted_by_the_period_of_the_programs_calendar(shop: Shop) -> None:
    shop.buys("A", 600)
    assert (use(shop, "shipping", "o1"), use(shop, "shipping", "o1"), use(shop, "shipping", "o2")) == (1, 1, 0)
    with pytest.raises(RequestRefused, match="nothing is left of shipping: it can be used 2 per month") as refused:
        use(shop, "shipping", "o3")
    assert refused.value.code == "used_up"
    assert cancel(shop, "shipping", "o1") == cancel(shop, "shipping", "o1") == 1
    with pytest.raises(Conflict, match="was cancelled"):
        use(shop, "shipping", "o1")
    with pytest.raises(NotFound):
        cancel(shop, "shipping", "nothing")
    assert use(shop, "shipping", "o3") == 0
    await jump(shop, "2026-04-01")
    assert use(shop, "shipping", "o4") == 1
    member = shop.member()
    uses = shop.database.read_now(lambda c: load_uses(c, "main", member, "main", "shipping"))
    assert (uses[0].key, uses[0].source, uses[0].note) == ("o4", "till", "a note")


@on_sqlite
async def test_what_rules_paid_for_a_use_goes_back_when_it_is_cancelled(shop: Shop) -> None:
    shop.buys("A", 10)
    assert give(shop, "dinner", "given") is True
    assert (use(shop, "dinner"), shop.points()) == (0, 15)
    assert "perk_used" in shop.changes[-1].kinds
    assert (cancel(shop, "dinner"), shop.points()) == (1, 10)
    assert (use(shop, "dinner", "two"), shop.points()) == (0, 15)
    shop.proves()


@on_sqlite
async def test_people_give_and_take_perks_with_a_reason_and_an_end(shop: Shop) -> None:
    shop.buys("A", 120)
    end = datetime(2026, 3, 20, 23, tzinfo=UTC)
    assert give(shop, "dinner", "given", end) is True
    assert give(shop, "early", "taken", end, "told tales") is False
    assert (having(shop), tags(shop)) == ({"fresh", "month", "dinner"}, set())
    with pytest.raises(RequestRefused, match="does not have early: told tales"):
        use(shop, "early")
    await jump(shop, "2026-03-20")
    assert "dinner" in having(shop)
    await jump(shop, "2026-03-21")
    assert having(shop) == {"fresh", "month", "early"}
    assert give(shop, "dinner", "given") is True
    assert give(shop, "dinner", "", reason="") is False
    for arguments, match in (
        (("dinner", "given", None, ""), "say why"),
        (("dinner", "given", end, "late"), "is past"),
        (("diner", "given", None, "close"), "mean 'dinner'"),
    ):
        with pytest.raises(RequestRefused, match=match):
            give(shop, *arguments)


@on_sqlite
async def test_a_perk_is_used_within_its_days_and_not_by_members_on_hold(shop: Shop) -> None:
    shop.buys("A", 60)
    shop.buys("B", 60)
    assert standings(shop)["sundays"].code == "not_now"
    await jump(shop, "2026-03-15")
    assert use(shop, "sundays") is None
    member = shop.member()

    def held(unit: Unit) -> Answer:
        hold(unit, member, "odd orders")
        return Answer(status=200, body={})

    shop.act(held)
    with pytest.raises(RequestRefused, match="on hold"):
        use(shop, "sundays", "two")


@on_sqlite
async def test_staff_have_a_perk_by_their_segment_at_once(shop: Shop) -> None:
    shop.buys("A", 10)
    member = shop.member()
    shop.act(lambda unit: Answer(status=200, body={"n": judging.put(unit, "main", "staff", [member], [])}))
    assert "shipping" in having(shop)


async def test_another_version_gives_and_takes_perks_of_everybody(shop: Shop) -> None:
    shop.buys("A", 60)
    text = PROGRAM.replace("  month: {when: history.spend.ever >= 50, valid: 30 days}\n", "")
    shop.applies(text.replace("dinner: {name", "dinner: {tag: dined, when: history.spend.ever > 1, name"))
    await shop.timer.tick()
    assert (having(shop), tags(shop)) == ({"fresh", "dinner"}, {"dined"})
    shop.applies(PROGRAM.partition("perks:")[0] + "rules: [{id: buy, on: purchase, award: 1}]\n")
    await shop.timer.tick()
    assert tags(shop) == set()
    assert not rows(shop.database, select(perk).where(perk.c.has == 1))


async def test_an_erasure_takes_perks_and_uses_and_an_export_shows_them(shop: Shop) -> None:
    shop.buys("A", 600)
    use(shop, "shipping")
    give(shop, "early", "taken", None, "told tales")
    member = shop.member()
    whole = shop.database.read_now(lambda c: export_member(c, "main", shop.setting.sealer, member))
    mine = shop.database.read_now(lambda c: export_member(c, "main", shop.setting.sealer, member, for_shopper=True))
    assert [one["key"] for one in whole["perk_use"]] == ["one"]
    assert ("told tales" in str(whole), "told tales" in str(mine), "a note" in str(mine)) == (True, False, False)

    def erase(unit: Unit) -> Answer:
        erase_members(unit, [member])
        return Answer(status=204, body={})

    shop.act(erase)
    assert not [*rows(shop.database, select(perk)), *rows(shop.database, select(perk_use))]


async def test_perks_that_chase_each_other_come_to_an_end(database: Database, setting: Setting) -> None:
    text = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
perks:
  odd: {when: history.points.ever >= 3.0 && history.points.ever < 10.0}
  rich: {when: history.points.ever >= 10.0}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR}
  - {id: more, on: perk_gained, award: 5}
  - {id: again, on: perk_lost, award: 5}
"""
    shop = Shop(database, setting, text)
    shop.buys("A", 6)
    assert (having(shop), shop.points()) == ({"rich"}, 6 + 5 + 5 + 5)
    shop.proves()


@on_sqlite
async def test_a_condition_that_fails_changes_nothing_and_says_why(database: Database, setting: Setting) -> None:
    shop = Shop(database, setting, PROGRAM.replace("history.orders.days_30 >= 1", "member.attributes.country == 'DE'"))
    shop.buys("A", 60)
    assert "month" in having(shop)
    assert "country" in standings(shop)["fresh"].error


async def test_the_trouble_of_one_member_is_not_that_of_the_others(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    for customer in ("ann", "ben"):
        shop.buys(f"A-{customer}", 60, customer=customer)
    unlucky, real = shop.member("ann"), decide_perk

    def stumbles(world: Any, happened: Any, member: Any, number: str) -> Any:
        if member.id == unlucky:
            raise ZeroDivisionError
        return real(world, happened, member, number)

    shop.clock.advance(timedelta(days=40))
    with monkeypatch.context() as patched:
        patched.setattr(entitling, "decide_perk", stumbles)
        assert shop.database.write_now(lambda c: end_lasting(c, shop.setting, shop.clock.now(), 9))[0] == 2
    assert "month" not in having(shop, "ben")
    assert not standings(shop)["month"].has
    await jump(shop, "2026-04-22")  # it is looked at again the day after
    assert "month" not in having(shop)
    shop.proves()


@on_sqlite
@pytest.mark.parametrize("why", ["left", "over"])
async def test_who_takes_no_part_or_whose_program_is_over_has_no_perk_and_no_tag(shop: Shop, why: str) -> None:
    shop.buys("A", 600)
    use(shop, "shipping")
    member = shop.member()

    def act(work: Any) -> None:
        shop.act(lambda unit: Answer(status=200, body={"done": work(unit) is None}))

    if why == "left":
        act(lambda unit: enrolling.leave(unit, member, "main"))
        code = "membership_closed"
    else:
        shop.clock.advance(60)
        shop.applies(PROGRAM.replace("program: main", "program: main\nstate: ended"))
        await shop.timer.tick()
        code = "program_ended"
    assert (having(shop), tags(shop)) == (set(), set())
    assert {one.code for one in standings(shop).values()} == {code}
    with pytest.raises(RequestRefused, match=r"left the program|has ended"):
        use(shop, "shipping", "two")
    if why == "left":
        act(lambda unit: enrolling.join(unit, member, "main"))
        assert "shipping" in having(shop)
        assert use(shop, "shipping", "two") == 0


async def test_nobody_is_looked_at_for_a_perk_that_is_over(shop: Shop) -> None:
    shop.buys("A", 50)
    await jump(shop, "2026-05-01")
    assert "month" not in having(shop)
    assert [row.next_at for row in rows(shop.database, select(perk).where(perk.c.name == "month"))] == [None]


@on_sqlite
async def test_what_time_has_taken_is_not_shown_as_usable_before_the_timer_looked(shop: Shop) -> None:
    shop.buys("A", 50)
    shop.clock.advance(timedelta(days=60))
    assert {standings(shop)[name].code for name in ("month", "fresh")} == {"not_theirs"}
