"""Codes that share one discount: Shopify has no dates for one of them, so that it is taken away and put back."""

from __future__ import annotations

from typing import Any

from stampcard.plugin import Absent, Delivered, Done, Lookup, Outcome, Rejected, Voucher
from stampcard_shopify.asking import Field, Made, Step
from stampcard_shopify.bulk import ADD
from stampcard_shopify.client import Answer
from stampcard_shopify.ways import Action, Way

#: Its own id can only be searched for in the discount.
_CODES = "codes(first: 10, query: $search) { nodes { id code } }"
FIND = Field(
    "query",
    "codeDiscountNodeByCode",
    {"code": "String!"},
    "id codeDiscount { "
    f"... on DiscountCodeBasic {{ status {_CODES} }} ... on DiscountCodeFreeShipping {{ status {_CODES} }} }}",
    {"search": "String!"},
)
DELETE = Field(
    "mutation",
    "discountCodeRedeemCodeBulkDelete",
    {"discountId": "ID!", "ids": "[ID!]"},
    "job { id } userErrors { field message code }",
)


class SharedCode(Answer, frozen=True):
    id: str
    code: str


class SharedCodes(Answer, frozen=True):
    nodes: tuple[SharedCode, ...] = ()


class SharedDiscount(Answer, frozen=True):
    status: str = ""
    codes: SharedCodes = SharedCodes()


class SharedNode(Answer, frozen=True):
    id: str
    code_discount: SharedDiscount


class SharedDiscountCodes(Way[SharedNode]):
    """One code of a discount that `fill` made; whatever becomes of it, the discount's other codes stay as they are."""

    shape = SharedNode
    by_job = True

    def issuing(self, voucher: Voucher) -> Step | Outcome:  # noqa: ARG002 - none can be
        return Rejected(reason="a code that was made with others is not made again")

    def result(self, voucher: Voucher, made: Made) -> dict[str, Any]:  # noqa: ARG002 - nothing is told
        return {}

    def finding(self, voucher: Voucher) -> Step:
        return Step(FIND, {"code": voucher.code, "search": voucher.code})

    def withdrawing(self, voucher: Voucher, found: SharedNode | None) -> Step | Outcome:
        if found is None:
            return Delivered()
        mine = [one.id for one in found.code_discount.codes.nodes if one.code.upper() == voucher.code.upper()]
        if not mine:
            return Rejected(reason="Shopify has the code but does not find it in its discount")
        return Step(DELETE, {"discountId": found.id, "ids": mine})

    def restoring(self, voucher: Voucher, found: SharedNode | None) -> Step | Outcome:
        if found is not None:
            return Delivered()
        return Step(ADD, {"discountId": voucher.batch, "codes": [{"code": voucher.code}]})

    def verdict(self, voucher: Voucher, action: Action, found: SharedNode | None) -> Lookup:  # noqa: ARG002 - the code says it all
        return Done() if (found is None) == (action == "withdraw") else Absent()
