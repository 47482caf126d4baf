"""What simulated vendors have in common: they make webhooks and serve their API; a shop also lives through a history.

A simulator is found by the entry point group ``stampcard.simulators``: a module with ``build(seed) -> Simulator``.
"""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import aiohttp
from aiohttp import web

from stampcard.clock import Clock, SystemClock
from stampcard.domain.value import Value
from stampcard.listening import Listening


class SignedRequest(Value, frozen=True):
    """A webhook as it goes over the wire."""

    headers: Mapping[str, str]
    body: bytes


class Parcel(Value, frozen=True):
    """A request on its way: genuine unless `forged`; `duplicate` marks the second copy of a delivery."""

    request: SignedRequest
    forged: bool = False
    duplicate: bool = False


class Plan(Value, frozen=True):
    """How webhooks travel and how often the vendor's own API fails; shares are between 0 and 1, times in seconds.

    `window`: so many deliveries lose their order among each other. `attempts`: after so many a delivery is given up.
    `lost_answers`: of the answers that take a delivery in, how many never reach the sender, who then sends it again.
    """

    senders: int = 16
    duplicates: float = 0.05
    forged: float = 0.02
    lost_answers: float = 0.02
    window: int = 40
    attempts: int = 30
    first_pause: float = 0.2
    longest_pause: float = 2.0
    patience: float = 10.0
    api_failures: float = 0.02


@dataclass(slots=True)
class Tally:
    """Live counters of one simulator.

    In the end `sent` = `acknowledged` + `given_up`; `forged_accepted`, `given_up` and `regressions` (a push older than
    what the vendor already showed) have to stay 0. `sent` includes `duplicates`, but neither repeats nor forgeries. A
    delivery whose answer is among `lost_answers` is `acknowledged` only by a later one.
    """

    sent: int = 0
    acknowledged: int = 0
    redelivered: int = 0
    lost_answers: int = 0
    duplicates: int = 0
    given_up: int = 0
    forged: int = 0
    forged_accepted: int = 0
    refused: int = 0
    orders: int = 0
    refunded_orders: int = 0
    cancelled: int = 0
    edited: int = 0
    pushes_received: int = 0
    push_calls: int = 0
    regressions: int = 0
    throttled: int = 0
    failures_injected: int = 0


class Simulator(ABC):
    """One simulated vendor: it serves its own API and makes signed webhooks; the same seed and clock give the same."""

    def __init__(self, seed: int, clock: Clock | None = None) -> None:
        self.seed = seed
        self.tally = Tally()
        self.clock: Clock = clock or SystemClock()
        #: Where webhooks go; whoever asks for a sample says it first, for vendors whose signature covers the address.
        self.target_url = ""
        self._listening: Listening | None = None
        self._api_url = ""

    @abstractmethod
    def settings(self) -> dict[str, object]:
        """The connection settings, without `plugin`, that reach this simulator; `api_url` is there once it serves."""

    @abstractmethod
    def topics(self) -> Sequence[str]:
        """What `sample` can make, in our words."""

    def drastic(self) -> frozenset[str]:
        """Those of `topics` that end or erase more than what the sample itself made up."""
        return frozenset()

    def unfit(self, settings: Mapping[str, object]) -> str:  # noqa: ARG002 - for those that it matters to
        """Why `sample` can make nothing for a connection with these settings, as the end of a sentence; else empty."""
        return ""

    @abstractmethod
    def sample(self, topic: str, *, settings: Mapping[str, object] | None = None) -> SignedRequest:
        """One webhook of that topic as of now, signed for these settings (default: its own); ValueError if unknown."""

    def renewed(self, request: SignedRequest) -> SignedRequest:
        """A webhook as its next attempt leaves: the same, unless its signature is for one moment."""
        return request

    @abstractmethod
    def forge(self, request: SignedRequest, chance: random.Random) -> SignedRequest:
        """A forgery of that request, which any careful receiver refuses."""

    @abstractmethod
    def application(self) -> web.Application:
        """The vendor's API."""

    @property
    def api_url(self) -> str:
        """Where the API is served; RuntimeError before `start`."""
        if not self._api_url:
            message = "the simulator does not serve its API yet: call start() first"
            raise RuntimeError(message)
        return self._api_url

    @property
    def is_serving(self) -> bool:
        return self._listening is not None

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Serve the API there; port 0 takes a free one."""
        self._listening = await Listening.at(self.application(), host, port, patience=1.0)
        self._api_url = f"http://{host}:{self._listening.address[1]}"

    async def stop(self) -> None:
        """Stop serving; does nothing if it does not serve."""
        listening, self._listening, self._api_url = self._listening, None, ""
        if listening is not None:
            await listening.end()


class ShopSimulator(Simulator):
    """A simulated storefront: it lives through a history of orders, sends it, and knows the points that come of it."""

    def __init__(self, seed: int, plan: Plan, clock: Clock | None = None) -> None:
        super().__init__(seed, clock)
        self._traffic = plan
        self._travel = random.Random(f"travel {seed}")
        # Of its own: in which order answers come must not change what is sent.
        self._answers = random.Random(f"answers {seed}")

    @abstractmethod
    def history(self, orders: int) -> Iterator[SignedRequest]:
        """Live through so many orders up to now, giving each webhook at the moment the shop sends it."""

    @abstractmethod
    def expected(self, points_per_unit: Decimal, welcome: int) -> dict[str, int]:
        """Customer reference to the points due by this vendor's own books: per order the floor, plus the welcome."""

    @abstractmethod
    def shown(self) -> dict[str, int]:
        """Customer reference to the active points that this vendor shows now."""

    @abstractmethod
    def shown_versions(self) -> dict[str, int]:
        """Customer reference to the version of what is shown."""

    async def trade(self, target_url: str, orders: int, *, rate: float | None = None) -> None:
        """Send a history of so many orders there, at most `rate` orders a second, until all is acknowledged."""
        courier = Courier(target_url, self._traffic, self.tally, self._answers, self.renewed)
        await courier.carry(self._paced(disorder(self._parcels(orders), self._traffic.window, self._travel), rate))

    def _parcels(self, orders: int) -> Iterator[Parcel]:
        for request in self.history(orders):
            yield Parcel(request=request)
            if self._travel.random() < self._traffic.duplicates:
                yield Parcel(request=request, duplicate=True)
            if self._travel.random() < self._traffic.forged:
                yield Parcel(request=self.forge(request, self._travel), forged=True)

    async def _paced(self, parcels: Iterable[Parcel], rate: float | None) -> AsyncIterator[Parcel]:
        time = asyncio.get_running_loop().time
        began, before = time(), self.tally.orders
        for parcel in parcels:
            if rate is not None:
                await asyncio.sleep(max(0.0, began + (self.tally.orders - before) / rate - time()))
            yield parcel


