"""Rewards: what members get for their points, or are given by a rule."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field, PlainSerializer, PlainValidator

from stampcard.domain.rewards import StackGroup
from stampcard.program.amounts import MOST_POINTS, NUMBER, Formula, Short, schema
from stampcard.program.caps import CapField
from stampcard.program.gifts import Gift, GiftField
from stampcard.program.lifetimes import ExpiryField
from stampcard.program.parts import Name, Part
from stampcard.program.periods import SpanField
from stampcard.program.rules import Filter, Limits, Texts, Who
from stampcard.program.windows import During

#: Who makes a reward real, beside a connection of that name.
SHOP, OWN, POOL, MANUAL = "shop", "own", "pool", "manual"
#: What is handed out by hand unless the reward says otherwise.
_BY_HAND = frozenset({"cash_out", "experience", "merchandise"})
#: What we carry out ourselves.
BY_US = frozenset({"points", "choice"})

_FORMULA = re.compile(r"formula +([a-z][a-z0-9_-]{0,39})")
_PRICE = re.compile(NUMBER)
_MONEY = re.compile(rf"({NUMBER}) +([A-Z]{{3}})")


class Money(Short):
    """An amount in the program's currency."""

    amount: Decimal
    currency: str

    def __str__(self) -> str:
        return f"{self.amount:f} {self.currency}"


class FixedPrice(Short):
    """So many points; 0 is free."""

    points: Decimal

    def __str__(self) -> str:
        return f"{self.points:f}"


Price = FixedPrice | Formula


def read_price(written: Any) -> Price | None:
    """The price that a number or "formula NAME" means; raises ValueError."""
    if written is None or isinstance(written, Price):
        return written
    text = str(written).strip() if isinstance(written, int | float | Decimal | str) else ""
    if found := _FORMULA.fullmatch(text):
        return Formula(name=found[1])
    if not _PRICE.fullmatch(text) or isinstance(written, bool) or Decimal(text) > MOST_POINTS:
        message = f"write a number of points from 0 to {MOST_POINTS:f}, or 'formula NAME'"
        raise ValueError(message)
    return FixedPrice(points=Decimal(text))


def read_money(written: Any) -> Money | None:
    """The money that "20 EUR" means; raises ValueError."""
    if written is None or isinstance(written, Money):
        return written
    found = _MONEY.fullmatch(written.strip()) if isinstance(written, str) else None
    if found is None or not Decimal(found[1]):
        message = "write money, such as '20 EUR'"
        raise ValueError(message)
    return Money(amount=Decimal(found[1]), currency=found[2])


#: How a short form that may be left out is written out again.
_AS_WRITTEN = PlainSerializer(lambda value: None if value is None else str(value), return_type=str | None)
PriceField = Annotated[
    Price | None,
    PlainValidator(read_price),
    _AS_WRITTEN,
    schema(
        _FORMULA.pattern,
        "a number of points, or formula NAME",
        {"type": "number", "minimum": 0, "maximum": int(MOST_POINTS)},
        {"type": "null"},
    ),
]
MoneyField = Annotated[
    Money | None, PlainValidator(read_money), _AS_WRITTEN, schema(_MONEY.pattern, "money: 20 EUR", {"type": "null"})
]


class ForSome(Part):
    """For whom and when an option counts: for those who fit all that is given."""

    tier: Name | None = Field(default=None, description="for members of this tier")
    when: str | None = Field(default=None, description="a condition in CEL")
    during: During | None = Field(default=None, description="when it counts")

    @property
    def is_for_all(self) -> bool:
        """Whether nothing is given."""
        return self.tier is None and self.when is None and self.during is None


class PriceOption(ForSome):
    """Another price for some; the first that fits wins."""

    price: PriceField


class GiftOption(ForSome):
    """Another gift or validity for some; the first that fits wins."""

    gives: GiftField | None = Field(default=None, description="what it gives them instead")
    valid: ExpiryField = Field(default=None, description="how long it is valid for them instead; none: for ever")

    @property
    def says_valid(self) -> bool:
        """Whether it says how long; saying "none" is saying something."""
        return "valid" in self.model_fields_set


class Reward(Part):
    """One thing that members can get."""

    name: str = Field(default="", max_length=200, description="the name that people see")
    description: str = Field(default="", max_length=2000, description="what people read about it")
    gives: GiftField = Field(description="5 EUR off; 10 % off; free shipping; gift card 25 EUR; 200 to miles; …")
    wallet: str = Field(default="", description="the wallet that pays; by default the only one")
    price: PriceField = Field(
        default=None, description="what it costs, in points; without one it is only given by rules, 0 is free for all"
    )
    prices: tuple[PriceOption, ...] = Field(
        default=(), description="other prices for some; the first that fits replaces `price`"
    )
    values: tuple[GiftOption, ...] = Field(
        default=(), description="other gifts or validity for some; the first that fits replaces `gives` and `valid`"
    )
    enabled: bool = Field(default=True, strict=True, description="false: nobody gets it any more")
    when: str | None = Field(default=None, description="a condition in CEL on the member, and on the cart as order.*")
    during: During | None = Field(default=None, description="when it can be had; without it always")
    who: Who | None = Field(default=None, description="whom it is for and who sees it; without it everybody")
    automatic: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        strict=True,
        description="it is taken by itself as soon as a member has its price, at most so many times a day",
    )
    countries: Texts = Field(default=(), description="only for members of these countries: DE, AT")
    stock: int | None = Field(
        default=None, ge=0, le=1_000_000_000, strict=True, description="how many there are; none: no end of them"
    )
    limits: Limits = Field(default=(), description="at most so much: 1 time per month; 1000 EUR per month, in all")
    campaign: str = Field(default="", description="the campaign that it belongs to, with its days and its budget")
    valid: ExpiryField = Field(default=None, description="how long what was issued can be used: 30 days; on 12-31")
    unused: Literal["lose", "return"] = Field(
        default="lose",
        description="what happens to the points when it was not used in time",
    )
    uses: int = Field(default=1, ge=1, le=1000, strict=True, description="how often its code works")
    base_cap: CapField = Field(
        default=None, description="for goods of how much a percentage counts, of each member: 5000 EUR per year"
    )
    minimum: MoneyField = Field(default=None, description="what the cart must come to for its code: 20 EUR")
    only: Filter | None = Field(default=None, description="what it counts for; without it everything")
    stack: StackGroup = Field(
        default="common",
        description="how it goes with others: always; common; never. Common and never do not combine, every other pair does",
    )
    on: Literal["cart", "line"] = Field(
        default="cart", description="whether it is taken off the cart or off the lines it is for"
    )
    priority: int = Field(default=0, ge=-1000, le=1000, strict=True, description="in a cart lower comes first")
    by: str = Field(
        default="",
        max_length=64,
        description="who makes it real: shop (the member's shop), a connection's name, own (codes of our own), pool "
        "(codes that were uploaded), manual (people); by default what fits what it gives",
    )
    prefix: str = Field(default="", pattern="^[A-Z0-9]{0,12}$", description="what its codes begin with: THANKS")
    hold: SpanField = Field(
        default=timedelta(days=7),
        json_schema_extra={"default": "7 days"},
        description="how long points are held while it is being issued, before they go back",
    )

    @property
    def source(self) -> str:
        """Who makes it real."""
        if self.by or self.gives.kind in BY_US:
            return self.by
        return MANUAL if self.gives.kind in _BY_HAND else SHOP

    @property
    def gifts(self) -> tuple[Gift, ...]:
        """All that it may give."""
        return (self.gives, *(value.gives for value in self.values if value.gives is not None))
