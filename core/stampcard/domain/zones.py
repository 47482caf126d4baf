"""In which time zones somebody may be, as far as that can be told."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo

from stampcard.domain.addresses import normal_phone
from stampcard.domain.countries import country_code

_NOWHERE = "Etc/Unknown"


def zones_of(attributes: Mapping[str, Any], home: ZoneInfo) -> tuple[ZoneInfo, ...]:
    """The zones that a member may be in: the stated one, else those of the country or of the phone number, else `home`.

    Where both are known, those that both have; a country of several zones and nothing else leaves all of them.
    """
    stated = _zone(str(attributes.get("timezone") or ""))
    if stated is not None:
        return (stated,)
    country = _of_country().get(country_code(str(attributes.get("country") or "")), frozenset())
    phone = frozenset(_of_phone(str(attributes.get("phone") or "")))
    found = country & phone or country or phone
    return tuple(ZoneInfo(name) for name in sorted(found)) or (home,)


@cache
def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (KeyError, ValueError, OSError):  # what a source tells may be anything, a path too
        return None


@cache
def _of_country() -> Mapping[str, frozenset[str]]:
    """Country → its zones, as the tz database lists them."""
    found: dict[str, set[str]] = {}
    for line in (files("tzdata") / "zoneinfo" / "zone.tab").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            code, _, zone, *_ = line.split("\t")
            found.setdefault(code, set()).add(zone)
    return {code: frozenset(zones) for code, zones in found.items()}


def _of_phone(written: str) -> tuple[str, ...]:
    import phonenumbers
    from phonenumbers import timezone

    number = normal_phone(written)
    if number is None:
        return ()
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return ()
    return tuple(zone for zone in timezone.time_zones_for_number(parsed) if zone != _NOWHERE)
