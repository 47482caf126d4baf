"""Dry runs over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from tests.databases import served_on_sqlite

from stampcard.domain.events import OrderSeen
from stampcard.testing.building import order

LINES = [{"sku": "A1", "quantity": 2, "price": "20.00"}, {"price": 5.5, "discount": "0.50"}]


async def tried(served: Any, status: int = 200, **body: Any) -> Any:
    answer = await served.call("POST", "/dry-run", body, scopes=("dry-run",))
    assert answer.status == status, answer.body
    return answer.body


async def test_an_order_says_what_it_would_earn_and_when_that_would_expire(served: Any) -> None:
    await served.apply(OrderSeen(reference="A", snapshot=order(10)))

    told = await tried(served, order={"connection": "shop", "customer": "1", "lines": LINES})

    assert told["is_new"] is False
    assert (told["wallets"]["points"]["points"], told["wallets"]["points"]["balance"]["active"]) == (45, 65)
    assert [(reason["rule"], reason["code"], reason["due"]) for reason in told["reasons"]] == [
        ("purchase", "matched", 45)
    ]
    (lot,) = told["lots"]
    assert (lot["amount"], lot["words"]) == (45, "45 points expire on 9 Apr 2026")
    assert told["words"][0] == "45 points."
    (member,) = (await served.call("GET", "/members?identity=shop:1")).body["items"]
    assert member["balances"]["points"]["active"] == 20


@served_on_sqlite
async def test_an_event_and_a_newcomer_can_be_asked_about(served: Any) -> None:
    event = {"connection": "shop", "customer": "7", "name": "review", "data": {"stars": 2}}

    told = await tried(served, event=event)

    assert told["is_new"] is True
    assert told["wallets"]["points"]["points"] == 10
    assert "Rule 'review' does not apply: its condition is not true: event.data.stars >= 3." in told["words"]
    assert (await served.call("GET", "/members?identity=shop:7")).body["items"] == []


@served_on_sqlite
async def test_another_program_and_another_time_can_be_supposed(served: Any) -> None:
    text = """
    program: main
    currency: EUR
    timezone: Europe/Berlin
    wallets: {points: {}}
    rules:
      - {id: purchase, on: purchase, award: 3 per 1 EUR, during: {weekdays: [mon]}}
    """
    asked = {"connection": "shop", "customer": "1", "lines": LINES}

    tuesday = await tried(served, order=asked, program=text)
    monday = await tried(served, order=asked, program=text, now="2026-03-16T12:00:00Z")

    assert [reason["code"] for reason in tuesday["reasons"]] == ["not_now"]
    assert monday["wallets"]["points"]["points"] == 135


async def test_a_program_that_is_wrong_says_where(api: Any) -> None:
    told = await tried(
        api, 422, order={"connection": "shop", "lines": LINES}, program="program: main\nrules: [{id: x}]\n"
    )
    assert told["code"] == "program"
    assert all(error["path"].startswith("program:") for error in told["errors"])
    assert "is missing" in {error["message"] for error in told["errors"]}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"order": {"connection": "shop", "lines": LINES}, "event": {"connection": "shop", "name": "review"}},
        {"order": {"connection": "shop", "customer": "1", "member": "m", "lines": LINES}},
        {"order": {"connection": "shop", "lines": [{"price": "-1"}]}},
        {"order": {"connection": "shop", "lines": [{"price": "NaN"}]}},
        {"order": {"connection": "shop", "lines": LINES, "occurred_at": "2026-03-10T12:00:00"}},
        {"order": {"connection": "shop", "member": "m_nobody", "lines": LINES}},
    ],
)
async def test_a_question_that_makes_no_sense_is_refused(api: Any, body: Any) -> None:
    assert (await api.call("POST", "/dry-run", body)).status in {404, 422}


async def test_a_key_needs_the_scope(api: Any) -> None:
    body = {"order": {"connection": "shop", "lines": LINES}}
    assert (await api.call("POST", "/dry-run", body, scopes=("orders:read",))).status == 403
