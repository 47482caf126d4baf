"""Proofs: what members can be verified as: students, instructors, nurses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from stampcard.program.faults import Fault
from stampcard.program.lifetimes import ExpiryField, Sliding
from stampcard.program.parts import FieldName, Part
from stampcard.program.tiers import DaysField

if TYPE_CHECKING:
    from stampcard.program.model import Program


class ProofTerms(Part):
    """Something that members can be verified as."""

    name: str = Field(default="", max_length=200, description="the name that people see")
    evidence: Mapping[FieldName, str] = Field(
        default={},
        max_length=20,
        description="what is asked for, each with a sentence: licence: The number of your licence",
    )
    valid: ExpiryField = Field(default=None, description="how long it counts: 12 months; on 08-31; without it for good")
    recheck: DaysField = Field(
        default=None, description="so many days before the end the member is told, and can ask again"
    )
    ask: bool = Field(default=True, strict=True, description="false: members cannot ask, people alone say who is")


def faults_of_proofs(program: Program) -> Iterable[Fault]:
    """What proofs say against each other."""
    for name, terms in program.proofs.items():
        place = ("proofs", name)
        if isinstance(terms.valid, Sliding):
            yield (*place, "valid"), "a verification cannot slide: write '12 months' or 'on 08-31'"
        if terms.recheck is not None and terms.valid is None:
            yield (*place, "recheck"), "what counts for good has no end to be told of: write valid"
