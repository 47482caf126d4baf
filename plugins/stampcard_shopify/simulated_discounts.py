"""Discount codes of the simulated shop: made by the Admin API, used at its checkout.

Source of the shapes and errors: the Admin GraphQL schema, version 2026-10.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import count
from typing import Any

from stampcard_shopify.simulated_asking import Asked
from stampcard_shopify.simulated_book import ZERO, Book
from stampcard_shopify.simulated_lines import gid
from stampcard_shopify.simulated_nodes import moment
from stampcard_shopify.simulated_replies import Json, number_of, payload, user_error

BASIC, SHIPPING = "basicCodeDiscount", "freeShippingCodeDiscount"
_TYPENAMES = {BASIC: "DiscountCodeBasic", SHIPPING: "DiscountCodeFreeShipping"}
_FIRST, _FIRST_CODE = 1_100_000_000_001, 1_300_000_000_001
#: Looks after which a job is done.
LOOKS = 2


@dataclass(slots=True)
class Discount:
    """Codes with their terms as they were given; `kind` is the argument that these came in.

    `uses`: each of its codes as it is spelt, with how often it was used; `ids`: with its own id.
    """

    id: int
    kind: str
    terms: dict[str, Any]
    uses: dict[str, int] = field(default_factory=dict)
    ids: dict[str, int] = field(default_factory=dict)

    @property
    def used(self) -> int:
        return sum(self.uses.values())

    def spelt(self, code: str) -> str:
        """One of its codes as it was made."""
        return next(one for one in self.uses if one.upper() == code.upper())

    @property
    def starts_at(self) -> datetime:
        return datetime.fromisoformat(self.terms["startsAt"])

    @property
    def ends_at(self) -> datetime | None:
        ends = self.terms.get("endsAt")
        return datetime.fromisoformat(ends) if ends else None

    @property
    def customers(self) -> list[int]:
        """Who alone may use it; nobody in the list means everybody."""
        return [number_of(one, "Customer") for one in self.terms["context"].get("customers", {}).get("add", [])]

    @property
    def minimum(self) -> Decimal:
        subtotal = (self.terms.get("minimumRequirement") or {}).get("subtotal") or {}
        return Decimal(subtotal.get("greaterThanOrEqualToSubtotal") or ZERO)

    def status(self, now: datetime) -> str:
        """Nothing else than its dates tells whether it may be used."""
        if self.ends_at is not None and self.ends_at <= now:
            return "EXPIRED"
        return "ACTIVE" if self.starts_at <= now else "SCHEDULED"


@dataclass(slots=True)
class Job:
    """What the shop does in its own time: here, once it was looked at often enough."""

    run: Callable[[], None]
    looks: int = 0


@dataclass(slots=True)
class Discounts:
    """All discounts and their codes; upper and lower case are the same."""

    book: Book
    codes: dict[str, Discount] = field(default_factory=dict)
    all: dict[int, Discount] = field(default_factory=dict)
    jobs: list[Job] = field(default_factory=list)
    _numbers: Any = field(default_factory=lambda: count(_FIRST))
    _code_numbers: Any = field(default_factory=lambda: count(_FIRST_CODE))

    def create(self, asked: Asked, now: datetime) -> Json:
        kind = BASIC if "Basic" in asked.field else SHIPPING
        terms = dict(asked.argument(kind))
        errors = self._faults(kind, terms)
        if errors:
            return payload("codeDiscountNode", None, errors)
        made = Discount(next(self._numbers), kind, terms)
        self.all[made.id] = made
        self.put(made, str(terms["code"]))
        return payload("codeDiscountNode", node(made, now))

    def update(self, asked: Asked, now: datetime) -> Json:
        discount, kind = self._by_id(asked), BASIC if "Basic" in asked.field else SHIPPING
        if discount is None or discount.kind != kind:
            return payload("codeDiscountNode", None, [_unknown()])
        terms = discount.terms | asked.argument(kind)
        if _ends_too_early(terms):
            return payload("codeDiscountNode", None, [_end_error(kind)])
        discount.terms = terms
        return payload("codeDiscountNode", node(discount, now))

    def deactivate(self, asked: Asked, now: datetime) -> Json:
        """It ends now; one that was to begin later begins and ends now."""
        discount = self._by_id(asked)
        if discount is None:
            return payload("codeDiscountNode", None, [_unknown()])
        if discount.status(now) != "EXPIRED":
            discount.terms["startsAt"] = min(discount.starts_at, now).isoformat()
            discount.terms["endsAt"] = now.isoformat()
        return payload("codeDiscountNode", node(discount, now))

    def activate(self, asked: Asked, now: datetime) -> Json:
        """It begins now if it did not, and loses an end that has passed."""
        discount = self._by_id(asked)
        if discount is None:
            return payload("codeDiscountNode", None, [_unknown()])
        discount.terms["startsAt"] = min(discount.starts_at, now).isoformat()
        if discount.status(now) == "EXPIRED":
            discount.terms["endsAt"] = None
        return payload("codeDiscountNode", node(discount, now))

    def by_code(self, asked: Asked, now: datetime) -> Json | None:
        """The discount of a code, with those of its codes that are searched for."""
        self.look()
        found = self.codes.get(str(asked.argument("code")).upper())
        if found is None:
            return None
        shown, search = node(found, now), asked.inner("query")
        if search:
            fits = [code for code in found.ids if str(search).upper() in code.upper()]
            codes = [{"id": gid("DiscountRedeemCode", found.ids[code]), "code": code} for code in fits]
            shown["codeDiscount"]["codes"] = {"nodes": codes}
        return shown

    def delete(self, asked: Asked, _now: datetime) -> Json:
        """Codes go, later."""
        discount = self.of_gid(asked.argument("discountId"))
        if discount is None:
            errors = [user_error(["discountId"], "Code discount does not exist.", "INVALID")]
            return payload("job", None, errors)
        ids = {number_of(one, "DiscountRedeemCode") for one in asked.argument("ids") or []}
        self.jobs.append(Job(lambda: self._remove(discount, ids)))
        return payload("job", {"id": f"gid://shopify/Job/{len(self.jobs)}", "done": False})

    def put(self, discount: Discount, code: str) -> int:
        """Let a code work for a discount; answers its id."""
        discount.uses[code], discount.ids[code] = 0, next(self._code_numbers)
        self.codes[code.upper()] = discount
        return discount.ids[code]

    def of_gid(self, wanted: object) -> Discount | None:
        return self.all.get(number_of(wanted, "DiscountCodeNode"))

    def look(self) -> None:
        """Each look brings all jobs nearer to their end; what was asked for first is done first."""
        for job in self.jobs:
            job.looks += 1
            if job.looks == LOOKS:
                job.run()

    def _remove(self, discount: Discount, ids: Collection[int]) -> None:
        for code in [code for code, id_ in discount.ids.items() if id_ in ids]:
            del discount.ids[code], discount.uses[code], self.codes[code.upper()]

    def _by_id(self, asked: Asked) -> Discount | None:
        return self.of_gid(asked.argument("id"))

    def _faults(self, kind: str, terms: Mapping[str, Any]) -> list[Json]:
        """What is wrong with the terms of a new code."""
        faults = []
        if not terms.get("title"):
            faults.append(user_error([kind, "title"], "Title can't be blank", "BLANK"))
        if str(terms.get("code", "")).upper() in self.codes:
            message = "Code must be unique. Please try a different code."
            faults.append(user_error([kind, "code"], message, "TAKEN"))
        if _ends_too_early(terms):
            faults.append(_end_error(kind))
        return faults + self._customer_faults(kind, terms) + _FAULTS[kind](terms)

    def _customer_faults(self, kind: str, terms: Mapping[str, Any]) -> list[Json]:
        wanted = terms["context"].get("customers", {}).get("add", [])
        where = [kind, "context", "customers", "add"]
        strangers = [one for one in wanted if number_of(one, "Customer") not in self.book.customers]
        return [user_error(where, f"Customer with id: {one} is invalid", "INVALID") for one in strangers]


def node(discount: Discount, now: datetime) -> Json:
    """As the Admin API shows a code."""
    content = {
        "__typename": _TYPENAMES[discount.kind],
        "title": discount.terms["title"],
        "status": discount.status(now),
        "startsAt": moment(discount.starts_at),
        "endsAt": moment(discount.ends_at),
        "usageLimit": discount.terms.get("usageLimit"),
        "asyncUsageCount": discount.used,
        "appliesOncePerCustomer": bool(discount.terms.get("appliesOncePerCustomer")),
    }
    return {"__typename": "DiscountCodeNode", "id": gid("DiscountCodeNode", discount.id), "codeDiscount": content}


def _ends_too_early(terms: Mapping[str, Any]) -> bool:
    ends = terms.get("endsAt")
    return ends is not None and datetime.fromisoformat(ends) < datetime.fromisoformat(terms["startsAt"])


def _end_error(kind: str) -> Json:
    return user_error([kind, "endsAt"], "Ends at needs to be after starts_at", "INVALID")


def _unknown() -> Json:
    return user_error(["id"], "Code discount does not exist.", "INVALID")


def _basic_faults(terms: Mapping[str, Any]) -> list[Json]:
    gets = terms["customerGets"]
    if {"products", "collections"} <= gets["items"].keys():
        message = "Cannot entitle collections in combination with product variants or products"
        return [user_error([BASIC, "customerGets", "items", "collections", "add"], message, "CONFLICT")]
    share = gets["value"].get("percentage")
    if share is not None and not 0 < share <= 1:
        where = [BASIC, "customerGets", "value", "percentage"]
        return [user_error(where, "Value must be between 0.0 and 1.0", "VALUE_OUTSIDE_RANGE")]
    amount = gets["value"].get("discountAmount")
    if amount is not None and Decimal(amount["amount"]) <= 0:
        where = [BASIC, "customerGets", "value", "discountAmount", "amount"]
        return [user_error(where, "Value must be greater than 0", "GREATER_THAN")]
    return []


def _shipping_faults(terms: Mapping[str, Any]) -> list[Json]:
    if not (terms.get("combinesWith") or {}).get("shippingDiscounts"):
        return []
    message = "The combinesWith settings are not valid for the discount class."
    return [user_error([SHIPPING, "combinesWith"], message, "INVALID_COMBINES_WITH_FOR_DISCOUNT_CLASS")]


_FAULTS = {BASIC: _basic_faults, SHIPPING: _shipping_faults}
