"""What the simulated shop keeps about its customers for others: metafields."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stampcard.testing.simulator import Tally
from stampcard_shopify.simulated_book import Book
from stampcard_shopify.simulated_lines import gid
from stampcard_shopify.simulated_nodes import moment

MOST_METAFIELDS = 25
_BALANCE = ("stampcard", "balance")


@dataclass(slots=True)
class Metafield:
    """One stored value; always text."""

    namespace: str
    key: str
    type: str
    value: str
    updated_at: datetime

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.value.encode()).hexdigest()


class Shelf:
    """Metafields by owner; a set either writes all or nothing."""

    def __init__(self, book: Book, tally: Tally) -> None:
        self._book = book
        self._tally = tally
        self._fields: dict[tuple[int, str, str], Metafield] = {}

    def put(self, inputs: Sequence[Mapping[str, Any]], now: datetime) -> dict[str, Any]:
        """The answer of metafieldsSet: up to 25 values, atomic; `userErrors` tells what is wrong."""
        self._tally.push_calls += 1
        errors = self._faults(inputs)
        if errors:
            return {"metafields": [], "userErrors": errors}
        return {"metafields": [self._write(entry, now) for entry in inputs], "userErrors": []}

    def delete(self, inputs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The answer of metafieldsDelete: what was not there is no error."""
        gone = [self._fields.pop(_place(entry), None) and dict(entry) for entry in inputs]
        return {"deletedMetafields": gone, "userErrors": []}

    def points(self) -> dict[str, int]:
        """Customer reference to the active points of wallet "points" that the shop shows."""
        shown = {}
        for reference, value in self._balances().items():
            wallet = value.get("wallets", {}).get("points")
            if wallet is not None:
                shown[reference] = int(wallet["active"])
        return shown

    def versions(self) -> dict[str, int]:
        return {reference: int(value.get("version", 0)) for reference, value in self._balances().items()}

    def clear(self, customer: int) -> None:
        """Throw away what belongs to a customer who is gone."""
        for place in [place for place in self._fields if place[0] == customer]:
            del self._fields[place]

    def _balances(self) -> dict[str, Any]:
        return {
            str(owner): _content(field)
            for (owner, *name), field in self._fields.items()
            if tuple(name) == _BALANCE and owner in self._book.customers
        }

    def _faults(self, inputs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        if len(inputs) > MOST_METAFIELDS:
            message = f"Exceeded the maximum metafields input limit of {MOST_METAFIELDS}."
            return [_error(["metafields"], message, "LESS_THAN_OR_EQUAL_TO")]
        found = (self._fault(place, entry) for place, entry in enumerate(inputs))
        return [fault for fault in found if fault is not None]

    def _fault(self, place: int, entry: Mapping[str, Any]) -> dict[str, Any] | None:
        where = ["metafields", str(place)]
        if owner_of(entry) not in self._book.customers:
            return _error([*where, "ownerId"], "Owner does not exist.", "INVALID")
        if entry.get("type") == "json" and not _is_json(entry.get("value")):
            return _error([*where, "value"], "Value is invalid JSON.", "INVALID_VALUE")
        if "compareDigest" in entry:
            known = self._fields.get(_place(entry))
            if entry["compareDigest"] != (known.digest if known else None):
                return _error(where, "The resource has been updated since it was loaded.", "STALE_OBJECT")
        return None

    def _write(self, entry: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        self._tally.pushes_received += 1
        place = _place(entry)
        field = Metafield(place[1], place[2], entry.get("type", "json"), entry["value"], now)
        self._tally.regressions += _version(field) < _version(self._fields.get(place))
        self._fields[place] = field
        return {
            "id": gid("Metafield", zlib.crc32(repr(place).encode())),
            "namespace": field.namespace,
            "key": field.key,
            "type": field.type,
            "value": field.value,
            "compareDigest": field.digest,
            "updatedAt": moment(field.updated_at),
        }


def owner_of(entry: Mapping[str, Any]) -> int:
    """The customer's id; 0 if it names none."""
    kind, _, number = str(entry.get("ownerId", "")).removeprefix("gid://shopify/").partition("/")
    return int(number) if kind == "Customer" and number.isdecimal() else 0


def _place(entry: Mapping[str, Any]) -> tuple[int, str, str]:
    return owner_of(entry), entry.get("namespace", "$app"), entry["key"]


def _version(field: Metafield | None) -> int:
    if field is None or (field.namespace, field.key) != _BALANCE:
        return 0
    return int(_content(field).get("version", 0))


def _content(field: Metafield) -> dict[str, Any]:
    content = json.loads(field.value) if _is_json(field.value) else None
    return content if isinstance(content, dict) else {}


def _is_json(value: object) -> bool:
    try:
        json.loads(str(value))
    except ValueError:
        return False
    return True


def _error(field: list[str], message: str, code: str) -> dict[str, Any]:
    return {"field": field, "message": message, "code": code, "elementIndex": None}
