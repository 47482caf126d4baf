"""How people become members of a program."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema, model_validator

from stampcard.program.faults import Fault, fault_of_name
from stampcard.program.parts import Name, Part
from stampcard.program.periods import Period, read_days

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stampcard.program.model import Program

#: What points wait for whose member has not confirmed yet.
CONFIRMED = "confirmed"
_SEGMENT = re.compile(r"segment +(?P<name>\S+)")
_DAYS = {"type": "string", "pattern": r"^[1-9][0-9]{0,5} +days?$"}
Days = Annotated[
    Period | None,
    PlainValidator(lambda written: written if written is None or isinstance(written, Period) else read_days(written)),
    PlainSerializer(lambda period: None if period is None else str(period), return_type=str | None),
    WithJsonSchema({"anyOf": [_DAYS, {"type": "null"}]}),
]


class Enrolment(Part):
    """How people become members, and whether they must confirm it."""

    how: Literal["automatic", "first purchase", "request", "segment"] = Field(
        default="automatic",
        description="automatic: whoever a shop tells of; first purchase: with the first paid order; request: who asks, or is "
        "put in by people; segment: whoever is in `segment`",
    )
    segment: Name | None = Field(default=None, description="the segment whose members take part")
    leaving: Literal["keep", "freeze", "close"] = Field(
        default="keep",
        description="what leaving the segment does: keep: nothing; freeze: nothing is earned or redeemed until they are back; close: "
        "the points expire, too",
    )
    confirm: Days = Field(
        default=None,
        description="N days: members confirm that they want it; until then their points wait, so long at most, and nothing is redeemed",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.how == "segment") != (self.segment is not None):
            message = "name the segment with `how: segment`, and only there: segment NAME"
            raise ValueError(message)
        if self.leaving != "keep" and self.how != "segment":
            message = "`leaving` says what leaving the segment does: it needs `how: segment`"
            raise ValueError(message)
        return self


def _short(written: Any) -> Any:
    """`first purchase`, `segment vip` as what they stand for."""
    if not isinstance(written, str):
        return written
    named = _SEGMENT.fullmatch(written)
    return {"how": "segment", "segment": named["name"]} if named is not None else {"how": written}


EnrolmentField = Annotated[Enrolment, BeforeValidator(_short, json_schema_input_type=Enrolment | str)]


def faults_of_enrolment(program: Program) -> Iterable[Fault]:
    """What the way of becoming a member says against the rest of the program."""
    segment = program.enrolment.segment
    if segment is not None:
        fault = fault_of_name("segment", segment, tuple(program.segments))
        if fault:
            yield ("enrolment", "segment"), fault
