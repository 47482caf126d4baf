"""Members who join a program, confirm that they want it, and leave it."""

from __future__ import annotations

from stampcard.applying.concerning import sign_up_keys
from stampcard.applying.locking import lock_member
from stampcard.applying.unit import Unit
from stampcard.engine.deciding import enrol
from stampcard.engine.enrolling import decide_confirm, decide_join, decide_leave
from stampcard.engine.versions import LiveProgram
from stampcard.engine.world import Draft
from stampcard.errors import Conflict, NotFound


def join(unit: Unit, member: str, program: str) -> None:
    """Let a member take part in a program; raises NotFound, RequestRefused where nobody can, Conflict for who does."""
    live = _ready(unit, member, program)
    unit.absorb(decide_join(unit.world, live, unit.members[member]))


def confirm(unit: Unit, member: str, program: str) -> None:
    """A member confirms that they want to take part; raises NotFound, Conflict where there is nothing to confirm."""
    live = _ready(unit, member, program)
    unit.absorb(decide_confirm(unit.world, live, unit.members[member]))


def accept(unit: Unit, member: str, program: str) -> None:
    """Let a member take part who was asked to and said yes, which needs no second question; raises as `join` does."""
    live = _ready(unit, member, program)
    unit.absorb(decide_join(unit.world, live, unit.members[member]))
    if unit.members[member].states.get(program) == "unconfirmed":
        unit.absorb(decide_confirm(unit.world, live, unit.members[member]))


def leave(unit: Unit, member: str, program: str) -> None:
    """End a member's part in a program: the points expire. Raises NotFound, Conflict for who has none."""
    live = _ready(unit, member, program)
    person = unit.members[member]
    if program not in person.programs or person.states.get(program) == "left":
        raise Conflict("takes_no_part", f"the member takes no part in {program!r}")
    unit.absorb(decide_leave(unit.world, live, person, "left"))


def join_by_request(unit: Unit, member: str, program: str = "") -> None:
    """Let a member whom somebody made take part in every program that asks for it, or in the one that they asked for.

    Raises RequestRefused where nobody can join that one.
    """
    if program:
        live = next((live for live in unit.setting.programs.current(unit.now) if live.name == program), None)
        if live is None:
            raise NotFound("program", program)
        if program not in unit.members[member].programs:
            unit.absorb(decide_join(unit.world, live, unit.members[member]))
        return
    draft = Draft(unit.world)
    enrol(draft, unit.members[member], unit.now, asked=True)
    if draft.member is not None:
        unit.absorb(draft.decision())


def _ready(unit: Unit, member: str, program: str) -> LiveProgram:
    live = next((live for live in unit.setting.programs.current(unit.now) if live.name == program), None)
    if live is None:
        raise NotFound("program", program)
    lock_member(unit, member, attributes=True)
    unit.count(set(sign_up_keys(unit, [member], unit.now)))
    return live
