from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from typer.testing import Result

from stampcard.applying.requests import Answer
from stampcard.applying.unit import Unit
from stampcard.cli.acting import act
from stampcard.domain.decisions import Alert
from stampcard.settings import load_settings

PROGRAM = """\
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
campaigns: {spring: {limits: ["1000 points ever, in all"]}}
rules: [{id: buy, on: purchase, award: 1 per 1 EUR, campaign: spring}]
"""


def test_alerts_are_listed_in_the_words_of_the_program_and_told_by_doctor(
    run: Callable[..., Result], data: Callable[..., Any], installed: Path
) -> None:
    assert run("alert", "list").stderr == "No alerts.\n"
    (installed / "program.yaml").write_text(PROGRAM)
    run("program", "apply", "program.yaml")

    def work(unit: Unit) -> Answer:
        unit.alerts.append(Alert(program="main", scope="campaign:spring:points/ever/all", share=80))
        return Answer(status=200, body={})

    act(load_settings(), work)

    (row,) = data("alert", "list")
    assert row["kind"] == "budget"
    assert row["words"] == "campaign spring of program 'main': 80 % of '1000 points ever, in all' is used."
    assert row["words"] in run("alert", "list").stdout
    assert row["words"] in run("doctor", "--offline").stderr
