"""The project's Markdown as tests read it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_TABLE = re.compile(r"^\|.*\|\n\|[ :|-]+\|\n(?:\|.*\|\n)+", re.MULTILINE)


@pytest.fixture
def root() -> Path:
    return ROOT


@pytest.fixture
def tables() -> Callable[[str], list[list[dict[str, str]]]]:
    """The tables of a page, each as its rows: head → cell."""

    def read(page: str) -> list[list[dict[str, str]]]:
        found = _TABLE.findall((ROOT / page).read_text(encoding="utf-8"))
        return [_rows(table) for table in found]

    return read


def _rows(table: str) -> list[dict[str, str]]:
    head, _, *lines = ([cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in table.splitlines())
    return [dict(zip(head, line, strict=True)) for line in lines]
