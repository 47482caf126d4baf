"""Campaigns over HTTP."""

from __future__ import annotations

from typing import Any

PROGRAM = """
program: main
currency: EUR
timezone: Europe/Berlin
attributes: {colour: string, cups: integer}
events: {review: {stars: integer}}
wallets: {points: {expire: 30 days}}
campaigns: {praise: {limits: [8 points ever in all]}}
rules: [{id: review, on: review, award: 5, campaign: praise}]
""".replace("[8 points ever in all]", '["8 points ever, in all"]')


async def test_a_campaign_is_shown_with_what_is_used_of_its_budget(served: Any) -> None:
    assert (await served.call("GET", "/campaigns", scopes=["marketer"])).body["items"] == []
    applied = await served.call("POST", "/programs/main/versions", {"text": PROGRAM, "base_version": 1})
    assert applied.status in {200, 201}, applied.body
    await served.call("POST", "/members", {"identity": {"connection": "shop", "reference": "1"}})
    for key in ("a", "b"):
        event = {"name": "review", "connection": "shop", "customer": "1", "key": key, "data": {"stars": 5}}
        assert (await served.call("POST", "/events", event)).status < 300

    (campaign,) = (await served.call("GET", "/campaigns", scopes=["programs:read"])).body["items"]

    assert campaign == {
        "program": "main",
        "name": "praise",
        "state": "running",
        "open": "always",
        "budgets": [{"limit": "8 points ever, in all", "used": "8", "share": 100}],
    }
    (alert, *_) = (await served.call("GET", "/alerts")).body["items"]
    assert alert["words"] == "campaign praise of program 'main': 100 % of '8 points ever, in all' is used."
