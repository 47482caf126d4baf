"""Where a request comes from, for those who are in haste."""

from __future__ import annotations

import pytest

from stampcard_webhooks.identifying import visitor


@pytest.mark.parametrize(
    ("told", "proxies", "expected"),
    [
        ("1.1.1.1", 0, "10.0.0.1"),
        ("", 1, "10.0.0.1"),
        ("1.1.1.1", 1, "1.1.1.1"),
        ("9.9.9.9, 1.1.1.1", 1, "1.1.1.1"),
        ("9.9.9.9,1.1.1.1, 2.2.2.2", 2, "1.1.1.1"),
        ("1.1.1.1", 2, "10.0.0.1"),
        (" , ", 1, "10.0.0.1"),
    ],
)
def test_only_what_our_own_proxies_say_is_believed(told: str, proxies: int, expected: str) -> None:
    assert visitor(told, "10.0.0.1", proxies) == expected


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("1.1.1.1:40312", "1.1.1.1"),
        ("2001:db8:1:2:a::1", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::7", "2001:db8:1:2::"),
        ("[2001:db8:1:2:3::9]:40312", "2001:db8:1:2::"),
        ("[2001:DB8:1:2:3::9]", "2001:db8:1:2::"),
        ("::ffff:1.1.1.1", "1.1.1.1"),
        ("unknown", "unknown"),
        ("x" * 9000, "x" * 64),
    ],
)
def test_whoever_has_many_addresses_or_ports_is_one_visitor(told: str, expected: str) -> None:
    assert visitor(told, "10.0.0.1", 1) == expected
    assert visitor("", told, 0) == expected
