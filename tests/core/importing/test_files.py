"""Files as spreadsheets and platforms write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from stampcard.errors import RequestRefused
from stampcard.importing.files import Record, look, read

TEXT = 'name;note\r\nCléo;"two\r\nlines; one cell"\r\n\r\n;\r\nDan;x\r\n'


@pytest.mark.parametrize(
    ("encoding", "named"),
    [("utf-8", ""), ("utf-8-sig", ""), ("utf-16", ""), ("cp1252", "cp1252"), ("utf-8-sig", "utf-8")],
)
def test_a_file_is_read_in_its_encoding_with_its_separator(tmp_path: Path, encoding: str, named: str) -> None:
    file = tmp_path / "file.csv"
    file.write_bytes(TEXT.encode(encoding))

    sheet = look(file, named)

    assert (sheet.delimiter, sheet.header, sheet.total) == (";", ("name", "note"), 2)
    assert list(read(sheet)) == [Record(2, ["Cléo", "two\r\nlines; one cell"]), Record(6, ["Dan", "x"])]
    assert list(read(sheet, 1)) == [Record(6, ["Dan", "x"])]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("email\nann\xe9@example.com\n".encode("cp1252"), "line 2 is not written in utf-8; say how: --encoding cp1252"),
        ("email\nann@example.com\n".encode("utf-16-le"), "--encoding utf-16"),
        (b'email,points\n"ann@example.com,3\n', "behind line 1 the quotes or lines do not fit together"),
        (b"\n\n", "no first line"),
        (b"", "no first line"),
    ],
)
def test_a_file_that_cannot_be_read_says_where_and_what_to_do(tmp_path: Path, body: bytes, said: str) -> None:
    file = tmp_path / "file.csv"
    file.write_bytes(body)
    with pytest.raises(RequestRefused, match=said):
        look(file)


def test_an_encoding_or_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(RequestRefused, match="cannot be read"):
        look(tmp_path / "nothing.csv")
    file = tmp_path / "file.csv"
    file.write_text("email\n")
    with pytest.raises(RequestRefused, match="no encoding 'klingon'"):
        look(file, "klingon")
    with pytest.raises(RequestRefused, match="line 1 is not written in utf-16"):
        look(file, "utf-16")
