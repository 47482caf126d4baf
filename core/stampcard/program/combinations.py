"""Combinations: which rewards count together in one cart."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from stampcard.program.parts import Part

#: How many of a group's rewards count in one cart; the first is by `priority`, then by name.
Many = Literal["all", "highest", "lowest", "first"]
PercentOf = Literal["initial", "running"]


class Stacking(Part):
    """How the rewards of a program go together in one cart."""

    percent_of: PercentOf = Field(
        default="running",
        description="what a percentage is of: running (what earlier rewards left), initial (the cart before rewards)",
    )
    always: Many = Field(default="all", description="how many with `stack: always` count: all, highest, lowest, first")
    common: Many = Field(default="all", description="how many with `stack: common` count: all, highest, lowest, first")
    never: Many = Field(
        default="highest", description="how many with `stack: never` count: all, highest, lowest, first"
    )
