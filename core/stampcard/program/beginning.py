"""From when on a version is valid, as people say it: a day, or a time of day, where the program is at home."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from stampcard.errors import RequestRefused


def read_beginning(text: str, zone: ZoneInfo) -> datetime:
    """The moment that "2026-12-01" or "2026-12-01T08:00" means in a program's zone; raises RequestRefused."""
    try:
        said = datetime.fromisoformat(text.strip())
        return (said if said.tzinfo else said.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        form = "write a day such as 2026-12-01, or 2026-12-01T08:00, in the program's time zone"
        raise RequestRefused("no_moment", f"{text!r} is no moment: {form}") from None


def local(moment: datetime, zone: ZoneInfo) -> str:
    """A moment as people there say it."""
    at = moment.astimezone(zone)
    return f"{at:%Y-%m-%d %H:%M} {zone.key}"
