from __future__ import annotations

import logging
import sys

import pytest
import structlog

from stampcard.testing.listening import Lines, listening, recording_log


def test_everything_that_is_said_is_heard_and_nothing_afterwards(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    with listening(lines):
        structlog.get_logger().info("by structlog", figure=1)
        logging.getLogger("vendor.client").debug("by %s", "logging")
        sys.stdout.write("on stdout\n")
        sys.stderr.write("on stderr\n")
    logging.getLogger("vendor.client").error("afterwards")
    said = "\n".join(lines)
    for text in ("by structlog", "'figure': 1", "by logging", "on stdout", "on stderr"):
        assert text in said
    assert "afterwards" not in said
    assert capsys.readouterr().out == ""


def test_a_recording_log_keeps_what_is_bound_and_why_something_failed() -> None:
    lines = Lines()
    log = recording_log(lines).bind(connection="till")
    try:
        raise ValueError("out of paper")  # noqa: TRY301 - its text is what matters
    except ValueError:
        log.exception("printing_failed")
    (line,) = lines
    for text in ("till", "printing_failed", "out of paper"):
        assert text in line
