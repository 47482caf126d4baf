"""Customers of several shops who are one person, found by an address that both shops verified."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import combinations
from typing import Literal, get_args

from sqlalchemy import Connection

from stampcard.applying import merging
from stampcard.applying.locking import present
from stampcard.applying.setting import Setting, check_revision
from stampcard.applying.unit import Unit
from stampcard.domain.addresses import AddressKind, normal
from stampcard.domain.decisions import Change
from stampcard.domain.events import CustomerSeen
from stampcard.domain.members import Member
from stampcard.errors import RequestRefused
from stampcard.storage import addressing, loading
from stampcard.storage.addressing import AddressKey, Same

#: How many addresses one step compares; each may merge two members.
STEP = 20
Verdict = Literal["merge", "apart", "same_shop", "several", "on_hold"]
_WORDS = {
    "same_shop": "one shop knows both, as two customers",
    "several": "more than two members have this address, two of them at one shop or called two people",
    "on_hold": "one of them is on hold",
}


def heard(setting: Setting, source: str, event: CustomerSeen, member: str) -> dict[AddressKey, tuple[str | None, str]]:
    """The addresses that a customer has now, by which they may be found to be somebody else, too."""
    found: dict[AddressKey, tuple[str | None, str]] = {}
    for kind in get_args(AddressKind):
        if kind not in setting.matching or kind not in event.attributes:
            continue
        written = event.attributes[kind] if kind in event.verified else None
        same = normal(kind, str(written)) if written else None
        print_ = setting.sealer.fingerprint(f"address:{kind}:{same}") if same else None
        found[source, event.reference, kind] = (print_, member)
    return found


def match(connection: Connection, setting: Setting, now: datetime) -> tuple[int, list[Change]]:
    """Compare addresses that are new with those of others; answers how many, and what merging changed for whom.

    A step ends behind the first that somebody else has: members are locked in the order of their ids, once in a transaction.
    """
    check_revision(connection, setting)
    found = addressing.unchecked(connection, setting.merchant, STEP)
    for one in found:
        addressing.checked(connection, setting.merchant, one)
        same = addressing.others(connection, setting.merchant, one)
        if same:
            return STEP, _compare(connection, setting, now, one, same)
    return len(found), []


def _compare(connection: Connection, setting: Setting, now: datetime, one: Same, same: Sequence[str]) -> list[Change]:
    merchant, changes = setting.merchant, list[Change]()
    found = loading.load_members(connection, merchant, [one.member, *same], setting.sealer, attributes=False, lock=True)
    several = len(same) > 1 and _are_two(connection, setting, [one.member, *same])
    mine = one.member
    for other in same:
        people = {id_: found[id_] for id_ in (mine, other) if id_ in found and found[id_].is_there}
        if len(people) < 2:  # noqa: PLR2004 - one of them was erased or merged meanwhile
            continue
        verdict = _judge(connection, setting, people, several=several)
        if verdict == "merge":
            kept, gone = sorted(people.values(), key=lambda person: (person.joined_at, person.id))
            unit = Unit(connection, setting, now)
            merging.merge(unit, gone.id, kept.id, by="matching", note=f"the same verified {one.key[2]}")
            changes += unit.save()
            mine = kept.id
        elif verdict != "apart":
            addressing.note_duplicate(connection, merchant, (mine, other), one.key[2], "doubtful", _WORDS[verdict], now)
    return changes


def _are_two(connection: Connection, setting: Setting, members: Sequence[str]) -> bool:
    """Whether a shop knows two of them, or somebody said so: then nobody can tell which of the two the others are."""
    known = [_shops(connection, setting, id_) for id_ in members]
    if len(set().union(*known)) < sum(map(len, known)):
        return True
    return any(addressing.are_apart(connection, setting.merchant, *pair) for pair in combinations(members, 2))


def _shops(connection: Connection, setting: Setting, member: str) -> set[str]:
    """Who tells of a member. A CRM does not count: it may have two contacts of one person, or one that we made ourselves."""
    return addressing.sources_known(connection, setting.merchant, member) - setting.crms.keys()


def _judge(connection: Connection, setting: Setting, people: dict[str, Member], *, several: bool) -> Verdict:
    """Whether two members with one address are one person beyond doubt."""
    one, other = people
    if addressing.are_apart(connection, setting.merchant, one, other):
        return "apart"
    if several:
        return "several"
    if any(person.held is not None for person in people.values()):
        return "on_hold"
    sources = [_shops(connection, setting, id_) for id_ in people]
    return "same_shop" if sources[0] & sources[1] else "merge"


def keep_apart(unit: Unit, one: str, other: str) -> None:
    """Write that two members are two people, whatever they have in common; raises NotFound, Merged, RequestRefused."""
    if one == other:
        raise RequestRefused("same_member", "a member cannot be somebody else than itself")
    setting = unit.setting
    people = loading.load_members(
        unit.connection, setting.merchant, [one, other], setting.sealer, attributes=False, lock=True
    )
    unit.members |= people
    for id_ in (one, other):
        present(unit, id_)
    addressing.note_duplicate(
        unit.connection, setting.merchant, (one, other), "", "apart", "somebody said so", unit.now
    )
