"""A day is unusual beside the days before it; silence means something where there was talk."""

from __future__ import annotations

from datetime import date

import pytest

from stampcard.engine.alarming import day_alert, dead_alert, silence_alert

DAY = date(2026, 3, 20)


@pytest.mark.parametrize(
    ("points", "before", "share"),
    [
        (301, [100] * 7, 301),
        (300, [100] * 7, None),
        (33, [100] * 7, 33),
        (34, [100] * 7, None),
        (1000, [100] * 6, None),  # too few days are known
        (1000, [0] * 28, None),  # nothing is usual yet
        (0, [100, 100, 100, 100, 100, 100, 0] * 4, None),  # this day of the week is quiet
        (900, [100, 100, 100, 100, 100, 100, 1000] * 4, None),  # it is busy
        (0, [100, 100, 100, 0, 100, 100, 100] * 4, 0),  # another day of the week is quiet
        (1000, [100] * 6 + [None] + [100] * 6, None),  # no day like it is known
        (0, [100] * 28, 0),
    ],
)
def test_a_day_is_told_when_it_lies_far_off_and_none_of_the_days_before_did(
    points: int, before: list[int | None], share: int | None
) -> None:
    alert = day_alert("main", DAY, points, before)
    assert (alert and alert.share) == share


def test_silence_after_five_days_of_talk_is_told() -> None:
    assert silence_alert("shop", DAY, [False, *[True] * 5, False, False])
    assert silence_alert("shop", DAY, [True, *[True] * 7]) is None
    assert silence_alert("shop", DAY, [False, *[True] * 4, *[False] * 3]) is None
    assert silence_alert("shop", DAY, []) is None


def test_only_what_was_given_up_is_told() -> None:
    assert dead_alert("shop", DAY, 0) is None
    assert dead_alert("shop", DAY, 2)
