from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from stampcard.plugin import (
    CardDesign,
    Delivered,
    Outcome,
    PassPush,
    PassSink,
    PluginError,
    Rate,
    Rejected,
    RetryLater,
)
from stampcard_google_wallet.calling import CallFailed, Request, later
from stampcard_google_wallet.classes import Classes
from stampcard_google_wallet.client import PER_SECOND, Client, Talk, asked, at, made, whole
from stampcard_google_wallet.drawing import BARE, Body, object_of
from stampcard_google_wallet.offering import CARD, Card, NoClass, Offering
from stampcard_google_wallet.signing import signed

if TYPE_CHECKING:
    from stampcard_google_wallet.settings import GoogleWalletSettings

#: Cards in one call, and calls in a second: together no more requests than an issuer may send. What a card takes beyond its
#: one request, the client's pace makes up for.
BATCH = 10
CALLS = Rate(per_second=PER_SECOND / BATCH, burst=1)
#: Letters of a token that any browser takes in an address.
LONGEST = 1800
_NOTIFYING = {"notifyPreference": "NOTIFY_ON_UPDATE"}
_MISSING, _THERE = 404, 409


class _Saving(msgspec.Struct, frozen=True):
    address: str = msgspec.field(name="saveUri")


class GoogleWalletPasses(PassSink):
    """Keeps cards as loyalty objects.

    Google knows best which of them it has: a card is patched, and made where it is missing.
    """

    title, rotates, notices, needs_logo = "Google Wallet", True, 3, True
    batch_size, rate = BATCH, CALLS

    def __init__(self, client: Client, settings: GoogleWalletSettings) -> None:
        self._client, self._settings = client, settings
        self._classes = Classes(client, settings)
        self._offering = Offering(settings.issuer_id)
        # First figures that holders were notified of, of cards that were not delivered whole: none is to ring twice.
        self._noticed: dict[str, str] = {}

    def pace(self) -> float:
        return self._client.pace()

    async def deliver(self, items: Sequence[PassPush]) -> Sequence[Outcome]:
        designs = {self._classes.name(item.design): item.design for item in items}
        rewarded = any(item.offers for item in items)
        troubles = {name: await self._trouble(design, rewards=rewarded) for name, design in designs.items()}
        waiting = [troubles[self._classes.name(item.design)] for item in items]
        able = [self._show(item) for item, trouble in zip(items, waiting, strict=True) if trouble is None]
        came = iter(await self._client.converse(*able))
        return [next(came) if trouble is None else trouble for trouble in waiting]

    async def link(self, item: PassPush, *, is_there: bool) -> str:
        body = object_of(item, self._name(item.serial), self._classes.name(item.design))
        thin = {"id": body["id"], "classId": body["classId"]}
        if is_there:
            return self._address(self._token({"loyaltyObjects": [thin]}))
        payload = {"loyaltyObjects": [whole(body)]}
        if not await self._classes.is_known(item.design):
            payload["loyaltyClasses"] = [whole(self._classes.body(item.design))]
        token = self._token(payload)
        # A token is signed, and anybody can read it: the key of a code must be in no address.
        if item.rotating is None and len(token) <= LONGEST:
            return self._address(token)
        answer = await self._client.one(Request("POST", "jwt", {"jwt": token}))
        if answer.status == _THERE:
            return self._address(self._token({"loyaltyObjects": [thin]}))
        told = answer.read(_Saving)
        if told is None:
            # Google reads the token, and may quote what stands in it.
            raise self._client.failure(answer, Request("POST", "jwt", {"jwt": token, **payload}))
        if not told.address.startswith(("https://", self._settings.save_url)):
            raise later("Google names no address at which the card can be saved")
        return told.address

    async def end(self, serials: Sequence[str]) -> Sequence[Outcome]:
        return await self._client.converse(*map(self._bare, serials))

    async def _trouble(self, design: CardDesign, *, rewards: bool) -> RetryLater | Rejected | None:
        """Why no card of this design can be shown now."""
        try:
            await self._classes.prepare(design, rewards=rewards)
        except CallFailed as failed:
            return failed.outcome
        except PluginError as error:
            return RetryLater(reason=error.problem)
        return None

    def _show(self, push: PassPush) -> Talk[Outcome]:
        """Let a card show what is new, with a notice if there is to be one and Google lets us."""
        body = object_of(push, self._name(push.serial), self._classes.name(push.design))
        first = push.fields[0].text if push.fields else ""
        noticed = push.notify and self._noticed.get(push.serial) == first
        notify = push.notify and not noticed
        request, answer = yield from made(CARD, body | _NOTIFYING if notify else body, known=True)
        if notify and answer.exceeds_quota:
            notify = False
            request, answer = yield from made(CARD, body, known=True)
        card = self._read(body["id"], answer.read(Card))
        if card is None:
            if answer.status == _MISSING:
                self._classes.doubt(push.design)
            return self._client.failure(answer, request).outcome
        if notify:
            self._noticed[push.serial] = first
        trouble = yield from self._offering.link(push, card, self._classes.rewards(push.design))
        if isinstance(trouble, RetryLater):
            if isinstance(trouble, NoClass):
                self._classes.doubt(push.design)
            return trouble
        self._noticed.pop(push.serial, None)
        wrong = {} if trouble is None else {"offers": trouble.reason}
        return Delivered(result={"noticed": notify or noticed, **wrong})

    def _bare(self, serial: str) -> Talk[Outcome]:
        """Let a card be over, and show nothing of anybody."""
        request = Request("PATCH", at(CARD, self._name(serial)), BARE)
        answer = yield from asked(request)
        if answer.status == _MISSING:
            return Delivered()
        card = self._read(self._name(serial), answer.read(Card))
        if card is None:
            return self._client.failure(answer, request).outcome
        trouble = yield from self._offering.drop(card)
        return trouble if isinstance(trouble, RetryLater) else Delivered()

    def _read(self, name: str, card: Card | None) -> Card | None:
        return card if card is not None and card.id == name else None

    def _name(self, serial: str) -> str:
        return f"{self._settings.issuer_id}.{serial}"

    def _token(self, payload: Body) -> str:
        context = self._client.context
        public = urlsplit(context.public_url)
        claims = {
            "iss": self._client.account.email,
            "aud": "google",
            "typ": "savetowallet",
            "iat": int(context.clock.now().timestamp()),
            "origins": self._settings.origins or (f"{public.scheme}://{public.netloc}",),
            "payload": payload,
        }
        return signed(self._client.account, claims)

    def _address(self, token: str) -> str:
        return f"{self._settings.save_url.rstrip('/')}/{token}"
