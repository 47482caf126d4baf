"""Program versions ready for use: read, compiled, found by moment or number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from stampcard.domain.decisions import Reason
from stampcard.domain.value import Value
from stampcard.program.conditions import ConditionSet, compile_conditions
from stampcard.program.model import Program, Rule


class Matched(Value, frozen=True):
    """A rule that pays, or one that does not, with the reason; `undecided` when its condition failed."""

    rule: Rule
    reason: Reason | None = None
    undecided: bool = False


class LiveProgram(Value, frozen=True):
    """One version of a program, valid from a moment on until the next version is."""

    number: int
    valid_from: datetime
    program: Program
    conditions: Mapping[str, ConditionSet]
    #: For each rule of an event type: what it comes to when its condition is true, and when it is not.
    verdicts: Mapping[str, tuple[tuple[Matched, Matched], ...]] = {}


def compiled(program: Program, number: int, valid_from: datetime) -> LiveProgram:
    """A version with its conditions compiled."""
    conditions = compile_conditions(program)
    return LiveProgram(
        number=number,
        valid_from=valid_from,
        program=program,
        conditions=conditions,
        verdicts={on: tuple((Matched(rule=r), _not_true(r)) for r in of.rules) for on, of in conditions.items()},
    )


def _not_true(rule: Rule) -> Matched:
    reason = Reason(rule=rule.id, outcome="not_matched", code="condition", detail=f"not true: {rule.when}")
    return Matched(rule=rule, reason=reason)


class Programs(Value, frozen=True):
    """Every version of every program of a merchant, each program's versions in ascending order."""

    revision: int = 0
    versions: Mapping[str, tuple[LiveProgram, ...]] = {}

    def valid_at(self, program: str, moment: datetime) -> LiveProgram | None:
        """The version that was valid at that moment, or None before the first."""
        return next((v for v in reversed(self.versions[program]) if v.valid_from <= moment), None)

    def numbered(self, program: str, number: int) -> LiveProgram | None:
        """A version by its number."""
        return next((v for v in self.versions.get(program, ()) if v.number == number), None)

    def newest(self) -> tuple[LiveProgram, ...]:
        """The newest version of each program."""
        return tuple(versions[-1] for _, versions in sorted(self.versions.items()))

    def of_wallet(self, wallet: str) -> LiveProgram | None:
        """The newest version of the program that a wallet belongs to; wallet names are unique per merchant."""
        return next((live for live in self.newest() if wallet in live.program.wallets), None)


def assembled(versions: Iterable[LiveProgram], revision: int) -> Programs:
    """Versions grouped by program."""
    grouped: dict[str, list[LiveProgram]] = {}
    for live in sorted(versions, key=lambda live: live.number):
        grouped.setdefault(live.program.program, []).append(live)
    return Programs(revision=revision, versions={name: tuple(of) for name, of in grouped.items()})
