from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "how-to" / "write-a-plugin.md").read_text()
SAMPLE = ROOT / "tests" / "plugins" / "sample" / "stampcard-sample"


@pytest.mark.parametrize(
    "name", ["pyproject.toml", "stampcard_sample.py", "test_sample.py", "fixtures/sale__paid.json"]
)
def test_the_guide_shows_each_file_of_the_sample_as_it_is(name: str) -> None:
    blocks = re.findall(r"`([\w./-]+)`:\n\n```\w+\n(.*?)\n```", GUIDE, re.DOTALL)
    assert dict(blocks)[name] == (SAMPLE / name).read_text().rstrip()
