from collections.abc import Sequence
from datetime import UTC, datetime
from typing import cast

from stampcard.calling.lines import Line
from stampcard.clock import SystemClock
from stampcard.domain.commands import BalancePush
from stampcard.outbox.pushing import Pushing
from stampcard.plugin import Delivered, Outcome, RetryLater, Sink
from stampcard.storage.database import Database
from stampcard.storage.pushing import DuePush

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Shelf(Sink[BalancePush]):
    kind = "balance"

    async def deliver(self, items: Sequence[BalancePush]) -> Sequence[Outcome]:
        return [Delivered()] * len(items)


def tried(outcome: Outcome, times: int) -> list[tuple[int, bool]]:
    """After each try: the attempts that count, and whether it was the last."""
    pushing = Pushing(cast("Database", None), SystemClock(), "main", Line("shop", Shelf()))
    attempts, told = 0, []
    for _ in range(times):
        push = DuePush(item=BalancePush(member="ann", reference="1", version=1, balances={}), attempts=attempts, sent=0)
        result = pushing._result(push, outcome, NOW)
        attempts = result.attempts
        told.append((attempts, result.dead))
    return told


def test_what_fails_is_given_up_when_the_policy_has_no_more_tries() -> None:
    assert tried(RetryLater(reason="broken"), 8) == [*((count, False) for count in range(1, 8)), (8, True)]


def test_a_vendor_that_is_only_busy_never_makes_a_dead_letter() -> None:
    assert tried(RetryLater(reason="busy", after=1.0), 50) == [(0, False)] * 50
