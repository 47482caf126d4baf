"""A connection to a phone's wallet as the core sees it: its settings, and what it can do with a card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stampcard.domain.commands import END_PASS, Command
from stampcard.plugin.capabilities import Sink
from stampcard.plugin.outcomes import Lookup, Outcome, Unknown
from stampcard.plugin.passes import PassSettings, PassSink


@dataclass(frozen=True)
class PhoneWallet:
    """One connection that keeps members' cards in phones."""

    name: str
    settings: PassSettings
    title: str
    notices: int
    rotates: bool


def wallet_of(name: str, settings: object, sinks: Sequence[object]) -> PhoneWallet | None:
    """What a connection with these settings and sinks is as a phone's wallet, if it is one."""
    sink = next((sink for sink in sinks if isinstance(sink, PassSink)), None)
    if sink is None or not isinstance(settings, PassSettings):
        return None
    return PhoneWallet(name=name, settings=settings, title=sink.title, notices=sink.notices, rotates=sink.rotates)


class PassEnding(Sink[Command]):
    """Lets passes of people who were erased show nothing any more; doing it twice does no harm."""

    kind = END_PASS
    idempotent = True

    def __init__(self, sink: PassSink) -> None:
        self.batch_size, self.rate, self.retry = sink.batch_size, sink.rate, sink.retry
        self._sink = sink

    async def deliver(self, items: Sequence[Command]) -> Sequence[Outcome]:
        return await self._sink.end([item.reference for item in items])

    async def lookup(self, command: Command) -> Lookup:
        return Unknown(reason=f"{command.key} is simply done again")

    def pace(self) -> float:
        return self._sink.pace()
