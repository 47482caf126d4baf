"""Which addresses are the same person's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stampcard.domain.addresses import normal_email, normal_phone


@pytest.mark.parametrize(
    ("written", "same"),
    [
        (" Ann@Shop.Example ", "ann@shop.example"),
        ("ann+shop@shop.example", "ann@shop.example"),
        ("a.n.n+x+y@GoogleMail.com", "ann@gmail.com"),
        ("a.nn@shop.example", "a.nn@shop.example"),
        ("ann@shop", None),
        ("ann", None),
        ("+tag@shop.example", None),
        ("a n@shop.example", None),
        ("a@b@shop.example", None),
        ("", None),
    ],
)
def test_an_email_address_has_no_case_no_tag_and_no_dots_where_its_provider_ignores_them(
    written: str, same: str | None
) -> None:
    assert normal_email(written) == same


@pytest.mark.parametrize(
    ("written", "same"),
    [
        ("+49 (30) 123-456", "+4930123456"),
        ("0049 30 123456", "+4930123456"),
        ("030 123456", None),
        ("+0 30 123456", None),
        ("+49", None),
        ("+1234567890123456", None),
        ("+49 30 12E456", None),
        ("", None),
    ],
)
def test_a_phone_number_counts_with_the_code_of_its_country_alone(written: str, same: str | None) -> None:
    assert normal_phone(written) == same


@given(st.emails())
def test_a_normal_form_stays_as_it_is(written: str) -> None:
    same = normal_email(written)
    assert same is None or normal_email(same) == same
