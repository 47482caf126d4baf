"""How the simulated portal behaves: its quotas, its delays, and what goes wrong by chance."""

from __future__ import annotations

from dataclasses import dataclass, field

from stampcard_hubspot.simulated_hooks import Journey


@dataclass(frozen=True, slots=True)
class PortalPlan:
    """Shares are between 0 and 1.

    `calls` in 10 seconds, `searches` in one and `daily` are the private app's quota, `public_calls` that of OAuth.
    `lag`: seconds until the search sees a change. `anew`: whether merging makes a new record, as since 2025.
    `watched`: the properties whose changes are told; None: all. `shared_ids`: of events, that have another's number.
    """

    calls: int = 190
    public_calls: int = 110
    searches: int = 5
    daily: int = 625_000
    lag: float = 5.0
    anew: bool = True
    api_failures: float = 0.02
    shared_ids: float = 0.02
    watched: frozenset[str] | None = None
    journey: Journey = field(default_factory=lambda: Journey(duplicates=0.05, window=20))


#: A portal where nothing goes wrong by chance, and the search sees everything at once.
CALM = PortalPlan(lag=0.0, api_failures=0.0, shared_ids=0.0, journey=Journey())
