"""How rewards go together in one cart, as a program says it."""

from __future__ import annotations

import pytest

from stampcard.engine.versions import compiled
from stampcard.errors import ProgramError
from stampcard.program.combinations import Stacking
from stampcard.program.comparing import changes
from stampcard.program.model import Program
from stampcard.program.reading import read_program
from stampcard.testing.building import LONG_AGO, PROGRAM


def program(*written: str) -> Program:
    return read_program(PROGRAM + "".join(f"stacking: {{{one}}}\n" for one in written), "test program")


def test_percentages_are_of_what_is_left_and_of_the_exclusive_only_one_counts_counts_by_default() -> None:
    said = Stacking(percent_of="running", always="all", common="all", never="highest")
    assert program().stacking == program("percent_of: running").stacking == said


@pytest.mark.parametrize(
    "written",
    [
        "percent_of: initial", "percent_of: running",
        "always: all", "always: highest", "always: lowest", "always: first",
        "common: all", "common: highest", "common: lowest", "common: first",
        "never: all", "never: highest", "never: lowest", "never: first",
    ],
)  # fmt: skip
def test_each_group_and_the_percentages_can_be_told_for_themselves(written: str) -> None:
    setting, _, value = written.partition(": ")
    found = program(written)
    assert found.stacking == Stacking.model_validate({setting: value})
    assert compiled(found, 1, LONG_AGO).program.stacking == found.stacking


@pytest.mark.parametrize("written", ["percent_of: half", "never: some", "sometimes: all"])
def test_what_is_unknown_is_refused(written: str) -> None:
    with pytest.raises(ProgramError):
        program(written)


def test_a_change_is_told() -> None:
    assert changes(program(), program("percent_of: initial")) == ["program: stacking.percent_of running → initial"]
