"""Orders over HTTP, a page at a time."""

from __future__ import annotations

from typing import Any

from tests.databases import served_on_sqlite

from stampcard.domain.events import OrderSeen
from stampcard.testing.building import order


async def test_orders_are_listed_and_the_undecided_by_themselves(served: Any) -> None:
    await served.apply(*(OrderSeen(reference=name, snapshot=order(5)) for name in "ABC"))
    row = {"source": "shop", "reference": "B", "first_seen_at": 0, "updated_at": 0, "state": "{}"}
    await served.store("order_state", {**row, "undecided": '["main/purchase"]'})

    first = (await served.call("GET", "/orders?limit=2")).body
    second = (await served.call("GET", f"/orders?limit=2&cursor={first['next']}")).body
    undecided = (await served.call("GET", "/orders?undecided=true")).body

    assert [item["reference"] for item in first["items"] + second["items"]] == ["A", "B", "C"]
    assert [(item["reference"], item["undecided"]) for item in undecided["items"]] == [("B", ["main/purchase"])]
    assert second["next"] is None


@served_on_sqlite
async def test_another_merchants_key_finds_no_order(served: Any) -> None:
    await served.apply(OrderSeen(reference="A", snapshot=order(5)))

    assert (await served.call("GET", "/orders", merchant="other")).body["items"] == []
