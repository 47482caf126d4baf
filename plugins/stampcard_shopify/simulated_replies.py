"""What answers of the simulated Admin API have in common."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

Json = dict[str, Any]


def payload(name: str, made: Json | None, errors: Sequence[Json] = ()) -> Json:
    """The answer of a mutation."""
    return {name: made, "userErrors": list(errors)}


def user_error(field: list[str], message: str, code: str) -> Json:
    return {"field": field, "message": message, "code": code}


def number_of(given: object, kind: str) -> int:
    """The number in an id of that kind; 0 if it is none."""
    found, _, number = str(given).removeprefix("gid://shopify/").partition("/")
    return int(number) if found == kind and number.isdecimal() else 0


def money_of(amount: Decimal, currency: str) -> Json:
    return {"amount": str(amount), "currencyCode": currency}
