"""A till without a plugin of its own, over HTTP: all that it tells comes twice, in any order, with forgeries between."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select

from stampcard.calling import breaking
from stampcard.plugin import RetryPolicy
from stampcard.storage.tables import consent, identity
from stampcard.testing.demonstration import RATE, WELCOME, Demonstration, demonstrating
from stampcard_standard_webhooks.sending import BalanceSink
from stampcard_standard_webhooks.simulated_receiver import Shown
from stampcard_standard_webhooks.simulated_trade import TillPlan
from stampcard_standard_webhooks.simulator import TillSimulator

PROGRAM = """
program: club
currency: USD
timezone: America/New_York
wallets: {points: {}}
rules:
  - {id: buy, on: purchase, award: 1 per 1 USD, base: {discount: after, tax: excluded, shipping: excluded}}
  - {id: join, on: sign_up, award: 50}
  - {id: say, on: review, award: 15}
"""
ORDERS = 40
PLAN = TillPlan(
    new_customers=0.6,
    duplicates=1.0,
    forged=0.3,
    lost_answers=0.05,
    first_pause=0.01,
    # With this seed each befalls one of the first five calls, however many there are.
    api_failures=0.05,
    throttles=0.05,
    hangs=0.05,
    hang=0.05,
    retry_after=0,
    event_points=15,
)


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Moments instead of hours between tries, and a breaker that soon probes again."""
    monkeypatch.setattr(BalanceSink, "retry", RetryPolicy(waits=(0.1,) * 9))
    monkeypatch.setattr(breaking, "PAUSE", 0.2)


@pytest.fixture
def till() -> TillSimulator:
    return TillSimulator(126, PLAN)


@pytest.fixture
async def demonstration(till: TillSimulator, tmp_path: Path, database_url: str) -> AsyncIterator[Demonstration]:
    running = demonstrating(till, tmp_path, PROGRAM, plugin="standard_webhooks", database=database_url)
    async with running as demonstration:
        yield demonstration


async def known(demonstration: Demonstration) -> set[str]:
    """Whom Stampcard has heard of, by the till's reference."""
    wanted = select(identity.c.reference)
    return await demonstration.application.database.read(lambda connection: set(connection.scalars(wanted)))


async def consents(demonstration: Demonstration) -> dict[str, str]:
    """What each customer said last."""
    wanted = (
        select(identity.c.reference, consent.c.state)
        .join_from(identity, consent, identity.c.member == consent.c.member)
        .order_by(consent.c.at)
    )
    rows = await demonstration.application.database.read(lambda connection: connection.execute(wanted).all())
    return {row.reference: row.state for row in rows}


async def test_every_balance_at_the_till_is_what_its_own_books_expect(
    demonstration: Demonstration, till: TillSimulator
) -> None:
    for _ in range(2):
        await till.trade(demonstration.target, ORDERS // 2)
        assert await demonstration.settled(30)

    assert {check.claim: check.detail for check in await demonstration.prove() if not check.holds} == {}
    tally = till.tally
    assert tally.duplicates * 2 == tally.sent
    assert tally.refused == tally.forged > ORDERS
    assert min(tally.lost_answers, tally.edited, tally.cancelled, tally.refunded_orders, tally.throttled) > 0
    assert tally.failures_injected > 0
    assert tally.pushes_received > len(till.book.customers), "some were told twice"
    assert any(order.customer is None for order in till.book.orders.values())
    assert (till.receiver.doubts, till.receiver.strangers) == ([], set())
    assert till.book.events, "what people also did counts once"
    assert till.expected(RATE, WELCOME) != till.book.expected(RATE, WELCOME)
    assert till.book.erased
    assert await known(demonstration) == set(till.book.customers), "nobody is known who wanted to be forgotten"
    assert await consents(demonstration) == till.book.consents != {}

    (reference, shown), *_ = till.receiver.shown.items()
    till.receiver._shown[reference] = Shown(shown.version, shown.active + 1)
    failing = [check.claim for check in await demonstration.prove() if not check.holds]
    assert failing == ["every balance in the shop equals what its books expect"]
