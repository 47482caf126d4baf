"""From when and until when a lot lives, in the program's zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from stampcard.domain.value import Value
from stampcard.program.lifetimes import Expiry, Pending, Sliding, UntilEvent

_DAY = timedelta(days=1)


class Lifetime(Value, frozen=True):
    """Dates and origin of the lots that a grant opens; see Lot."""

    available_from: datetime
    expires_at: datetime | None
    program_version: int
    waits_for: str = ""
    slides: bool = False


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The first moment of that local day, in UTC; where the clock skips midnight, the moment after the gap."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def last_day_of(end: datetime, zone: ZoneInfo) -> date:
    """The last local day that is whole, or begun, before a moment: of what dies at midnight the day before."""
    return (end - timedelta(microseconds=1)).astimezone(zone).date()


def expiry_of(expire: Expiry | None, zone: ZoneInfo, day: date) -> datetime | None:
    """When points that become usable on that local day expire: the last valid day is inclusive."""
    return None if expire is None else midnight(expire.last_day(day) + _DAY, zone)


def lifetime(
    expire: Expiry | None, pending: Pending | None, zone: ZoneInfo, occurred_at: datetime, version: int = 0
) -> Lifetime:
    """Dates of points that were earned at `occurred_at`.

    The last pending day and the last valid day are inclusive, so both moments are local midnights; the expiry clock
    starts when the points become available.
    """
    available_from = occurred_at
    day = occurred_at.astimezone(zone).date()
    waits_for = pending.event if isinstance(pending, UntilEvent) else ""
    if pending is not None:
        day = pending.last_day(day) + _DAY
        available_from = midnight(day, zone)
    return Lifetime(
        available_from=available_from,
        expires_at=None if waits_for else expiry_of(expire, zone, day),
        program_version=version,
        waits_for=waits_for,
        slides=isinstance(expire, Sliding),
    )
