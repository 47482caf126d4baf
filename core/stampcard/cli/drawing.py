"""A sign that leads people to their card: one sheet of A4 as a picture that needs nothing beside itself."""

from __future__ import annotations

import re
import unicodedata
from html import escape
from typing import NamedTuple

import segno

from stampcard.domain.value import Value
from stampcard.program.texts import direction_of

#: Of the sheet, and of what stands on it, in millimetres.
WIDTH, HEIGHT, WITHIN = 210, 297, 178
#: Light modules that scanners need around a code.
QUIET = 4
#: The colour of a program that names none.
PLAIN = "#222222"
#: A line's height, as a multiple of its letters'.
_LEADING, _STEP = 1.25, 0.5
#: Letters get so small, beside the largest, before a long word is cut instead.
_SMALL = 0.35
#: Where in it letters stand.
_BASE = 0.8
#: How wide letters are at most, in heights; what nobody has measured is taken for wide.
_THIN, _NARROW, _USUAL, _WIDE = 0.34, 0.56, 0.64, 1.0
_FONTS = "system-ui, -apple-system, 'Segoe UI', 'Noto Sans', 'Noto Sans Arabic', Arial, sans-serif"
_STRONG = {"L": "ltr", "R": "rtl", "AL": "rtl"}
_NO_XML = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


class Sign(Value, frozen=True):
    """What stands on it. `url` is in the code; `address` is what people type, `before` the words that say so."""

    language: str
    title: str
    sentence: str
    before: str
    url: str
    address: str
    colour: str = ""
    branch: str = ""


class _Box(NamedTuple):
    """Where a text stands, and how large its letters are at most."""

    top: float
    height: float
    largest: float


_TITLE, _SENTENCE, _BEFORE, _ADDRESS, _BRANCH = (
    _Box(9, 56, 20), _Box(80, 32, 9), _Box(240, 9, 5.5), _Box(250, 22, 7), _Box(280, 9, 4),
)  # fmt: skip
_BAND, _CODE, _SIZE = 74, 118, 118


def svg_of(sign: Sign) -> str:
    """The sign as SVG."""
    colour = sign.colour or PLAIN
    ink = "#000" if _is_light(colour) else "#fff"
    texts = (
        _text(sign.title, _TITLE, f'fill="{ink}" font-weight="bold"', 1.1),
        _text(sign.sentence, _SENTENCE, 'fill="#222"'),
        _text(sign.before, _BEFORE, 'fill="#222"'),
        _text(sign.address, _ADDRESS, 'fill="#222" font-weight="bold"', 1.1),
        _text(sign.branch, _BRANCH, 'fill="#595959"'),
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}mm" height="{HEIGHT}mm" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'xml:lang="{sign.language}" font-family="{_FONTS}" text-anchor="middle"><title>{_sound(sign.title)}</title>'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/><rect width="{WIDTH}" height="{_BAND}" fill="{colour}"/>'
        f"{''.join(texts)}{_code(sign.url)}</svg>\n"
    )


def html_of(sign: Sign) -> str:
    """The sign as a page that prints on one sheet."""
    style = "@page{size:A4;margin:0}body{margin:0}svg{display:block}"
    return (
        f'<!doctype html><html lang="{sign.language}" dir="{direction_of(sign.language)}"><head><meta charset="utf-8">'
        f"<title>{_sound(sign.title)}</title><style>{style}</style></head><body>\n{svg_of(sign)}</body></html>\n"
    )


def _code(url: str) -> str:
    """The code in black on white, each row as few strokes."""
    rows = segno.make(url, error="q", micro=False).matrix
    scale = _SIZE / (len(rows) + 2 * QUIET)
    strokes = "".join(
        f"M{found.start()} {y}h{found.end() - found.start()}v1h-{found.end() - found.start()}z"
        for y, row in enumerate(rows)
        for found in re.finditer(b"\x01+", bytes(row))
    )
    left, top = (WIDTH - _SIZE) / 2 + QUIET * scale, _CODE + QUIET * scale
    return (
        f'<path transform="translate({left:.3f} {top:.3f}) scale({scale:.5f})" shape-rendering="crispEdges" '
        f'fill="#000" d="{strokes}"/>'
    )


def _text(text: str, box: _Box, style: str, heavier: float = 1.0) -> str:
    """A text in the middle of its box, in as large letters as fit."""
    size, lines = fitted(_sound(text, marked=False), box.height, box.largest, heavier)
    direction = _direction(text)
    # What draws it may not heed the direction: between two marks, signs at its ends stay on their side.
    mark = "\u200f" if direction == "rtl" else ""
    top = box.top + (box.height - len(lines) * size * _LEADING) / 2
    return "".join(
        f'<text x="{WIDTH / 2:g}" y="{top + (index + _BASE) * size * _LEADING:.2f}" font-size="{size:g}" '
        f'direction="{direction}" {style}>{mark}{escape(line)}{mark}</text>'
        for index, line in enumerate(lines)
    )


def fitted(text: str, height: float, largest: float, heavier: float = 1.0) -> tuple[float, list[str]]:
    """The size of letters, and the lines, in which a text stays within its box; `heavier`: how much wider letters are."""
    size = largest
    while True:
        most = WITHIN / size / heavier
        lines, whole = _lines(text, most), all(width_of(word) <= most for word in text.split())
        fits = len(lines) * size * _LEADING <= height and (whole or size <= largest * _SMALL)
        if fits or size <= 2 * _STEP:
            return size, _balanced(text, most, lines)
        size -= _STEP


def _lines(text: str, most: float) -> list[str]:
    """The words in lines of at most this width, in heights of a letter; a word that is wider is cut."""
    lines = [""]
    for word in (part for whole in text.split() for part in _cut(whole, most)):
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and width_of(longer) > most:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines if lines[0] else []


def _balanced(text: str, most: float, lines: list[str]) -> list[str]:
    """As many lines, about equally long: none has the last word to itself."""
    for share in range(95, 45, -5):
        narrower = _lines(text, most * share / 100)
        if len(narrower) > len(lines):
            break
        lines = narrower
    return lines


def _cut(word: str, most: float) -> list[str]:
    parts = [""]
    for letter in word:
        if parts[-1] and width_of(parts[-1] + letter) > most:
            parts.append("")
        parts[-1] += letter
    return parts


def width_of(text: str) -> float:
    """How wide a text is at most, in heights of a letter."""
    return sum(map(_width, text))


def _width(letter: str) -> float:
    if unicodedata.category(letter) in {"Mn", "Me", "Cf"}:
        return 0
    if letter in " .,:;'|!ijlI/()-":
        return _THIN
    if unicodedata.east_asian_width(letter) in "WF" or letter in "MWmw@%":
        return _WIDE
    if letter.islower() or unicodedata.bidirectional(letter) == "AL" or letter.isdigit():
        return _NARROW if letter.isascii() else _USUAL
    return 0.78 if letter.isascii() or unicodedata.bidirectional(letter) in _STRONG else _WIDE


def _direction(text: str) -> str:
    """Of the first letter that has one: a Latin name on an Arabic sign reads from the left."""
    return next((_STRONG[kind] for kind in map(unicodedata.bidirectional, text) if kind in _STRONG), "ltr")


def _is_light(colour: str) -> bool:
    """Whether black can be read better on a colour than white (WCAG's relative luminance)."""
    parts = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)  # noqa: PLR2004 - of sRGB
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179  # noqa: PLR2004 - where both are read equally well


def _sound(text: str, *, marked: bool = True) -> str:
    plain = _NO_XML.sub(" ", text)
    return escape(plain) if marked else plain
