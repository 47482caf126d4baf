from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from stampcard.program.amounts import read_award
from stampcard.program.lifetimes import read_expiry
from stampcard.program.schema import program_schema

PROGRAMS = Path(__file__).parents[3] / "config" / "programs"


def test_the_shipped_schema_is_the_one_that_the_model_gives() -> None:
    shipped = PROGRAMS / "program.schema.json"
    assert json.loads(shipped.read_text()) == program_schema()


@pytest.mark.parametrize("path", sorted(PROGRAMS.glob("*.yaml")), ids=lambda path: path.name)
def test_every_shipped_program_tells_editors_its_schema(path: Path) -> None:
    assert path.read_text().startswith("# yaml-language-server: $schema=./program.schema.json\n")


@pytest.mark.parametrize(
    "written",
    [
        "none",
        "1 day",
        "12 months",
        "100 years",
        "6 months, end of june",
        "on 06-30, 12-31",
        "1 year after last earn, spend",
    ],
)
def test_the_schema_knows_the_short_form_of_a_period(written: str) -> None:
    _, text = program_schema()["$defs"]["WalletTerms"]["properties"]["expire"]["anyOf"]
    read_expiry(written)
    assert re.search(text["pattern"], written)


@pytest.mark.parametrize("written", ["1 per 1 EUR", "0.5 per 10 EUR", "2 per item", "x1.5", "formula rain"])
def test_the_schema_knows_the_short_form_of_a_rate(written: str) -> None:
    _, text = program_schema()["$defs"]["Rule"]["properties"]["award"]["anyOf"]
    read_award(written)
    assert re.search(text["pattern"], written)
