"""A Google Wallet that exists only here: it keeps cards, people save them and take them off, and it tells of that.

It shares no code with the plugin, so that each proves the other.
"""

from __future__ import annotations

import hashlib
import hmac
import random
from collections.abc import Mapping, Sequence
from datetime import datetime

import aiohttp
from aiohttp import web

from stampcard.plugin import Clock
from stampcard.testing.simulator import SignedRequest, Simulator
from stampcard_google_wallet.simulated_api import Api
from stampcard_google_wallet.simulated_batches import Call
from stampcard_google_wallet.simulated_book import Body, Book
from stampcard_google_wallet.simulated_faults import Fault, Faults
from stampcard_google_wallet.simulated_forging import Forger
from stampcard_google_wallet.simulated_hooks import Hooks
from stampcard_google_wallet.simulated_saving import Saving
from stampcard_google_wallet.simulated_signing import Account, Notary

#: Our topic to Google's word for it.
_TOPICS: Mapping[str, str] = {"pass.saved": "save", "pass.removed": "del"}


def build(seed: int) -> GoogleWalletSimulator:
    """The simulator behind the entry point."""
    return GoogleWalletSimulator(seed)


class GoogleWalletSimulator(Simulator):
    """One issuer account with one service account; people do something only when `save` and `remove` say so.

    Callbacks go to the address that the card's class names.
    """

    def __init__(self, seed: int, clock: Clock | None = None) -> None:
        super().__init__(seed, clock)
        chance = random.Random(f"account {seed}")
        self.issuer = f"33880000000{chance.randrange(10**8):08}"
        self.account, self.notary = Account(chance), Notary()
        self.book = Book(self.issuer, self.clock.now)
        self.hooks = Hooks(self.notary, random.Random(f"callbacks {seed}"))
        self.faults = Faults(self.tally, self.clock.now)
        saving = Saving(self.book, self.account, chance)
        self.api = Api(self.book, self.account, self.notary, saving, self.faults, chance)
        self._forger = Forger(self.notary, self.clock)

    def settings(self) -> dict[str, object]:
        told: dict[str, object] = {"issuer_id": self.issuer, "service_account": self.account.key_file()}
        return {**told, "api_url": self.api_url} if self.is_serving else told

    def topics(self) -> Sequence[str]:
        return tuple(_TOPICS)

    def unfit(self, settings: Mapping[str, object]) -> str:
        if self.is_serving and str(settings.get("keys_url") or settings.get("api_url")).startswith(self.api_url):
            return ""
        return "hears from Google alone, whose keys nobody else can sign with"

    def sample(self, topic: str, *, settings: Mapping[str, object] | None = None) -> SignedRequest:
        if topic not in _TOPICS:
            message = f"no sample of {topic!r}; there are {', '.join(_TOPICS)}"
            raise ValueError(message)
        issuer = str((settings or self.settings())["issuer_id"])
        told = self.hooks.message(_TOPICS[topic], f"{issuer}.sampled", [f"{issuer}.{0:024x}"])
        return self.hooks.signed(told, issuer, self.clock.now())

    def forge(self, request: SignedRequest, chance: random.Random) -> SignedRequest:
        return self._forger.forged(request, self.issuer, chance)

    def application(self) -> web.Application:
        return self.api.application()

    @property
    def calls(self) -> list[Call]:
        """Every request that somebody with a good token made, alone or in a batch."""
        return self.api.calls

    def card(self, serial: str) -> Body:
        """What a card shows; KeyError where there is none."""
        return self.book.kept["loyaltyObject"][f"{self.issuer}.{serial}"]

    def notices(self, serial: str) -> list[str]:
        """What the holder of a card was notified of."""
        return [of for _, of in self.book.notices.get(f"{self.issuer}.{serial}", ())]

    def code(self, serial: str, at: datetime) -> str:
        """What the code of a card says at a moment, as a phone draws it."""
        card = self.card(serial)
        rotating = card.get("rotatingBarcode")
        if rotating is None:
            return str(card["barcode"]["value"])
        told, seconds = rotating["totpDetails"], int(at.timestamp())
        (of,) = told["parameters"]
        step = seconds * 1000 // int(told["periodMillis"])
        password = _password(bytes.fromhex(of["key"]), step, of["valueLength"])
        pattern: str = rotating["valuePattern"]
        return pattern.replace("{totp_timestamp_seconds}", str(seconds)).replace("{totp_value_0}", password)

    async def save(self, address: str) -> int:
        """Somebody opens an address that saves a card; what was refused, or our webhook answered: 0 where nobody was told."""
        async with aiohttp.ClientSession() as session, session.get(address) as answer:
            if answer.status != 200:  # noqa: PLR2004 - OK
                return answer.status
            names = (await answer.json())["saved"]
        return await self._tell("save", names)

    async def remove(self, serial: str) -> int:
        """Nobody has a card in a phone any more; what our webhook answered, 0 where nobody was told."""
        name = f"{self.issuer}.{serial}"
        self.book.saved.discard(name)
        return await self._tell("del", [name])

    def fail(
        self, part: str, status: int, *, reason: str = "backendError", retry_after: int = 0, done: bool = False,
        times: int = 1,
    ) -> None:  # fmt: skip
        """Let the next requests fail whose method and path hold that; status 0: no answer at all.

        `done`: what is asked for happens all the same.
        """
        self.faults.plan(part, Fault(status, reason, retry_after, done), times)

    async def _tell(self, kind: str, names: Sequence[str]) -> int:
        class_id = self.book.kept["loyaltyObject"][names[0]]["classId"]
        url = self.book.kept["loyaltyClass"][class_id].get("callbackOptions", {}).get("url", "")
        if not url:
            return 0
        request = self.hooks.signed(self.hooks.message(kind, class_id, names), self.issuer, self.clock.now())
        return await self.hooks.post(request, url)


def _password(key: bytes, step: int, digits: int) -> str:
    """RFC 6238, by SHA-1."""
    digest = hmac.digest(key, step.to_bytes(8, "big"), hashlib.sha1)
    place = digest[-1] & 15
    number = int.from_bytes(digest[place : place + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**digits:0{digits}}"
