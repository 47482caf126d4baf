"""How much a member bought at a discount that is capped by the year or month."""

from __future__ import annotations

from datetime import datetime

from stampcard.domain.value import Value


class BaseUse(Value, frozen=True):
    """What one order counts towards the cap of a reward, in ten-thousandths of the program's currency.

    `subject`: the order. `whole`: the value of its goods; `allowed`: what the cap left of that when it was first seen; `kept`:
    what refunds leave of it. `at`: when it was placed, by which the period is known.
    """

    program: str
    reward: str
    subject: str
    at: datetime
    whole: int
    allowed: int
    kept: int
