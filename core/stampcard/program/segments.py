"""Segments: groups of members, by a condition or by hand."""

from __future__ import annotations

from pydantic import Field

from stampcard.program.parts import Part


class Segment(Part):
    """A group of members."""

    name: str = Field(default="", max_length=200, description="the name that people see")
    when: str | None = Field(
        default=None,
        description="a condition in CEL over the member, the history and `now`: who fulfils it is in; without it people say who",
    )
