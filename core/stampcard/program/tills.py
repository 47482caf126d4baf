"""What people at the counter may do."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from stampcard.program.parts import Part
from stampcard.program.periods import SpanField

Most = Annotated[int, Field(ge=0, le=10**12)]


class CounterTerms(Part):
    """The rules of the counter; limits are for one shift of one till."""

    undo: SpanField = Field(
        default=timedelta(minutes=2),
        json_schema_extra={"default": "2 minutes"},
        description="how long what was done by mistake can be undone; none: it cannot",
    )
    offline: SpanField = Field(
        default=timedelta(hours=6),
        json_schema_extra={"default": "6 hours"},
        description="how old what a till did without us may be when it tells us; none: nothing is taken that is told late",
    )
    points: Most | None = Field(default=None, description="at most so many points are given, in whole points")
    value: Decimal | None = Field(default=None, ge=0, description="at most rewards of so much money are handed out")
    typed: Most | None = Field(default=None, description="at most so many cards are typed instead of scanned")
