"""When to try again what a vendor did not take."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime, timedelta

from stampcard.plugin.outcomes import Rejected, RetryLater, Unknown
from stampcard.plugin.rates import RetryPolicy
from stampcard.storage.pushing import PushResult

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


def not_taken(
    outcome: Rejected | RetryLater | Unknown,
    tried: int,
    policy: RetryPolicy,
    now: datetime,
    chance: float,
    *,
    member: str,
    sent: int,
) -> PushResult:
    """What becomes of a member's push that a vendor did not take, after it was `tried` so often before.

    Sending state twice does no harm, so an unknown outcome is simply tried again.
    """
    if isinstance(outcome, Rejected):
        return PushResult(member=member, sent=sent, due_at=now, attempts=tried + 1, error=outcome.reason, dead=True)
    later = outcome if isinstance(outcome, RetryLater) else RetryLater(reason=outcome.reason)
    # A vendor that names a time is well and only busy: that alone never makes a dead letter.
    attempts = tried + 1 if later.after is None else tried
    at = next_attempt(later, max(attempts, 1), policy, now, chance)
    return PushResult(
        member=member, sent=sent, due_at=at or now, attempts=attempts, error=later.reason, dead=at is None
    )


def worst(results: Iterable[PushResult]) -> list[PushResult]:
    """One result for each member: of whom two are told at a vendor, they are up to date only when both are.

    What may yet arrive is tried again, whatever the other's is.
    """
    by_member: dict[str, PushResult] = {}
    for result in results:
        known = by_member.get(result.member)
        if known is None or _weight(result) > _weight(known):
            by_member[result.member] = result
    return list(by_member.values())


def _weight(result: PushResult) -> int:
    return 0 if result.error is None else 1 if result.dead else 2
