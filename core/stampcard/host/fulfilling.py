"""A connection's fulfilment as sinks, so that its actions travel as commands: once, with lookups and retries."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from stampcard.domain.commands import Command
from stampcard.domain.rewards import ACTIONS, Voucher
from stampcard.plugin.capabilities import Fulfilment, Sink
from stampcard.plugin.outcomes import Lookup, Outcome


class FulfilmentSink(Sink[Command]):
    """One action of a fulfilment; the command's data is the voucher."""

    def __init__(self, fulfilment: Fulfilment, kind: str) -> None:
        self.kind = kind
        self.batch_size = fulfilment.batch_size
        self.rate = fulfilment.rate
        self.retry = fulfilment.retry
        self.idempotent = fulfilment.idempotent
        self.visible_after = fulfilment.visible_after
        self._fulfilment = fulfilment
        self._action = ACTIONS[kind]

    async def deliver(self, items: Sequence[Command]) -> Sequence[Outcome]:
        act = {
            "issue": self._fulfilment.issue,
            "withdraw": self._fulfilment.withdraw,
            "restore": self._fulfilment.restore,
        }[self._action]
        return await act([voucher_of(item) for item in items])

    async def lookup(self, command: Command) -> Lookup:
        return await self._fulfilment.lookup(voucher_of(command), self._action)

    def pace(self) -> float:
        return self._fulfilment.pace()


def voucher_of(command: Command) -> Voucher:
    """The voucher that a command is about."""
    return msgspec.convert(command.data, Voucher)
