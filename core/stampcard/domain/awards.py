"""What a rule owes a member for one subject, and what has been done about it."""

from __future__ import annotations

from decimal import Decimal

from stampcard.domain.value import Value


class Adjustment(Value, frozen=True):
    """Points (in whole points, not the smallest unit) that a plugin adds to or takes off one award, with its reason."""

    points: Decimal
    reason: str


class Charge(Value, frozen=True, array_like=True):
    """What an award uses of a limit: its counter, how much now, and how much it was allowed before refunds.

    Points in the wallet's smallest unit, money in ten-thousandths, times and members by one.
    """

    scope: str
    period: str
    member: str
    amount: int
    reserved: int


class Award(Value, frozen=True):
    """One rule's award to one member for one subject; due = granted − taken − written_off.

    `subject`: ``order:<source>:<reference>``, ``sign_up`` or ``event:<key>``. `basis`: digest of the order's content
    that adjustments were asked for. `allowed`: what limits left of `desired`, both before refunds; None where no limit
    applies. `cooling`: the rule had paid too short a time before, which is decided once. Amounts in the wallet's
    smallest unit.
    """

    subject: str
    member: str
    program: str
    rule: str
    wallet: str
    granted: int = 0
    taken: int = 0
    written_off: int = 0
    revision: int = 0
    basis: str = ""
    adjustments: tuple[Adjustment, ...] = ()
    desired: int = 0
    allowed: int | None = None
    cooling: bool = False
    charges: tuple[Charge, ...] = ()

    @property
    def due(self) -> int:
        """What the award stands at."""
        return self.granted - self.taken - self.written_off
