"""What conditions see: values by the variable names of the condition language."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from stampcard.domain.members import Member
from stampcard.domain.orders import ZERO, OrderLine, OrderSnapshot

_ORDER: Mapping[str, Callable[[OrderSnapshot], Any]] = {
    "order.total": lambda order: float(order.total),
    "order.subtotal": lambda order: float(sum((line.gross - line.discount for line in order.lines), ZERO)),
    "order.discount": lambda order: float(sum((line.discount for line in order.lines), ZERO)),
    "order.tax": lambda order: float(sum((line.tax for line in order.lines), order.shipping_tax)),
    "order.shipping": lambda order: float(order.shipping),
    "order.currency": lambda order: order.currency,
    "order.channel": lambda order: order.channel,
    "order.number": lambda order: order.number,
    "order.tags": lambda order: list(order.tags),
    "order.lines": lambda order: [_line(line) for line in order.lines],
}


def _line(line: OrderLine) -> dict[str, Any]:
    return {
        "product": line.product,
        "sku": line.sku,
        "vendor": line.vendor,
        "quantity": line.quantity,
        "gross": float(line.gross),
        "discount": float(line.discount),
        "tax": float(line.tax),
        "gift_card": line.gift_card,
    }


def order_variables(order: OrderSnapshot, reads: frozenset[str]) -> dict[str, Any]:
    """The variables of an order that conditions read, as placed or edited, before refunds."""
    return {name: describe(order) for name, describe in _ORDER.items() if name in reads}


def member_variables(member: Member, reads: frozenset[str]) -> dict[str, Any]:
    """The variables of a member that conditions read."""
    variables: dict[str, Any] = {}
    if "member.attributes" in reads:
        variables["member.attributes"] = {k: v for k, v in member.attributes.items() if v is not None}
    if "member.joined_at" in reads:
        variables["member.joined_at"] = member.joined_at
    return variables
