"""Every shipped template plays a small history through the engine, to the point."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from stampcard.domain.events import CustomEvent, OrderSeen
from stampcard.domain.orders import OrderLine, Refund
from stampcard.domain.tiers import Tier
from stampcard.domain.value import replace
from stampcard.domain.wallets import balance_of
from stampcard.engine.deciding import decide_custom, decide_day, decide_order
from stampcard.engine.describing import Past, Purchase
from stampcard.engine.gauging import Counted
from stampcard.engine.requesting import decide_settle, decide_spend
from stampcard.engine.tiering import assess
from stampcard.engine.world import World
from stampcard.program.costing import cost_lines
from stampcard.program.reading import read_program
from stampcard.testing.building import absorbed, order, refund, world

PROGRAMS = Path(__file__).parents[3] / "config" / "programs"
SHIPPED = files("stampcard.cli").joinpath("templates", "programs")
NAMES = sorted(path.stem for path in PROGRAMS.glob("*.yaml") if path.stem != "demo")
DAY = timedelta(days=1)
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


class History:
    """What happens to Ann, one thing after another, and what she has then."""

    def __init__(self, name: str, *, is_new: bool = False, **attributes: Any) -> None:
        scene = world((PROGRAMS / f"{name}.yaml").read_text(), now=NOON)
        ann = replace(scene.members["ann"], attributes=attributes)
        self.world: World = replace(scene, members={"ann": replace(ann, programs=frozenset()) if is_new else ann})
        self._numbers = iter(range(1, 100))
        self._orders: dict[str, OrderSeen] = {}
        self._progress: dict[date, int] = {}

    def later(self, **more: float) -> History:
        """So much later."""
        self.world = replace(self.world, now=self.world.now + timedelta(**more))
        return self

    def ranked(self, at: datetime | None = None, spend: Decimal = Decimal(0)) -> History:
        """Give Ann the tier that she has by now, once so much more counts for a day."""
        (live,) = self.world.programs.current(self.world.now)
        if live.ladder is None:
            return self
        day = (at or self.world.now).astimezone(live.program.zone).date()
        self._progress[day] = self._progress.get(day, 0) + int(spend * live.ladder.unit)
        ann = self.world.members["ann"]
        known = ann.tiers.get(live.name) or Tier(program=live.name, name="", since=NOON)
        counted = Counted(joined_at=ann.joined_at, progress=self._progress)
        tier, _ = assess(live.ladder, known, counted, self.world.now)
        self.world = replace(self.world, members={"ann": replace(ann, tiers={live.name: tier})})
        return self

    def buys(self, *amounts: Any, reference: str = "", **more: Any) -> Mapping[str, int]:
        """What each rule grants for an order placed now, which the next orders' history tells of."""
        reference = reference or f"order-{next(self._numbers)}"
        snapshot = order(*amounts, at=self.world.now, **more)
        self._orders[reference] = OrderSeen(reference=reference, snapshot=snapshot)
        granted = self.ranked()._told(self._orders[reference])
        self.ranked(snapshot.occurred_at, snapshot.total)
        past = self.world.pasts.get("ann", Past())
        kept = Purchase(occurred_at=snapshot.occurred_at, spend=snapshot.total, currency="EUR")
        purchases = {**past.purchases, ("shop", reference): kept}
        self.world = replace(self.world, pasts={"ann": replace(past, purchases=purchases)})
        return granted

    def returns(self, reference: str, back: Refund) -> Mapping[str, int]:
        """What a refund takes from each rule's award."""
        before = {award.rule: award.due for award in self.world.awards[f"order:shop:{reference}"].values()}
        self._told(replace(self._orders[reference], refunds=(back,)))
        after = {award.rule: award.due for award in self.world.awards[f"order:shop:{reference}"].values()}
        return {rule: before[rule] - due for rule, due in after.items() if before[rule] != due}

    def does(self, event: str, **data: Any) -> Mapping[str, int]:
        """What each rule grants for an event that somebody reports."""
        key = f"event-{next(self._numbers)}"
        seen = CustomEvent(name=event, customer="1", key=key, occurred_at=self.world.now, data=data)
        decision = decide_custom(self.world, seen, self.world.members["ann"], "shop")
        self.world = absorbed(self.world, decision)
        return {award.rule: award.granted for award in decision.awards if award.granted}

    def has(self) -> tuple[int, int, int]:
        """Active, pending and negative points, in the smallest unit, as time has it."""
        (wallet,) = self.world.wallets.values()
        self.world = absorbed(self.world, decide_settle(self.world, [wallet]))
        balance = balance_of(self.world.wallets["ann", wallet.name].sums, 0)
        return balance.active, balance.pending, balance.negative

    def spends(self, points: int) -> None:
        (wallet,) = self.world.wallets.values()
        key = f"spend-{next(self._numbers)}"
        self.world = absorbed(self.world, decide_spend(self.world, "ann", wallet.name, points, key, ""))

    def _told(self, event: OrderSeen) -> Mapping[str, int]:
        decision = decide_order(self.world, event, "shop", "ann", self.world.now)
        self.world = absorbed(self.world, decision)
        return {award.rule: award.granted for award in decision.awards if award.granted}


