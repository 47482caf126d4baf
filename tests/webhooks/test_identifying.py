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
