"""When to try again what a vendor did not take."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from stampcard.plugin.outcomes import RetryLater
from stampcard.plugin.rates import RetryPolicy

#: The least share of a wait that passes, whatever the jitter: a wait of nothing would be no wait.
FLOOR = 0.1


def next_attempt(
    outcome: RetryLater, attempts: int, policy: RetryPolicy, now: datetime, chance: float
) -> datetime | None:
    """When to try again after `attempts` tries (this one counted), or None: a person must look.

    `chance` in [0, 1) is the jitter. What the vendor asked for wins over our own wait, up to the policy's longest.
    """
    if attempts >= policy.tries:
        return None
    wait = policy.waits[max(attempts, 1) - 1]
    seconds = max(chance, FLOOR) * wait
    if outcome.after is not None and not math.isnan(outcome.after):
        seconds = min(max(outcome.after, FLOOR * wait), max(policy.waits))
    return now + timedelta(seconds=seconds)
