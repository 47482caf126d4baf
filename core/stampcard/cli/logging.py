"""How the log looks: JSON for machines, lines for people, nothing while a screen is drawn."""

from __future__ import annotations

import logging
import sys
from typing import Literal


def configure(form: Literal["auto", "json", "console"], level: str) -> None:
    """Send the log to stderr; `auto` is for people where stderr is a terminal."""
    import structlog

    people = form == "console" or (form == "auto" and sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer() if people else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def quiet() -> None:
    """Log nothing below an error of ours."""
    configure("auto", "critical")
