"""Locking the one member whom a request is about."""

from __future__ import annotations

from collections.abc import Collection

from stampcard.applying.unit import Unit
from stampcard.domain.members import Member
from stampcard.errors import Merged, NotFound


def lock_member(
    unit: Unit,
    member: str,
    *,
    attributes: bool = False,
    orders: Collection[tuple[str, str]] = (),
    recall: bool = False,
) -> None:
    """Lock one member with the wallets, and orders; raises NotFound, also for one who was erased, and Merged."""
    unit.lock([member], orders, attributes=attributes, recall=recall)
    present(unit, member)


def present(unit: Unit, member: str) -> Member:
    """A member whom a unit of work has loaded; raises NotFound, also for one who was erased, and Merged."""
    person = unit.members.get(member)
    if person is None or person.erased_at is not None:
        raise NotFound("member", member)
    if person.merged_into is not None:
        raise Merged(member, person.merged_into)
    return person
