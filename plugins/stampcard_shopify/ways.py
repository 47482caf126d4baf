"""What all families of rewards have in common: which vouchers fit, and what is sent for them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Generic, Literal, TypeVar

from stampcard.plugin import Lookup, Outcome, Rejected, RewardKind, Voucher
from stampcard_shopify.asking import Made, Step
from stampcard_shopify.posting import Sending

Action = Literal["issue", "withdraw", "restore"]
Found = TypeVar("Found")
#: So much later than now may something begin that cannot begin later; clocks differ.
SLACK = timedelta(hours=1)
#: One of which a voucher of a kind must say.
_NEEDS: Mapping[RewardKind, tuple[str, ...]] = {
    "amount_off": ("amount",),
    "percent_off": ("percent",),
    "free_product": ("products", "collections"),
    "gift_card": ("amount",),
    "store_credit": ("amount",),
}
_LIMITS = ("at_most", "minimum", "products", "collections")
#: What nothing at Shopify would keep to: better no reward than one that is worth more than was promised.
_CANNOT: Mapping[RewardKind, tuple[str, ...]] = {
    "amount_off": ("at_most",),
    "percent_off": ("at_most",),
    "free_product": ("at_most",),
    "free_shipping": ("at_most", "products", "collections"),
    "gift_card": _LIMITS,
    "store_credit": _LIMITS,
}


class Way(ABC, Generic[Found]):
    """How one family of rewards is made real: which steps to send, and what their answers mean. Pure."""

    #: What sending a mutation of this family twice does.
    sending: Sending = "guarded"
    #: What the answer of `finding` looks like.
    shape: type[Found]
    #: Whether to withdraw and to restore takes an id that must be found first.
    by_id: bool = True
    #: Whether Shopify only takes note of what it is asked for, and does it in its own time.
    by_job: bool = False
    #: Whether its rewards are good from the moment that they are made.
    at_once: bool = False

    @abstractmethod
    def issuing(self, voucher: Voucher) -> Step | Outcome:
        """The step that makes the reward, or why there is none."""

    @abstractmethod
    def result(self, voucher: Voucher, made: Made) -> dict[str, Any]:
        """What is told of a reward just made; without an ``id`` where Shopify did not say it."""

    @abstractmethod
    def finding(self, voucher: Voucher) -> Step:
        """The step that finds the reward at Shopify."""

    @abstractmethod
    def withdrawing(self, voucher: Voucher, found: Found | None) -> Step | Outcome:
        """The step that makes it worth nothing, or why there is none."""

    def restoring(self, voucher: Voucher, found: Found | None) -> Step | Outcome:  # noqa: ARG002 - others need them
        """The step that makes it worth something again, or why there is none."""
        return Rejected(reason=f"a {voucher.kind} that was withdrawn cannot be restored at Shopify")

    @abstractmethod
    def verdict(self, voucher: Voucher, action: Action, found: Found | None) -> Lookup:
        """Whether the action had its effect, by what was found."""


def unfit(voucher: Voucher) -> Rejected | None:
    """Why the voucher cannot be made real as it is, if so."""
    if not is_number(voucher.reference):
        return Rejected(reason="the reference is not a Shopify customer id", gone=True)
    return misfit(voucher)


def misfit(voucher: Voucher) -> Rejected | None:
    """Why its terms cannot be kept to, whoever it is for."""
    needed = _NEEDS.get(voucher.kind, ())
    if needed and not any(getattr(voucher, name) for name in needed):
        return Rejected(reason=f"a {voucher.kind} needs {' or '.join(needed)}")
    too_much = [name for name in _CANNOT.get(voucher.kind, ()) if getattr(voucher, name)]
    if too_much:
        return Rejected(reason=f"Shopify has no {too_much[0]} for a {voucher.kind}")
    if voucher.products and voucher.collections:
        return Rejected(reason="Shopify takes either products or collections for one code, not both")
    if not all(map(is_number, (*voucher.products, *voucher.collections))):
        return Rejected(reason="products and collections must be Shopify's own numbers")
    return None


def begins_later(voucher: Voucher, now: datetime) -> bool:
    return voucher.starts_at > now + SLACK


def is_number(reference: str) -> bool:
    return reference.isascii() and reference.isdecimal()


def gid(kind: str, number: str) -> str:
    return f"gid://shopify/{kind}/{number}"


def gids(kind: str, numbers: Iterable[str]) -> list[str]:
    return [gid(kind, number) for number in numbers]


def plain(amount: Decimal | None) -> str:
    """An amount without an exponent, as Shopify reads it."""
    return format(amount or Decimal(0), "f")


def moment(at: datetime) -> str:
    """As Shopify keeps times: to the second."""
    return at.isoformat(timespec="seconds")
