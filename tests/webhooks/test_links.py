"""Links that lead on: a friend to the shop, and a member to a network, for which they are paid once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from tests.databases import served_on_sqlite

from stampcard.plugin import Storefront
from stampcard_webhooks import links

PROGRAM = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
rules:
  - {id: follow, on: social_follow, award: 10, when: event.data.network == 'instagram'}
  - {id: share, on: social_share, award: 5}
"""


class Window(Storefront):
    def landing(self, code: str) -> str:
        return f"https://shop.example/?ref={code}"


async def go(url: str, method: str = "GET") -> aiohttp.ClientResponse:
    async with aiohttp.ClientSession() as session, session.request(method, url, allow_redirects=False) as response:
        await response.read()
        return response


async def linked(served: Any, member: str, **asked: Any) -> str:
    """A member's link, as it is reached here."""
    wanted = {"event": "social_follow", "network": "instagram", "url": "https://instagram.example/acme", **asked}
    made = await served.call("POST", f"/members/{member}/social-links", wanted)
    assert made.status == 201, made.body
    return str(made.body["url"]).replace(served.application.public_url, served.address)


async def points(served: Any, member: str) -> int:
    return int((await served.call("GET", f"/members/{member}")).body["balances"]["points"]["active"])


@pytest.fixture
async def member(served: Any) -> str:
    await served.prepare(PROGRAM)
    made = await served.call("POST", "/members", {"identity": {"connection": "shop", "reference": "ann"}})
    return str(made.body["id"])


async def test_who_follows_a_link_is_paid_once_and_led_on(served: Any, member: str) -> None:
    url = await linked(served, member)
    for _ in range(2):
        answer = await go(url)
        assert (answer.status, answer.headers["Location"]) == (302, "https://instagram.example/acme")
    assert (await go(await linked(served, member))).status == 302
    assert await points(served, member) == 10


@served_on_sqlite
async def test_shares_of_different_things_count_each(served: Any, member: str) -> None:
    for thing in ("a", "b", "a"):
        share = {"event": "social_share", "url": f"https://instagram.example/share?u={thing}"}
        await go(await linked(served, member, **share))
    assert await points(served, member) == 10


@served_on_sqlite
async def test_asking_whether_a_link_is_there_is_not_following_it(served: Any, member: str) -> None:
    assert (await go(await linked(served, member), "HEAD")).status == 405
    assert await points(served, member) == 0


@served_on_sqlite
async def test_a_link_that_is_altered_or_old_leads_nowhere(served: Any, member: str) -> None:
    url = await linked(served, member, days=1)
    assert (await go(url[:-3] + "abc")).status == 404
    assert (await go(f"{served.address}/go/nonsense")).status == 404
    served.clock.advance(timedelta(days=1))
    old = await go(url)
    assert old.status == 404
    assert await points(served, member) == 0


@served_on_sqlite
async def test_a_link_of_somebody_who_was_erased_leads_nowhere(served: Any, member: str) -> None:
    url = await linked(served, member)
    assert (await served.call("DELETE", f"/members/{member}")).status in {200, 204}
    assert (await go(url)).status == 404


@pytest.mark.parametrize("served", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "url",
    [
        "http://a.example",
        "https://",
        "javascript:alert(1)",
        "https://u@a.example",
        "https://a.example/ b",
        "//a.example",
    ],
)
async def test_a_link_leads_by_https_alone(served: Any, member: str, url: str) -> None:
    wanted = {"event": "social_follow", "network": "x", "url": url}
    assert (await served.call("POST", f"/members/{member}/social-links", wanted)).status == 422


async def test_a_friend_is_sent_to_the_shop_with_the_code(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await go(f"{api.address}/r/ANN-7")).status == 404
    monkeypatch.setattr(links, "_shops", lambda _: {"till": Window(), "shop": Window()})
    sent = await go(f"{api.address}/r/ANN-7")
    assert (sent.status, sent.headers["Location"]) == (302, "https://shop.example/?ref=ANN-7")
    assert (await go(f"{api.address}/r/ANN-7?at=till")).status == 302
    assert (await go(f"{api.address}/r/ANN-7?at=nowhere")).status == 404
    assert (await go(f"{api.address}/r/%2F%2Fevil.example")).status == 404


async def test_links_are_paced(api: Any) -> None:
    statuses = [(await go(f"{api.address}/go/x")).status for _ in range(25)]
    assert statuses[-1] == 429
