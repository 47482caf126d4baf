"""How the simulated shop writes a refund, in its own webhook and within an order."""

from __future__ import annotations

from stampcard_shopify.simulated_book import ZERO, Order, Refund, ReturnedLine
from stampcard_shopify.simulated_lines import Body, gid, line_body, moment, money, shipping_line


def refund_body(order: Order, refund: Refund) -> Body:
    return {
        "id": refund.id,
        "admin_graphql_api_id": gid("Refund", refund.id),
        "order_id": order.id,
        "created_at": moment(refund.at),
        "processed_at": moment(refund.at),
        "note": "Taken back at the counter / by post",
        "user_id": None,
        "restock": bool(refund.lines),
        "duties": [],
        "total_duties_set": money(order, ZERO),
        "return": None,
        "refund_shipping_lines": _returned_shipping(order, refund),
        "order_adjustments": _adjustments(order, refund),
        "refund_line_items": [_returned_line(order, line) for line in refund.lines],
        "transactions": _transactions(order, refund),
    }


def _returned_line(order: Order, returned: ReturnedLine) -> Body:
    return {
        "id": returned.id,
        "quantity": returned.quantity,
        "line_item_id": returned.line.id,
        "location_id": None,
        "restock_type": "return" if order.fulfilled else "cancel",
        # Alone of all amounts, Shopify writes these two as numbers.
        "subtotal": float(returned.subtotal),
        "total_tax": float(returned.tax),
        "subtotal_set": money(order, returned.subtotal),
        "total_tax_set": money(order, returned.tax),
        "line_item": line_body(order, returned.line),
    }


def _returned_shipping(order: Order, refund: Refund) -> list[Body]:
    if refund.shipping == 0:
        return []
    return [
        {
            "id": refund.id - 1,
            "shipping_line": shipping_line(order),
            "subtotal_amount_set": money(order, refund.shipping),
            "tax_amount_set": money(order, refund.shipping_tax),
        }
    ]


def _adjustments(order: Order, refund: Refund) -> list[Body]:
    """Shipping given back, or the gap between the money and the lines; both are written as negative amounts."""
    kind, amount, tax = "shipping_refund", refund.shipping, refund.shipping_tax
    if not refund.lines and refund.shipping == 0:
        kind, amount, tax = "refund_discrepancy", refund.money, ZERO
    if amount == 0:
        return []
    return [
        {
            "id": refund.id + 1,
            "order_id": order.id,
            "refund_id": refund.id,
            "kind": kind,
            "reason": kind.replace("_", " ").capitalize(),
            "amount": str(-amount),
            "tax_amount": str(-tax),
            "amount_set": money(order, -amount),
            "tax_amount_set": money(order, -tax),
        }
    ]


def _transactions(order: Order, refund: Refund) -> list[Body]:
    if refund.money == 0:
        return []
    statuses = ["failure", "success"] if refund.failed else ["success"]
    return [_transaction(order, refund, refund.id + 10 + place, status) for place, status in enumerate(statuses)]


def _transaction(order: Order, refund: Refund, number: int, status: str) -> Body:
    return {
        "id": number,
        "admin_graphql_api_id": gid("OrderTransaction", number),
        "order_id": order.id,
        "kind": "refund",
        "gateway": "bogus",
        "status": status,
        "message": None,
        "created_at": moment(refund.at),
        "processed_at": moment(refund.at),
        "test": order.test,
        "authorization": None,
        "location_id": None,
        "user_id": None,
        "parent_id": None,
        "device_id": None,
        "error_code": "processing_error" if status == "failure" else None,
        "source_name": order.source,
        "receipt": {},
        "amount": str(refund.money),
        "currency": order.currency,
        "payment_id": f"#{order.number}.1",
        "manual_payment_gateway": False,
        "amount_rounding": None,
    }
