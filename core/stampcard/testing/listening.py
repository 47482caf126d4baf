"""Hears whatever a plugin says: to its log, to Python's logging, to stdout and to stderr."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import structlog


class Lines(list[str]):
    """What was said, one entry a line, with the text of exceptions."""


def recording_log(lines: Lines) -> Any:
    """A structlog logger that writes to `lines` only."""
    return structlog.wrap_logger(
        structlog.ReturnLogger(),
        processors=[structlog.processors.format_exc_info, _recorder(lines)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
    )


def _recorder(lines: Lines) -> Any:
    def record(_: Any, __: str, event: MutableMapping[str, Any]) -> Any:
        lines.append(repr(dict(event)))
        raise structlog.DropEvent

    return record


class _Handler(logging.Handler):
    def __init__(self, lines: Lines) -> None:
        super().__init__(logging.NOTSET)
        self.lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@contextmanager
def listening(lines: Lines) -> Iterator[None]:
    """Hear everything that is said meanwhile, also by loggers that the plugin got elsewhere."""
    root, handler, told = logging.getLogger(), _Handler(lines), io.StringIO()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    configured = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET))  # whoever made it deaf
    try:
        with (
            structlog.testing.capture_logs(processors=[structlog.processors.format_exc_info, _copier(lines)]),
            redirect_stdout(told),
            redirect_stderr(told),
        ):
            yield
    finally:
        structlog.configure(**configured)
        root.setLevel(level)
        root.removeHandler(handler)
        lines.extend(told.getvalue().splitlines())


def _copier(lines: Lines) -> Any:
    def copy(_: Any, __: str, event: MutableMapping[str, Any]) -> Any:
        lines.append(repr(dict(event)))
        return event

    return copy