def disorder(parcels: Iterable[Parcel], window: int, chance: random.Random) -> Iterator[Parcel]:
    """The same parcels, each overtaken by some of the `window` next ones."""
    waiting: list[Parcel] = []
    for parcel in parcels:
        waiting.append(parcel)
        if len(waiting) > window:
            yield waiting.pop(chance.randrange(len(waiting)))
    chance.shuffle(waiting)
    yield from waiting


class Courier:
    """Carries parcels to one receiver, many at a time, and each again until it is settled; `chance` loses answers.

    `renew` is asked for each attempt of what is genuine.
    """

    def __init__(
        self,
        target_url: str,
        plan: Plan,
        tally: Tally,
        chance: random.Random,
        renew: Callable[[SignedRequest], SignedRequest],
    ) -> None:
        self._target = target_url
        self._plan = plan
        self._tally = tally
        self._chance = chance
        self._renew = renew

    async def carry(self, parcels: AsyncIterator[Parcel]) -> None:
        """Deliver them all; a parcel that fails to the last attempt is counted in `given_up`."""
        waiting: asyncio.Queue[Parcel | None] = asyncio.Queue(maxsize=2 * self._plan.senders)
        timeout = aiohttp.ClientTimeout(total=self._plan.patience)
        connector = aiohttp.TCPConnector(limit=self._plan.senders)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            asyncio.TaskGroup() as senders,
        ):
            for _ in range(self._plan.senders):
                senders.create_task(self._walk(session, waiting))
            async for parcel in parcels:
                await waiting.put(parcel)
            for _ in range(self._plan.senders):
                await waiting.put(None)

    async def _walk(self, session: aiohttp.ClientSession, waiting: asyncio.Queue[Parcel | None]) -> None:
        while (parcel := await waiting.get()) is not None:
            self._count(parcel)
            await self._deliver(session, parcel)

    def _count(self, parcel: Parcel) -> None:
        if parcel.forged:
            self._tally.forged += 1
        else:
            self._tally.sent += 1
            self._tally.duplicates += parcel.duplicate

    async def _deliver(self, session: aiohttp.ClientSession, parcel: Parcel) -> None:
        pause = self._plan.first_pause
        for attempt in range(1, self._plan.attempts + 1):
            status, retry_after = await self._attempt(
                session, parcel.request if parcel.forged else self._renew(parcel.request)
            )
            if self._settles(parcel, self._heard(parcel, status)):
                return
            if attempt < self._plan.attempts:
                self._tally.redelivered += not parcel.forged
                await asyncio.sleep(min(retry_after or pause, self._plan.longest_pause))
                pause *= 2
        self._tally.given_up += not parcel.forged

    async def _attempt(self, session: aiohttp.ClientSession, request: SignedRequest) -> tuple[int, float]:
        """The status of the answer (0: none came) and the seconds it asks to wait (0: it does not)."""
        try:
            async with session.post(
                self._target, data=request.body, headers=dict(request.headers), allow_redirects=False
            ) as answer:
                await answer.read()
                return answer.status, _seconds(answer.headers.get("Retry-After", ""))
        except (aiohttp.ClientError, TimeoutError, ConnectionError):
            return 0, 0.0

    def _heard(self, parcel: Parcel, status: int) -> int:
        """The status that reaches the sender; a forger hears everything, so that none that was let in goes uncounted."""
        if parcel.forged or not _accepts(status) or self._chance.random() >= self._plan.lost_answers:
            return status
        self._tally.lost_answers += 1
        return 0

    def _settles(self, parcel: Parcel, status: int) -> bool:
        accepted = _accepts(status)
        if not parcel.forged:
            self._tally.acknowledged += accepted
            return accepted
        self._tally.forged_accepted += accepted
        self._tally.refused += status == 401  # noqa: PLR2004 - Unauthorized
        return accepted or status == 401  # noqa: PLR2004 - Unauthorized


def _accepts(status: int) -> bool:
    return 200 <= status < 300  # noqa: PLR2004 - the 2xx of HTTP


def _seconds(text: str) -> float:
    try:
        return max(0.0, float(text))
    except ValueError:
        return 0.0
