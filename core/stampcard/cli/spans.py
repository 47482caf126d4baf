"""Time spans and days as people write them on a command line."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import typer

from stampcard.engine.dating import midnight
from stampcard.errors import RequestRefused

_SPAN = re.compile(r"([1-9][0-9]{0,4})([mhdw])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def span(written: str) -> timedelta:
    """The span of ``30m``, ``12h``, ``90d`` or ``4w``; a usage error for anything else."""
    form = _SPAN.fullmatch(written.strip())
    if form is None:
        message = f"{written!r} is no time span: write 30m, 12h, 90d or 4w"
        raise typer.BadParameter(message)
    return int(form[1]) * _UNITS[form[2]]


def moment_of(written: str, now: datetime) -> datetime:
    """The beginning (UTC) of a day such as 2024-01-31, or the moment a span ago; a usage error for anything else."""
    try:
        return datetime.combine(date.fromisoformat(written.strip()), time(), UTC)
    except ValueError:
        pass
    try:
        return now - span(written)
    except typer.BadParameter:
        message = f"{written!r} is neither a day nor a time span: write 2024-01-31, 12h, 90d or 52w"
        raise typer.BadParameter(message) from None


def last_moment(day: str, zone: ZoneInfo) -> datetime | None:
    """The midnight behind a last day such as 2027-12-31, or nothing without one; raises RequestRefused for anything else."""
    if not day:
        return None
    try:
        return midnight(date.fromisoformat(day) + timedelta(days=1), zone)
    except (ValueError, OverflowError):
        raise RequestRefused("day", f"{day!r} is no day: write it as 2027-12-31") from None
