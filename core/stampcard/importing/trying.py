"""What an import would do, counted step by step; nothing is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from stampcard.applying.bringing import Sifted
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
    _add(trial, judged.taken, judged.known, [*unread, *judged.refused])
    trial.members += sum(one.made for one in judged.taken)
    for one in judged.taken:
        trial.kinds[one.row.kind] += 1
        if one.row.kind in CREDITED:
            trial.points[one.row.wallet] += one.row.points


def count_sifted(trial: Trial, sifted: Sifted[Any], unread: Sequence[RowRefused]) -> None:
    """The same of what holds no members."""
    _add(trial, sifted.taken, sifted.known, [*unread, *sifted.refused])


def _add(trial: Trial, taken: Collection[Any], known: Collection[int], refused: Sequence[RowRefused]) -> None:
    trial.applied += len(taken)
    trial.known += len(known)
    trial.refused += len(refused)
    trial.reasons.update(error.code for error in refused)
    told = sorted(refused, key=lambda error: error.line)[: max(0, _EXAMPLES - len(trial.examples))]
    trial.examples += map(str, told)
