"""Segments beside events: everybody is judged each night, people put members in and out, and ask who is in and why."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection

from stampcard.applying.guarding import guarded
from stampcard.applying.locking import present
from stampcard.applying.recounting import count_members, members_of
from stampcard.applying.setting import Setting, check_revision
from stampcard.applying.unit import Unit
from stampcard.domain.decisions import Change
from stampcard.domain.members import Member
from stampcard.domain.value import Value
from stampcard.engine.describing import Past
from stampcard.engine.segmenting import Judged, judge
from stampcard.engine.versions import LiveProgram
from stampcard.errors import NotFound, RequestRefused
from stampcard.program.faults import fault_of_name
from stampcard.storage import listing
from stampcard.storage.listing import members_after


class Insight(Value, frozen=True):
    """A segment as it stands for one member: whether in, and the condition that says so."""

    program: str
    judged: Judged
    when: str | None


def judge_all(
    connection: Connection, setting: Setting, now: datetime, live: LiveProgram, after: str, limit: int
) -> tuple[int, str, list[Change]]:
    """Judge the next members of a program behind `after`, for what time and new conditions change; see `celebrate`."""
    check_revision(connection, setting)
    found = judged_members(connection, setting.merchant, live, after, limit)
    if not found:
        return 0, after, []
    unit = Unit(connection, setting, now)
    unit.lock(found, attributes=False)
    for member in found:
        if member in unit.members:
            guarded(unit, member, "segments_failed", unit.judge_again)
    return len(found), found[-1], unit.save()


def judged_members(connection: Connection, merchant: str, live: LiveProgram, after: str, limit: int) -> list[str]:
    """The next members whose segments are judged: everybody where a segment makes members."""
    if live.program.enrolment.segment is not None:
        return members_after(connection, merchant, after, limit)
    return members_of(connection, merchant, live.name, after, limit)


def count_judged(connection: Connection, merchant: str, live: LiveProgram) -> int:
    """How many members are judged."""
    if live.program.enrolment.segment is not None:
        return listing.count_members(connection, merchant)
    return count_members(connection, merchant, live.name)


def put(unit: Unit, program: str, segment: str, add: Collection[str], remove: Collection[str]) -> int:
    """Put members into a segment that is kept by hand, or take them out; answers for how many that changed something.

    Raises NotFound for an unknown program, segment or member, RequestRefused for a segment that has a condition.
    """
    live = named(unit.setting.programs.current(unit.now), program, segment)
    if live.program.segments[segment].when is not None:
        raise RequestRefused("has_condition", f"who is in {segment} follows from its condition")
    both = set(add) & set(remove)
    if both:
        raise RequestRefused("both", f"{min(both)} is to be put in and taken out at once")
    unit.lock(sorted({*add, *remove}), attributes=False)
    before = len(unit.crossings.happened)
    for member in (*add, *remove):
        present(unit, member)
        if live.name not in unit.members[member].programs and live.program.enrolment.segment != segment:
            raise RequestRefused("not_a_member", f"{member} does not take part in {live.name}")
        unit.segmenting.cross(member, live.name, segment, entered=member in add)
        unit.judge_again(member)
    return len({member for member, _ in unit.crossings.happened[before:]})


def named(current: Collection[LiveProgram], program: str, segment: str) -> LiveProgram:
    """The program of a segment; raises NotFound."""
    live = next((live for live in current if live.name == program), None)
    if live is None:
        raise NotFound("program", program)
    fault = fault_of_name("segment", segment, tuple(live.program.segments))
    if fault:
        raise NotFound("segment", segment)
    return live


def insights(unit: Unit, member: str) -> list[Insight]:
    """Every segment of every program as it stands for a member now; nothing is locked or written. Raises NotFound."""
    unit.look(member)
    person = present(unit, member)
    found = []
    for live in unit.segmenting.live:
        known = person.segments.get(live.name, frozenset())
        judged = judge(live, person, unit.pasts.get(member, Past()), unit.now, known)
        found += [
            Insight(program=live.name, judged=one, when=live.program.segments[one.segment].when)
            for one in judged
            if _is_judged(live, person, one.segment)
        ]
    return found


def suppose(
    connection: Connection, setting: Setting, now: datetime, live: LiveProgram, segment: str, after: str, limit: int
) -> tuple[int, str, list[str]]:
    """Who of the next members would be in a segment if the program were this one; nothing is written."""
    found = judged_members(connection, setting.merchant, live, after, limit)
    if not found:
        return 0, after, []
    inside = []
    unit = Unit(connection, setting, now)
    unit.look(*found, also=live)
    for member in found:
        person = unit.members.get(member)
        if person is None or not person.is_there:
            continue
        known = person.segments.get(live.name, frozenset())
        judged = judge(live, person, unit.pasts.get(member, Past()), now, known)
        inside += [
            member for one in judged if one.segment == segment and one.inside and _is_judged(live, person, segment)
        ]
    return len(found), found[-1], inside


def _is_judged(live: LiveProgram, person: Member, segment: str) -> bool:
    """Whether a member can be in a segment: whoever takes no part, only in that which makes members."""
    return live.name in person.programs or live.program.enrolment.segment == segment
