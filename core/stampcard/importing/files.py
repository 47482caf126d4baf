"""A file as records: its encoding, what separates its cells, its first line; read in a stream, however long it is."""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from stampcard.domain.value import Value
from stampcard.errors import RequestRefused

#: What begins a file, and the encoding that it tells.
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_DELIMITERS = ",;\t|"
_BLOCK = 1 << 20
#: The longest first line.
_LONGEST = 1 << 16


class Record(NamedTuple):
    """The cells of one record, and the line of the file that it begins in."""

    line: int
    cells: list[str]


class Sheet(Value, frozen=True):
    """How a file is read, and what it is: `fingerprint` of its bytes, `total` records below the first line."""

    path: Path
    encoding: str
    delimiter: str
    header: tuple[str, ...]
    fingerprint: str
    total: int


def look(path: Path, encoding: str = "", delimiter: str = "") -> Sheet:
    """Look at a file as a whole before anything of it counts; raises RequestRefused where it cannot be read."""
    found = _encoding(path, encoding)
    fingerprint = _digest(path, found)
    with _opened(path, found) as file:
        first = file.readline(_LONGEST)
    separator = delimiter or max(_DELIMITERS, key=first.count)
    sheet = Sheet(path=path, encoding=found, delimiter=separator, header=(), fingerprint=fingerprint, total=0)
    records = _records(sheet)
    header = next(records, Record(1, []))
    names = tuple(cell.strip() for cell in header.cells)
    if not any(names):
        raise RequestRefused("no_header", f"{path} has no first line that names its columns")
    return Sheet(
        path=path,
        encoding=found,
        delimiter=separator,
        header=names,
        fingerprint=fingerprint,
        total=sum(1 for _ in records),
    )


def read(sheet: Sheet, skip: int = 0) -> Iterator[Record]:
    """The records below the first line, behind the first `skip`."""
    records = _records(sheet)
    next(records, None)
    for number, record in enumerate(records):
        if number >= skip:
            yield record


def _records(sheet: Sheet) -> Iterator[Record]:
    """Every record with something in it."""
    with _opened(sheet.path, sheet.encoding) as file:
        reader, line = csv.reader(file, delimiter=sheet.delimiter, strict=True), 0
        try:
            for cells in reader:
                begins, line = line + 1, reader.line_num
                if any(cells):
                    yield Record(begins, cells)
        except csv.Error as error:
            problem = f"{sheet.path}: behind line {line} the quotes or lines do not fit together ({error})"
            raise RequestRefused("bad_csv", problem) from None


@contextmanager
def _opened(path: Path, encoding: str) -> Iterator[io.TextIOWrapper]:
    try:
        with path.open(encoding=encoding, newline="") as file:
            yield file
    except OSError as error:
        raise RequestRefused("no_file", f"{path} cannot be read ({error.strerror})") from None


def _encoding(path: Path, named: str) -> str:
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise RequestRefused("no_file", f"{path} cannot be read ({error.strerror})") from None
    told = next((encoding for mark, encoding in _MARKS if start.startswith(mark)), "")
    if named:
        try:
            plain = codecs.lookup(named).name
        except LookupError:
            problem = f"there is no encoding {named!r}; take utf-8, utf-16 or cp1252"
            raise RequestRefused("unknown_encoding", problem) from None
        return told if told and plain in {"utf-8", "utf-16"} else plain
    return told or "utf-8"


def _digest(path: Path, encoding: str) -> str:
    """Of the bytes; raises RequestRefused at the first that is none of the encoding's."""
    digest, lines = hashlib.sha256(), 1
    decoder = codecs.getincrementaldecoder(encoding)()
    with path.open("rb") as file:
        while True:
            block = file.read(_BLOCK)
            digest.update(block)
            try:
                text = decoder.decode(block, final=not block)
            except UnicodeError as error:
                good = block[: error.start] if isinstance(error, UnicodeDecodeError) else b""
                lines += good.count(b"\n")
                problem = f"{path}: line {lines} is not written in {encoding}; say how: --encoding cp1252, or another"
                raise RequestRefused("wrong_encoding", problem) from None
            if "\0" in text:
                problem = (
                    f"{path}: near line {lines} there is what no text has; say how it is written: --encoding utf-16"
                )
                raise RequestRefused("wrong_encoding", problem)
            lines += text.count("\n")
            if not block:
                return digest.hexdigest()


def line_of(cells: Sequence[str], delimiter: str) -> str:
    """A record as a line of a file."""
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter).writerow(cells)
    return written.getvalue()
