"""The page of real programs quotes the lines that stand in their files, and no figure stands there that it does not name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "real-programs.md"
FILES = sorted((ROOT / "config" / "programs" / "published").glob("*.yaml"))
_LINK = re.compile(r"^\[([a-z-]+)\.yaml\]", re.MULTILINE)
_QUOTED = re.compile(r"(\d+) `([^`]+)`")
#: How a cell begins that quotes no line.
_WITHOUT = ("not in the file: ", "not ours: ", "left out", "another edition: ", "nothing to say: ")


def rows() -> Mapping[str, list[list[str]]]:
    """The rows of each file's table: what was published, where it was read, what the file says."""
    found: dict[str, list[list[str]]] = {}
    name = ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if link := _LINK.match(line):
            name = link[1]
        elif line.startswith("| ") and not line.startswith(("| Published", "| ---")):
            found.setdefault(name, []).append([cell.strip() for cell in line.strip("|").split(" | ")])
    return found


def quoted(name: str) -> Iterator[tuple[int, str]]:
    """The lines of a file that its table quotes, by number."""
    for _, _, said in rows()[name]:
        yield from ((int(number), text) for number, text in _QUOTED.findall(said))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_line_that_is_quoted_stands_where_its_number_says(path: Path) -> None:
    lines = dict(enumerate(path.read_text(encoding="utf-8").splitlines(), start=1))
    moved = [
        f"{text} does not stand in line {number}, but in {[n for n, line in lines.items() if text in line]}"
        for number, text in quoted(path.stem)
        if text not in lines.get(number, "")
    ]
    assert moved == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_sentence_has_a_line_or_the_reason_why_not(path: Path) -> None:
    bare = [row for row in rows()[path.stem] if not (_QUOTED.match(row[2]) or row[2].startswith(_WITHOUT))]
    assert bare == []
    assert all(source for _, source, _ in rows()[path.stem])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_figure_of_a_file_is_quoted_or_said_to_be_ours(path: Path) -> None:
    told = {number for number, _ in quoted(path.stem)}
    figures = {
        number: line
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if re.search(r"\d", line.partition("#")[0]) and "name: " not in line and "ours" not in line.partition("#")[2]
    }
    assert {number: line for number, line in figures.items() if number not in told} == {}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_source_of_a_table_is_named_below_it(path: Path) -> None:
    _, _, part = PAGE.read_text(encoding="utf-8").partition(f"[{path.name}]")
    below = part.partition("\nRead in: ")[2].partition("\n## ")[0]
    named = {source for _, of, _ in rows()[path.stem] if of != "not found" for source in of.split(", ")}
    assert {source for source in named if not re.search(rf"\b{source}\b", below)} == set()
    assert {source for source in re.findall(r"\b[A-Z]{2}\d\b", below) if source not in named} == set()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_name_of_somebody_else_stands_in_a_file(path: Path) -> None:
    text = path.read_text(encoding="utf-8").lower()
    owners = (
        *("starbucks", "sephora", "beauty insider", "rouge", "delta", "skymiles", "medallion", "mqd"),
        *("lululemon", "sweat", "amazon", "prime"),
    )
    assert [owner for owner in owners if owner in text] == []


def test_every_published_program_has_a_table() -> None:
    assert set(rows()) == {path.stem for path in FILES}
