"""In which zones somebody may be: what they say of themselves, then their country and phone number, then the program's."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stampcard.domain.zones import zones_of

HOME = ZoneInfo("Europe/Berlin")


def zones(**attributes: Any) -> list[str]:
    return [zone.key for zone in zones_of(attributes, HOME)]


def test_nobody_knows_where_somebody_is_of_whom_nothing_is_known() -> None:
    assert zones() == ["Europe/Berlin"]
    assert zones(first_name="Ann", city="Paris") == ["Europe/Berlin"]


def test_the_zone_that_somebody_states_counts_before_everything_else() -> None:
    assert zones(timezone="Asia/Tokyo", country="NL", phone="+12125550100") == ["Asia/Tokyo"]


@pytest.mark.parametrize(
    "stated", ["", "Mars/Base", "../../etc/passwd", "/etc/localtime", "Europe", "x\0y", "Europe/Berlin ", 7, None]
)
def test_what_is_no_zone_says_nothing(stated: Any) -> None:
    assert zones(timezone=stated, country="NL") == ["Europe/Amsterdam"]


@pytest.mark.parametrize("written", ["NL", "nl", " Netherlands ", "the Netherlands", "Nederland", "holland"])
def test_a_country_counts_however_it_is_written(written: str) -> None:
    assert zones(country=written) == ["Europe/Amsterdam"]


def test_a_country_of_several_zones_leaves_all_of_them() -> None:
    found = zones(country="US")
    assert {"America/New_York", "America/Los_Angeles", "America/Anchorage", "Pacific/Honolulu"} <= set(found)
    assert found == sorted(found)
    assert len(found) == len(set(found)) > 20


def test_a_phone_number_tells_its_country_and_often_its_region() -> None:
    assert zones(phone="+31612345678") == ["Europe/Amsterdam"]
    assert zones(phone="0031 6 12345678") == ["Europe/Amsterdam"]
    assert zones(phone="+1 212 555 0100") == ["America/New_York"]


@pytest.mark.parametrize("phone", ["06 12345678", "nothing", "", "+999123456789", None, 5, "+800 12345678"])
def test_a_number_that_tells_no_country_says_nothing(phone: Any) -> None:
    found = zones(phone=phone)
    assert found == ["Europe/Berlin"]


def test_where_both_are_known_those_count_that_both_have() -> None:
    assert zones(country="US", phone="+12125550100") == ["America/New_York"]
    assert zones(country="CA", phone="+14165550100") == ["America/Toronto"]


def test_where_they_say_different_things_the_country_counts() -> None:
    assert zones(country="NL", phone="+12125550100") == ["Europe/Amsterdam"]


def test_a_country_that_nobody_knows_leaves_the_phone_number() -> None:
    assert zones(country="Atlantis", phone="+31612345678") == ["Europe/Amsterdam"]
    assert zones(country="Atlantis") == ["Europe/Berlin"]


anything = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=30), st.sampled_from(["US", "+1212555"]))


@given(st.fixed_dictionaries({"timezone": anything, "country": anything, "phone": anything}))
def test_whatever_a_source_tells_somebody_is_somewhere(attributes: dict[str, Any]) -> None:
    found = zones_of(attributes, HOME)
    assert found
    assert all(isinstance(zone, ZoneInfo) for zone in found)
