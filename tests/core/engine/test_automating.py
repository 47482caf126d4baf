"""Rewards that are taken by themselves: at once, at midnight before points expire, as often as a day allows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stampcard.domain.events import OrderSeen
from stampcard.domain.members import Member
from stampcard.domain.rewards import Minted, Redemption
from stampcard.domain.value import replace
from stampcard.engine.automating import automate
from stampcard.engine.deciding import decide_order
from stampcard.engine.requesting import decide_adjust, decide_settle
from stampcard.engine.verifying import verify_wallet
from stampcard.engine.world import Decision, World
from stampcard.errors import ProgramError
from stampcard.program.reading import read_program
from stampcard.testing.building import LONG_AGO, NOON, absorbed, order, world

HEAD = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {expire: 30 days, pending: 2 days}}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR}
  - {id: now, on: purchase, award: 1 per 1 EUR, pending: none, when: order.total >= 1000}
"""
REWARDS = """
rewards:
  small: {gives: 5 EUR off, price: 100, by: own, automatic: 2}
  large: {gives: 30 EUR off, price: 500, by: own, automatic: 1, stock: 1}
"""


class Scene:
    def __init__(self, rewards: str = REWARDS) -> None:
        self.number = 0
        made = world(HEAD + rewards, now=NOON)
        person = Member(id="ann", joined_at=LONG_AGO, programs=frozenset({"main"}))
        self.world: World = replace(made, members={"ann": person}, mint=self.minted, automate=automate)
        self.entries: list[Any] = []
        self.taken: list[Redemption] = []

    def minted(self, *_: str) -> Minted:
        self.number += 1
        return Minted(id=f"r{self.number}", code=f"C{self.number}")

    def take(self, decision: Decision) -> None:
        self.world = absorbed(self.world, decision)
        self.entries += decision.entries
        self.taken += decision.redemptions
        for (_, name), wallet in self.world.wallets.items():
            assert verify_wallet(wallet, [one for one in self.entries if one.wallet == name]) == []

    def gets(self, points: int) -> None:
        self.take(decide_adjust(self.world, "ann", "points", points, f"k{len(self.entries)}", "a gift"))

    def buys(self, amount: int, reference: str = "A") -> None:
        event = OrderSeen(reference=reference, snapshot=order(amount, customer="ann", at=self.world.now))
        self.take(decide_order(self.world, event, "shop", "ann", self.world.now))

    def comes(self, now: datetime) -> None:
        self.world = replace(self.world, now=now)
        self.take(decide_settle(self.world, list(self.world.wallets.values())))

    @property
    def active(self) -> int:
        return self.world.wallets["ann", "points"].sums.get("active", 0)

    @property
    def names(self) -> list[str]:
        return [one.reward for one in self.taken]


def test_a_reward_is_taken_as_soon_as_there_are_points_for_it() -> None:
    scene = Scene()
    scene.gets(99)
    assert scene.names == []
    scene.gets(1)
    assert (scene.names, scene.active) == (["small"], 0)
    assert (scene.taken[0].status, scene.taken[0].price) == ("issued", 100)


def test_the_dearest_comes_first_and_each_as_often_as_a_day_allows() -> None:
    scene = Scene()
    scene.gets(950)
    assert (scene.names, scene.active) == (["large", "small", "small"], 250)
    scene.gets(100)
    assert scene.active == 350
    scene.comes(NOON + timedelta(days=1))
    assert (scene.names[3:], scene.active) == (["small", "small"], 150)


def test_stock_and_switches_hold_for_it_too() -> None:
    scene = Scene()
    scene.world = replace(scene.world, programs=replace(scene.world.programs, stopped=frozenset({"reward:main/small"})))
    scene.gets(1500)
    assert (scene.names, scene.active) == (["large"], 1000)


def test_an_order_whose_points_wait_takes_nothing_until_they_are_usable() -> None:
    scene = Scene()
    scene.buys(120)
    assert scene.names == []
    scene.comes(datetime(2026, 3, 12, 23, tzinfo=UTC))
    assert (scene.names, scene.active) == (["small"], 20)


@pytest.mark.parametrize("late", [timedelta(0), timedelta(hours=9)])
def test_at_midnight_points_activate_then_the_reward_is_taken_and_only_then_points_expire(late: timedelta) -> None:
    scene = Scene()
    # 60 that die in the night in which 60 that were bought become usable.
    scene.gets(60)
    scene.comes(datetime(2026, 4, 7, 12, tzinfo=UTC))
    scene.buys(60, "B")
    scene.comes(datetime(2026, 4, 9, 22, tzinfo=UTC) + late)
    assert (scene.names, scene.active) == (["small"], 20)
    assert [entry.kind for entry in scene.entries[-4:]] == ["earn", "activate", "hold", "redeem"]


@pytest.mark.parametrize(
    ("reward", "message"),
    [
        ("gives: 5 EUR off, automatic: 1", "needs a price above 0"),
        ("gives: 5 EUR off, price: 0, automatic: 1", "needs a price above 0"),
        ("gives: 5 EUR off, price: 1, automatic: 1, when: order.total > 5.0", "nobody has a cart"),
    ],
)
def test_what_cannot_be_taken_by_itself_is_refused_in_the_file(reward: str, message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        read_program(f"{HEAD}rewards: {{it: {{{reward}}}}}", "program.yaml")


def test_a_reward_that_a_plugin_is_against_waits_and_is_taken_once_it_is_not() -> None:
    scene = Scene()
    scene.world = replace(scene.world, veto=lambda reward, *_: "perks: blocked" if reward == "small" else "")

    scene.gets(150)
    said = decide_adjust(scene.world, "ann", "points", 1, "more", "a gift").reasons
    assert (scene.active, scene.names) == (150, [])
    assert [(one.rule, one.outcome, one.code, one.detail) for one in said] == [
        ("small", "limited", "vetoed", "perks: blocked")
    ]

    scene.world = replace(scene.world, veto=lambda *_: "")
    scene.gets(1)
    assert (scene.active, scene.names) == (51, ["small"])
