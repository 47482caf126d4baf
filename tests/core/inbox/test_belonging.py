"""What is for members of tiers and segments, and tiers that follow segments; on both databases."""

from __future__ import annotations

import pytest
from tests.core.shops import Shop
from tests.databases import on_sqlite

from stampcard.applying import judging, redeeming
from stampcard.applying.requests import Answer
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Unit
from stampcard.engine.gauging import ladder_of
from stampcard.engine.rewarding import Asking
from stampcard.errors import ProgramError, RequestRefused
from stampcard.program.reading import read_program
from stampcard.storage.database import Database
from stampcard_webhooks.tiers import least_text

PROGRAM = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
segments:
  spenders: {when: history.spend.months_12 >= 100}
  staff: {name: Our own}
tiers:
  by: segment
  levels: {green: {}, silver: {segment: spenders}, gold: {segment: staff}}
campaigns:
  thanks: {who: {segments: [spenders]}}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR}
  - {id: plus, on: purchase, award: 5, who: {tiers: [silver, gold]}}
  - {id: extra, on: purchase, award: 7, who: {segments: [staff]}}
  - {id: more, on: purchase, award: 3, campaign: thanks}
  - {id: up, on: tier_up, award: 2}
rewards:
  mug: {gives: merchandise, price: 1, who: {tiers: [gold]}}
"""


@pytest.fixture
def shop(database: Database, setting: Setting) -> Shop:
    return Shop(database, setting, PROGRAM)


def puts(shop: Shop, *, inside: bool) -> None:
    ann = shop.member()

    def work(unit: Unit) -> Answer:
        judging.put(unit, "main", "staff", [ann] if inside else [], [] if inside else [ann])
        return Answer(status=200, body={})

    shop.act(work)


async def test_a_tier_by_segment_comes_and_goes_with_the_segment(shop: Shop) -> None:
    shop.buys("A", 60)
    assert (shop.tier().name, shop.points()) == ("green", 60)
    shop.buys("B", 60)
    assert (shop.tier().name, shop.points()) == ("silver", 120 + 2)
    puts(shop, inside=True)
    assert (shop.tier().name, shop.points()) == ("gold", 124)
    puts(shop, inside=False)
    assert shop.tier().name == "silver"
    shop.returns("B", 30)
    assert shop.tier().name == "green"
    assert shop.ways() == ["joined green", "up silver", "up gold", "down silver", "down green"]
    shop.proves()


def test_what_a_tier_by_segment_takes_is_the_segment() -> None:
    ladder = ladder_of(read_program(PROGRAM, "test"))
    assert ladder is not None
    assert [least_text(ladder, rung) for rung in ladder.rungs] == ["", "spenders", "staff"]


@on_sqlite
async def test_rules_campaigns_and_rewards_are_for_those_of_a_tier_or_a_segment(shop: Shop) -> None:
    shop.buys("A", 120)
    assert shop.points() == 122  # what made the tier was before it
    shop.buys("B", 10)
    assert shop.points() == 122 + 10 + 5 + 3
    ann = shop.member()

    def take(unit: Unit) -> Answer:
        return Answer(status=201, body={"id": redeeming.redeem(unit, ann, "mug", "main", Asking()).id})

    with pytest.raises(RequestRefused, match="for others"):
        shop.act(take)
    puts(shop, inside=True)
    shop.act(take)
    shop.buys("C", 10)
    assert shop.points() == 140 + 2 - 1 + 10 + 5 + 7 + 3
    puts(shop, inside=False)
    shop.returns("C", 4)  # an order keeps to whom it was for
    assert shop.points() == 166 - 4 - 2 - 3 - 2
    shop.proves()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("tiers: [gold]", "tiers: [golden]", "rewards.mug.who.tiers: unknown tier 'golden'"),
        ("segments: [staff]", "segments: [staf]", "rules[2].who.segments: unknown segment 'staf'"),
        ("{segment: staff}}", "{segment: staf}}", "tiers.levels.gold.segment: unknown segment 'staf'"),
        ("{segment: staff}}", "{}}", "tiers.levels.gold: say whose members have it"),
        ("{segment: staff}}", "{from: 5, segment: staff}}", "leave from out"),
        ("by: segment", "by: spend", "tiers by spend have no segment"),
        ("by: segment", "by: segment, within: calendar year", "count nothing within a time"),
        ("program: main", "program: main\naudience: {tiers: [gold]}", "audience: only members have tiers"),
    ],
)
def test_what_does_not_fit_is_said(old: str, new: str, message: str) -> None:
    if new.startswith("by: segment,"):
        old, new = "  by: segment", "  by: segment\n  within: calendar year"
    with pytest.raises(ProgramError) as caught:
        read_program(PROGRAM.replace(old, new), "test")
    assert message in str(caught.value)
