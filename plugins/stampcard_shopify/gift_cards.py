"""Gift cards: which mutations make and end them, and what their answers mean."""

from __future__ import annotations

import re
from typing import Any

from stampcard.plugin import Absent, Delivered, Done, Lookup, Outcome, Rejected, RetryLater, Unknown, Voucher
from stampcard_shopify.asking import Field, Made, Step
from stampcard_shopify.client import Answer
from stampcard_shopify.ways import Action, Way, gid, plain, unfit

_MADE = "giftCard { id } userErrors { field message code }"
CREATE = Field("mutation", "giftCardCreate", {"input": "GiftCardCreateInput!"}, f"giftCardCode {_MADE}")
DEACTIVATE = Field("mutation", "giftCardDeactivate", {"id": "ID!"}, _MADE)
FIND = Field("query", "giftCards", {"first": "Int!", "query": "String!"}, "nodes { id lastCharacters note enabled }")
#: Shopify takes 8 to 20 letters and digits, and no others.
_SHORTEST, _LONGEST = 8, 20
#: The search goes over several fields, so what it finds is looked at once more.
_FOUND_AT_MOST = 10


class Card(Answer, frozen=True):
    id: str
    last_characters: str
    enabled: bool
    note: str | None = None


class Cards(Answer, frozen=True):
    nodes: tuple[Card, ...]

    def of(self, voucher: Voucher) -> Card | None:
        """The card made for this voucher, as its note tells."""
        ending = card_code(voucher)[-4:].lower()
        mine = (card for card in self.nodes if card.note == voucher.key and card.last_characters.lower() == ending)
        return next(mine, None)


class GiftCards(Way[Cards]):
    """A gift card under a code of ours: Shopify knows every code once, so that making it again is refused."""

    shape = Cards
    at_once = True

    def issuing(self, voucher: Voucher) -> Step | Outcome:
        code = card_code(voucher)
        if len(code) < _SHORTEST:
            return Rejected(reason=f"the code of a gift card needs {_SHORTEST} letters and digits")
        value = {
            "code": code,
            "initialAmount": {"amount": plain(voucher.amount), "currencyCode": voucher.currency},
            "customerId": gid("Customer", voucher.reference),
            "expiresOn": None if voucher.ends_at is None else voucher.ends_at.date().isoformat(),
            "note": voucher.key,
        }
        return unfit(voucher) or Step(CREATE, {"input": value})

    def result(self, voucher: Voucher, made: Made) -> dict[str, Any]:
        code = made.gift_card_code or card_code(voucher)
        return {"code": code} | ({"id": made.gift_card.id} if made.gift_card else {})

    def finding(self, voucher: Voucher) -> Step:
        return Step(FIND, {"first": _FOUND_AT_MOST, "query": card_code(voucher)})

    def withdrawing(self, voucher: Voucher, found: Cards | None) -> Step | Outcome:
        """Cards are never deleted: one that is not found may only not be searchable yet."""
        card = found.of(voucher) if found else None
        if card is None:
            return RetryLater(reason="Shopify does not find the gift card")
        return Step(DEACTIVATE, {"id": card.id}) if card.enabled else Delivered()

    def verdict(self, voucher: Voucher, action: Action, found: Cards | None) -> Lookup:
        card = found.of(voucher) if found else None
        if action == "issue":
            return Done(result={"id": card.id, "code": card_code(voucher)}) if card else Absent()
        if card is None:
            return Unknown(reason="Shopify does not find the gift card")
        return Absent() if card.enabled is (action == "withdraw") else Done()


def card_code(voucher: Voucher) -> str:
    """The voucher's code as far as a gift card can have it; chance stands at its end."""
    return re.sub(r"[^A-Za-z0-9]", "", voucher.code)[-_LONGEST:]
