"""From when and until when a lot lives, in the program's zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from stampcard.program.model import WalletTerms

_DAY = timedelta(days=1)


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The first moment of that local day, in UTC; where the clock skips midnight, the moment after the gap."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def lifetime(
    terms: WalletTerms, zone: ZoneInfo, occurred_at: datetime, *, at_once: bool = False
) -> tuple[datetime, datetime | None]:
    """(available_from, expires_at) of points that were earned at `occurred_at`.

    The last pending day and the last valid day are inclusive, so both moments are local midnights; the expiry clock
    starts when the points become available. `at_once` leaves the pending period out.
    """
    available_from = occurred_at
    day = occurred_at.astimezone(zone).date()
    if terms.pending is not None and not at_once:
        day = terms.pending.after(day) + _DAY
        available_from = midnight(day, zone)
    if terms.expire is None:
        return available_from, None
    return available_from, midnight(terms.expire.after(day) + _DAY, zone)
