"""A circuit breaker as a value: stops calling a vendor that keeps failing, and probes it now and then."""

from __future__ import annotations

from typing import Literal

from stampcard.domain.value import Value, replace

FAILURES = 5
PAUSE = 30.0

State = Literal["closed", "open", "half_open"]


class Breaker(Value, frozen=True):
    """`failures` in a row; `opened_at` and `probed_at` in monotonic seconds, None while closed."""

    failures: int = 0
    opened_at: float | None = None
    probed_at: float | None = None

    def state(self, now: float) -> State:
        """Closed: all may call. Open: nobody. Half-open: one call may probe."""
        if self.opened_at is None:
            return "closed"
        return "half_open" if now - self.opened_at >= PAUSE else "open"


def allow(breaker: Breaker, now: float) -> tuple[Breaker, bool]:
    """Whether a call may leave at `now`; a probe whose end nobody recorded is given up after the pause."""
    state = breaker.state(now)
    if state == "closed":
        return breaker, True
    probing = breaker.probed_at is not None and now - breaker.probed_at < PAUSE
    if state == "open" or probing:
        return breaker, False
    return replace(breaker, probed_at=now), True


def record(breaker: Breaker, ok: bool, now: float) -> Breaker:
    """The breaker after a call ended: a success closes it, the fifth failure in a row or a failed probe opens it."""
    if ok:
        return Breaker()
    failures = breaker.failures + 1
    late = breaker.opened_at is not None and breaker.probed_at is None
    if late:  # the call had left before the breaker opened: it must not push the next probe further away
        return replace(breaker, failures=failures)
    if failures >= FAILURES or breaker.probed_at is not None:
        return Breaker(failures=failures, opened_at=now)
    return replace(breaker, failures=failures)
