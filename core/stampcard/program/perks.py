"""Perks: what members are entitled to: early access, free shipping, an event."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, PlainSerializer, PlainValidator

from stampcard.program.amounts import Short, schema
from stampcard.program.faults import Fault, fault_of_name
from stampcard.program.lifetimes import ExpiryField, Sliding
from stampcard.program.limits import Per
from stampcard.program.parts import Part
from stampcard.program.rules import Texts
from stampcard.program.windows import During

if TYPE_CHECKING:
    from stampcard.program.model import Program

_USES = re.compile(r"([1-9][0-9]{0,5})(?: +times?)? +(?:per +(day|week|month|year)|ever)")


class Uses(Short):
    """So often in each period of the calendar, or ever."""

    most: int
    per: Per

    def __str__(self) -> str:
        return f"{self.most} ever" if self.per == "ever" else f"{self.most} per {self.per}"


def read_uses(written: Any) -> Uses | None:
    """How often "4 per year" lets a perk be used; raises ValueError."""
    if written is None or isinstance(written, Uses):
        return written
    found = _USES.fullmatch(written.strip()) if isinstance(written, str) else None
    if found is None:
        message = "write how often it can be used: '4 per year' (or day, week, month), '1 ever'"
        raise ValueError(message)
    return Uses(most=int(found[1]), per=found[2] or "ever")


UsesField = Annotated[
    Uses | None,
    PlainValidator(read_uses),
    PlainSerializer(lambda uses: None if uses is None else str(uses), return_type=str | None),
    schema(_USES.pattern.replace("(day", "(?:day"), "4 per year; 1 per month; 2 ever", {"type": "null"}),
]


class Perk(Part):
    """Something that members are entitled to."""

    name: str = Field(default="", max_length=200, description="the name that people see")
    tiers: Texts = Field(default=(), description="members of one of these tiers have it: gold, silver")
    segments: Texts = Field(default=(), description="so have members of one of these segments")
    plans: Texts = Field(default=(), description="and those who have one of these plans")
    when: str | None = Field(
        default=None,
        description="a condition in CEL over the member, the history and `now`, which they must fulfil as well; without any "
        "of the four people say who has it",
    )
    uses: UsesField = Field(
        default=None, description="how often a member can use it: 4 per year; without it as often as they like"
    )
    valid: ExpiryField = Field(
        default=None,
        description="how long it is had from when it was got: 30 days; on 12-31; without it as long as it is fulfilled",
    )
    during: During | None = Field(default=None, description="when it can be used; without it always")
    tag: str = Field(
        default="",
        pattern=r"^(?:[a-z0-9][a-z0-9_.:-]{0,59})?$",
        description="what whoever has it is marked with at the shop: early-access",
    )


def faults_of_perks(program: Program) -> Iterable[Fault]:
    """What perks say against the rest of the program."""
    tiers = tuple(program.tiers.levels) if program.tiers is not None else ()
    for name, perk in program.perks.items():
        place = ("perks", name)
        for section, what, known in (("tiers", "tier", tiers), ("segments", "segment", tuple(program.segments))):
            for index, one in enumerate(getattr(perk, section)):
                fault = fault_of_name(what, one, known)
                if fault:
                    yield (*place, section, index), fault
        if isinstance(perk.valid, Sliding):
            yield (*place, "valid"), "a perk cannot slide: write '30 days' or 'on 12-31'"
