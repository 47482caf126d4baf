"""Rules: the ways to earn."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from stampcard.program.amounts import AwardField, ShareField
from stampcard.program.lifetimes import ExpiryField, PendingField
from stampcard.program.limits import LimitField
from stampcard.program.parts import Name, Part
from stampcard.program.periods import SpanField
from stampcard.program.windows import During

Switch = Literal["excluded", "included"]


def _several(written: Any) -> Any:
    return [written] if isinstance(written, str | int) else written


Texts = Annotated[
    tuple[str, ...],
    BeforeValidator(
        lambda written: [str(one) for one in _several(written)] if isinstance(written, str | int | list) else written,
        json_schema_input_type=str | list[str],
    ),
]
Names = Annotated[tuple[Name, ...], BeforeValidator(_several, json_schema_input_type=Name | list[Name])]
Limits = Annotated[
    tuple[LimitField, ...], BeforeValidator(_several, json_schema_input_type=LimitField | list[LimitField])
]


class Filter(Part):
    """Lines, by what they are of; a line fits if it fits any entry of any of these lists."""

    product: Texts = Field(default=(), description="references of products")
    collection: Texts = Field(default=(), description="collections, where the shop tells them with its orders")
    vendor: Texts = Field(default=(), description="makers, as the shop writes them")
    sku: Texts = Field(default=(), description="stock keeping units; a * at the end stands for any ending")
    tag: Texts = Field(default=(), description="tags of products, where the shop tells them with its orders")


class Base(Part):
    """Which part of an order's money earns."""

    discount: Literal["after", "before"] = Field(default="after", description="amounts after or before discounts")
    tax: Switch = Field(default="excluded", description="the tax on what earns")
    shipping: Switch = Field(default="excluded", description="what was paid for shipping")
    gift_cards: Switch = Field(default="excluded", description="gift cards that are bought")
    paid_with_points: Switch = Field(default="included", description="the part of the order that was paid with points")
    only: Filter | None = Field(default=None, description="only these lines earn")
    without: Filter | None = Field(default=None, description="these lines do not earn")


class Who(Part):
    """Whom something is for: those who fit all that is given."""

    members: Texts = Field(default=(), description="members by id, or as CONNECTION:REFERENCE; none: everybody")
    share: ShareField = Field(default=None, description="a share of the members, always the same: 30 %")
    tiers: Texts = Field(default=(), description="members of these tiers")
    segments: Texts = Field(default=(), description="members of any of these segments")


class Value(Part):
    """Another award for some: the first that fits wins, and only that one counts."""

    tier: Name | None = Field(default=None, description="for members of this tier")
    when: str | None = Field(default=None, description="a condition in CEL")
    award: AwardField


class Rule(Part):
    """One way to earn."""

    id: Name = Field(description="the rule's id; its awards keep it for good")
    on: str = Field(
        description="purchase, refund, sign_up, birthday, anniversary, or another event: a built-in or a declared one"
    )
    enabled: bool = Field(default=True, strict=True, description="false: the rule never pays")
    when: str | None = Field(default=None, description="a condition in CEL; without one the rule always applies")
    during: During | None = Field(default=None, description="when the rule is open; without it always")
    who: Who | None = Field(default=None, description="whom the rule is for; without it everybody")
    award: AwardField = Field(description="a number of points, or 1 per 1 EUR, 2 per item, x2, formula NAME")
    values: tuple[Value, ...] = Field(
        default=(), description="other awards for some; the first that fits replaces `award`"
    )
    wallet: str = Field(default="", description="the wallet that receives; by default the only one")
    base: Base = Field(default=Base(), description="which part of a purchase earns")
    expire: ExpiryField = Field(default=None, description="how long these points live, other than the wallet says")
    pending: PendingField = Field(default=None, description="how long these points wait, other than the wallet says")
    cooldown: SpanField = Field(default=None, description="how long a member waits before the rule pays again: 1 hour")
    limits: Limits = Field(default=(), description="at most so much: 100 points per month; 500 members ever")
    groups: Names = Field(default=(), description="groups whose limits and stacking the rule is under")
    campaign: str = Field(default="", description="the campaign that the rule belongs to")
    variant: str = Field(
        default="", description="the variant of the campaign that the rule is for; none: all but control"
    )
    stack: Literal["add", "best", "stop"] = Field(
        default="add",
        description="add: pays beside others; best: of those that say so only the best pays; stop: no later rule pays",
    )
    priority: int = Field(
        default=0, ge=-1000, le=1000, strict=True, description="lower comes first; then the file's order"
    )

    @property
    def overrides(self) -> frozenset[str]:
        """Which of `expire` and `pending` the rule says for itself; saying "none" is saying something."""
        return frozenset(self.model_fields_set & {"expire", "pending"})
