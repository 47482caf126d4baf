"""Signed queries: what they say, and whether they count now."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from urllib.parse import parse_qsl, quote

from stampcard.plugin import InvalidSignature

#: Seconds that a signed query counts, before and after: as many as Shopify's own JavaScript library allows. The signature
#: covers neither the path nor the body, so whoever overhears one must not have it for long.
TOLERANCE = 90
LONGEST = 16_384
MOST_PARAMETERS = 100
HEX_DIGEST = re.compile(r"[0-9a-f]{64}")
_SECONDS = re.compile(r"[0-9]{1,12}")

Parameters = Mapping[str, Sequence[str]]


def parameters(query: str) -> dict[str, list[str]]:
    """The values of each parameter, decoded; bytes that are no UTF-8 are kept as they are, for they are signed as well."""
    if len(query) > LONGEST:
        raise InvalidSignature("the query is too long")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="surrogateescape", max_num_fields=MOST_PARAMETERS)
    except ValueError:
        raise InvalidSignature("the query has too many parameters") from None
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def check_once(found: Parameters, names: Iterable[str]) -> None:
    """Raise InvalidSignature where the query says twice what Shopify says once."""
    if any(len(found.get(name, ())) > 1 for name in names):
        raise InvalidSignature("the query says twice what Shopify says once")


def check_shop(found: Parameters, shop: str) -> None:
    """Raise InvalidSignature for a query of another shop."""
    if first(found, "shop").lower() != shop.lower():
        raise InvalidSignature("the query is of another shop", "shop")


def check_moment(found: Parameters, now: datetime) -> None:
    """Raise InvalidSignature for a query that does not count now."""
    timestamp = first(found, "timestamp")
    if not _SECONDS.fullmatch(timestamp) or abs(now.timestamp() - int(timestamp)) > TOLERANCE:
        raise InvalidSignature("the query does not count now: it is too old, or a clock is wrong")


def first(found: Parameters, name: str) -> str:
    """The first value of a parameter, or the empty text."""
    return next(iter(found.get(name, ())), "")


def signed_texts(found: Parameters) -> tuple[bytes, bytes]:
    """What the `hmac` of a query may be made of: all but itself, in the order of the names.

    Shopify's own libraries differ: that for JavaScript encodes every sign that an address does, that for Python only those
    that part one parameter from the next. Neither text can be read in two ways.
    """
    pairs = sorted((_name(n), _value(n, values)) for n, values in found.items() if n not in {"hmac", "signature"})
    whole = "&".join(f"{_coded(name)}={_coded(value)}" for name, value in pairs)
    some = "&".join(f"{_parted(name).replace('=', '%3D')}={_parted(value)}" for name, value in pairs)
    return whole.encode(), some.encode(errors="surrogateescape")


def _name(name: str) -> str:
    return name.removesuffix("[]")


def _value(name: str, values: Sequence[str]) -> str:
    if not name.endswith("[]"):
        return values[0]
    listed = ", ".join(f'"{value}"' for value in values)
    return f"[{listed}]"


def _parted(text: str) -> str:
    return text.replace("%", "%25").replace("&", "%26")


def _coded(text: str) -> str:
    return quote(text, safe="!'()*-._~", errors="surrogateescape")
