"""Wallets in phones: they keep a member's card, and show it as it is."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

from pydantic import Field

from stampcard.domain.commands import PASS
from stampcard.domain.passes import PassPush
from stampcard.plugin.capabilities import Sink
from stampcard.plugin.manifest import PluginSettings
from stampcard.plugin.outcomes import Outcome


class PassSettings(PluginSettings):
    """The settings of a connection to a phone's wallet, whichever vendor it is of."""

    program: str = Field(default="", description="the program whose card is shown, where there are several")
    notify: bool = Field(
        default=True, description="whether people are told when the first figure of their card changes"
    )


class PassSink(Sink[PassPush]):
    """Keeps members' cards in a phone's wallet.

    A pass is called by a serial of ours, which the core makes when somebody asks for one; from then on it is that member's
    identity at the connection, so that events of the webhook may name it as their customer. Of a pass the newest state is
    delivered, as of everything that is pushed; `PassSaved` and `PassRemoved` say what people do with it.
    """

    kind = PASS
    idempotent = True
    #: What people call it: it stands on the button.
    title: str
    #: How often within 24 hours one pass may notify whoever holds it; 0: never.
    notices: int = 0
    #: Whether it can show codes that rotate.
    rotates: bool = False
    #: Whether the vendor takes no card without a logo.
    needs_logo: bool = False

    @abstractmethod
    async def link(self, item: PassPush, *, is_there: bool) -> str:
        """The https address that adds the pass to a phone; raises PluginError where there is none now.

        `is_there`: the vendor was told of this pass before. Called for whoever opens the page of a card: it should not
        call the vendor where it can do without.
        """

    @abstractmethod
    async def end(self, serials: Sequence[str]) -> Sequence[Outcome]:
        """Let passes be over and show nothing of anybody; exactly one outcome for each. Twice does no harm."""


class Passes(Protocol):
    """The cards of a connection, for a vendor whose phones ask us for them."""

    async def find(self, serial: str) -> PassPush | None:
        """The card as it is now; None for a serial that is nobody's. Whether to notify is told by `deliver` alone."""


__all__ = ["PassSettings", "PassSink", "Passes"]
