"""The whole way: a signed webhook comes in, points are posted, the balance arrives at a vendor that takes its time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from statistics import median

from loading import Answers, Load, load
from measuring import Scale
from processes import MEASURING, Child, running
from receiving import received
from reporting import Figure
from serving import Told, stampcard_server, vendor_server
from signing import customer_of

from stampcard.domain.value import Value

#: Numbers of orders, apart from each other: to warm up, at half load, for one member's changes.
WARM, HALF, ONE = 20_000_000, 30_000_000, 40_000_000
CHANGES, WITHIN = 10, 0.9
#: Seconds after which a balance that has not arrived is taken to be lost.
PATIENCE = 60.0


class Seen(Value, frozen=True):
    """One round. `waits`: seconds from each 200 to the push that told of it, sorted."""

    rate: float
    alone: float
    told: Told
    waits: tuple[float, ...]
    pushes_spread: int
    pushes_at_once: int

    def wait(self, share: float) -> float:
        return self.waits[min(len(self.waits) - 1, int(len(self.waits) * share))]


def measure(scale: Scale) -> Iterator[Figure]:
    """Rate and wait, then what it took in calls."""
    with running(load, core=MEASURING) as loader, vendor_server() as vendor:
        seen = [_round(loader, vendor, scale) for _ in range(scale.rounds)]
    yield Figure(
        name="whole-rate",
        rounds=tuple((one.rate, one.alone) for one in seen),
        also="SQLite, 20 rules, every webhook of another customer; the vendor answers in 50 ms, at any pace",
    )
    yield Figure(name="whole-wait", rounds=tuple((one.wait(0.99), one.wait(0.5)) for one in seen))
    yield Figure(
        name="deliver-batch",
        rounds=tuple((one.told.pushes / one.told.calls, 25.0) for one in seen),
        also=f"{median(one.told.calls for one in seen):.0f} calls",
    )
    yield Figure(
        name="deliver-coalesce",
        rounds=tuple((one.pushes_spread, CHANGES) for one in seen),
        also=f"evenly over {WITHIN} s; {median(one.pushes_at_once for one in seen):.0f} when they come at once",
    )


def _round(loader: Child, vendor: Child, scale: Scale) -> Seen:
    host, port = vendor.ready
    answers, _ = received(loader, lambda: stampcard_server(loops=False), scale.receive_for)
    with stampcard_server(api_url=f"http://{host}:{port}") as server:
        _sent(loader, vendor, Load(address=server.ready, count=200, first_order=WARM))
        _, rate, told = _sent(loader, vendor, Load(address=server.ready, count=scale.webhooks))
        half = Load(address=server.ready, count=int(rate / 2 * scale.half_load_for), first_order=HALF, rate=rate / 2)
        accepted, _, pushed = _sent(loader, vendor, half)
        arrived = [pushed.first[customer_of(half.first_order + n, half.customers)] for n in range(half.count)]
        return Seen(
            rate=rate,
            alone=answers.rate,
            told=told,
            waits=tuple(sorted(end - start for start, end in zip(accepted.answered, arrived, strict=True))),
            pushes_spread=_changes(loader, vendor, server, ONE, CHANGES / WITHIN),
            pushes_at_once=_changes(loader, vendor, server, ONE + CHANGES, None),
        )


def _sent(loader: Child, vendor: Child, load: Load) -> tuple[Answers, float, Told]:
    """Send a load of as many customers as webhooks, and wait until the vendor knows them all."""
    vendor.ask("forget")
    answers: Answers = loader.ask(load)
    answers.rate  # noqa: B018 - raises unless all were answered 200
    until = time.monotonic() + PATIENCE
    while vendor.ask("count") < load.count:
        if time.monotonic() > until:
            message = f"the vendor knows {vendor.ask('count')} of {load.count} balances after {PATIENCE:g} s"
            raise TimeoutError(message)
        time.sleep(0.05)
    told: Told = vendor.ask("forget")
    return answers, load.count / (max(told.first.values()) - min(answers.sent)), told


def _changes(loader: Child, vendor: Child, server: Child, first_order: int, rate: float | None) -> int:
    """How often the vendor is told of one member whose balance changes ten times."""
    vendor.ask("forget")
    loader.ask(
        Load(address=server.ready, count=CHANGES, first_order=first_order, customers=1, connections=CHANGES, rate=rate)
    )
    time.sleep(2.5)
    told: Told = vendor.ask("forget")
    return told.pushes
