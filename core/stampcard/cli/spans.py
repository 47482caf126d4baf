"""Time spans and days as people write them on a command line."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
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


def last_moment(day: str, zone: ZoneInfo) -> datetime | None:
    """The midnight behind a last day such as 2027-12-31, or nothing without one; raises RequestRefused for anything else."""
    if not day:
        return None
    try:
        return midnight(date.fromisoformat(day) + timedelta(days=1), zone)
    except (ValueError, OverflowError):
        raise RequestRefused("day", f"{day!r} is no day: write it as 2027-12-31") from None
