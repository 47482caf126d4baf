from __future__ import annotations

from datetime import timedelta

import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from stampcard.cli.findings import trial_resources
from stampcard.cli.timekeeping import Listener, Told, clock_finding, told_by
from stampcard.settings import SecuritySettings, Settings
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


async def test_what_a_vendor_answers_to_a_plugin_tells_the_time() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(headers={"Date": "Tue, 10 Mar 2026 12:00:00 GMT"})

    server = web.Application()
    server.router.add_get("/", answer)
    listener = Listener(FakeClock(NOON + timedelta(minutes=2)))
    settings = Settings(security=SecuritySettings(outbound_allow=("127.0.0.0/8",)))
    async with TestServer(server) as vendor:
        with trial_resources(settings, fresh=True, heard=listener.note) as resources:
            async with resources.open_http([]) as client:
                await client.get(str(vendor.make_url("/")))
    assert listener.heard == [told(120, "127.0.0.1")]
    assert clock_finding(listener.heard, None).text.startswith("is 120 seconds ahead of 127.0.0.1")
