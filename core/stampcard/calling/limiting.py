"""A token bucket as a value: how many calls a vendor's rate leaves, and how long to wait for the next."""

from __future__ import annotations

from stampcard.domain.value import Value
from stampcard.plugin.rates import Rate

# What a sleep that ended a rounding error early may lack, so that nobody waits twice for nothing.
_NEARLY = 1e-9


class TokenBucket(Value, frozen=True):
    """The calls left (`tokens`) at a moment (`at`, monotonic seconds)."""

    tokens: float
    at: float


def full(rate: Rate, now: float) -> TokenBucket:
    """The bucket of a connection that has not called yet."""
    return TokenBucket(tokens=float(rate.burst), at=now)


def owing(bucket: TokenBucket, more: int) -> TokenBucket:
    """The bucket with so much taken out that was not waited for: whoever comes next waits for it."""
    return TokenBucket(tokens=bucket.tokens - more, at=bucket.at)


def take(bucket: TokenBucket, now: float, rate: Rate) -> tuple[TokenBucket, float]:
    """Take one call out at `now` (monotonic seconds): the bucket afterwards and the seconds to wait.

    A wait of 0 means taken; else nothing was taken: wait and ask again.
    """
    at = max(now, bucket.at)
    tokens = min(float(rate.burst), bucket.tokens + (at - bucket.at) * rate.per_second)
    if tokens >= 1 - _NEARLY:
        return TokenBucket(tokens=max(0.0, tokens - 1), at=at), 0.0
    return TokenBucket(tokens=tokens, at=at), (1 - tokens) / rate.per_second
