"""The short form for how much may be bought at a discount: "5000 EUR per year"."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator

from stampcard.program.amounts import NUMBER, Short, schema
from stampcard.program.limits import Per

_CAP = re.compile(rf"({NUMBER}) +([A-Z]{{3}}) +(?:per +(month|year)|ever)")


class BaseCap(Short):
    """A discount counts for goods of so much in each period of the calendar, or ever."""

    amount: Decimal
    currency: str
    per: Per

    def __str__(self) -> str:
        return f"{self.amount:f} {self.currency} {'ever' if self.per == 'ever' else f'per {self.per}'}"


def read_cap(written: Any) -> BaseCap | None:
    """The cap that "5000 EUR per year" means; raises ValueError."""
    if written is None or isinstance(written, BaseCap):
        return written
    found = _CAP.fullmatch(written.strip()) if isinstance(written, str) else None
    if found is None or not Decimal(found[1]):
        message = "write money and a period, such as '5000 EUR per year' (or month), '500 EUR ever'"
        raise ValueError(message)
    return BaseCap(amount=Decimal(found[1]), currency=found[2], per=found[3] or "ever")


CapField = Annotated[
    BaseCap | None,
    PlainValidator(read_cap),
    PlainSerializer(lambda cap: None if cap is None else str(cap), return_type=str | None),
    schema(
        _CAP.pattern.replace("(month", "(?:month").replace("([A-Z]", "(?:[A-Z]"),
        "5000 EUR per year; 500 EUR ever",
        {"type": "null"},
    ),
]
