"""What the simulated till writes: `{type, timestamp, data}`, in the fields that Stampcard's guide gives."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from stampcard_standard_webhooks.simulated_book import Customer, Item, Order, Refund

Body = dict[str, Any]
#: The till tells times by its own clock.
_HERE = timezone(timedelta(hours=-5))


def written(body: Body) -> bytes:
    """As most programs write JSON: with spaces, and letters that are not ASCII as they are."""
    return json.dumps(body, ensure_ascii=False).encode()


def order_body(order: Order, *, introduces: bool = False) -> Body:
    """The whole order as it is now; `introduces`: it also tells who its customer is."""
    as_numbers = order.as_numbers
    data: Body = {
        "reference": order.reference,
        "number": f"#{order.reference[-6:]}",
        "placed_at": when(order.placed_at),
        "currency": "USD",
        "total": _money(order.total, as_numbers=as_numbers),
        "paid": order.paid,
        "customer": None if order.customer is None else _person(order.customer, whole=introduces),
        "tax_included": order.included,
        "lines": [_line(item, as_numbers=as_numbers) for item in order.items],
        "shipping": _money(order.shipping, as_numbers=as_numbers),
        "shipping_tax": _money(order.shipping_tax, as_numbers=as_numbers),
        "channel": order.channel,
        "tags": [],
    }
    if not as_numbers:
        # Otherwise `timestamp` says it.
        data["updated_at"] = when(order.updated_at)
    if order.cancelled_at is not None:
        data |= {"cancelled": True, "cancelled_at": when(order.cancelled_at)}
    if order.fulfilled_at is not None:
        data["fulfilled_at"] = when(order.fulfilled_at)
    if order.telling == "listed":
        data |= {"refunds": [_refund(one, order) for one in order.standing], "lists_all_refunds": True}
    elif order.telling == "both":
        data["refunds"] = [_refund(one, order) for one in order.refunds]
    return told("order.updated", order.updated_at, data)


def refund_body(order: Order, refund: Refund) -> Body:
    return told("refund.updated", refund.updated_at, {"order": order.reference, **_refund(refund, order)})


def customer_body(customer: Customer) -> Body:
    data = {**_person(customer, whole=True), "updated_at": when(customer.updated_at)}
    return told("customer.updated", customer.updated_at, data)


def consent_body(customer: str, state: str, at: datetime) -> Body:
    return told("customer.consented", at, {"customer": customer, "channel": "email", "state": state})


def event_body(name: str, customer: str, key: str, at: datetime) -> Body:
    data = {"name": name, "customer": customer, "key": key, "data": {"product": "mug", "stars": 5, "photo": False}}
    return told("event.happened", at, data)


def erasure_body(customer: Customer, at: datetime) -> Body:
    return told("customer.erased", at, {"reference": customer.reference, "emails": [customer.email]})


def request_body(customer: str, at: datetime) -> Body:
    return told("customer.data_requested", at, {"reference": customer, "request": f"request-{customer}"})


def merger_body(kept: str, gone: str, at: datetime) -> Body:
    return told("customer.merged", at, {"kept": kept, "gone": gone})


def told(kind: str, at: datetime, data: Body) -> Body:
    return {"type": kind, "timestamp": when(at), "data": data}


def when(at: datetime) -> str:
    return at.astimezone(_HERE).isoformat()


def _person(customer: Customer, *, whole: bool) -> Body:
    if not whole:
        return {"reference": customer.reference}
    attributes = {"email": customer.email, "first_name": customer.first_name, "phone": customer.phone or None}
    return {"reference": customer.reference, "attributes": attributes}


def _line(item: Item, *, as_numbers: bool) -> Body:
    # Some tills know what one piece costs, others what the line does.
    price = {"gross": item.gross} if as_numbers else {"price": item.product.price}
    amounts = {**price, "discount": item.off, "tax": item.tax}
    return {
        "reference": item.reference,
        "product": item.product.id,
        "sku": item.product.id.upper(),
        "quantity": item.quantity,
        "gift_card": item.product.gift_card,
        **{name: _money(amount, as_numbers=as_numbers) for name, amount in amounts.items()},
    }


def _refund(refund: Refund, order: Order) -> Body:
    """At its newest state: one that came to nothing gives nothing back."""

    def money(amount: Decimal) -> str | float:
        return _money(amount, as_numbers=order.as_numbers)

    data: Body = {
        "reference": refund.reference,
        "occurred_at": when(refund.at),
        "updated_at": when(refund.updated_at),
        "money": money(Decimal(0) if refund.void else refund.money),
    }
    if refund.void:
        return data
    return data | {
        "lines": [
            {
                "line": line.item.reference,
                "quantity": line.quantity,
                "subtotal": money(line.subtotal),
                "tax": money(line.tax),
            }
            for line in refund.lines
        ],
        "shipping": money(refund.shipping),
        "shipping_tax": money(refund.shipping_tax),
    }


def _money(amount: Decimal, *, as_numbers: bool) -> str | float:
    """Amounts of cents are few enough digits that a float writes just these."""
    return float(amount) if as_numbers else str(amount)
