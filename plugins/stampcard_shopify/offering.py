"""What Shopify can do for a reward, and what to expect where it cannot."""

from __future__ import annotations

from collections.abc import Mapping

from stampcard.plugin import Feature, RewardKind, Support


def _caveat(note: str) -> Support:
    return Support(level="caveat", note=note)


_CODES_ONLY = "for discount codes; a gift card or store credit that carries it is refused"
KINDS: Mapping[RewardKind, Support] = {
    "amount_off": _caveat("in the shop's own currency"),
    "percent_off": _caveat("Shopify caps no percentage: one with at_most is refused"),
    "free_shipping": _caveat("for all destinations and rates; never together with another discount of shipping"),
    "free_product": _caveat(
        "without an amount the products are free in any quantity; with one, so much is taken off them, once an order"
    ),
    "gift_card": _caveat(
        "its code is the last 20 letters and digits of ours; it ends with a day; withdrawn, it is gone for good"
    ),
    "store_credit": _caveat(
        "a lost answer is settled by amount and time, since Shopify keeps no key of ours; shoppers need the new "
        "customer accounts to spend it"
    ),
}
FEATURES: Mapping[Feature, Support] = {
    "member_only": _caveat("a discount code works for its customer alone; whoever knows a gift card's code can use it"),
    "minimum": _caveat(_CODES_ONLY),
    "products": _caveat(_CODES_ONLY + ", and so is free shipping"),
    "collections": _caveat(_CODES_ONLY + ", and so is free shipping; one code has products or collections, not both"),
    "at_most": Support(level="no", note="Shopify caps no discount: a reward that carries it is refused"),
    "dates": _caveat("a gift card ends with a day, in UTC; neither it nor store credit can begin later"),
    "uses": _caveat("for discount codes; a gift card and store credit are used until they are spent"),
    "combining": _caveat(
        "Shopify wants both codes to agree: always is no more than common, and never goes with none at all"
    ),
    "withdraw": _caveat("store credit only if the balance still has all of it"),
    "restore": _caveat("discount codes only"),
    "bulk": _caveat(
        "discount codes only, all of one discount that anybody may use; one that is withdrawn or expires is taken out "
        "of it, and Shopify alone counts the uses of each"
    ),
    "seen_when_used": _caveat("discount codes, in the order; gift cards and store credit are payments"),
}
