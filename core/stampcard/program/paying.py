"""Paying with points: what they are worth at the till, and how much of an order they may pay."""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field, model_validator

from stampcard.program.amounts import MOST_POINTS, ShareField, WorthField
from stampcard.program.parts import Part


class PayTerms(Part):
    """How members pay with points."""

    rate: WorthField = Field(description="what points are worth at the till: 1 EUR per 100")
    minimum: Decimal = Field(
        default=Decimal(0), ge=0, le=MOST_POINTS, description="the fewest points that a payment may have"
    )
    share: ShareField = Field(default=None, description="how much of an order points may pay: 50 %; without it all")

    @model_validator(mode="after")
    def _has_a_rate(self) -> PayTerms:
        if self.rate is None:
            message = "write what points are worth at the till: rate: 1 EUR per 100"
            raise ValueError(message)
        return self
