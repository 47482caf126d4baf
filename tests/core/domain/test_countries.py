"""Countries are understood by their codes and by the names that people write, and written by one name."""

from __future__ import annotations

import pytest

from stampcard.domain.countries import _names, country_code, country_name


def test_every_country_is_understood_by_the_name_that_is_written_for_it() -> None:
    assert len(_names()) > 240
    assert {code: country_code(country_name(code)) for code in _names()} == {code: code for code in _names()}


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("de", "DE"),
        (" Deutschland ", "DE"),
        ("GERMANY", "DE"),
        ("Allemagne", "DE"),
        ("usa", "US"),
        ("UK", "GB"),
        ("Holland", "NL"),
        ("المملكة العربية السعودية", "SA"),
        ("", ""),
    ],
)
def test_a_country_is_understood_as_people_write_it(written: str, code: str) -> None:
    assert country_code(written) == code


def test_what_is_no_country_stays_as_it_is() -> None:
    assert (country_code(" Atlantis "), country_name("Atlantis"), country_name("ZZ")) == ("Atlantis", "Atlantis", "ZZ")
    assert (country_name("de"), country_code("EU")) == ("Germany", "EU")
