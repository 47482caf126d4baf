"""What `make bench` tells of the figures it is given; how fast anything is, no test says."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from stampcard.engine.reports import REPORTS

PROMISED = {
    "receive-sqlite",
    "receive-postgresql",
    "decide",
    "conditions",
    "apply-sqlite",
    "apply-sqlite-batched",
    "apply-postgresql",
    "apply-postgresql-batched",
    "apply-postgresql-two",
    "whole-rate",
    "whole-wait",
    "deliver-batch",
    "deliver-coalesce",
    "start-help",
    "start-serve",
    "midnight",
    "midnight-memory",
    "growth",
    "apply-sqlite-ranked",
    "ending",
    "ending-memory",
    "reminders",
    "reminders-memory",
    *(f"report-{name}" for name in (*REPORTS, "month")),
}


@pytest.fixture(scope="module")
def reporting() -> ModuleType:
    path = Path(__file__).parents[1] / "benchmarks" / "reporting.py"
    spec = importlib.util.spec_from_file_location("reporting", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_promised_row_is_in_the_table_and_in_the_json(reporting: ModuleType) -> None:
    figures = [reporting.Figure(name=name, rounds=((2.0, 4.0),)) for name in reporting.ROWS]
    table, result = reporting.assemble(figures, {"rounds": 1})
    assert {row["name"] for row in result["rows"]} == PROMISED
    assert all(row.what in table for row in reporting.ROWS.values())
    assert result["about"] == {"rounds": 1}
    assert json.loads(json.dumps(result)) == result


def test_a_figure_is_the_median_of_its_rounds_and_its_ratio_the_median_of_theirs(reporting: ModuleType) -> None:
    figure = reporting.Figure(name="receive-sqlite", rounds=((10.0, 10.0), (30.0, 60.0), (20.0, 100.0)))
    _, result = reporting.assemble([figure], {})
    (row,) = result["rows"]
    assert (row["ours"], row["floor"], row["ratio"]) == (20.0, 60.0, 0.5)
    assert row["rounds"] == [[10.0, 10.0], [30.0, 60.0], [20.0, 100.0]]


@pytest.mark.parametrize(
    ("name", "ours", "floor", "reached"),
    [
        ("receive-sqlite", 5500.0, 10000.0, True),
        ("receive-sqlite", 5400.0, 10000.0, False),
        ("decide", 80.0, 1.0, True),
        ("decide", 81.0, 100.0, False),
        ("growth", 130.0, 100.0, True),
        ("growth", 131.0, 100.0, False),
        ("conditions", 40.0, 5.0, None),
    ],
)
def test_an_aim_is_reached_or_missed_and_what_has_none_is_only_told(
    reporting: ModuleType, name: str, ours: float, floor: float, reached: bool | None
) -> None:
    table, result = reporting.assemble([reporting.Figure(name=name, rounds=((ours, floor),))], {})
    assert result["rows"][0]["reached"] is reached
    assert ("MISSED" in table) is (reached is False)


def test_a_floor_of_nothing_has_no_ratio_and_reaches_nothing(reporting: ModuleType) -> None:
    _, result = reporting.assemble([reporting.Figure(name="receive-sqlite", rounds=((5.0, 0.0),))], {})
    assert (result["rows"][0]["ratio"], result["rows"][0]["reached"]) == (None, False)
