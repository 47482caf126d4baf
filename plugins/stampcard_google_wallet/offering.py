"""Rewards that a member holds, as offers on their card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from stampcard.plugin import PassPush, Rejected, RetryLater
from stampcard_google_wallet.calling import Answer, Request
from stampcard_google_wallet.client import Talk, asked, at, made
from stampcard_google_wallet.drawing import OVER, Body, offer_of

CARD: Final = "loyaltyObject"
OFFER: Final = "offerObject"
#: So many of them are on a card, the oldest first.
MOST = 10
_MISSING = 404
Trouble = RetryLater | Rejected | None


class NoClass(RetryLater, frozen=True):
    """What all rewards share is not there any more."""


class _Named(msgspec.Struct, frozen=True):
    id: str


class Card(msgspec.Struct, frozen=True):
    """What Google answers of a card."""

    id: str
    linked: tuple[str, ...] = msgspec.field(default=(), name="linkedOfferIds")


class Offering:
    """Keeps offers beside cards.

    Google's answer about a card tells which it has: nothing is remembered of that, and nothing asked for where they are
    the right ones. What is wrong with an offer leaves the card as it is, and the others are linked.
    """

    def __init__(self, issuer: str) -> None:
        #: What our offers are called; others on a card are not touched.
        self._prefix = f"{issuer}.offer-"

    def link(self, push: PassPush, card: Card, class_id: str) -> Talk[Trouble]:
        """Let a card have the offers that it is to have; what is wrong, if anything."""
        bodies = [offer_of(push, offer, self._prefix, class_id) for offer in push.offers[:MOST]]
        return (yield from self._change(card, {body["id"]: body for body in bodies}))

    def drop(self, card: Card) -> Talk[Trouble]:
        """Take all of them off a card."""
        return (yield from self._change(card, {}))

    def _change(self, card: Card, wanted: Mapping[str, Body]) -> Talk[Trouble]:
        has = [id_ for id_ in card.linked if id_.startswith(self._prefix)]
        came: dict[str, Trouble] = {}
        for id_ in [one for one in wanted if one not in has]:
            request, answer = yield from made(OFFER, wanted[id_], known=False)
            is_lost = answer.status == _MISSING
            came[id_] = NoClass(reason="Google has no class of rewards") if is_lost else _trouble(request, answer)
        for id_ in [one for one in has if one not in wanted]:
            request = Request("PATCH", at(OFFER, id_), OVER)
            answer = yield from asked(request)
            came[id_] = None if answer.status == _MISSING else _trouble(request, answer)
        settled = [id_ for id_, trouble in came.items() if trouble is None]
        if settled:
            came[card.id] = yield from self._relink(card, settled, wanted)
        troubles = [trouble for trouble in came.values() if trouble is not None]
        return next((one for one in troubles if isinstance(one, RetryLater)), next(iter(troubles), None))

    def _relink(self, card: Card, settled: Sequence[str], wanted: Mapping[str, Body]) -> Talk[Trouble]:
        added = [id_ for id_ in settled if id_ in wanted]
        removed = [id_ for id_ in settled if id_ not in wanted]
        told = {"addLinkedOfferObjectIds": added, "removeLinkedOfferObjectIds": removed}
        body = {"linkedOfferObjectIds": {name: ids for name, ids in told.items() if ids}}
        request = Request("POST", at(CARD, card.id, "modifyLinkedOfferObjects"), body)
        return _trouble(request, (yield from asked(request)))


def _trouble(request: Request, answer: Answer) -> Trouble:
    return None if answer.read(_Named) is not None else answer.failure(request)
