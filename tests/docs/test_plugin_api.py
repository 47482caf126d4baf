from __future__ import annotations

import runpy
from pathlib import Path

from stampcard import plugin

DOCS = Path(__file__).parents[2] / "docs"
GENERATOR = runpy.run_path(str(DOCS / "plugin_api.py"))


def test_the_page_is_what_the_docstrings_say_now() -> None:
    page = (DOCS / "reference" / "plugin-api.md").read_text()
    assert page == GENERATOR["page"](), "python docs/plugin_api.py writes it anew"


def test_every_name_of_the_facade_stands_on_the_page_once() -> None:
    rows = [line.split("`")[1] for line in GENERATOR["page"]().splitlines() if line.startswith("| `")]
    assert sorted(rows) == sorted(plugin.__all__)
