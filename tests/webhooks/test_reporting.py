"""Reports over HTTP, on both databases."""

from __future__ import annotations

import csv
import io
from typing import Any

from stampcard.domain.events import OrderSeen, RefundSeen
from stampcard.engine.reports import REPORTS
from stampcard.testing.building import order, refund

MARKETER = ["marketer"]


async def bought(served: Any) -> None:
    """Two orders, one of them refunded by half."""
    for reference, amount in (("A", 40), ("B", 60)):
        await served.apply(OrderSeen(reference=reference, snapshot=order(amount, at=served.clock.now())))
    await served.apply(RefundSeen(order="B", refund=refund("R", [("L1", 30)], at=served.clock.now())))


async def test_a_report_tells_what_it_is_about_and_its_rows(served: Any) -> None:
    await bought(served)
    body = (await served.call("GET", "/reports/points?by=month", scopes=MARKETER)).body
    assert (body["report"], body["program"], body["by"], body["timezone"]) == (
        "points",
        "main",
        "month",
        "Europe/Berlin",
    )
    (row,) = body["rows"]
    assert (row["from"], row["to"]) == (body["from"], body["to"])
    assert {name: row[name] for name in ("earned", "taken_back", "outstanding")} == {
        "earned": 110,  # ten of them for joining
        "taken_back": 30,
        "outstanding": 80,
    }
    rules = {row["rule"]: row for row in (await served.call("GET", "/reports/rules")).body["rows"]}
    assert (rules["purchase"]["orders"], rules["purchase"]["points"], rules["purchase"]["spend"]) == (2, 70, "70.00")
    assert (rules["welcome"]["orders"], rules["welcome"]["members"], rules["welcome"]["return"]) == (0, 1, None)


async def test_a_spreadsheet_is_given_to_who_asks_for_one(served: Any) -> None:
    await bought(served)
    for path, headers in (("/reports/orders?format=csv", {}), ("/reports/orders", {"Accept": "text/csv"})):
        reply = await served.call("GET", path, headers=headers)
        assert reply.headers["content-type"] == "text/csv; charset=utf-8"
        assert 'filename="orders_main_' in reply.headers["content-disposition"]
        members, others = csv.DictReader(io.StringIO(reply.body))
        assert (members["orders"], members["spend"], members["average"], members["repeats"]) == (
            "2",
            "70.00",
            "35.00",
            "1",
        )
        assert (others["orders"], others["average"], others["repeats"]) == ("0", "", "")
    assert isinstance((await served.call("GET", "/reports/orders?format=json", headers=headers)).body, dict)


async def test_the_list_names_every_report_with_its_columns(api: Any) -> None:
    items = (await api.call("GET", "/reports", scopes=["reports:read"])).body["items"]
    assert [one["report"] for one in items] == list(REPORTS)
    assert all(one["columns"] for one in items)


async def test_what_cannot_be_told_is_refused(api: Any) -> None:
    for path, status, code in (
        ("nothing", 404, "not_found"),
        ("points?program=other", 404, "not_found"),
        ("points?wallet=other", 404, "not_found"),
        ("points?from=2026-02-30", 422, "day"),
        ("points?from=soon", 422, "day"),
        ("points?by=year", 422, "invalid"),
        ("points?from=2026-02-02&to=2026-01-01", 422, "from_after_to"),
        ("points?from=2990-01-01", 422, "in_the_future"),
        ("points?from=2020-01-01&by=day", 422, "too_many_periods"),
        ("rewards?by=day", 422, "no_periods"),
        ("members?wallet=points", 422, "no_wallets"),
        ("points?first=2026-01-01", 400, "unknown_parameter"),
    ):
        refused = await api.call("GET", f"/reports/{path}")
        assert (refused.status, refused.body["code"]) == (status, code), path


async def test_an_unknown_parameter_is_told_with_those_that_there_are(api: Any) -> None:
    (error,) = (await api.call("GET", "/reports/points?first=2026-01-01")).body["errors"]
    assert error["message"] == "is unknown; known: program, from, to, by, wallet, format"


async def test_a_key_without_the_scope_sees_no_report(api: Any) -> None:
    assert (await api.call("GET", "/reports/points", scopes=["members:read"])).status == 403


async def test_a_merchant_without_a_program_has_nothing_to_report(api: Any) -> None:
    refused = await api.call("GET", "/reports/points", merchant="nobody")
    assert (refused.status, refused.body["code"]) == (409, "no_program")
