"""The classes of a program's cards and of their rewards: made where they are missing, changed where they are otherwise."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from stampcard.plugin import CardDesign, Rejected
from stampcard_google_wallet.calling import CallFailed
from stampcard_google_wallet.client import Client, made
from stampcard_google_wallet.drawing import Body, class_of, offers_of

if TYPE_CHECKING:
    from stampcard_google_wallet.settings import GoogleWalletSettings

LOYALTY, OFFER = "loyaltyClass", "offerClass"
_NO_LOGO = "Google Wallet shows no card without a logo: give the card of the program one (card, logo)"


class _Shown(msgspec.Struct, frozen=True):
    id: str


class Classes:
    """One class of cards per program, whatever the tiers, and one of their rewards.

    The tier stands on each card, so that whoever moves up needs no other class, and none has to be reviewed for it. What a
    class looks like is remembered by its digest, so that it is told once.
    """

    def __init__(self, client: Client, settings: GoogleWalletSettings) -> None:
        self._client, self._settings, self._store = client, settings, client.context.store
        self._doubted: set[str] = set()

    def name(self, design: CardDesign) -> str:
        """What the class of a program's cards is called."""
        return f"{self._settings.issuer_id}.{self._settings.class_suffix or self._default(design)}"

    def rewards(self, design: CardDesign) -> str:
        """What the class of the rewards on them is called."""
        return f"{self.name(design)}_offers"

    def body(self, design: CardDesign) -> Body:
        """What the class of cards says; raises CallFailed where Google would not take it."""
        if not design.logo:
            raise CallFailed(Rejected(reason=_NO_LOGO))
        context = self._client.context
        # Google calls nothing but https.
        public = context.public_url.rstrip("/")
        callback = f"{public}/webhooks/{context.name}" if public.startswith("https://") else ""
        return class_of(design, self.name(design), callback)

    async def prepare(self, design: CardDesign, *, rewards: bool) -> None:
        """Let the classes be there, as they are to look; raises CallFailed, or the store's PluginError."""
        await self._bring(LOYALTY, self.body(design))
        if rewards:
            await self._bring(OFFER, offers_of(design, self.rewards(design)))

    async def is_known(self, design: CardDesign) -> bool:
        """Whether the class of cards was made."""
        return bool(await self._store.get(self._key(LOYALTY, self.name(design))))

    def doubt(self, design: CardDesign) -> None:
        """Google knows nothing of a program's class, whatever is remembered: it is made anew."""
        self._doubted |= {self.name(design), self.rewards(design)}

    async def _bring(self, kind: str, body: Body) -> None:
        name, digest = body["id"], hashlib.sha256(msgspec.json.encode(body)).digest()
        key = self._key(kind, name)
        if name not in self._doubted and await self._store.get(key) == digest:
            return
        async with self._store.hold(key):
            known = None if name in self._doubted else await self._store.get(key)
            if known == digest:
                return
            ((request, answer),) = await self._client.converse(made(kind, body, known=bool(known)))
            told = answer.read(_Shown)
            if told is None or told.id != name:
                raise self._client.failure(answer, request)
            await self._store.set(key, digest)
            self._doubted.discard(name)

    def _key(self, kind: str, name: str) -> str:
        return f"{kind} {self._settings.api_url} {name}"

    def _default(self, design: CardDesign) -> str:
        return f"{self._client.context.name}_{design.program}"
