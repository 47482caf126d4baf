"""Countries by their two-letter codes (ISO 3166-1), and by the names that people write, of the Unicode CLDR."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from babel import Locale

#: Names in these languages are understood; they are written in the first.
_LANGUAGES = ("en", "de", "fr", "es", "it", "nl", "pt", "id", "ms", "pl", "sv", "da", "ar")
#: What people write that no list has.
_OTHERS: Mapping[str, str] = {
    "usa": "US",
    "u.s.a.": "US",
    "u.s.": "US",
    "united states of america": "US",
    "uk": "GB",
    "great britain": "GB",
    "england": "GB",
    "holland": "NL",
    "the netherlands": "NL",
    "czech republic": "CZ",
    "turkey": "TR",
    "south korea": "KR",
    "uae": "AE",
}


def country_code(text: str) -> str:
    """The code of a country that is written as its code or name; what is neither stays as it is."""
    written = text.strip()
    folded = written.casefold()
    if folded in _OTHERS:
        return _OTHERS[folded]
    if written.upper() in _names():
        return written.upper()
    return _codes().get(folded, written)


def is_country(code: str) -> bool:
    """Whether a text is the code of a country."""
    return code in _names()


def country_name(text: str) -> str:
    """The English name of a country of that code; what is no code stays as it is."""
    return _names().get(text.strip().upper(), text)


@cache
def _names() -> Mapping[str, str]:
    return _territories(_LANGUAGES[0])


@cache
def _codes() -> Mapping[str, str]:
    return {name.casefold(): code for language in reversed(_LANGUAGES) for code, name in _territories(language).items()}


def _territories(language: str) -> dict[str, str]:
    """Code → name, without the numbers of regions and what is no country."""
    found = Locale.parse(language).territories
    return {code: name for code, name in found.items() if len(code) == 2 and code.isalpha() and code not in _NONE}  # noqa: PLR2004


#: Codes of unions, of outlying seas and of what is unknown.
_NONE = frozenset({"EU", "EZ", "UN", "QO", "XA", "XB", "ZZ"})
