"""What a rule owes a member for one subject, and what has been done about it."""

from __future__ import annotations

from decimal import Decimal

from stampcard.domain.value import Value


class Adjustment(Value, frozen=True):
    """Points (in whole points, not the smallest unit) that a plugin adds to or takes off one award, with its reason."""

    points: Decimal
    reason: str


class Award(Value, frozen=True):
    """One rule's award to one member for one subject; due = granted − taken − written_off.

    `subject`: ``order:<source>:<reference>``, ``sign_up`` or ``event:<key>``. `basis`: digest of the order's content
    that adjustments were asked for. Amounts in the wallet's smallest unit.
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

    @property
    def due(self) -> int:
        """What the award stands at."""
        return self.granted - self.taken - self.written_off
