from __future__ import annotations

import re
from pathlib import Path

from stampcard.engine.versions import compiled
from stampcard.program.reading import read_program
from stampcard.testing.building import LONG_AGO

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "run-a-campaign.md"
HEAD = "program: main\ncurrency: EUR\ntimezone: Europe/Berlin\nwallets: {points: {}}\n"


def test_the_example_is_a_program_that_is_right() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    program = read_program(HEAD + text, "program.yaml")
    assert compiled(program, 1, LONG_AGO).offers.keys() == {"buy", "spring_2", "spring_3"}
    assert list(program.campaigns["spring"].variants) == ["double", "triple"]
