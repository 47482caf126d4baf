from __future__ import annotations

import re
from pathlib import Path

import pytest

from stampcard.cli.plugin import project

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "how-to" / "write-a-plugin.md").read_text()
PLUGINS = ROOT / "tests" / "plugins"
SAMPLE = "sample/stampcard-sample"


def test_a_new_plugin_begins_as_the_sample_of_the_guide() -> None:
    for path, text in project("sample").items():
        assert text == (PLUGINS / SAMPLE / path).read_text(), path


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        (SAMPLE, "pyproject.toml"),
        (SAMPLE, "stampcard_sample.py"),
        (SAMPLE, "test_sample.py"),
        (SAMPLE, "fixtures/sale__paid.json"),
        ("weather/stampcard-weather", "stampcard_weather.py"),
        ("perks/stampcard-perks", "stampcard_perks.py"),
        ("campus/stampcard-campus", "stampcard_campus.py"),
    ],
)
def test_the_guide_shows_each_file_of_the_samples_as_it_is(folder: str, name: str) -> None:
    blocks = re.findall(r"`([\w./-]+)`:\n\n```\w+\n(.*?)\n```", GUIDE, re.DOTALL)
    assert dict(blocks)[name] == (PLUGINS / folder / name).read_text().rstrip()
