"""Webhooks of other systems over HTTP, through the shipped tables, into points; on both databases."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from sqlalchemy import select
from tests.databases import on_sqlite

from stampcard.storage.tables import outbox, push

SHAPES = Path(__file__).parent / "shapes"
WHSEC = "whsec_ZnJvbSB0aGUgdGlsbCwgb25lIG9mIDMwIGJ5dGVz"
SIGNING = "whsec_YW4gb2xkZXIgb25lIG9mIDI0IGJ5dGVz"
PROGRAM = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {refunds: {spent: proportional}}}
rules:
  - {id: purchase, on: purchase, award: 1 per 1 EUR}
  - {id: review, on: review, when: event.data.stars >= 4 && event.data.photo, award: 25}
"""

Install = Callable[..., Any]
Example = Callable[..., dict[str, Any]]
Sign = Callable[..., dict[str, str]]


def shape(name: str) -> Any:
    return json.loads((SHAPES / f"{name}.json").read_text(encoding="utf8"))


@on_sqlite
@pytest.mark.parametrize(
    ("name", "reference", "points", "customer"),
    [
        # The lines with their tax: 2 × 24.00 + 8.80.
        ("prestashop", "214", {"purchase": 56}, "12"),
        # The lines after discounts without tax, 45 − 2 + 6 = 49, of which 15 of 63.70 went back.
        ("medusa", "order_01JPZX3W5N2Q8B7C6D4E9F0G1H", {"purchase": 37}, "cus_01JPZWZ1A2B3C4D5E6F7G8H9J0"),
    ],
)
async def test_an_order_in_the_published_shape_earns_once_however_often_it_comes(
    install: Install, example: Example, signed: Sign, name: str, reference: str, points: dict[str, int], customer: str
) -> None:
    connections, body = example(name), (SHAPES / f"{name}.json").read_bytes()
    async with install(PROGRAM, connections) as one:
        for id_ in ("msg_1", "msg_1", "msg_2"):
            assert await one.post(name, body, signed(connections[name], body, id_)) == 200
            await one.work()
        assert await one.troubles() == []
        assert await one.awards() == {(f"order:{name}:{reference}", rule): due for rule, due in points.items()}
        assert await one.names() == {f"{name}:{customer}"}
        assert await one.post(name, body + b" ", signed(connections[name], body)) == 401


@on_sqlite
async def test_a_prestashop_order_that_is_cancelled_or_not_paid_has_nothing(
    install: Install, example: Example, signed: Sign
) -> None:
    connections = example("prestashop")
    async with install(PROGRAM, connections) as one:
        for state, valid, due in (("1", "0", 0), ("2", "1", 56), ("6", "1", 0)):
            order = shape("prestashop")
            order["order"] |= {"current_state": state, "valid": valid, "date_upd": f"2026-03-10 12:3{state}:00"}
            body = json.dumps(order).encode()
            assert await one.post("prestashop", body, signed(connections["prestashop"], body)) == 200
            await one.work()
            assert await one.points() == due, state
        guest = shape("prestashop")
        guest["order"] |= {"id": 215, "id_customer": "0"}
        body = json.dumps(guest).encode()
        assert await one.post("prestashop", body, signed(connections["prestashop"], body)) == 200
        await one.work()
        assert await one.names() == {"prestashop:12"}
        assert await one.troubles() == []


@on_sqlite
async def test_a_review_pays_the_shops_own_customer_once(install: Install, example: Example, signed: Sign) -> None:
    shop = {"plugin": "shopify", "shop": "a.myshopify.com", "access_token": "t", "webhook_secrets": ["s"]}
    connections = {"shop": shop, **example("judgeme")}
    async with install(PROGRAM, connections) as one:
        bodies = [shape("judgeme") for _ in range(4)]
        bodies[1]["review"] |= {"title": "Still lovely", "updated_at": "2026-03-10T11:56:00+00:00"}
        bodies[2]["review"] |= {"id": 2, "verified": "nothing"}
        bodies[3]["review"] |= {"id": 3, "reviewer": {"email": "someone@else.example", "external_id": None}}
        for content in bodies:
            body = json.dumps(content).encode()
            assert await one.post("judgeme", body, signed(connections["judgeme"], body)) == 200
            await one.work()
        assert await one.troubles() == []
        assert await one.awards() == {("event:review:830114", "review"): 25}
        assert await one.names() == {"shop:7001"}


