"""Answers of the simulated Admin API that get lost when a test wants it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Loss:
    """One answer that never comes; `done`: whether what was asked for happens all the same."""

    done: bool


@dataclass(slots=True)
class Losses:
    """What gets lost next, by the field that is asked for."""

    planned: dict[str, deque[Loss]] = field(default_factory=dict)

    def plan(self, name: str, *, done: bool, times: int) -> None:
        self.planned.setdefault(name, deque()).extend([Loss(done)] * times)

    def next(self, names: Iterable[str]) -> Loss | None:
        """The loss planned for a call that asks for these fields, which is then used up."""
        waiting = (self.planned[name] for name in dict.fromkeys(names) if self.planned.get(name))
        losses = next(waiting, None)
        return losses.popleft() if losses else None
