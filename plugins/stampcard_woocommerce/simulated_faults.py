"""How the simulated shop's API fails, when a test wants it or by chance."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field

from aiohttp import web

from stampcard.testing.simulator import Tally


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
        if self.chance.random() < self.share:
            self.tally.failures_injected += 1
            return Fault(self.chance.choice((500, 502, 503)))
        return None


def refused(status: int, code: str, message: str = "") -> web.Response:
    """An error as WordPress words it."""
    return web.json_response({"code": code, "message": message or code, "data": {"status": status}}, status=status)


async def answer(fault: Fault, request: web.Request, tally: Tally) -> web.Response:
    """What the fault looks like from outside."""
    if fault.status == 0:
        if request.transport is not None:
            request.transport.close()
        return web.Response(status=500)
    tally.throttled += fault.status == 429  # noqa: PLR2004 - too many requests
    headers = {"Retry-After": str(fault.retry_after)} if fault.retry_after else {}
    return web.Response(status=fault.status, text="<html><body>busy</body></html>", headers=headers)
