"""The published schemas are those of the code."""

from __future__ import annotations

from pathlib import Path
from runpy import run_path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def schemas() -> dict[str, Any]:
    return run_path(str(Path(__file__).parents[2] / "docs" / "schemas.py"))


def test_the_schema_of_webhooks_is_up_to_date(schemas: dict[str, Any]) -> None:
    assert schemas["FILE"].read_text(encoding="utf-8") == schemas["written"](), "run: make docs"
