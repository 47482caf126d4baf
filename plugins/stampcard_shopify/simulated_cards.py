"""Gift cards of the simulated shop.

Source of the shapes and errors: the Admin GraphQL schema, version 2026-10.
"""

from __future__ import annotations

import random
import re
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import count
from typing import Any

from stampcard_shopify.simulated_asking import Asked
from stampcard_shopify.simulated_book import Book
from stampcard_shopify.simulated_lines import gid
from stampcard_shopify.simulated_nodes import connection, moment
from stampcard_shopify.simulated_replies import Json, money_of, number_of, payload, user_error

_CODE = re.compile(r"[A-Za-z0-9]{8,20}")
_MOST = Decimal(2000)
_FIRST = 1_200_000_000_001


@dataclass(slots=True)
class Card:
    """A gift card; its code is never shown again."""

    id: int
    code: str
    amount: Decimal
    currency: str
    customer: int
    created_at: datetime
    note: str | None = None
    expires_on: str | None = None
    deactivated_at: datetime | None = None


@dataclass(slots=True)
class Cards:
    """All gift cards, by their codes in lower case."""

    book: Book
    chance: random.Random
    cards: dict[str, Card] = field(default_factory=dict)
    _numbers: Any = field(default_factory=lambda: count(_FIRST))

    def create(self, asked: Asked, now: datetime) -> Json:
        given = asked.argument("input")
        code = (given.get("code") or self._random_code()).lower()
        errors = self._faults(given, code)
        if errors:
            return payload("giftCard", None, errors) | {"giftCardCode": None}
        money = given["initialAmount"]
        card = Card(
            id=next(self._numbers),
            code=code,
            amount=Decimal(money["amount"]),
            currency=money["currencyCode"],
            customer=number_of(given.get("customerId"), "Customer"),
            created_at=now,
            note=given.get("note"),
            expires_on=given.get("expiresOn"),
        )
        self.cards[code] = card
        return payload("giftCard", _node(card)) | {"giftCardCode": code}

    def deactivate(self, asked: Asked, now: datetime) -> Json:
        wanted = number_of(asked.argument("id"), "GiftCard")
        card = next((one for one in self.cards.values() if one.id == wanted), None)
        if card is None:
            return payload("giftCard", None, [user_error(["id"], "Gift card not found.", "GIFT_CARD_NOT_FOUND")])
        card.deactivated_at = card.deactivated_at or now
        return payload("giftCard", _node(card))

    def search(self, asked: Asked, _now: datetime) -> Json:
        """By the whole code, or by its last characters."""
        term = str(asked.argument("query") or "").lower()
        return connection([_node(card) for code, card in self.cards.items() if not term or code.endswith(term)])

    def _random_code(self) -> str:
        return "".join(self.chance.choices(string.ascii_lowercase + string.digits, k=16))

    def _faults(self, given: Mapping[str, Any], code: str) -> list[Json]:
        amount, faults = Decimal(given["initialAmount"]["amount"]), []
        if not _CODE.fullmatch(code):
            faults.append(user_error(["input", "code"], "Code must be 8-20 letters and numbers", "INVALID"))
        if code in self.cards:
            faults.append(user_error(["input", "code"], "Code has already been taken", "TAKEN"))
        if amount <= 0:
            faults.append(
                user_error(["input", "initialAmount"], "Initial value must be greater than 0", "GREATER_THAN")
            )
        if amount > _MOST:
            message = "Initial value exceeds the limit"
            faults.append(user_error(["input", "initialAmount"], message, "GIFT_CARD_LIMIT_EXCEEDED"))
        owner = given.get("customerId")
        if owner and number_of(owner, "Customer") not in self.book.customers:
            faults.append(user_error(["input", "customerId"], "Customer not found.", "CUSTOMER_NOT_FOUND"))
        return faults


def _node(card: Card) -> Json:
    return {
        "__typename": "GiftCard",
        "id": gid("GiftCard", card.id),
        "lastCharacters": card.code[-4:],
        "maskedCode": f"•••• •••• •••• {card.code[-4:]}",
        "note": card.note,
        "enabled": card.deactivated_at is None,
        "createdAt": moment(card.created_at),
        "deactivatedAt": moment(card.deactivated_at),
        "expiresOn": card.expires_on,
        "initialValue": money_of(card.amount, card.currency),
        "balance": money_of(card.amount, card.currency),
    }
