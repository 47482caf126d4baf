"""Every value that a program file may hold has a test that uses it, and the page says which."""

from __future__ import annotations

from pathlib import Path
from runpy import run_path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def coverage() -> dict[str, Any]:
    return run_path(str(Path(__file__).parents[2] / "docs" / "coverage.py"))


def test_every_value_of_the_program_file_is_used_by_a_test(coverage: dict[str, Any]) -> None:
    assert [f"{row.field}: {row.value}" for row in coverage["rows"]() if not coverage["used_by"](row)] == []


def test_the_page_of_what_tests_use_is_up_to_date(coverage: dict[str, Any]) -> None:
    assert coverage["PAGE"].read_text(encoding="utf-8") == coverage["page"](), "run: make docs"


def test_a_value_that_no_test_uses_is_found(coverage: dict[str, Any]) -> None:
    row = coverage["Row"]("wallets.scale", "unheard of", "no test says this")
    assert coverage["used_by"](row) == ""


def test_every_field_of_the_models_is_on_the_page(coverage: dict[str, Any]) -> None:
    listed = {row.field for row in coverage["rows"]()}
    left_out = coverage["_STRUCTURE"] | coverage["_WITHOUT_EFFECT"]
    for section, model in coverage["SECTIONS"]:
        for name in model.model_fields.keys() - left_out:
            assert ".".join(filter(None, (section, name))) in listed
