"""What WooCommerce can do for a reward, and what to expect where it cannot."""

from __future__ import annotations

from collections.abc import Mapping

from stampcard.plugin import Feature, RewardKind, Support


def _caveat(note: str) -> Support:
    return Support(level="caveat", note=note)


_PIECE = "in the shop's own currency; with products or collections it is taken off one piece of them"
KINDS: Mapping[RewardKind, Support] = {
    "amount_off": _caveat(_PIECE),
    "percent_off": _caveat("WooCommerce caps no percentage: one with at_most is refused"),
    "free_shipping": _caveat("the shop needs a free shipping method that asks for a coupon"),
    "free_product": _caveat(
        "one piece is free, or so much of its price as the reward is worth; the customer puts it into the cart"
    ),
}
FEATURES: Mapping[Feature, Support] = {
    "member_only": _caveat(
        "the checkout compares addresses: the account's own must be used; a guest's coupon works for whoever knows it"
    ),
    "minimum": _caveat("WooCommerce compares it with the subtotal as the cart shows it, with or without tax"),
    "products": _caveat("a percentage is taken off these products; free shipping cannot be limited and is refused"),
    "collections": _caveat("product categories, by number; one coupon has products or collections, not both"),
    "at_most": Support(level="no", note="WooCommerce caps no discount: a reward that carries it is refused"),
    "dates": _caveat("a coupon cannot begin later than it is made: one that should is refused"),
    "uses": Support(level="yes"),
    "combining": _caveat("never goes with no other coupon at all; all others go together"),
    "withdraw": _caveat("the coupon stays and expires at once, so that its code is never made again"),
    "restore": Support(level="yes"),
    "seen_when_used": Support(level="yes"),
    "bulk": _caveat("each code is a coupon of its own, which anybody may use"),
}
