"""What the explanations say in numbers is what the engine works out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from stampcard.domain.events import OrderSeen, RefundSeen
from stampcard.domain.wallets import balance_of
from stampcard.engine.dating import lifetime
from stampcard.engine.deciding import decide_order
from stampcard.engine.requesting import decide_cancel_spend, decide_spend
from stampcard.engine.spending import Debit
from stampcard.engine.world import World
from stampcard.program.lifetimes import read_expiry, read_pending
from stampcard.testing.building import absorbed, order, refund, world

Tables = Callable[[str], list[list[dict[str, str]]]]

NOW = datetime(2026, 4, 10, 12, tzinfo=UTC)
ZONE = ZoneInfo("Europe/Berlin")
PROGRAM = """
program: main
currency: EUR
timezone: Europe/Berlin
accept_late: 365 days
wallets: {{points: {{expire: 12 months, refunds: {{policy: {policy}}}}}}}
rules: [{{id: purchase, on: purchase, award: 1 per 1 EUR}}]
"""


def spent(policy: str) -> tuple[World, Debit]:
    """The example up to its third step."""
    scene = world(PROGRAM.format(policy=policy), now=NOW)
    for reference, amounts, at in (
        ("A", (60, 40), datetime(2025, 12, 31, 10, tzinfo=UTC)),
        ("B", (50,), datetime(2026, 3, 31, 10, tzinfo=UTC)),
    ):
        event = OrderSeen(reference=reference, snapshot=order(*amounts, at=at))
        scene = absorbed(scene, decide_order(scene, event, "shop", "ann", NOW))
    decision = decide_spend(scene, "ann", "points", 120, "s", "")
    assert decision.debit is not None
    return absorbed(scene, decision), decision.debit


def returned(scene: World) -> World:
    event = RefundSeen(order="A", refund=refund("R", [("L2", 40)], at=NOW))
    return absorbed(scene, decide_order(scene, event, "shop", None, NOW))


def figures(scene: World) -> dict[str, str]:
    (award,) = scene.awards["order:shop:A"].values()
    wallet = scene.wallets["ann", "points"]
    balance = balance_of(wallet.sums, 0)
    found = {
        "Taken": award.taken,
        "Written off": award.written_off,
        "Active": balance.active,
        "Debt": balance.negative,
        "Left in lot 1": wallet.lots[1].remaining,
        "Left in lot 2": wallet.lots[2].remaining,
    }
    return {head: str(number) for head, number in found.items()}


def test_the_example_begins_with_the_lots_that_the_page_names() -> None:
    scene, debit = spent("unlimited")
    lots = scene.wallets["ann", "points"].lots
    last_days = {n: (lot.expires_at - timedelta(hours=1)).date() for n, lot in lots.items() if lot.expires_at}
    assert last_days == {1: date(2026, 12, 31), 2: date(2027, 3, 31)}
    assert [(draw.lot, draw.amount) for draw in debit.draws] == [(1, 100), (2, 20)]


@pytest.mark.parametrize(("place", "cancelled"), [(1, False), (2, True)], ids=["the return", "the spend cancelled"])
def test_the_ledgers_example_is_what_the_engine_does(tables: Tables, place: int, cancelled: bool) -> None:
    rows = tables("docs/explanation/ledger.md")[place]
    assert [row["Policy"] for row in rows] == ["only_pending", "within_balance", "unlimited"]
    for row in rows:
        scene, debit = spent(row["Policy"])
        scene = returned(scene)
        if cancelled:
            scene = absorbed(scene, decide_cancel_spend(scene, debit, ""))
        found = figures(scene)
        assert {head: found[head] for head in row if head != "Policy"} == {
            head: cell for head, cell in row.items() if head != "Policy"
        }


def test_the_dates_of_the_page_on_time_are_what_the_engine_works_out(tables: Tables) -> None:
    rows, *_ = tables("docs/explanation/time.md")
    for row in rows:
        placed = datetime.strptime(row["Placed"], "%d %b %Y").replace(hour=15, tzinfo=ZONE)
        dates = lifetime(read_expiry(row["expire"]), read_pending(row["pending"]), ZONE, placed.astimezone(UTC))
        usable, dies = dates.available_from, dates.expires_at
        begins = "at once" if usable == placed else shown(usable)
        last = "never" if dies is None else shown(dies - timedelta(seconds=1))
        assert (begins, last) == (row["Usable from"], row["Last day"])


@pytest.mark.parametrize("place", [1, 2], ids=["pending", "expire"])
def test_each_kind_of_waiting_and_ending_lasts_as_long_as_the_page_on_time_says(tables: Tables, place: int) -> None:
    placed = datetime(2026, 3, 10, 15, tzinfo=ZONE).astimezone(UTC)
    for row in tables("docs/explanation/time.md")[place]:
        dates = lifetime(read_expiry(row.get("expire", "none")), read_pending(row.get("pending", "none")), ZONE, placed)
        end = dates.available_from if "pending" in row else dates.expires_at
        assert end is not None
        assert shown(end - timedelta(seconds=1)) == (row.get("Last day") or row["Last day of waiting"])


def shown(moment: datetime) -> str:
    at = moment.astimezone(ZONE)
    return f"{at.day} {at:%b %Y}"
