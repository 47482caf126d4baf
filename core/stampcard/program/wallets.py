"""Wallets: how one points currency counts, waits, lives, dies and is taken back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from stampcard.program.amounts import WorthField
from stampcard.program.lifetimes import Expiry, ExpiryField, PendingField, Sliding
from stampcard.program.parts import Name, Part
from stampcard.program.paying import PayTerms


class RefundTerms(Part):
    """What happens to points when the order that earned them is refunded."""

    policy: Literal["only_pending", "within_balance", "unlimited"] = Field(
        default="within_balance",
        description="how far points are taken back: only what is still pending, what the balance has, or into debt",
    )
    restock_without_money: Literal["count", "ignore"] = Field(
        default="count", description="whether lines that came back without money take their points with them"
    )
    spent: Literal["keep", "return_on_full", "proportional"] = Field(
        default="keep",
        description="points that were spent on the refunded order: they stay spent, come back once all of it is "
        "refunded, or in proportion",
    )
    spent_shipping: Literal["counts", "ignored"] = Field(
        default="ignored", description="whether shipping must be refunded too before an order counts as all refunded"
    )


class WalletTerms(Part):
    """How one points currency counts, lives and dies."""

    scale: int = Field(default=0, ge=0, le=6, strict=True, description="decimal places")
    rounding: Literal["down", "up", "half-up", "half-even"] = Field(
        default="down", description="how fractions beyond the scale are rounded"
    )
    round_per: Literal["order", "line"] = Field(default="order", description="what is rounded as one")
    spendable: bool = Field(
        default=True, strict=True, description="false: they count for status and can never be spent"
    )
    value: WorthField = Field(default=None, description="what points are worth, for liability: 1 EUR per 100")
    pay: PayTerms | None = Field(default=None, description="how members pay orders with points; without it not at all")
    expire: ExpiryField = Field(
        default=None,
        description="how long points live once they are usable: none; 12 months; 12 months, end of year; end of month; on 06-30, "
        "12-31; 12 months after last earn, spend",
    )
    expire_by_tier: Mapping[Name, ExpiryField] = Field(
        default={}, description="how long points live that members of a tier get, where that differs"
    )
    when_tier_changes: Literal["keep", "follow"] = Field(
        default="keep",
        description="points that a member has when the tier changes keep their dates, or get the time that points of the "
        "new tier live, from that day on and never earlier than they had",
    )
    pending: PendingField = Field(
        default=None,
        description="how long points wait before they are usable: none; 14 days; until 01-15; until fulfilled, at most 60 days",
    )
    refunds: RefundTerms = Field(default=RefundTerms(), description="what a refund does to the points")
    returned_to_dead_lot: Literal["expire", "renew"] = Field(
        default="expire", description="points that a cancelled redemption returns after their lot has expired"
    )

    def expire_for(self, tier: str) -> Expiry | None:
        """How long points live that a member of a tier gets, where no rule says otherwise."""
        return self.expire_by_tier.get(tier, self.expire)

    @property
    def sliding(self) -> tuple[Sliding, ...]:
        """Each way in which they slide, the one of no tier first."""
        found = (self.expire, *self.expire_by_tier.values())
        return tuple(dict.fromkeys(one for one in found if isinstance(one, Sliding)))
