"""Many changes in one call, each with an outcome of its own, also where HubSpot refuses all for one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeVar

from stampcard.plugin import Outcome, Rejected, RetryLater
from stampcard_hubspot.calling import CallFailed

Item = TypeVar("Item")
#: The outcomes that an answer tells, by the items' places among those that were sent; one that is missing was not told of.
Send = Callable[[Sequence[Item]], Awaitable[Mapping[int, Outcome]]]
#: So many calls may one batch become: enough to find ten bad items among a hundred.
MOST_CALLS = 80
_UNTOLD = RetryLater(reason="HubSpot did not answer for every item")
_TOO_MANY = RetryLater(reason="HubSpot refuses many of these at once: what is wrong with one of them?")


class Batch(Generic[Item]):
    """Sends items together, and in halves and at last alone where all are refused for one, or one is not told of.

    `alone`: what a refusal means for the one item that was sent.
    """

    def __init__(self, send: Send[Item], alone: Callable[[Item, CallFailed], Outcome]) -> None:
        self._send, self._alone = send, alone
        self._calls = 0

    async def deliver(self, items: Sequence[Item]) -> list[Outcome]:
        """One outcome for each, in order."""
        if not items:
            return []
        if self._calls >= MOST_CALLS:
            return [_TOO_MANY] * len(items)
        self._calls += 1
        try:
            told = await self._send(items)
        except CallFailed as failed:
            return await self._refused(items, failed)
        missing = [place for place in range(len(items)) if place not in told]
        if len(missing) == len(items):
            return [_UNTOLD] * len(items)
        again = {place: (await self.deliver([items[place]]))[0] for place in missing}
        return [{**told, **again}[place] for place in range(len(items))]

    async def _refused(self, items: Sequence[Item], failed: CallFailed) -> list[Outcome]:
        if len(items) == 1:
            return [self._alone(items[0], failed)]
        if not isinstance(failed.outcome, Rejected):
            return [failed.outcome] * len(items)
        half = len(items) // 2
        return [*await self.deliver(items[:half]), *await self.deliver(items[half:])]
