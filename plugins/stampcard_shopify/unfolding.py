"""The file of a bulk operation: what belongs to an order stands behind it, a line each, and is put back into its place."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from stampcard.plugin import RetryLater
from stampcard_shopify.posting import CallFailed

#: Which list of its order a line of the file belongs to.
_LISTS = {"LineItem": "lineItems", "ShippingLine": "shippingLines"}


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Which operation is read, from which byte on, and how many failed before it."""

    operation: str = ""
    offset: int = 0
    failed: int = 0

    def __str__(self) -> str:
        return f"bulk:{self.operation}:{self.offset}:{self.failed}"


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """One order of the file in the shape of a fetched one, and the place behind it; not whole where it has refunds.

    `read_at`: it is at least so new.
    """

    node: dict[str, Any]
    behind: str
    read_at: datetime

    @property
    def is_whole(self) -> bool:
        return not self.node.get("refunds")


def place_of(text: str) -> Place:
    operation, offset, failed = text.split(":")
    return Place(operation=operation, offset=int(offset), failed=int(failed))


def orders_of(content: bytes, place: Place, read_at: datetime, *, is_last: bool) -> list[Exported]:
    """The orders with what belongs to each; the last one is whole only where another begins behind it, or the file ends."""
    found: list[Exported] = []
    node: dict[str, Any] | None = None
    at = 0
    for line in content.splitlines(keepends=True):
        if not line.endswith(b"\n") and not is_last:
            break
        value = _line(line)
        if value is not None and "__parentId" not in value:
            found += [_exported(node, place, at, read_at)] if node is not None else []
            node = value | {"lineItems": {"nodes": []}, "shippingLines": {"nodes": []}}
        elif value is not None:
            _belongs(value, node)
        at += len(line)
    return [*found, _exported(node, place, at, read_at)] if is_last and node is not None else found


def _exported(node: dict[str, Any], place: Place, at: int, read_at: datetime) -> Exported:
    behind = str(msgspec.structs.replace(place, offset=place.offset + at))
    return Exported(node=node, behind=behind, read_at=read_at)


def _line(line: bytes) -> dict[str, Any] | None:
    if not line.strip():
        return None
    try:
        return msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise CallFailed(RetryLater(reason=f"a line of the bulk operation is none of JSON: {error}")) from None


def _belongs(value: dict[str, Any], node: dict[str, Any] | None) -> None:
    """Put what belongs to an order there."""
    list_ = _LISTS.get(str(value.get("__typename")))
    if node is None or value["__parentId"] != node.get("id"):
        raise CallFailed(RetryLater(reason="the lines of the bulk operation are not grouped by their orders"))
    if list_ is not None:
        plain = {name: item for name, item in value.items() if not name.startswith("__")}
        node[list_]["nodes"].append(plain)
