"""The file of errors: the rows that were refused as they stood, each with its reason, to be mended and imported again."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from stampcard.errors import RequestRefused, RowRefused
from stampcard.importing.files import Sheet, line_of

REASON = "reason"


def free_name(file: Path) -> Path:
    """A name beside the file that nothing has yet."""
    number, found = 1, file.with_name(f"{file.stem}-errors.csv")
    while found.exists():
        number += 1
        found = file.with_name(f"{file.stem}-errors-{number}.csv")
    return found


def write_mistakes(
    path: Path, sheet: Sheet, at: int, refused: Sequence[RowRefused], cells: Mapping[int, Sequence[str]]
) -> int:
    """Write what was refused behind the first `at` bytes; whatever stands there is of a step that did not count.

    Answers how long the file is then. There is none as long as nothing is refused.
    """
    if not refused and not (at and path.exists()):
        return at
    told = sheet.header[-1:] == (REASON,)
    width = len(sheet.header) - told
    lines = [] if at else [line_of([*sheet.header[:width], REASON], sheet.delimiter)]
    for error in refused:
        row = [*cells[error.line], *[""] * width][: max(width, len(cells[error.line]) - told)]
        lines.append(line_of([*row, str(error)], sheet.delimiter))
    plain = "utf-8" if sheet.encoding in {"utf-8-sig", "utf-16"} else sheet.encoding
    mark = b"\xef\xbb\xbf" if not at and plain != sheet.encoding else b""
    body = mark + "".join(lines).encode(plain, errors="replace") if refused else b""
    try:
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
            file.truncate(at)
            file.seek(at)
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise RequestRefused("no_errors_file", f"{path} cannot be written ({error.strerror})") from None
    return at + len(body)
