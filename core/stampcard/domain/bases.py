"""How much a member bought at a discount that is capped by the year or month."""

from __future__ import annotations

from datetime import datetime

from stampcard.domain.value import Value


class BaseUse(Value, frozen=True):
    """What one order counts towards the cap of a reward, in ten-thousandths of the program's currency.

    `subject`: the order. `allowed`: of its value, what the cap left when it was first seen; `kept`: what refunds leave of
    that. `at`: when it was placed, by which the period is known.
    """

    program: str
    reward: str
    subject: str
    at: datetime
    allowed: int
    kept: int
