"""Webhooks that are tried out over HTTP."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.databases import served_on_sqlite

from stampcard.domain.events import OrderSeen
from stampcard.testing.building import order

SECRET = "a-shared-secret-1"
TILL = {
    "name": "till",
    "plugin": "standard_webhooks",
    "settings": {"signature": "token", "signature_header": "X-Token", "webhook_secrets": SECRET},
    "orders_of": "shop",
}


def told(kind: str, data: Any) -> str:
    return json.dumps({"type": kind, "timestamp": "2026-03-10T12:00:00Z", "data": data})


ORDER = told(
    "order.updated",
    {
        "reference": "B",
        "placed_at": "2026-03-10T12:00:00Z",
        "currency": "EUR",
        "total": "20",
        "paid": True,
        "customer": {"reference": "1"},
        "lines": [{"reference": "L1", "price": "20"}],
    },
)


@pytest.fixture
async def attempt(served: Any) -> Callable[..., Any]:
    """Tries a webhook of the till: ``attempt({"body": …})``."""
    assert (await served.call("POST", "/connections", {**TILL, "test": False})).status == 201
    await served.application.refresh()

    async def call(body: Any, *, status: int = 200, name: str = "till", scope: str = "dry-run") -> Any:
        answer = await served.call("POST", f"/connections/{name}/try", body, scopes=(scope,))
        assert answer.status == status, answer.body
        return answer.body

    return call


async def test_what_a_webhook_would_come_to_is_told_and_nothing_is_kept(served: Any, attempt: Any) -> None:
    await served.apply(OrderSeen(reference="A", snapshot=order(10)))
    said = await attempt({"body": ORDER, "headers": {"X-Token": SECRET}})
    assert (said["outcome"], said["signature"], said["topic"]) == ("understood", "good", "message")
    (event,) = said["events"]
    assert event["would"]["is_new"] is False, "the till names the shop's customers"
    assert event["would"]["wallets"]["points"]["points"] == 20
    assert event["would"]["wallets"]["points"]["balance"]["active"] == 40
    (member,) = (await served.call("GET", "/members?identity=shop:1")).body["items"]
    assert member["balances"]["points"]["active"] == 20


@served_on_sqlite
async def test_a_refund_says_what_it_would_take_back(served: Any, attempt: Any) -> None:
    await served.apply(OrderSeen(reference="A", snapshot=order(10)))
    body = told("refund.updated", {"order": "A", "reference": "R", "money": "4"})
    (event,) = (await attempt({"body": body, "unsigned": True}))["events"]
    assert event["would"]["wallets"]["points"]["points"] == -4


@served_on_sqlite
async def test_what_is_wrong_is_said(attempt: Any) -> None:
    said = await attempt({"body": ORDER, "headers": {"X-Token": "another-token"}})
    assert (said["outcome"], said["signature"], said["events"]) == ("refused", "refused", [])
    assert said["problem"] == "the header x-token holds another token (check webhook_secrets)"
    said = await attempt({"body_base64": base64.b64encode(b'"\xff"').decode(), "unsigned": True})
    assert (said["outcome"], said["problem"]) == ("malformed", "not JSON: the text is not UTF-8")
    unknown = told("event.happened", {"name": "no_such_event", "customer": "1", "key": "k"})
    (event,) = (await attempt({"body": unknown, "unsigned": True}))["events"]
    assert event["problem"] == "there is no event 'no_such_event'"


@served_on_sqlite
async def test_what_cannot_be_tried_is_refused(attempt: Any) -> None:
    await attempt({"body": ORDER}, status=403, scope="connections:read")
    await attempt({"body": ORDER}, status=404, name="nobody")
    assert (await attempt({"body": ORDER}, status=422, name="shop"))["code"] == "no_webhooks"
    for wrong in (
        {},
        {"body": "x", "body_base64": "eA=="},
        {"body_base64": "!"},
        {"body": "x", "headers": {"a": "b\nc"}},
    ):
        await attempt(wrong, status=422)
