"""Locking the one member whom a request is about."""

from __future__ import annotations

from collections.abc import Collection

from stampcard.applying.unit import Unit
from stampcard.errors import NotFound


def lock_member(
    unit: Unit,
    member: str,
    *,
    attributes: bool = False,
    orders: Collection[tuple[str, str]] = (),
    recall: bool = False,
) -> None:
    """Lock one member with the wallets, and orders; raises NotFound, also for one who was erased."""
    unit.lock([member], orders, attributes=attributes, recall=recall)
    if member not in unit.members or unit.members[member].erased_at is not None:
        raise NotFound("member", member)
