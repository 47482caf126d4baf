from __future__ import annotations

from datetime import timedelta

import httpx
import pytest

from stampcard.cli.timekeeping import Listener, Told, clock_finding, told_by
from stampcard.testing.building import NOON
from stampcard.testing.clock import FakeClock


def told(ahead: float, who: str = "shop") -> Told:
    return Told(who=who, ahead=ahead)


@pytest.mark.parametrize(
    ("vendors", "own", "level", "said"),
    [
        ([], None, "ok", "not looked at: nobody elsewhere was asked"),
        ([told(29)], None, "ok", "agrees with shop"),
        ([told(31)], None, "warning", "is 31 seconds ahead of shop"),
        ([told(-95)], told(0, "us"), "warning", "is 95 seconds behind shop"),
        ([], told(-95, "us"), "warning", "is 95 seconds behind us"),
        ([told(4000, "odd"), told(1)], None, "ok", "agrees with shop"),
    ],
)
def test_a_clock_that_differs_from_what_vendors_say_is_told(
    vendors: list[Told], own: Told | None, level: str, said: str
) -> None:
    finding = clock_finding(vendors, own)
    assert (finding.level, finding.text.split(":")[0]) == (level, said.split(":", maxsplit=1)[0])


def test_the_time_comes_from_the_date_of_an_answer() -> None:
    date = NOON.strftime("%a, %d %b %Y %H:%M:%S GMT")
    assert told_by("shop", date, NOON + timedelta(seconds=7)) == told(7)
    assert told_by("shop", "soon", NOON) is None
    listener = Listener(FakeClock(NOON))
    for headers in ({"date": date}, {}):
        request = httpx.Request("GET", "https://shop.example.com/x")
        listener.note(httpx.Response(200, headers=headers, request=request))
    assert listener.heard == [told(0, "shop.example.com")]
