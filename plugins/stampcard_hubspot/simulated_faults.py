"""What goes wrong with calls of the simulated HubSpot: planned faults, and quotas that are used up."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

from stampcard.testing.simulator import Tally
from stampcard_hubspot.simulated_errors import Body, Refusal, answered

_INTERVAL, _SECOND, _DAY = 10_000, 1_000, 86_400_000
_LIMITED = 429
#: The ones that HubSpot's own software answers; the others come from the network before it.
_OWN = {423: "LOCKED", 429: "RATE_LIMITS", 477: "MIGRATION_IN_PROGRESS", 500: "INTERNAL_ERROR"}


@dataclass(frozen=True, slots=True)
class Fault:
    """One answer; `status` 0 is none at all. `done`: whether what was asked for happens all the same."""

    status: int
    retry_after: int = 0
    done: bool = False


@dataclass(slots=True)
class Faults:
    """What goes wrong next, by a part of the path; and with which chance, at any time."""

    tally: Tally
    chance: random.Random
    share: float = 0.0
    planned: dict[str, deque[Fault]] = field(default_factory=dict)

    def plan(self, part: str, fault: Fault, times: int = 1) -> None:
        self.planned.setdefault(part, deque()).extend([fault] * times)

    def next(self, path: str) -> Fault | None:
        for part, faults in self.planned.items():
            if faults and part in path:
                return faults.popleft()
        if self.share and self.chance.random() < self.share:
            self.tally.failures_injected += 1
            return Fault(self.chance.choice((500, 502, 503, 504)))
        return None


def limited(policy: str) -> Refusal:
    """Too many calls, by the policy of that name."""
    message = f"You have reached your {policy.lower()} limit."
    return Refusal(_LIMITED, message, "RATE_LIMITS", errorType="RATE_LIMIT", policyName=policy)


def failed(fault: Fault, request: web.Request, tally: Tally) -> web.Response:
    """What the fault looks like from outside."""
    headers = {"Retry-After": str(fault.retry_after)} if fault.retry_after else {}
    if fault.status == 0:
        if request.transport is not None:
            request.transport.close()
        return web.Response(status=500)
    if fault.status == _LIMITED:
        tally.throttled += 1
        return answered(limited("TEN_SECONDLY_ROLLING"), headers)
    if fault.status in _OWN:
        return answered(Refusal(fault.status, "the call failed", _OWN[fault.status]), headers)
    return web.Response(
        status=fault.status, text="<html><body>failed</body></html>", content_type="text/html", headers=headers
    )


@dataclass(slots=True)
class Quota:
    """How many calls are left: in any 10 seconds, of searches in any second, and on this day."""

    now: Callable[[], int]
    calls: int
    searches: int
    daily: int
    _recent: deque[int] = field(default_factory=deque)
    _searched: deque[int] = field(default_factory=deque)
    _today: tuple[int, int] = (0, 0)

    def take(self, *, search: bool) -> None:
        """Count one call; raises Refusal when there are too many. Searches have a limit of their own instead."""
        now = self.now()
        recent, span, most = (
            (self._searched, _SECOND, self.searches) if search else (self._recent, _INTERVAL, self.calls)
        )
        while recent and recent[0] <= now - span:
            recent.popleft()
        day, used = self._today
        used = used if day == now // _DAY else 0
        if used >= self.daily:
            raise limited("DAILY")
        if len(recent) >= most:
            raise limited("SECONDLY" if search else "TEN_SECONDLY_ROLLING")
        recent.append(now)
        self._today = (now // _DAY, used + 1)

    def headers(self, *, daily: bool) -> dict[str, str]:
        """What answers tell of the quota; apps with OAuth hear nothing of the day's."""
        told: Body = {
            "X-HubSpot-RateLimit-Max": self.calls,
            "X-HubSpot-RateLimit-Remaining": max(0, self.calls - len(self._recent)),
            "X-HubSpot-RateLimit-Interval-Milliseconds": _INTERVAL,
        }
        if daily:
            told |= {
                "X-HubSpot-RateLimit-Daily": self.daily,
                "X-HubSpot-RateLimit-Daily-Remaining": max(0, self.daily - self._today[1]),
            }
        return {name: str(value) for name, value in told.items()}
