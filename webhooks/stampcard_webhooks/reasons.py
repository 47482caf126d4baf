"""Why rules did what they did, as several routes show it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from pydantic import BaseModel, Field

from stampcard.domain.decisions import Reason
from stampcard.engine.versions import LiveProgram, Programs
from stampcard.engine.wording import sentence
from stampcard.engine.world import Order
from stampcard.storage.telling import version_of


class ReasonView(BaseModel):
    """Why a rule did what it did; points in the wallet's smallest unit."""

    program: str = Field(description="Empty for what is said of the order itself.")
    rule: str = Field(description="The program's own id for what is said of the program as a whole.")
    outcome: str
    code: str
    detail: str
    words: str = Field(description="The same as a sentence.")
    desired: int = Field(description="What it would have paid without limits, where that is more; else 0.")
    due: int
    granted: int
    taken: int
    written_off: int


def reason_view(reason: Reason, live: LiveProgram | None) -> ReasonView:
    """A reason as shown; `live` is the version that gave it."""
    return ReasonView(
        program=reason.program,
        rule=reason.rule,
        outcome=reason.outcome,
        code=reason.code,
        detail=reason.detail,
        words=sentence(reason, live),
        desired=reason.desired,
        due=reason.due,
        granted=reason.granted,
        taken=reason.taken,
        written_off=reason.written_off,
    )


def reason_views(reasons: Iterable[Reason], order: Order | None, programs: Programs, at: datetime) -> list[ReasonView]:
    """Reasons of one decision, about an order or not."""
    return [reason_view(reason, version_of(reason, order, programs, at)) for reason in reasons]
