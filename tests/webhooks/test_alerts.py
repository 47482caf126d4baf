"""Alerts over HTTP, for a key that sees no member."""

from __future__ import annotations

from typing import Any

from stampcard.domain.decisions import Alert
from stampcard.storage import saving
from stampcard.storage.alerting import alert_row


async def test_alerts_are_listed_newest_first_in_words(served: Any) -> None:
    application = served.application
    told = [
        Alert(program="main", scope="campaign:spring:points/ever/all", share=80),
        Alert(kind="silent", scope="shop", period="2026-03-09"),
        Alert(kind="dead_letters", scope="shop", period="2026-03-09", count=3),
        Alert(kind="unusual_day", program="main", period="2026-03-09", share=320),
    ]
    now, numbering = application.clock.now(), application.setting.numbering
    rows = [alert_row("main", numbering.next(now), alert, now) for alert in told]
    await application.database.write(lambda connection: saving.insert(connection, "event", rows))

    page = (await served.call("GET", "/alerts?limit=3", scopes=["marketer"])).body
    rest = (await served.call("GET", f"/alerts?cursor={page['next']}", scopes=["alerts:read"])).body

    assert [item["kind"] for item in page["items"]] == ["unusual_day", "dead_letters", "silent"]
    assert page["items"][0]["words"].startswith("Program 'main' paid 320 % of a usual day's points on 2026-03-09")
    assert "stampcard outbox list --status dead" in page["items"][1]["words"]
    assert page["items"][2]["scope"] == "shop"
    (budget,) = rest["items"]
    assert rest["next"] is None
    assert budget["words"] == "campaign spring of program 'main': 80 % of 'points/ever/all' is used."


async def test_there_are_none_at_first_and_who_may_not_sees_none(served: Any) -> None:
    assert (await served.call("GET", "/alerts")).body["items"] == []
    assert (await served.call("GET", "/alerts", scopes=["programs:read"])).status == 403
