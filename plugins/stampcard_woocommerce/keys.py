from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from stampcard.plugin import ConnectionContext
from stampcard_woocommerce.calling import later

if TYPE_CHECKING:
    from stampcard_woocommerce.plugin import WooCommerceSettings


class Pair(msgspec.Struct, frozen=True):
    """A key of the REST API with its secret."""

    consumer_key: str
    consumer_secret: str

    def __repr__(self) -> str:
        return "Pair(…)"


class Keys:
    """The keys of the REST API: those of the settings, or those that the shop handed over."""

    def __init__(self, context: ConnectionContext[WooCommerceSettings]) -> None:
        settings = context.settings
        self._store = context.store
        self._fixed: Pair | None = None
        if settings.consumer_key is not None and settings.consumer_secret is not None:
            self._fixed = Pair(settings.consumer_key.get_secret_value(), settings.consumer_secret.get_secret_value())
        self._kept: Pair | None = None
        # Keys must never reach another shop than the one that gave them.
        self._name = f"keys {settings.api_url}"
        #: Where a shop owner hands keys over.
        self.door = f"{context.public_url.rstrip('/')}/connections/{context.name}/install"
        #: What to look at when the keys are refused.
        self.blame = (
            "consumer_key and consumer_secret" if self._fixed else f"the keys, or hand new ones over: open {self.door}"
        )

    @property
    def is_fixed(self) -> bool:
        return self._fixed is not None

    async def current(self) -> Pair:
        """The keys to use; raises CallFailed if there are none."""
        pair = self._fixed or self._kept or await self.stored()
        if pair is None:
            raise later(f"there are no keys of the shop yet: open {self.door}")
        return pair

    async def others(self, refused: Pair) -> Pair | None:
        """Keys that came meanwhile, of which this process does not know yet."""
        found = None if self._fixed else await self.stored()
        return found if found != refused else None

    async def stored(self) -> Pair | None:
        """What the shop handed over, if it did."""
        try:
            self._kept = msgspec.json.decode(await self._store.get(self._name) or b"null", type=Pair | None)
        except msgspec.MsgspecError:
            self._kept = None
        return self._kept

    async def keep(self, pair: Pair) -> None:
        await self._store.set(self._name, msgspec.json.encode(pair))
        self._kept = pair
