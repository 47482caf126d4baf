"""A connection's channels as sinks, so that messages travel as commands do: an attempt is committed before the call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from stampcard.domain.messages import MESSAGE, Message
from stampcard.engine.announcing import Way
from stampcard.plugin.capabilities import Sink
from stampcard.plugin.channels import Channel
from stampcard.plugin.outcomes import Lookup, Outcome

if TYPE_CHECKING:
    from stampcard.host.connecting import Connection


class ChannelSink(Sink[Message]):
    """Sends messages by one channel, once they are written out; until then they wait as commands."""

    idempotent = False

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.kind = f"{MESSAGE}{channel.name}"
        self.batch_size, self.rate, self.retry = channel.batch_size, channel.rate, channel.retry
        self.visible_after = channel.visible_after

    async def deliver(self, items: Sequence[Message]) -> Sequence[Outcome]:
        return await self.channel.send(items)

    async def find_out(self, message: Message, attempted_at: datetime) -> Lookup:
        """Whether a message left."""
        return await self.channel.lookup(message, attempted_at)

    def pace(self) -> float:
        return self.channel.pace()


def ways_of(connections: Mapping[str, Connection]) -> dict[str, tuple[Way, ...]]:
    """Channel → the connections that send by it, by their names."""
    found: dict[str, tuple[Way, ...]] = {}
    for name in sorted(connections):
        capabilities = connections[name].capabilities
        for channel in capabilities.channels if capabilities is not None else ():
            way = Way(
                connection=name,
                channel=channel.name,
                form=channel.form,
                needs=channel.needs,
                disturbs=channel.disturbs,
                kept=channel.kept,
                hears=channel.hears,
            )
            found[channel.name] = (*found.get(channel.name, ()), way)
    return found
