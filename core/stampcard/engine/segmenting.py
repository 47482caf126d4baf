"""Which segments of a program a member is in: pure, from what conditions see of the member."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from stampcard.domain.members import Member
from stampcard.engine.describing import Past, history_variables, member_variables
from stampcard.engine.versions import LiveProgram
from stampcard.program.conditions import ConditionError


class Judged(NamedTuple):
    """Whether a member is in a segment; `error`: why its condition could not be decided, so that nothing changes."""

    segment: str
    inside: bool
    error: str = ""


def judge(live: LiveProgram, member: Member, past: Past, now: datetime, known: Collection[str]) -> list[Judged]:
    """Every segment of a program; those by hand, and those that cannot be decided, are as they were."""
    reads = live.segment_conditions.reads
    variables = member_variables(member, reads, now, live.name)
    if any(name.startswith("history.") for name in reads):
        variables |= history_variables(past, live.program, reads, now)
    verdicts, _ = live.segment_conditions.evaluate({**variables, "now": now})
    by_name = dict(zip(live.segment_conditions.ids, verdicts, strict=True))
    found = []
    for name, segment in live.program.segments.items():
        verdict = by_name[name] if segment.when is not None else name in known
        if isinstance(verdict, ConditionError):
            found.append(Judged(name, name in known, verdict.message))
        else:
            found.append(Judged(name, bool(verdict)))
    return found
