"""What we showed in phones is taken away, when the connection is removed."""

from __future__ import annotations

from collections.abc import Sequence

from stampcard.plugin import Cleaner, Outcome
from stampcard_google_wallet.passes import BATCH, GoogleWalletPasses


class GoogleWalletCleaner(Cleaner):
    """Ends all cards: people keep an empty one among those that are over, until they take it off."""

    what = "what members' cards in Google Wallet show (the cards themselves stay, empty, among those that are over)"
    batch_size = BATCH

    def __init__(self, passes: GoogleWalletPasses) -> None:
        self._passes = passes

    def pace(self) -> float:
        return self._passes.pace()

    async def clean(self, references: Sequence[str]) -> Sequence[Outcome]:
        return await self._passes.end(references)
