"""Reports at the command line."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.databases import on_sqlite
from typer.testing import Result

from stampcard.applying.requests import Answer, adjust
from stampcard.applying.unit import Unit
from stampcard.cli.acting import act
from stampcard.engine.reports import REPORTS
from stampcard.settings import Settings
from stampcard.storage.database import Database
from stampcard.storage.tables import program_version

Run = Callable[..., Result]
Data = Callable[..., Any]


@pytest.fixture
def gifts(join: Callable[[str], str], settings: Settings) -> None:
    """Two members with 12.34 and 5.00 points."""

    def give(unit: Unit, member: str, points: int) -> Answer:
        adjust(unit, member, "points", points, f"gift-{points}", "a gift")
        return Answer(status=200, body={})

    for reference, points in (("1", 1234), ("2", 500)):
        act(settings, partial(give, member=join(reference), points=points))


@on_sqlite
def test_points_are_told_as_a_table_as_json_and_as_csv(gifts: None, run: Run, data: Data) -> None:
    told = run("report", "points")
    assert re.search(r"adjusted up +17\.34\n", told.stdout)
    assert re.search(r"redemption rate +0\.0 %\n", told.stdout)
    assert re.search(r"points of main, \S+-01 to \S+, days of Europe/Berlin", told.stderr)

    body = data("report", "points")
    (row,) = body["rows"]
    assert (row["adjusted_up"], row["outstanding"], row["scale"]) == (1734, 1734, 2)
    assert (body["program"], body["currency"], body["by"]) == ("main", "EUR", None)

    (line,) = csv.DictReader(io.StringIO(run("report", "points", "--csv").stdout))
    assert (line["wallet"], line["issued"]) == ("points", "1734")


def test_a_row_for_each_day_gives_what_the_days_come_to_together(gifts: None, data: Data) -> None:
    first = data("report", "points")["from"]
    whole, days = (data("report", "points", "--from", first, *by)["rows"] for by in ((), ("--by", "day")))
    assert sum(row["issued"] for row in days) == whole[0]["issued"]
    assert (days[0]["before"], days[-1]["outstanding"]) == (0, whole[0]["outstanding"])


@on_sqlite
def test_points_without_a_value_are_no_liability(gifts: None, run: Run, installed: Path) -> None:
    assert re.search(r"owed +17\.34\nvalue +-\nliability +-\ncurrency +-", run("report", "liability").stdout)


def test_every_report_is_a_command_that_tells_something_of_nothing(run: Run) -> None:
    for name in REPORTS:
        told = run("report", name)
        assert told.exit_code == 0, told.output
        assert told.stdout or "There is nothing to report." in told.stderr


@on_sqlite
def test_what_cannot_be_asked_is_refused_with_what_to_change(run: Run) -> None:
    for typed, words in (
        (("--from", "tomorrow"), "from: 'tomorrow' is no day: write it as 2026-10-31"),
        (("--from", "2026-02-01", "--to", "2026-01-01"), "from 2026-02-01 is after to 2026-01-01"),
        (("--program", "mane"), "there is no program 'mane'. Did you mean 'main'?"),
        (("--wallet", "point"), "there is no wallet 'point'. Did you mean 'points'?"),
    ):
        refused = run("report", "points", *typed)
        assert (refused.exit_code, words in refused.stderr) == (1, True), refused.stderr


def test_without_a_program_there_is_nothing_to_report(run: Run, database: Database) -> None:
    database.write_now(lambda connection: connection.execute(program_version.delete()))
    refused = run("report", "points")
    assert (refused.exit_code, "there is no program yet" in refused.stderr) == (1, True), refused.stderr
