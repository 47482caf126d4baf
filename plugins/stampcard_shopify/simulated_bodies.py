"""What the simulated shop writes into its webhooks, in the shape of API version 2026-07 and later.

Source of the field names: the sample payloads that Shopify publishes for each topic.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from stampcard_shopify.simulated_book import ZERO, Customer, Line, Order
from stampcard_shopify.simulated_lines import Body, gid, line_body, moment, money, shipping_line, tax_lines
from stampcard_shopify.simulated_refunds import refund_body


def customer_body(customer: Customer) -> Body:
    return {
        "id": customer.id,
        "created_at": moment(customer.created_at),
        "updated_at": moment(customer.updated_at),
        "first_name": customer.first_name,
        "last_name": customer.last_name,
        "state": "disabled",
        "note": None,
        "verified_email": True,
        "multipass_identifier": None,
        "tax_exempt": False,
        "email": customer.email,
        "phone": customer.phone,
        "currency": "USD",
        "tax_exemptions": [],
        "admin_graphql_api_id": gid("Customer", customer.id),
        "default_address": _address(customer) | _address_book(customer),
    }


def order_body(order: Order) -> Body:
    """The whole order as it is now, with all its refunds."""
    person = order.customer
    address = None if person is None else _address(person)
    email = None if person is None else person.email
    return {
        **_heading(order),
        **_amounts(order),
        "contact_email": email,
        "email": email,
        "phone": None,
        "customer": None if person is None else customer_body(person),
        "billing_address": address,
        "shipping_address": address,
        "discount_codes": _codes(order),
        "discount_applications": _applications(order),
        "line_items": [_placed_line(order, line) for line in order.lines],
        "shipping_lines": [shipping_line(order)],
        "tax_lines": tax_lines(order, order.tax),
        "fulfillments": [],
        "refunds": [refund_body(order, refund) for refund in order.refunds],
        "returns": [],
        "payment_terms": None,
        "line_item_groups": [],
    }


def edit_body(order: Order, edit: int, at: datetime, *, added: dict[int, int], removed: dict[int, int]) -> Body:
    """Only what an edit changed, by line id: no money, no customer."""
    return {
        "order_edit": {
            "id": edit,
            "app_id": None,
            "created_at": moment(at),
            "committed_at": moment(at),
            "notify_customer": False,
            "order_id": order.id,
            "staff_note": "",
            "user_id": None,
            "line_items": {
                "additions": [{"id": line, "delta": delta} for line, delta in added.items()],
                "removals": [{"id": line, "delta": delta} for line, delta in removed.items()],
            },
            "discounts": {"line_item": {"additions": [], "removals": []}},
            "shipping_lines": {"additions": [], "removals": []},
        }
    }


def _heading(order: Order) -> Body:
    return {
        "id": order.id,
        "admin_graphql_api_id": gid("Order", order.id),
        "app_id": None,
        "browser_ip": None,
        "buyer_accepts_marketing": False,
        "cancel_reason": "customer" if order.cancelled_at else None,
        "cancelled_at": moment(order.cancelled_at),
        "cart_token": None,
        "checkout_token": None,
        "client_details": None,
        "closed_at": None,
        "confirmation_number": None,
        "confirmed": True,
        "created_at": moment(order.created_at),
        "currency": order.currency,
        "customer_locale": "en",
        "financial_status": order.financial_status,
        "fulfillment_status": "fulfilled" if order.fulfilled else None,
        "location_id": None,
        "name": f"#{order.number}",
        "note": None,
        "note_attributes": [],
        "number": order.number - 1000,
        "order_number": order.number,
        "payment_gateway_names": ["bogus"] if order.paid else [],
        "presentment_currency": order.presentment,
        "processed_at": moment(order.created_at),
        "source_name": order.source,
        "tags": ", ".join(order.tags),
        "tax_exempt": False,
        "taxes_included": order.tax_included,
        "test": order.test,
        "token": f"{order.id:x}",
        "total_weight": 0,
        "updated_at": moment(order.updated_at),
        "user_id": None,
    }


def _amounts(order: Order) -> Body:
    """Plain figures are as placed or edited, those called current are after returns."""
    discounts = order.discounts
    figures = {
        "subtotal_price": order.subtotal,
        "total_discounts": discounts,
        "total_line_items_price": order.subtotal + discounts - order.free_shipping,
        "total_price": order.total,
        "total_tax": order.tax,
        "current_subtotal_price": current_subtotal(order),
        "current_total_discounts": discounts,
        "current_total_price": current_total(order),
        "current_total_tax": current_tax(order),
    }
    texts: Body = {name: str(amount) for name, amount in figures.items()}
    bags: Body = {f"{name}_set": money(order, amount) for name, amount in figures.items()}
    return (
        texts
        | bags
        | {
            "total_outstanding": str(order.total - order.paid),
            "total_tip_received": "0.00",
            "total_shipping_price_set": money(order, order.shipping),
            "current_shipping_price_set": money(order, order.shipping - order.returned_shipping),
            "original_total_duties_set": None,
            "current_total_duties_set": None,
        }
    )


def current_subtotal(order: Order) -> Decimal:
    return order.subtotal - sum((line.subtotal for line in order.returned), ZERO)


def current_tax(order: Order) -> Decimal:
    returned = sum((line.tax for line in order.returned), ZERO)
    return order.tax - returned - sum((refund.shipping_tax for refund in order.refunds), ZERO)


def current_total(order: Order) -> Decimal:
    tax = ZERO if order.tax_included else current_tax(order)
    return current_subtotal(order) + order.shipping - order.returned_shipping + tax


def _placed_line(order: Order, line: Line) -> Body:
    return line_body(order, line) | {
        "attributed_staffs": [],
        "current_quantity": line.current,
        "sales_line_item_group_id": None,
    }


def _codes(order: Order) -> list[Body]:
    if order.applied is None:
        return []
    return [{"code": order.code, "amount": str(order.discounts), "type": order.applied.type}]


def _applications(order: Order) -> list[Body]:
    applied = order.applied
    if applied is None:
        return []
    ships = applied.type == "shipping"
    return [
        {
            "type": "discount_code",
            "code": applied.code,
            "value": applied.value,
            "value_type": "fixed_amount" if applied.type == "fixed_amount" else "percentage",
            "allocation_method": "each" if ships else "across",
            "target_selection": applied.selection,
            "target_type": "shipping_line" if ships else "line_item",
        }
    ]


def _address(customer: Customer) -> Body:
    return {
        "first_name": customer.first_name,
        "last_name": customer.last_name,
        "company": None,
        "address1": "12 Elm Street",
        "address2": None,
        "city": "Ottawa",
        "province": "Ontario",
        "province_code": "ON",
        "country": "Canada",
        "country_code": "CA",
        "zip": "K2H 7A8",
        "phone": customer.phone,
        "name": f"{customer.first_name} {customer.last_name}",
    }


def _address_book(customer: Customer) -> Body:
    return {"id": customer.id - 1, "customer_id": customer.id, "country_name": "Canada", "default": True}
