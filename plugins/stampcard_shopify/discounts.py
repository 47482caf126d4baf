"""Discount codes: which mutations make, end and revive them, and what their answers mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from stampcard.plugin import Absent, Delivered, Done, Lookup, Outcome, Rejected, RewardKind, StackGroup, Voucher
from stampcard_shopify.asking import Field, Made, Step
from stampcard_shopify.client import Answer
from stampcard_shopify.ways import Action, Way, gid, gids, moment, plain, unfit

_BASIC = {"basicCodeDiscount": "DiscountCodeBasicInput!"}
_SHIPPING = {"freeShippingCodeDiscount": "DiscountCodeFreeShippingInput!"}
_MADE = "codeDiscountNode { id } userErrors { field message code }"
CREATE_BASIC = Field("mutation", "discountCodeBasicCreate", _BASIC, _MADE)
CREATE_SHIPPING = Field("mutation", "discountCodeFreeShippingCreate", _SHIPPING, _MADE)
UPDATE_BASIC = Field("mutation", "discountCodeBasicUpdate", {"id": "ID!"} | _BASIC, _MADE)
UPDATE_SHIPPING = Field("mutation", "discountCodeFreeShippingUpdate", {"id": "ID!"} | _SHIPPING, _MADE)
DEACTIVATE = Field("mutation", "discountCodeDeactivate", {"id": "ID!"}, _MADE)
FIND = Field(
    "query",
    "codeDiscountNodeByCode",
    {"code": "String!"},
    "id codeDiscount { ... on DiscountCodeBasic { status endsAt } ... on DiscountCodeFreeShipping { status endsAt } }",
)
_CLASSES = ("orderDiscounts", "productDiscounts", "shippingDiscounts")
#: Two codes go together only if each agrees to the other's class: `always` is no more than `common` here.
_COMBINING: Mapping[StackGroup, bool] = {"always": True, "common": True, "never": False}


class Discount(Answer, frozen=True):
    status: str = ""
    ends_at: datetime | None = None


class CodeNode(Answer, frozen=True):
    id: str
    code_discount: Discount


class DiscountCodes(Way[CodeNode]):
    """A code of its own for each voucher; Shopify knows every code once, so that making it again is refused."""

    shape = CodeNode

    def issuing(self, voucher: Voucher) -> Step | Outcome:
        return unfit(voucher) or making(voucher)

    def result(self, voucher: Voucher, made: Made) -> dict[str, Any]:
        node = made.code_discount_node
        return {"code": voucher.code} | ({"id": node.id} if node else {})

    def finding(self, voucher: Voucher) -> Step:
        return Step(FIND, {"code": voucher.code})

    def withdrawing(self, voucher: Voucher, found: CodeNode | None) -> Step | Outcome:  # noqa: ARG002 - found says it all
        return Delivered() if found is None else Step(DEACTIVATE, {"id": found.id})

    def restoring(self, voucher: Voucher, found: CodeNode | None) -> Step | Outcome:
        """Set its dates again: discountCodeActivate would leave the code without an end."""
        if found is None:
            return Rejected(reason="the code does not exist any more")
        field, argument = _DATED[voucher.kind]
        return Step(field, {"id": found.id, argument: _dates(voucher)})

    def verdict(self, voucher: Voucher, action: Action, found: CodeNode | None) -> Lookup:
        if found is None:
            return Done() if action == "withdraw" else Absent()
        if action == "issue":
            return Done(result={"id": found.id, "code": voucher.code})
        done = found.code_discount.status == "EXPIRED" if action == "withdraw" else _ends_with(voucher, found)
        return Done() if done else Absent()


def making(voucher: Voucher) -> Step:
    """The step that makes its discount: for its member, or for everybody if it names none."""
    field, argument, inputs = _MAKES[voucher.kind]
    return Step(field, {argument: inputs(voucher)})


def _ends_with(voucher: Voucher, found: CodeNode) -> bool:
    told, wanted = found.code_discount.ends_at, voucher.ends_at
    if told is None or wanted is None:
        return told is wanted
    return abs((told - wanted).total_seconds()) < 1


def _dates(voucher: Voucher) -> dict[str, Any]:
    return {
        "startsAt": moment(voucher.starts_at),
        "endsAt": None if voucher.ends_at is None else moment(voucher.ends_at),
    }


def _any(voucher: Voucher) -> dict[str, Any]:
    """What all codes have; only the member may use it, if there is one."""
    least = {"subtotal": {"greaterThanOrEqualToSubtotal": plain(voucher.minimum)}}
    return {
        "code": voucher.code,
        "title": voucher.title or voucher.name or voucher.code,
        **_dates(voucher),
        "usageLimit": voucher.uses,
        "appliesOncePerCustomer": False,
        "context": _buyers(voucher),
        "combinesWith": dict.fromkeys(_CLASSES, _COMBINING[voucher.stack]),
        **({"minimumRequirement": least} if voucher.minimum else {}),
    }


def _buyers(voucher: Voucher) -> dict[str, Any]:
    return {"customers": {"add": [gid("Customer", voucher.reference)]}} if voucher.reference else {"all": "ALL"}


def _basic(voucher: Voucher) -> dict[str, Any]:
    return _any(voucher) | {"customerGets": {"value": _VALUES[voucher.kind](voucher), "items": _items(voucher)}}


def _shipping(voucher: Voucher) -> dict[str, Any]:
    """Shopify never lets two discounts of shipping go together, and refuses a code that asks for it."""
    made = _any(voucher)
    return made | {"destination": {"all": True}, "combinesWith": made["combinesWith"] | {"shippingDiscounts": False}}


def _items(voucher: Voucher) -> dict[str, Any]:
    if voucher.products:
        return {"products": {"productsToAdd": gids("Product", voucher.products)}}
    if voucher.collections:
        return {"collections": {"add": gids("Collection", voucher.collections)}}
    return {"all": True}


def _amount(voucher: Voucher) -> dict[str, Any]:
    return {"discountAmount": {"amount": plain(voucher.amount), "appliesOnEachItem": False}}


def _share(voucher: Voucher) -> dict[str, Any]:
    return {"percentage": float((voucher.percent or 0) / 100)}


def _free(voucher: Voucher) -> dict[str, Any]:
    """So much off those products, or all of their price, however many are bought."""
    return _amount(voucher) if voucher.amount else {"percentage": 1.0}


_VALUES: Mapping[RewardKind, Callable[[Voucher], dict[str, Any]]] = {
    "amount_off": _amount,
    "percent_off": _share,
    "free_product": _free,
}
_Make = tuple[Field, str, Callable[[Voucher], dict[str, Any]]]
_MAKES: Mapping[RewardKind, _Make] = {
    **dict.fromkeys(_VALUES, (CREATE_BASIC, "basicCodeDiscount", _basic)),
    "free_shipping": (CREATE_SHIPPING, "freeShippingCodeDiscount", _shipping),
}
#: What is made as a code.
KINDS = frozenset(_MAKES)
_DATED: Mapping[RewardKind, tuple[Field, str]] = {
    **dict.fromkeys(_VALUES, (UPDATE_BASIC, "basicCodeDiscount")),
    "free_shipping": (UPDATE_SHIPPING, "freeShippingCodeDiscount"),
}