@on_sqlite
async def test_figures_are_told_where_the_order_came_from_and_in_the_end_the_newest(
    install: Install, signed: Sign, is_genuine: Callable[..., bool], clock: Any
) -> None:
    told: list[tuple[httpx.Headers, bytes]] = []
    statuses = iter([503, 204, 204])

    async def take(request: web.Request) -> web.Response:
        told.append((httpx.Headers(dict(request.headers)), await request.read()))
        return web.Response(status=next(statuses))

    shop = web.Application()
    shop.router.add_post("/state", take)
    async with TestServer(shop) as server:
        till = {"plugin": "standard_webhooks", "webhook_secrets": WHSEC}
        connections = {
            "till": {**till, "state_url": str(server.make_url("/state")), "secrets": SIGNING},
            "other": till,
        }
        async with install(PROGRAM, connections) as one:
            for total in ("20", "30"):
                body = _order(total=total, updated_at=f"2026-03-10T11:{total}:00Z")
                assert await one.post("till", body, signed(till, body, f"msg_{total}")) == 200
                await one.work()
                await one.send()
                clock.advance(60)
                await one.send()
            assert await one.troubles() == []
            pushes = await one.read(select(push))
            assert [(row.connection, row.kind, row.sent == row.wanted) for row in pushes] == [("till", "balance", True)]
            assert await one.read(select(outbox)) == [], "nobody wants notices, so none is kept"
    assert all(is_genuine(headers, body, SIGNING, clock.now()) for headers, body in told)
    assert len(told) == 3
    ids = [headers["webhook-id"] for headers, _ in told]
    assert ids[0] == ids[1] != ids[2], "the same figures have the same id"
    last = json.loads(told[-1][1])
    assert (last["type"], last["data"]["reference"]) == ("member.balance", "7")
    assert last["data"]["balances"]["points"]["active"] == 30
    assert json.loads(told[0][1])["data"]["version"] < last["data"]["version"]


async def test_what_is_wrong_is_kept_aside_and_says_what_to_change(install: Install, signed: Sign) -> None:
    till = {"plugin": "standard_webhooks", "webhook_secrets": WHSEC}
    async with install(PROGRAM, {"till": till}) as one:
        body = _order(total="12,50")
        assert await one.post("till", body, signed(till, body)) == 200
        await one.work()
        assert await one.troubles() == ["malformed: data.total: invalid decimal string, not '12,50'"]


async def test_a_whole_life_in_our_own_schema_comes_to_what_it_should(install: Install, signed: Sign) -> None:
    till = {"plugin": "standard_webhooks", "webhook_secrets": WHSEC}

    def told(kind: str, minute: int, **data: Any) -> bytes:
        return json.dumps({"type": kind, "timestamp": f"2026-03-10T11:{minute:02}:00Z", "data": data}).encode()

    steps: list[tuple[bytes, int]] = [
        (told("customer.updated", 1, reference="7", attributes={"email": "ada@shop.example"}), 0),
        (_order(paid=False, updated_at="2026-03-10T11:02:00Z"), 0),
        (_order(updated_at="2026-03-10T11:03:00Z"), 20),
        (
            told(
                "refund.updated",
                4,
                order="A-1",
                reference="R",
                lines=[{"line": "1", "quantity": 1, "subtotal": "5"}],
                money="5",
            ),
            15,
        ),
        (told("event.happened", 5, name="review", customer="7", key="1", data={"stars": 4.5, "photo": True}), 40),
        (told("event.happened", 5, name="review", customer="7", key="1", data={"stars": 4.5, "photo": True}), 40),
        (told("customer.merged", 6, kept="8", gone="7"), 40),
        (told("customer.erased", 7, reference="8"), 40),
    ]
    async with install(PROGRAM, {"till": till}) as one:
        for number, (body, due) in enumerate(steps):
            assert await one.post("till", body, signed(till, body, f"msg_{number}")) == 200
            await one.work()
            assert await one.troubles() == []
            assert await one.points() == due, body
        assert await one.names() == set()


def _order(total: str = "20", **changes: Any) -> bytes:
    data: Mapping[str, Any] = {
        "reference": "A-1",
        "placed_at": "2026-03-10T11:00:00Z",
        "currency": "EUR",
        "total": total,
        "paid": True,
        "customer": {"reference": "7"},
        "lines": [{"gross": total if total.isdecimal() else "1"}],
        **changes,
    }
    return json.dumps({"type": "order.updated", "timestamp": "2026-03-10T11:00:00Z", "data": data}).encode()
