"""Paid memberships as they are asked about, tried, given and ended by people."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from difflib import get_close_matches

from stampcard.applying.locking import lock_member, present
from stampcard.applying.unit import Unit
from stampcard.domain.plans import Subscription, Term
from stampcard.domain.value import Value
from stampcard.engine.entitling import barred
from stampcard.engine.rewarding import CLOSED
from stampcard.engine.subscribing import trial_of
from stampcard.engine.versions import LiveProgram
from stampcard.errors import Conflict, NotFound, RequestRefused


class PlanStanding(Value, frozen=True):
    """A plan for one member now, with the terms that it is made of; `can_try`: the member may try it once."""

    live: LiveProgram
    name: str
    one: Subscription
    terms: tuple[Term, ...]
    can_try: bool


def plan_standings(unit: Unit, member: str) -> list[PlanStanding]:
    """Every plan of the member's programs; nothing is locked or written. Raises NotFound."""
    unit.look(member)
    person = present(unit, member)
    return [
        _standing(unit, live, member, name)
        for live in unit.subscribing.live
        if live.name in person.programs
        for name in live.program.plans
    ]


def _standing(unit: Unit, live: LiveProgram, member: str, name: str) -> PlanStanding:
    terms = tuple(unit.subscribing.of(member, live.name, name))
    one = unit.subscribing.folded(live, member, name)
    person = unit.members[member]
    can_try = live.program.plans[name].trial is not None and not terms and not barred(live, person, unit.now)
    return PlanStanding(live=live, name=name, one=one, terms=terms, can_try=can_try)


def named_plan(current: Collection[LiveProgram], program: str, plan: str) -> LiveProgram:
    """The program of a plan, also where only one has it and none is named; raises NotFound or Conflict."""
    found = [live for live in current if plan in live.program.plans and program in {"", live.name}]
    if not found:
        known = [name for live in current if program in {"", live.name} for name in live.program.plans]
        raise NotFound("plan", plan, "".join(get_close_matches(plan, known, n=1)))
    if len(found) > 1:
        there = ", ".join(live.name for live in found)
        raise Conflict("several_programs", f"several programs have a plan {plan!r}: say which: {there}")
    return found[0]


def _locked(unit: Unit, member: str, program: str, plan: str) -> LiveProgram:
    live = named_plan(unit.setting.programs.current(unit.now), program, plan)
    lock_member(unit, member, attributes=True)
    unit.count(())
    if live.name not in unit.members[member].programs:
        raise RequestRefused("not_a_member", f"the member does not take part in {live.name}")
    return live


def try_plan(unit: Unit, member: str, program: str, plan: str) -> PlanStanding:
    """Begin a trial; once, and before anything was paid. Raises NotFound, RequestRefused."""
    live = _locked(unit, member, program, plan)
    if live.program.plans[plan].trial is None:
        raise RequestRefused("no_trial", f"{plan} cannot be tried: the program gives it no `trial`")
    person = unit.members[member]
    if person.held is not None:
        raise RequestRefused("on_hold", "the member is on hold")
    if code := barred(live, person, unit.now):
        raise RequestRefused(code, CLOSED[code])
    if unit.subscribing.of(member, live.name, plan):
        raise RequestRefused(
            "tried_already", f"the member had {plan} before: it is tried once, before the first purchase"
        )
    return _with(unit, live, member, trial_of(live, plan, unit.now))


def give_plan(
    unit: Unit, member: str, program: str, plan: str, until: datetime | None, key: str, note: str
) -> PlanStanding:
    """Give a plan by hand up to a moment, or for good; the same key gives it once. Raises NotFound, RequestRefused."""
    if until is not None and until <= unit.now:
        raise RequestRefused("in_the_past", f"{until:%Y-%m-%d %H:%M}Z is past: name a later end")
    live = _locked(unit, member, program, plan)
    if any(term.key == f"hand:{key}" for term in unit.subscribing.of(member, live.name, plan)):
        return _standing(unit, live, member, plan)
    given = Term(program=live.name, plan=plan, key=f"hand:{key}", kind="hand", at=unit.now, until=until, note=note)
    return _with(unit, live, member, given)


def end_plan(unit: Unit, member: str, program: str, plan: str, note: str) -> PlanStanding:
    """End a plan now; what was paid is not given back here. Raises NotFound, RequestRefused for one that is not had."""
    live = _locked(unit, member, program, plan)
    if not unit.subscribing.folded(live, member, plan).active:
        raise RequestRefused("not_theirs", f"the member does not have {plan}")
    ended = Term(
        program=live.name, plan=plan, key=f"ended:{unit.now.isoformat()}", kind="ended", at=unit.now, note=note
    )
    return _with(unit, live, member, ended)


def _with(unit: Unit, live: LiveProgram, member: str, term: Term) -> PlanStanding:
    """How the plan stands with one term more."""
    unit.subscribing.add(member, term)
    unit.judge_again(member)
    return _standing(unit, live, member, term.plan)
