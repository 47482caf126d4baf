"""The loop that sends what is due."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from stampcard.applying.setting import Setting
from stampcard.clock import SystemClock
from stampcard.domain.events import OrderSeen
from stampcard.host.connecting import Connection
from stampcard.outbox.dispatching import Dispatcher
from stampcard.plugin import BalancePush, Capabilities, Delivered, Outcome, Sink
from stampcard.storage.database import Database
from stampcard.testing.applying import tell
from stampcard.testing.building import order
from stampcard.testing.waiting import eventually


class Stumbling(Sink[BalancePush]):
    """Fails when it is first asked for its pace."""

    kind = "balance"

    def __init__(self) -> None:
        self.stumbled = False
        self.got: list[str] = []

    def pace(self) -> float:
        if not self.stumbled:
            self.stumbled = True
            raise KeyError
        return 0.0

    async def deliver(self, items: Sequence[BalancePush]) -> Sequence[Outcome]:
        self.got += [item.reference for item in items]
        return [Delivered() for _ in items]


async def test_a_sink_that_fails_to_tell_its_pace_goes_on(database: Database, setting: Setting) -> None:
    tell(database, setting, OrderSeen(reference="A", snapshot=order(100)))
    sink = Stumbling()
    connection = Connection(name="shop", plugin="p", capabilities=Capabilities(sinks=(sink,)))
    dispatcher = Dispatcher(database, SystemClock(), "me", connection, lambda: setting, lambda *_: None, lambda: None)

    async def arrived() -> bool:
        return bool(sink.got)

    running = asyncio.create_task(dispatcher.run())
    try:
        await eventually("the push", arrived)
    finally:
        dispatcher.stop()
        await running

    assert sink.stumbled
    assert sink.got == ["1"]
