"""How webhooks of the simulated HubSpot travel: up to 100 events in one call, again until it is answered with 2xx."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import aiohttp

from stampcard.testing.simulator import SignedRequest, Tally
from stampcard_hubspot.simulated_events import Event, signed, written

#: Events in one call, and calls at a time.
MOST, ABREAST = 100, 10


@dataclass(frozen=True, slots=True)
class Journey:
    """How events travel: shares of duplicates, how many lose their order, attempts, and seconds between and for each."""

    duplicates: float = 0.0
    window: int = 0
    attempts: int = 10
    first_pause: float = 0.05
    longest_pause: float = 1.0
    patience: float = 5.0
    batch: int = MOST


class Hooks:
    """What is to be told; `address` says which address is signed, and `route` where it really leads, if elsewhere."""

    def __init__(
        self,
        address: Callable[[], str],
        secret: Callable[[], str],
        now: Callable[[], int],
        journey: Journey,
        tally: Tally,
        chance: random.Random,
    ) -> None:
        self.queue: deque[Event] = deque()
        self.route = ""
        self.posts: deque[SignedRequest] = deque(maxlen=1000)
        self.counts: Counter[str] = Counter()
        self._address, self._secret, self._now, self._journey = address, secret, now, journey
        self._tally, self._chance = tally, chance
        self._woken = asyncio.Event()
        self._busy = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def tell(self, events: Iterable[Event]) -> None:
        self.queue.extend(events)
        if self._task is not None:
            self._woken.set()

    async def deliver(self) -> int:
        """Send all that is queued, after what is under way; answers how many events were taken, the others are given up."""
        async with self._busy:
            events = self._disordered()
            size = self._journey.batch
            batches = [events[start : start + size] for start in range(0, len(events), size)]
            if not batches:
                return 0
            timeout = aiohttp.ClientTimeout(total=self._journey.patience)
            abreast = asyncio.Semaphore(ABREAST)
            async with aiohttp.ClientSession(timeout=timeout) as session:
                return sum(await asyncio.gather(*(self._settle(session, abreast, batch) for batch in batches)))

    def begin(self) -> None:
        """Deliver as changes happen, until `end`; needs a running loop."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())
        self._woken.set()

    async def end(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            await self.deliver()

    def _disordered(self) -> list[Event]:
        """Take all that is queued, some of it twice, in the order in which it leaves."""
        leaving: list[Event] = []
        while self.queue:
            event = self.queue.popleft()
            again = self._chance.random() < self._journey.duplicates
            self._tally.duplicates += again
            leaving += [event, dict(event)] if again else [event]
        if not self._journey.window:
            return leaving
        return list(_overtaken(leaving, self._journey.window, self._chance))

    async def _settle(self, session: aiohttp.ClientSession, abreast: asyncio.Semaphore, events: Sequence[Event]) -> int:
        self._tally.sent += len(events)
        self.counts.update(event["subscriptionType"] for event in events)
        pause = self._journey.first_pause
        for attempt in range(self._journey.attempts):
            async with abreast:
                status = await self._post(session, [{**event, "attemptNumber": attempt} for event in events])
            if 200 <= status < 300:  # noqa: PLR2004 - the 2xx of HTTP
                self._tally.acknowledged += len(events)
                return len(events)
            if attempt + 1 < self._journey.attempts:
                self._tally.redelivered += len(events)
                await asyncio.sleep(min(pause, self._journey.longest_pause))
                pause *= 2
        self._tally.given_up += len(events)
        return 0

    async def _post(self, session: aiohttp.ClientSession, events: Sequence[Event]) -> int:
        target = self._address()
        request = signed(written(events), self._secret(), target, self._now())
        self.posts.append(request)
        try:
            async with session.post(
                self.route or target, data=request.body, headers=dict(request.headers), allow_redirects=False
            ) as answer:
                await answer.read()
                return answer.status
        except (aiohttp.ClientError, TimeoutError, OSError):
            return 0


def _overtaken(events: list[Event], window: int, chance: random.Random) -> Iterable[Event]:
    """The same events, each overtaken by some of the `window` next ones."""
    waiting: list[Event] = []
    for event in events:
        waiting.append(event)
        if len(waiting) > window:
            yield waiting.pop(chance.randrange(len(waiting)))
    chance.shuffle(waiting)
    yield from waiting
