"""Groups of rules, campaigns, and a program's own beginning and end."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Literal

from pydantic import Field, model_validator

from stampcard.program.amounts import WHOLE, ShareField
from stampcard.program.parts import Name, Part
from stampcard.program.rules import Limits, Who
from stampcard.program.windows import During

#: The members of a campaign whom none of its rules pays.
CONTROL = "control"

State = Literal["draft", "test", "soft", "live", "ending", "ended"]


class Group(Part):
    """Limits that several rules share."""

    limits: Limits = Field(default=(), description="at most so much from all rules of the group together")


class Campaign(Part):
    """Rules that begin and end together, share a budget, and may be tried on some members only."""

    name: str = Field(default="", max_length=200, description="the name that people see")
    enabled: bool = Field(default=True, strict=True, description="false: its rules never pay")
    during: During | None = Field(default=None, description="when it is open; without it always")
    who: Who | None = Field(default=None, description="whom it is for; without it everybody")
    limits: Limits = Field(default=(), description="its budget: 30000 EUR ever, in all; 100000 points ever, in all")
    variants: Mapping[Name, ShareField] = Field(
        default={}, description="shares of its members, always the same, for rules with that `variant`: a: 45 %"
    )
    control: ShareField = Field(default=None, description="the share of its members whom it pays nothing, to compare")

    @model_validator(mode="after")
    def _shares_fit(self) -> Campaign:
        if CONTROL in self.variants:
            message = "a variant cannot be called control: give the share as `control: 10 %`"
            raise ValueError(message)
        whole = sum((share or Decimal(0) for share in (*self.variants.values(), self.control)), Decimal(0))
        if whole > WHOLE or (self.variants and None in self.variants.values()):
            message = f"the shares of variants and control are {whole:f} % together: at most 100 %, each above 0"
            raise ValueError(message)
        return self


class Ending(Part):
    """The last days of a program; each inclusive, in the program's zone."""

    last_earn: date = Field(description="the last day on which anything is earned")
    last_redeem: date = Field(description="the last day on which points can be spent")
    closed: date | None = Field(default=None, description="the day from which on the program is over")

    @model_validator(mode="after")
    def _in_order(self) -> Ending:
        if not self.last_earn <= self.last_redeem <= (self.closed or self.last_redeem):
            message = "last_earn comes first, then last_redeem, then closed"
            raise ValueError(message)
        return self
