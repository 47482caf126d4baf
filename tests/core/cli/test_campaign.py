from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.databases import on_sqlite
from typer.testing import Result

from stampcard.applying.deliveries import Prepared, decide_all
from stampcard.applying.requests import Answer
from stampcard.applying.unit import Sourced, Unit
from stampcard.cli.acting import act
from stampcard.clock import SystemClock
from stampcard.domain.events import OrderSeen
from stampcard.engine.matching import group_of
from stampcard.program.campaigns import Campaign
from stampcard.settings import load_settings
from stampcard.testing.building import order

Run = Callable[..., Result]
Data = Callable[..., Any]

PROGRAM = """\
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {scale: 2}}
campaigns:
  spring:
    name: Spring
    limits: ["1000 points ever, in all", "50 members ever"]
    variants: {a: 40 %, b: 40 %}
    control: 20 %
  old: {during: {dates: 2020-01-01..2020-02-01}}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR}
  - {id: more, on: purchase, award: 5, campaign: spring}
  - {id: gone, on: purchase, award: 5, campaign: old}
"""
CAMPAIGN = Campaign.model_validate({"variants": {"a": "40 %", "b": "40 %"}, "control": "20 %"})


def trade(count: int) -> dict[str, str]:
    """So many customers buy for 10 each; answers each member's group."""
    now = SystemClock().now()

    def work(unit: Unit) -> Answer:
        events = [
            Sourced(
                event=OrderSeen(reference=f"A{number}", snapshot=order(10, at=now, customer=f"c{number}")),
                connection="shop",
                source="shop",
                received_at=now,
            )
            for number in range(count)
        ]
        decide_all(unit, [Prepared(delivery=0, connection="shop", source="shop", events=(one,)) for one in events])
        return Answer(status=200, body={"members": sorted(unit.members)})

    members = act(load_settings(), work).body["members"]
    return {member: group_of(CAMPAIGN, "campaign:main/spring", member) for member in members}


def applied(run: Run, installed: Path) -> None:
    (installed / "program.yaml").write_text(PROGRAM)
    assert run("program", "apply", "program.yaml").exit_code == 0


@on_sqlite
def test_campaigns_are_listed_with_their_budgets(run: Run, data: Data, installed: Path) -> None:
    assert run("campaign", "list").stderr == "No program has a campaign.\n"
    applied(run, installed)
    groups = trade(20)
    paid = sum(group != "control" for group in groups.values())

    old, spring = sorted(data("campaign", "list"), key=lambda row: row["name"])

    assert (old["state"], old["open"]) == ("over", "2020-01-01..2020-02-01")
    assert spring["state"] == "running"
    assert spring["budgets"] == [
        f"{paid * 5} of 1000 points ever, in all ({paid * 5 // 10} %)",
        f"{paid} of 50 members ever ({paid * 2} %)",
    ]
    run("stop", "campaign", "spring", "--note", "x")
    assert re.search(r"main +spring +stopped +always", run("campaign", "list").stdout)


def test_variants_are_compared_with_the_control_group(run: Run, data: Data, installed: Path) -> None:
    applied(run, installed)
    groups = trade(30)

    told = data("campaign", "report", "main/spring")

    found = {row["group"]: row for row in told["groups"]}
    for name in ("a", "b", "control"):
        count = sum(group == name for group in groups.values())
        assert (found[name]["members"], found[name]["orders"]) == (count, count)
        assert found[name]["spend"] == f"{count * 10:.2f}"
        assert found[name]["points"] == (0 if name == "control" else count * 500)
    text = run("campaign", "report", "spring").stdout
    assert "a: +0.0 % spend for each member beside the control group" in text
    assert run("campaign", "report", "summer").exit_code == 1
