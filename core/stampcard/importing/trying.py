"""What an import would do, counted step by step; nothing is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from stampcard.applying.importing import CREDITED, Judged
from stampcard.errors import RowRefused

_EXAMPLES = 5


@dataclass(slots=True)
class Trial:
    """What an import would do; `members`: at most, because who stands in several steps is counted in each."""

    applied: int = 0
    known: int = 0
    members: int = 0
    refused: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    points: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)


def count(trial: Trial, judged: Judged, unread: Sequence[RowRefused]) -> None:
    """Add a step; `unread`: rows that nobody can understand."""
    refused = sorted([*unread, *judged.refused], key=lambda error: error.line)
    trial.applied += len(judged.taken)
    trial.known += len(judged.known)
    trial.members += sum(one.made for one in judged.taken)
    trial.refused += len(refused)
    trial.reasons.update(error.code for error in refused)
    trial.examples += map(str, refused[: max(0, _EXAMPLES - len(trial.examples))])
    for one in judged.taken:
        trial.kinds[one.row.kind] += 1
        if one.row.kind in CREDITED:
            trial.points[one.row.wallet] += one.row.points
