"""A sign as a picture: its code leads where it should, and its words stay on the sheet."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest
import segno
from hypothesis import given
from hypothesis import strategies as st

from stampcard.cli.drawing import WITHIN, Sign, fitted, html_of, svg_of, width_of

SIGN = Sign(
    language="en", title="Beans", sentence="Scan it.", before="Or open:", url="https://x.example/join/main?language=en",
    address="x.example/join/main", colour="#4b2e1e",
)  # fmt: skip
SVG = "{http://www.w3.org/2000/svg}"


def modules_of(svg: str) -> list[list[int]]:
    """The dark modules of the code, as its strokes paint them."""
    (strokes,) = re.findall(r' d="([^"]+)"', svg)
    painted = [tuple(map(int, found)) for found in re.findall(r"M(\d+) (\d+)h(\d+)v1h-\3z", strokes)]
    size = 1 + max(y for _, y, _ in painted)
    rows = [[0] * size for _ in range(size)]
    for x, y, width in painted:
        rows[y][x : x + width] = [1] * width
    return rows


def test_the_code_is_that_of_the_address() -> None:
    wanted = segno.make(SIGN.url, error="q", micro=False).matrix
    assert modules_of(svg_of(SIGN)) == [list(row) for row in wanted]


def test_it_needs_nothing_from_elsewhere() -> None:
    for text in (svg_of(SIGN), html_of(SIGN)):
        found = set(re.findall(r"https?://[^\s\"'<]+", text))
        assert found == {"http://www.w3.org/2000/svg"}
        assert not re.search(r"@import|url\(|href|<image|<script", text)


@pytest.mark.parametrize(
    ("colour", "ink"), [("#4b2e1e", "#fff"), ("#ffcc00", "#000"), ("#ffffff", "#000"), ("", "#fff")]
)
def test_the_name_can_be_read_on_its_colour(colour: str, ink: str) -> None:
    root = ET.fromstring(svg_of(Sign(**{**dict(_fields(SIGN)), "colour": colour})))  # noqa: S314 - our own
    assert next(root.iter(f"{SVG}text")).get("fill") == ink


def _fields(sign: Sign) -> list[tuple[str, str]]:
    return [(name, getattr(sign, name)) for name in sign.__struct_fields__]


@given(st.text(st.characters(codec="utf-8"), max_size=200))
def test_whatever_a_program_is_called_the_sign_is_well_formed_and_on_the_sheet(title: str) -> None:
    svg = svg_of(Sign(**{**dict(_fields(SIGN)), "title": title, "branch": title[:100]}))
    for one in ET.fromstring(svg).iter(f"{SVG}text"):  # noqa: S314
        size = float(one.get("font-size") or 0)
        assert width_of(one.text or "") * size <= WITHIN * 1.001
        assert size > 0
        assert 0 < float(one.get("y") or 0) < 297


def test_a_long_name_takes_smaller_letters_and_more_lines_and_a_long_word_is_not_cut_before_it_must_be() -> None:
    assert fitted("Beans", 56, 20) == (20, ["Beans"])
    size, lines = fitted("The Coffee Roasters of Kreuzberg and all of their many Friends since 1984", 56, 20)
    assert (size < 20, len(lines) > 1, " ".join(lines)) == (
        True, True, "The Coffee Roasters of Kreuzberg and all of their many Friends since 1984",
    )  # fmt: skip
    assert min(map(len, lines)) > 0.5 * max(map(len, lines)), "no word has a line to itself"
    assert fitted("Rindfleischetikettierungsgesetz", 56, 20)[1] == ["Rindfleischetikettierungsgesetz"]
    assert len(fitted("x" * 200, 56, 20)[1]) > 1


def test_lines_from_the_right_keep_their_last_sign_on_the_left() -> None:
    svg = svg_of(Sign(**{**dict(_fields(SIGN)), "sentence": "لا حاجة إلى تطبيق."}))
    assert 'direction="rtl" fill="#222">\u200fلا حاجة إلى تطبيق.\u200f</text>' in svg
