from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from stampcard.plugin import (
    CannotVerify,
    Delivery,
    Event,
    InvalidSignature,
    MalformedPayload,
    PassRemoved,
    PassSaved,
    UnverifiedRequest,
    VerifiedRequest,
    WebhookSource,
)
from stampcard_google_wallet.calling import decoded
from stampcard_google_wallet.keys import RootKeys
from stampcard_google_wallet.verifying import Envelope, UnknownRoot, check

if TYPE_CHECKING:
    from stampcard_google_wallet.settings import GoogleWalletSettings

#: What happens to cards that means something here.
SAVED, REMOVED = "save", "del"
TOPICS: Final = (SAVED, REMOVED)
#: Google names another thing than these: nothing that we know.
OTHER = "other"
_LONGEST = 200


class Message(msgspec.Struct, frozen=True, rename="camel"):
    """What Google tells: of one card, or of several."""

    event_type: str
    object_id: str | None = None
    object_ids: tuple[str, ...] = ()
    nonce: str = ""

    @property
    def cards(self) -> Sequence[str]:
        return tuple(dict.fromkeys((*([self.object_id] if self.object_id else []), *self.object_ids)))


class GoogleWalletWebhooks(WebhookSource):
    """Google's callbacks: who saved a card, and who took it off."""

    def __init__(self, settings: GoogleWalletSettings, keys: RootKeys) -> None:
        self._issuer, self._keys = settings.issuer_id, keys

    def verify(self, request: UnverifiedRequest) -> VerifiedRequest:
        envelope = decoded(request.body, Envelope)
        if envelope is None:
            raise InvalidSignature("the body is none of Google's callbacks")
        try:
            check(envelope, self._keys.good(request.received_at), self._issuer, request.received_at)
        except UnknownRoot:
            self._keys.doubt(request.received_at)
            raise
        return self.unchecked(request)

    def unchecked(self, request: UnverifiedRequest) -> VerifiedRequest:
        try:
            told = _read(request.body).event_type
        except MalformedPayload as error:
            if decoded(request.body, Envelope) is None:
                raise CannotVerify(str(error)) from None
            told = OTHER
        return VerifiedRequest(topic=told if told in TOPICS else OTHER, body=request.body)

    def delivery_key(self, request: VerifiedRequest) -> str:
        try:
            nonce = _read(request.body).nonce
        except MalformedPayload:
            nonce = ""
        usable = nonce.isascii() and nonce.isprintable() and 0 < len(nonce) <= _LONGEST
        return nonce if usable else hashlib.sha256(request.body).hexdigest()

    def events(self, delivery: Delivery) -> Iterable[Event]:
        if delivery.topic not in TOPICS:
            return ()
        kind = PassSaved if delivery.topic == SAVED else PassRemoved
        # When it happened stands nowhere in it.
        return [kind(serial=serial, occurred_at=delivery.received_at) for serial in self._serials(_read(delivery.body))]

    def subject(self, delivery: Delivery) -> str | None:
        try:
            serials = self._serials(_read(delivery.body))
        except MalformedPayload:
            return None
        return serials[0] if len(serials) == 1 else None

    def _serials(self, told: Message) -> list[str]:
        """Our names of the cards it is about; those of other issuers are none of ours."""
        ours = f"{self._issuer}."
        return [name.removeprefix(ours) for name in told.cards if name.startswith(ours) and name != ours]


def _read(body: bytes) -> Message:
    """The message of a callback; raises MalformedPayload."""
    envelope = decoded(body, Envelope)
    try:
        told = decoded(envelope.signed_message.encode(), Message) if envelope is not None else None
    except UnicodeEncodeError:
        told = None
    if told is None:
        raise MalformedPayload("not what Google sends: no signed message of the published shape")
    return told
