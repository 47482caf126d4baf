"""How the simulated Google refuses and fails."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from stampcard.testing.simulator import Tally
from stampcard_google_wallet.simulated_book import Refusal

#: Requests that an issuer may send in any second.
PER_SECOND = 20
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Fault:
    """One answer; `status` 0 is none at all. `done`: whether what was asked for happens all the same."""

    status: int
    reason: str = "backendError"
    retry_after: int = 0
    done: bool = False

    def refusal(self) -> Refusal:
        return Refusal(self.status, self.reason, "it failed", self.retry_after)


@dataclass(slots=True)
class Faults:
    """What goes wrong next with requests whose path holds a text, the method before it, and what comes too fast."""

    tally: Tally
    now: Callable[[], datetime]
    planned: dict[str, deque[Fault]] = field(default_factory=dict)
    #: The moments of the requests of the last second.
    recent: deque[datetime] = field(default_factory=deque)

    def plan(self, part: str, fault: Fault, times: int = 1) -> None:
        self.planned.setdefault(part, deque()).extend([fault] * times)

    def next(self, method: str, path: str) -> Fault | None:
        for part, waiting in self.planned.items():
            if waiting and part in f"{method} {path}":
                self.tally.failures_injected += 1
                return waiting.popleft()
        return None

    def take(self) -> None:
        """Count a request; raises Refusal when there are too many."""
        now = self.now()
        while self.recent and self.recent[0] <= now - _SECOND:
            self.recent.popleft()
        if len(self.recent) >= PER_SECOND:
            self.tally.throttled += 1
            raise Refusal(429, "rateLimitExceeded", "Too many requests.", 1)
        self.recent.append(now)
