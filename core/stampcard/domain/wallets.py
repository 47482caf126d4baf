"""One member's wallet: its lots, its account sums, and what they mean to a reader."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from stampcard.domain.ledger import Account
from stampcard.domain.value import Value


class Lot(Value, frozen=True):
    """Points that were credited together and die together; amounts in the wallet's smallest unit.

    `remaining` is what can still be drawn; `expired` lapsed; `taken` went back to the program because the award shrank;
    the rest was drawn by debits. `active` is False while the points wait for `available_from`; if they wait for
    something to happen (`waits_for`), they lapse then. `slides`: what the wallet's expiry names gives it a new date.
    """

    number: int
    amount: int
    remaining: int
    active: bool
    available_from: datetime
    expires_at: datetime | None
    occurred_at: datetime
    subject: str
    rule: str = ""
    program_version: int = 0
    expired: int = 0
    taken: int = 0
    parent: int | None = None
    waits_for: str = ""
    slides: bool = False


class Wallet(Value, frozen=True):
    """A member's wallet as booked up to `booked_to`.

    `lots` holds every lot that the work at hand may touch; the first change among the lots that were left out is
    `left_out_until`.
    """

    member: str
    name: str
    booked_to: datetime
    sums: Mapping[Account, int] = {}
    lots: Mapping[int, Lot] = {}
    entries: int = 0
    opened: int = 0
    next_change_at: datetime | None = None
    left_out_until: datetime | None = None


class Balance(Value, frozen=True):
    """What a member sees of a wallet: integers in the smallest unit, `scale` decimal places."""

    active: int = 0
    pending: int = 0
    held: int = 0
    spent: int = 0
    expired: int = 0
    negative: int = 0
    lifetime: int = 0
    scale: int = 0


def balance_of(sums: Mapping[Account, int], scale: int) -> Balance:
    """The figures that are shown, from the account sums."""
    return Balance(
        active=sums.get("active", 0),
        pending=sums.get("pending", 0),
        held=sums.get("held", 0),
        spent=sums.get("redeemed", 0),
        expired=sums.get("expired", 0),
        negative=-sums.get("debt", 0),
        lifetime=-sums.get("issued", 0),
        scale=scale,
    )


def draw_key(lot: Lot) -> tuple[bool, float, float, int]:
    """Draw order: earliest expires_at, then available_from, then number; without expiry last."""
    expires = lot.expires_at
    return (expires is None, expires.timestamp() if expires else 0.0, lot.available_from.timestamp(), lot.number)