@pytest.mark.parametrize("name", NAMES)
def test_a_template_says_whom_it_is_for_and_what_it_costs(name: str) -> None:
    text = (PROGRAMS / f"{name}.yaml").read_text()
    schema, blank, best, *lines = text.splitlines()
    assert (schema, blank, best[:11]) == ("# yaml-language-server: $schema=./program.schema.json", "#", "# Best for ")
    told = [line.removeprefix("# ") for line in lines if line.startswith(("# Expected cost: ", "# Beside that"))]
    assert told == cost_lines(read_program(text, name))


def test_the_package_ships_the_same_templates() -> None:
    assert {path.name: path.read_text() for path in SHIPPED.iterdir()} == {
        f"{name}.yaml": (PROGRAMS / f"{name}.yaml").read_text() for name in NAMES
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_template_decides_what_any_program_must(name: str) -> None:
    program = read_program((PROGRAMS / f"{name}.yaml").read_text(), name)
    (wallet,) = program.wallets.values()
    assert {"value", "pending", "expire", "rounding", "refunds"} <= wallet.model_fields_set
    purchases = [rule for rule in program.rules if rule.on == "purchase" and rule.stack == "add"]
    assert all(rule.base.model_fields_set for rule in purchases)


def test_points_simple() -> None:
    ann = History("points-simple", is_new=True)
    assert ann.buys(40, "19.99", reference="A") == {"welcome": 100, "purchase": 299}
    assert ann.buys("19.99") == {}
    assert [ann.does("review", stars=5) for _ in range(5)] == [{"review": 25}] * 4 + [{}]
    assert ann.returns("A", refund("R", [("L2", "19.99")], at=ann.world.now)) == {"purchase": 99}
    assert ann.has() == (0, 400, 0)
    assert ann.later(days=15).has() == (400, 0, 0)
    assert ann.later(days=366).has() == (0, 0, 0)


def test_stamps() -> None:
    ann = History("stamps")
    assert ann.buys(8, reference="A") == {"stamp": 1}
    assert ann.later(minutes=29).buys(8) == {}
    assert [ann.later(minutes=31).buys(12) for _ in range(3)] == [{"stamp": 1}] * 2 + [{}]
    assert ann.later(days=1).buys("4.99") == {}
    gift = OrderLine(reference="L1", quantity=1, gross=Decimal(20), gift_card=True)
    assert ann.buys(lines=(gift,)) == {}
    assert ann.has() == (3, 0, 0)
    ann.spends(3)
    assert ann.returns("A", refund("R", [("L1", 8)], at=ann.world.now)) == {"stamp": 1}
    assert ann.has() == (0, 0, 1)


def test_tiers_vip() -> None:
    ann = History("tiers-vip", is_new=True)
    sale = OrderLine(reference="L2", quantity=1, gross=Decimal(100), tags=("sale",))
    full = OrderLine(reference="L1", quantity=1, gross=Decimal(500))
    assert ann.buys(lines=(full, sale)) == {"welcome": 100, "purchase": 2500}
    assert ann.later(days=1).buys(1000, reference="B") == {"purchase": 6250}
    assert ann.later(days=1).buys(10) == {"purchase": 75}
    assert ann.later(days=380).buys(10) == {"purchase": 75}  # thirty days of grace
    assert ann.later(days=30).buys(10) == {"purchase": 50}


def test_tiers_vip_never_takes_back_more_than_there_is() -> None:
    ann = History("tiers-vip")
    ann.buys(60, 40, reference="A")
    assert ann.has() == (0, 500, 0)
    ann.later(days=15).spends(400)
    assert ann.returns("A", refund("R", [("L2", 40)], at=ann.world.now)) == {"purchase": 200}
    assert ann.has() == (0, 0, 0)


def test_cashback_credit() -> None:
    ann = History("cashback-credit")
    taxed = OrderLine(reference="L1", quantity=1, gross=Decimal("49.50"), tax=Decimal("7.90"))
    assert ann.buys(lines=(taxed,), tax_included=True, reference="A") == {"cashback": 149}
    assert ann.has() == (149, 0, 0)
    ann.spends(149)
    assert ann.buys(30, paid_with_points=Decimal(15)) == {"cashback": 45}
    assert ann.returns("A", refund("R", [("L1", "49.50")], at=ann.world.now)) == {"cashback": 149}
    assert ann.has() == (0, 0, 104)
    assert ann.buys(10_000) == {"cashback": 10_000 - 45}


def test_referral_duo() -> None:
    ann = History("referral-duo")
    assert ann.buys(50, reference="A") == {"purchase": 250, "first-order": 500}
    assert ann.later(hours=1).buys(50) == {"purchase": 250}
    assert ann.has() == (0, 1000, 0)
    assert ann.returns("A", refund("R", [("L1", 50)], at=ann.world.now)) == {"purchase": 250, "first-order": 500}
    assert ann.later(days=15).has() == (250, 0, 0)


def test_birthday_winback() -> None:
    ann = History("birthday-winback", birthday="1990-03-31")
    assert ann.buys(20) == {"purchase": 100, "birthday-month": 100}
    gift = decide_day(ann.world, "main", "birthday", ann.world.members["ann"], ann.world.now, 2026)
    ann.world = absorbed(ann.world, gift)
    assert ann.has() == (200, 200, 0)
    assert ann.later(days=31).has() == (200, 0, 0)
    assert ann.buys(20) == {"purchase": 100}
    assert ann.later(days=91).buys(20) == {"purchase": 100, "come-back": 100}
    assert ann.later(days=1).buys(20) == {"purchase": 100}


def test_in_store_and_web() -> None:
    ann = History("in-store-and-web", is_new=True)
    assert ann.buys(30, channel="pos") == {"welcome": 100, "purchase": 150}
    assert ann.buys(30, channel="web") == {"purchase": 150}
    assert [ann.does("visit"), ann.later(hours=1).does("visit")] == [{"visit": 10}, {}]
    assert [ann.later(hours=13).does("visit") for _ in range(6)] == [{"visit": 10}] * 5 + [{}]
    assert ann.has() == (60, 400, 0)
    assert [ann.buys(1) for _ in range(11)] == [{"purchase": 5}] * 10 + [{}]


def test_subscription_b2b() -> None:
    company = History("subscription-b2b")
    service = OrderLine(reference="L3", quantity=1, gross=Decimal(900), tags=("service",))
    parts = tuple(OrderLine(reference=f"L{n}", quantity=1, gross=Decimal("99.40")) for n in (1, 2))
    assert company.buys(lines=(*parts, service), paid=False, reference="A") == {}
    paid = order(lines=(*parts, service), at=company.world.now, age=60)
    assert company._told(OrderSeen(reference="A", snapshot=paid)) == {"invoice": 396}
    assert company.does("subscription_started") == {"started": 1000}
    assert [company.does("subscription_renewed"), company.does("subscription_renewed")] == [{"renewed": 200}, {}]
    assert company.has() == (200, 1396, 0)
    assert company.later(days=31).has() == (1596, 0, 0)
    company.spends(1500)
    company._orders["A"] = OrderSeen(reference="A", snapshot=paid)
    assert company.returns("A", refund("R", [("L1", "99.40")], at=company.world.now)) == {"invoice": 198}
    assert company.has() == (0, 0, 102)
