"""Time spans as people write them on a command line."""

from __future__ import annotations

import re
from datetime import timedelta

import typer

_SPAN = re.compile(r"([1-9][0-9]{0,4})([mhdw])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def span(written: str) -> timedelta:
    """The span of ``30m``, ``12h``, ``90d`` or ``4w``; a usage error for anything else."""
    form = _SPAN.fullmatch(written.strip())
    if form is None:
        message = f"{written!r} is no time span: write 30m, 12h, 90d or 4w"
        raise typer.BadParameter(message)
    return int(form[1]) * _UNITS[form[2]]
