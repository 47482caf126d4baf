"""An order as the simulated Admin API answers it: every field that a caller may select, selected or not.

Source of the field names: the Admin GraphQL schema, version 2026-10.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from stampcard_shopify.simulated_bodies import current_subtotal, current_tax, current_total
from stampcard_shopify.simulated_book import ZERO, Customer, Line, Order, Refund, ReturnedLine, cents
from stampcard_shopify.simulated_lines import gid

Node = dict[str, Any]


def order_node(order: Order) -> Node:
    return {
        "__typename": "Order",
        "id": gid("Order", order.id),
        "legacyResourceId": str(order.id),
        "name": f"#{order.number}",
        "number": order.number,
        "createdAt": moment(order.created_at),
        "processedAt": moment(order.created_at),
        "updatedAt": moment(order.updated_at),
        "cancelledAt": moment(order.cancelled_at),
        "cancelReason": "CUSTOMER" if order.cancelled_at else None,
        "closed": False,
        "closedAt": None,
        "confirmed": True,
        "edited": order.edited,
        "test": order.test,
        "sourceName": order.source,
        "tags": list(order.tags),
        "taxesIncluded": order.tax_included,
        "taxExempt": False,
        "currencyCode": order.currency,
        "presentmentCurrencyCode": order.presentment,
        "displayFinancialStatus": order.financial_status.upper(),
        "displayFulfillmentStatus": "FULFILLED" if order.fulfilled else "UNFULFILLED",
        "fulfillments": [],
        "fullyPaid": order.is_settled,
        "unpaid": order.paid == 0,
        "email": order.customer.email if order.customer else None,
        "customer": customer_node(order.customer) if order.customer else None,
        "lineItems": connection([_line(order, line) for line in order.lines]),
        "shippingLine": _shipping(order),
        "shippingLines": connection([_shipping(order)]),
        "refunds": [_refund(order, refund) for refund in order.refunds],
        "discountCode": order.code or None,
        "discountCodes": [order.code] if order.code else [],
        "taxLines": _tax_lines(order, order.tax),
        **_figures(order),
    }


def customer_node(customer: Customer) -> Node:
    return {
        "__typename": "Customer",
        "id": gid("Customer", customer.id),
        "legacyResourceId": str(customer.id),
        "firstName": customer.first_name,
        "lastName": customer.last_name,
        "displayName": f"{customer.first_name} {customer.last_name}",
        "email": customer.email,
        "phone": customer.phone,
        "defaultEmailAddress": {"emailAddress": customer.email},
        "defaultPhoneNumber": {"phoneNumber": customer.phone} if customer.phone else None,
        "locale": "en",
        "createdAt": moment(customer.created_at),
        "updatedAt": moment(customer.updated_at),
        "tags": [],
    }


def connection(nodes: Sequence[Node]) -> Node:
    """A page that holds everything, both as nodes and as edges."""
    return {
        "nodes": list(nodes),
        "edges": [{"cursor": str(place), "node": node} for place, node in enumerate(nodes)],
        "pageInfo": {"hasNextPage": False, "hasPreviousPage": False, "startCursor": None, "endCursor": None},
    }


def moment(at: datetime | None) -> str | None:
    """As the Admin API writes time: to the second, in UTC."""
    return None if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _bag(order: Order, amount: Decimal) -> Node:
    seen = cents(amount * order.presentment_rate)
    return {
        "shopMoney": {"amount": str(amount), "currencyCode": order.currency},
        "presentmentMoney": {"amount": str(seen), "currencyCode": order.presentment},
    }


def _figures(order: Order) -> Node:
    returned_shipping = order.returned_shipping
    amounts = {
        "subtotalPriceSet": order.subtotal,
        "totalPriceSet": order.total,
        "totalTaxSet": order.tax,
        "totalDiscountsSet": order.discounts,
        "totalShippingPriceSet": order.shipping,
        "totalOutstandingSet": order.total - order.paid,
        "totalReceivedSet": order.paid,
        "totalRefundedSet": order.given_back,
        "totalRefundedShippingSet": returned_shipping,
        "netPaymentSet": order.paid - order.given_back,
        "currentSubtotalPriceSet": current_subtotal(order),
        "currentTotalPriceSet": current_total(order),
        "currentTotalTaxSet": current_tax(order),
        "currentShippingPriceSet": order.shipping - returned_shipping,
    }
    return {name: _bag(order, amount) for name, amount in amounts.items()}


def _line(order: Order, line: Line) -> Node:
    product = line.product
    gross = product.price * line.quantity
    return {
        "__typename": "LineItem",
        "id": gid("LineItem", line.id),
        "name": product.title,
        "title": product.title,
        "sku": product.sku,
        "vendor": product.vendor,
        "quantity": line.quantity,
        "currentQuantity": line.current,
        "refundableQuantity": line.current,
        "isGiftCard": product.gift_card,
        "taxable": not product.gift_card,
        "requiresShipping": not product.gift_card,
        "product": {"id": gid("Product", product.id), "legacyResourceId": str(product.id), "vendor": product.vendor},
        "variant": {"id": gid("ProductVariant", product.variant), "legacyResourceId": str(product.variant)},
        "originalUnitPriceSet": _bag(order, product.price),
        "originalTotalSet": _bag(order, gross),
        # Like total_discount in the webhook: only the line's own discounts, not those of the whole order.
        "discountedTotalSet": _bag(order, gross),
        "totalDiscountSet": _bag(order, ZERO),
        "discountAllocations": _allocations(order, line.discount),
        "taxLines": _tax_lines(order, line.listed_tax),
    }


def _allocations(order: Order, amount: Decimal) -> list[Node]:
    applied = order.applied
    if amount == 0 or applied is None:
        return []
    ships = applied.type == "shipping"
    application = {
        "__typename": "DiscountCodeApplication",
        "allocationMethod": "EACH" if ships else "ACROSS",
        "targetSelection": applied.selection.upper(),
        "targetType": "SHIPPING_LINE" if ships else "LINE_ITEM",
        "index": 0,
    }
    return [{"allocatedAmountSet": _bag(order, amount), "discountApplication": application}]


def _tax_lines(order: Order, tax: Decimal) -> list[Node]:
    if tax == 0:
        return []
    return [{"title": "VAT", "rate": float(order.tax_rate), "priceSet": _bag(order, tax), "channelLiable": False}]


def _shipping(order: Order) -> Node:
    price = _bag(order, order.shipping)
    return {
        "__typename": "ShippingLine",
        "id": gid("ShippingLine", order.shipping_id),
        "title": "Standard & tracked",
        "code": "Standard",
        "source": "shopify",
        "custom": False,
        "isRemoved": False,
        "originalPriceSet": _bag(order, order.shipping + order.free_shipping),
        "discountedPriceSet": price,
        "currentDiscountedPriceSet": _bag(order, order.shipping - order.returned_shipping),
        "discountAllocations": _allocations(order, order.free_shipping),
        "taxLines": _tax_lines(order, order.shipping_tax),
    }


def _refund(order: Order, refund: Refund) -> Node:
    shipping = [_returned_shipping(order, refund)] if refund.shipping else []
    gap = [_discrepancy(order, refund)] if not refund.lines and not refund.shipping else []
    statuses = (["FAILURE"] if refund.failed else []) + (["SUCCESS"] if refund.money else [])
    return {
        "__typename": "Refund",
        "id": gid("Refund", refund.id),
        "legacyResourceId": str(refund.id),
        "createdAt": moment(refund.at),
        "processedAt": moment(refund.at),
        "updatedAt": moment(refund.at),
        "note": "Taken back at the counter / by post",
        "totalRefundedSet": _bag(order, refund.money),
        "refundLineItems": connection([_returned(order, line, refund) for line in refund.lines]),
        "refundShippingLines": connection(shipping),
        "orderAdjustments": connection(gap),
        "transactions": connection(
            [_transaction(order, refund, place, status) for place, status in enumerate(statuses)]
        ),
    }


def _returned(order: Order, returned: ReturnedLine, refund: Refund) -> Node:
    return {
        "id": gid("RefundLineItem", returned.id),
        "lineItem": _line(order, returned.line),
        "quantity": returned.quantity,
        "restockType": "RETURN" if order.fulfilled else "CANCEL",
        "restocked": refund.money > 0,
        "priceSet": _bag(order, returned.line.product.price),
        "subtotalSet": _bag(order, returned.subtotal),
        "totalTaxSet": _bag(order, returned.tax),
    }


def _returned_shipping(order: Order, refund: Refund) -> Node:
    return {
        "id": gid("RefundShippingLine", refund.id - 1),
        "shippingLine": _shipping(order),
        "subtotalAmountSet": _bag(order, refund.shipping),
        "taxAmountSet": _bag(order, refund.shipping_tax),
    }


def _discrepancy(order: Order, refund: Refund) -> Node:
    return {
        "id": gid("OrderAdjustment", refund.id + 1),
        "reason": "REFUND_DISCREPANCY",
        "amountSet": _bag(order, -refund.money),
        "taxAmountSet": _bag(order, ZERO),
    }


def _transaction(order: Order, refund: Refund, place: int, status: str) -> Node:
    return {
        "id": gid("OrderTransaction", refund.id + 10 + place),
        "kind": "REFUND",
        "status": status,
        "gateway": "bogus",
        "test": order.test,
        "createdAt": moment(refund.at),
        "processedAt": moment(refund.at),
        "amountSet": _bag(order, refund.money),
    }
