"""How often a vendor may be called, and how long something is tried."""

from __future__ import annotations

from stampcard.domain.value import Value


class Rate(Value, frozen=True):
    """A token bucket: so many calls a second, so many at once."""

    per_second: float
    burst: int


class RetryPolicy(Value, frozen=True):
    """How long to try before a person must look: waits in seconds between tries, each with full jitter."""

    waits: tuple[float, ...] = (5, 30, 300, 1800, 7200, 18000, 36000)

    @property
    def tries(self) -> int:
        """How often an item is sent at most."""
        return len(self.waits) + 1
