"""How the simulated API refuses and fails."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from aiohttp import web

from stampcard.testing.simulator import Tally


@dataclass(frozen=True, slots=True)
class Fault:
    """One answer; `status` 0 is none at all. `done`: whether what was asked for happens all the same."""

    status: int
    code: int = 0
    retry_after: int = 0
    done: bool = False


@dataclass(slots=True)
class Faults:
    """What goes wrong next with calls of a method."""

    tally: Tally
    planned: dict[str, deque[Fault]] = field(default_factory=dict)

    def plan(self, method: str, fault: Fault, times: int = 1) -> None:
        self.planned.setdefault(method, deque()).extend([fault] * times)

    def next(self, method: str) -> Fault | None:
        waiting = self.planned.get(method)
        if not waiting:
            return None
        self.tally.failures_injected += 1
        return waiting.popleft()


def refused(status: int, code: int, message: str = "refused", retry_after: int = 0) -> web.Response:
    """An error as Twilio words it."""
    body = {"code": code, "message": message, "more_info": f"https://www.twilio.com/docs/errors/{code}"}
    headers = {"Retry-After": str(retry_after)} if retry_after else {}
    return web.json_response({**body, "status": status}, status=status, headers=headers)


def answer(fault: Fault, request: web.Request, tally: Tally) -> web.Response:
    """What the fault looks like from outside."""
    if fault.status == 0:
        if request.transport is not None:
            request.transport.close()
        return web.Response(status=500)
    tally.throttled += fault.status == 429  # noqa: PLR2004 - too many requests
    if fault.code:
        return refused(fault.status, fault.code, retry_after=fault.retry_after)
    headers = {"Retry-After": str(fault.retry_after)} if fault.retry_after else {}
    return web.Response(status=fault.status, text="<html><body>busy</body></html>", headers=headers)
