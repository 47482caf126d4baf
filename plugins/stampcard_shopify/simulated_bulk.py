"""Codes that the simulated shop adds to a discount in its own time.

Source of the shapes and errors: the Admin GraphQL schema, version 2026-10.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any

from stampcard_shopify.simulated_asking import Asked
from stampcard_shopify.simulated_discounts import Discount, Discounts, Job, node
from stampcard_shopify.simulated_lines import gid
from stampcard_shopify.simulated_nodes import moment
from stampcard_shopify.simulated_replies import Json, number_of, payload, user_error

#: Codes that one call takes, and letters that a code has at most.
MOST, LONGEST = 250, 255
_KIND = "DiscountRedeemCodeBulkCreation"
_FIRST = 1_200_000_000_001


@dataclass(slots=True)
class Creation:
    """Codes to be added to a discount; `results` are there once it has been run."""

    id: int
    discount: Discount
    codes: list[str]
    created_at: datetime
    results: list[Json] = field(default_factory=list)

    @property
    def done(self) -> bool:
        return bool(self.results)

    @property
    def failed(self) -> int:
        return sum(bool(one["errors"]) for one in self.results)


@dataclass(slots=True)
class BulkCreations:
    """All that was ever asked for; what was asked for first is run first."""

    discounts: Discounts
    all: dict[int, Creation] = field(default_factory=dict)
    _numbers: Any = field(default_factory=lambda: count(_FIRST))

    def add(self, asked: Asked, now: datetime) -> Json:
        discount = self.discounts.of_gid(asked.argument("discountId"))
        codes = [str(one["code"]) for one in asked.argument("codes") or []]
        if discount is None:
            return payload(
                "bulkCreation", None, [user_error(["discountId"], "Code discount does not exist.", "INVALID")]
            )
        if not codes:
            return payload("bulkCreation", None, [user_error(["codes"], "Codes can't be blank", "BLANK")])
        if len(codes) > MOST:
            message = f"Codes exceeded the maximum of {MOST}"
            return payload("bulkCreation", None, [user_error(["codes"], message, "EXCEEDED_MAX")])
        creation = Creation(next(self._numbers), discount, codes, now)
        self.all[creation.id] = creation
        self.discounts.jobs.append(Job(lambda: self._run(creation)))
        return payload("bulkCreation", _shown(creation, now))

    def creation(self, asked: Asked, now: datetime) -> Json | None:
        self.discounts.look()
        creation = self.all.get(number_of(asked.argument("id"), _KIND))
        if creation is None:
            return None
        return _shown(creation, now)

    def _run(self, creation: Creation) -> None:
        for code in creation.codes:
            errors = self._faults(code)
            made = None
            if not errors:
                id_ = self.discounts.put(creation.discount, code)
                made = {"id": gid("DiscountRedeemCode", id_), "code": code, "asyncUsageCount": 0}
            creation.results.append({"code": code, "errors": errors, "discountRedeemCode": made})

    def _faults(self, code: str) -> list[Json]:
        if not code:
            return [user_error(["code"], "Code can't be blank", "BLANK")]
        if len(code) > LONGEST:
            return [user_error(["code"], f"Code is too long (maximum is {LONGEST} characters)", "TOO_LONG")]
        if code.upper() in self.discounts.codes:
            return [user_error(["code"], "Code must be unique. Please try a different code.", "TAKEN")]
        return []


def _shown(creation: Creation, now: datetime) -> Json:
    """As the Admin API shows it."""
    waiting: list[Json] = [{"code": code, "errors": [], "discountRedeemCode": None} for code in creation.codes]
    return {
        "id": gid(_KIND, creation.id),
        "createdAt": moment(creation.created_at),
        "done": creation.done,
        "codesCount": len(creation.codes),
        "importedCount": len(creation.results) - creation.failed,
        "failedCount": creation.failed,
        "discountCode": node(creation.discount, now),
        "codes": {"nodes": creation.results or waiting},
    }
