"""Deciding one order under 20 rules, beside the same rules written down in Python."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import ROUND_DOWN, Decimal
from statistics import mean
from typing import TypeVar
from zoneinfo import ZoneInfo

import samples
from measuring import Scale
from reporting import Figure

from stampcard.clock import SystemClock
from stampcard.domain.deliveries import Delivery
from stampcard.domain.events import OrderSeen
from stampcard.domain.members import Member
from stampcard.domain.orders import ZERO, OrderSnapshot
from stampcard.engine.deciding import decide_order
from stampcard.engine.describing import order_variables
from stampcard.engine.versions import LiveProgram
from stampcard.engine.world import Decision, World

#: Different orders, over and over.
ORDERS = 200
_BERLIN = ZoneInfo("Europe/Berlin")
_MONDAY = 1

T = TypeVar("T")
Condition = Callable[["Plain"], bool]


class Plain:
    """What conditions read, worked out once for an order."""

    __slots__ = ("channel", "currency", "discount", "local", "number", "shipping", "subtotal", "tags", "tax", "total")

    def __init__(self, order: OrderSnapshot) -> None:
        self.total = float(order.total)
        self.subtotal = float(sum((line.gross - line.discount for line in order.lines), ZERO))
        self.discount = float(sum((line.discount for line in order.lines), ZERO))
        self.tax = float(sum((line.tax for line in order.lines), order.shipping_tax))
        self.shipping = float(order.shipping)
        self.currency, self.channel, self.number = order.currency, order.channel, order.number
        self.tags = order.tags
        self.local = order.occurred_at.astimezone(_BERLIN)


#: samples.CONDITIONS, one by one.
CONDITIONS: tuple[Condition, ...] = (
    lambda order: order.total >= 200.0,
    lambda order: order.total >= 150.0 and order.channel == "web",
    lambda order: order.currency == "EUR",
    lambda order: "vip" in order.tags,
    lambda order: order.subtotal > 300.0,
    lambda order: order.discount > 20.0,
    lambda order: order.tax >= 25.0,
    lambda order: order.shipping == 0.0 and order.total > 120.0,
    lambda order: order.channel == "pos",
    lambda order: order.total > 1000.0,
    lambda order: order.local.isoweekday() % 7 == _MONDAY,
    lambda order: order.local.hour < 6,
    lambda order: order.total >= 400.0 or order.subtotal >= 390.0,
    lambda order: "wholesale" in order.tags,
    lambda order: order.number.startswith("#10"),
    lambda order: order.total > 500.0 and order.total < 900.0,
    lambda order: order.subtotal - order.discount > 200.0,
    lambda order: order.currency in ("GBP", "CHF"),
    lambda order: len(order.tags) > 3,
)


def conditions_of(order: OrderSnapshot) -> list[bool]:
    """The floor of the conditions."""
    plain = Plain(order)
    return [condition(plain) for condition in CONDITIONS]


def points_of(order: OrderSnapshot) -> list[int]:
    """The floor of a decision: what each rule that matches pays for the order, refunds aside."""
    earning = [line for line in order.lines if not line.gift_card]
    base = sum((max(ZERO, line.gross - line.discount - line.tax * order.tax_included) for line in earning), ZERO)
    points = [int(base.to_integral_value(rounding=ROUND_DOWN))]
    for number, matches in enumerate(conditions_of(order)):
        if matches:
            points.append(int((Decimal(number % 3 + 1) * base / 10).to_integral_value(rounding=ROUND_DOWN)))
    return points


def measure(scale: Scale) -> Iterator[Figure]:
    """The whole decision, then its conditions alone."""
    events = _events()
    world = _world()
    live = world.programs.current(world.now)[0]
    orders = [event.snapshot for event in events]
    for event in events:
        _agree(_decided(world, event), event.snapshot)
    repeats = max(1, scale.decisions // len(events))
    decisions, conditions = [], []
    for _ in range(scale.rounds):
        ours = _timed(lambda event: _decided(world, event), events, repeats)
        decisions.append((ours, _timed(points_of, orders, repeats)))
        ours = _timed(lambda order: _evaluated(live, order), orders, repeats)
        conditions.append((ours, _timed(conditions_of, orders, repeats)))
    lines = mean(len(order.lines) for order in orders)
    paid = mean(len(points_of(order)) for order in orders)
    also = f"orders of {lines:.1f} lines on the mean, of which {paid:.1f} rules pay"
    yield Figure(name="decide", rounds=tuple(decisions), also=also)
    yield Figure(name="conditions", rounds=tuple(conditions))


def _events() -> list[OrderSeen]:
    webhook = samples.connections()["shop"].capabilities
    assert webhook is not None
    assert webhook.webhook is not None
    now = SystemClock().now()
    found = [
        event
        for topic, body in samples.orders(ORDERS)
        for event in webhook.webhook.events(
            Delivery(connection="shop", key="", topic=topic, body=body, received_at=now)
        )
    ]
    return [event for event in found if isinstance(event, OrderSeen) and not event.refunds]


def _world() -> World:
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    ann = Member(id="ann", joined_at=long_ago, programs=frozenset({"bench"}))
    return World(now=SystemClock().now(), programs=samples.setting().programs, members={"ann": ann})


def _decided(world: World, event: OrderSeen) -> Decision:
    return decide_order(world, event, "shop", "ann", event.snapshot.occurred_at)


def _evaluated(live: LiveProgram, order: OrderSnapshot) -> object:
    conditions = live.conditions["purchase"]
    return conditions.evaluate({**order_variables(order, conditions.reads), "now": order.occurred_at})


def _agree(decision: Decision, order: OrderSnapshot) -> None:
    """Both sides of the comparison pay the same, or it is none."""
    ours = sorted(award.granted for award in decision.awards)
    if ours != sorted(filter(None, points_of(order))):
        message = f"the decision pays {ours}, the plain rules {sorted(points_of(order))}"
        raise AssertionError(message)


def _timed(work: Callable[[T], object], items: Sequence[T], repeats: int) -> float:
    """µs for each item."""
    started = time.perf_counter()
    for _ in range(repeats):
        for item in items:
            work(item)
    return (time.perf_counter() - started) / (repeats * len(items)) * 1e6
