"""What a vendor sends to a webhook address, as the vendor itself knows it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection

from stampcard.domain.value import Value


class Subscribed(Value, frozen=True):
    """One thing that the vendor sends: `id` is the vendor's own, `problem` why nothing good comes of it, empty if all is well."""

    topic: str
    address: str
    id: str = ""
    problem: str = ""


class Audit(Value, frozen=True):
    """What a vendor sends where, of that which a connection needs.

    `good` comes here as it should, `wrong` comes here otherwise, `missing` topics do not come here, `foreign`: they go
    somewhere else, too. `by_hand`: what people alone can set at the vendor, in words.
    """

    good: tuple[Subscribed, ...] = ()
    wrong: tuple[Subscribed, ...] = ()
    missing: tuple[str, ...] = ()
    foreign: tuple[Subscribed, ...] = ()
    by_hand: tuple[str, ...] = ()


class Subscriptions(ABC):
    """What the vendor sends to a webhook address, as the vendor itself knows it.

    Every method raises PluginError where the vendor does not answer, with what to change.
    """

    @abstractmethod
    async def look(self, address: str) -> Audit:
        """How it is; nothing is changed."""

    @abstractmethod
    async def mend(self, address: str, but: Collection[str] = ()) -> Audit:
        """Let the vendor send what is missing, `but` for these topics, and set right what is wrong; answers how it is then.

        What goes elsewhere is left alone. Done twice it changes nothing.
        """

    @abstractmethod
    async def end(self, address: str) -> int:
        """Let the vendor send nothing more here; answers how many subscriptions ended."""
