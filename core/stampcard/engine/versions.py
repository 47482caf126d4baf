"""Program versions ready for use: read, compiled, found by moment or number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from stampcard.domain.decisions import Reason
from stampcard.domain.value import Value
from stampcard.program.conditions import ConditionSet, compile_conditions
from stampcard.program.model import Program


class LiveProgram(Value, frozen=True):
    """One version of a program, valid from a moment on until the next version is."""

    number: int
    valid_from: datetime
    program: Program
    conditions: Mapping[str, ConditionSet]
    #: Rule → the reason that is given whenever its condition is not true.
    not_true: Mapping[str, Reason] = {}


def compiled(program: Program, number: int, valid_from: datetime) -> LiveProgram:
    """A version with its conditions compiled."""
    return LiveProgram(
        number=number,
        valid_from=valid_from,
        program=program,
        conditions=compile_conditions(program),
        not_true={
            rule.id: Reason(rule=rule.id, outcome="not_matched", code="condition", detail=f"not true: {rule.when}")
            for rule in program.rules
        },
    )


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
