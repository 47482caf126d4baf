"""How much is measured: so many rounds, so many of each thing."""

from __future__ import annotations

from stampcard.domain.value import Value


class Scale(Value, frozen=True):
    """Bounds of one run; every loop of a benchmark ends at one of them. Times are in seconds."""

    rounds: int = 3
    receive_for: float = 3.0
    decisions: int = 2_000
    orders: int = 2_000
    single_orders: int = 200
    webhooks: int = 3_000
    half_load_for: float = 4.0
    starts: int = 3
    members: int = 100_000
    few_members: int = 10_000
    grown_orders: int = 2_000
    grown_rounds: int = 9


FULL = Scale()
QUICK = Scale(
    rounds=1,
    receive_for=1.5,
    decisions=500,
    orders=600,
    single_orders=60,
    webhooks=1_000,
    half_load_for=2.0,
    starts=1,
    members=10_000,
    few_members=1_000,
    grown_orders=600,
    grown_rounds=1,
)
