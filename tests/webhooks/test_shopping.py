"""The shopper's own API: who may ask, what they see, and that nobody sees anything of others."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from tests.databases import served_on_sqlite

from stampcard.domain.events import OrderSeen
from stampcard.storage.tables import idempotency, member, message, redemption
from stampcard.testing.building import order
from stampcard_webhooks.server import serving

CLUB = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
rules:
  - {id: purchase, on: purchase, award: 1 per 1 EUR}
sending: {page: "https://Shop.Example:443/club"}
"""
SIGNED = {"x-secret": "sesame"}


async def ask(
    served: Any, method: str, path: str, body: Any = None, *, customer: str = "1", name: str = "shop", **headers: str
) -> Any:
    """One request of a shopper whom the shop vouches for; answers status, body and headers."""
    told = {**SIGNED, "x-customer": customer, **{key.replace("_", "-"): text for key, text in headers.items()}}
    url = f"{served.address}/shopper/{name}{path}"
    async with served.session.request(method, url, json=body, headers=told) as response:
        read = await response.json(content_type=None) if response.content_length else None
        return response.status, read, response.headers


@served_on_sqlite
async def test_a_shopper_earns_sees_redeems_and_uses_the_code(served: Any) -> None:
    await served.prepare()
    await served.rich()

    _, me, _ = await ask(served, "GET", "/me")
    _, offered, _ = await ask(served, "GET", "/rewards")
    status, taken, _ = await ask(served, "POST", "/redemptions", {"reward": "own", "key": "wish-1"})
    await served.apply(OrderSeen(reference="A", snapshot=order(40, codes=(taken["code"],))))
    _, mine, _ = await ask(served, "GET", "/redemptions")
    _, one, _ = await ask(served, "GET", f"/redemptions/{taken['id']}")
    _, history, _ = await ask(served, "GET", "/history?limit=2")

    assert me["balances"]["points"]["active"] == 100
    assert "own" in {item["reward"] for item in offered["items"] if item["usable"]}
    assert (status, taken["status"]) == (201, "issued")
    assert mine["items"] == [one]
    assert (one["status"], one["orders"]) == ("used", ["order:shop:A"])
    assert [(item["kind"], item["points"]) for item in history["items"]] == [("earn", 40), ("redeem", 0)]
    assert history["next"]


async def test_the_answer_waits_for_the_code_of_the_shop(served: Any) -> None:
    await served.prepare()
    await served.rich()

    wish = asyncio.create_task(ask(served, "POST", "/redemptions", {"reward": "five-off", "key": "w"}))
    while not wish.done():
        await served.turn()
        await asyncio.sleep(0.02)

    status, taken, _ = wish.result()
    assert (status, taken["status"]) == (201, "issued")
    assert taken["code"] in served.shop.vouchers.made


@served_on_sqlite
async def test_the_same_wish_makes_one_code(served: Any) -> None:
    await served.prepare()
    member_id = await served.rich()

    answers = [await ask(served, "POST", "/redemptions", {"reward": "own", "key": "twice"}) for _ in range(2)]

    assert answers[0][1] == answers[1][1]
    assert await served.figures(member_id) == (80, 0, 20)


async def test_points_that_expire_soon_are_told(api: Any) -> None:
    await api.rich()
    _, me, _ = await ask(api, "GET", "/me")
    assert [(one["wallet"], one["points"]) for one in me["expiring"]] == [("points", 110)]


@pytest.mark.parametrize(
    ("headers", "code"),
    [({"x-secret": "guess"}, "not_recognised"), ({}, "not_recognised"), (SIGNED, "not_logged_in")],
)
async def test_a_stranger_learns_nothing(api: Any, headers: dict[str, str], code: str) -> None:
    await api.rich()
    for path in ("/me", "/rewards", "/redemptions/r_x"):
        async with api.session.get(f"{api.address}/shopper/shop{path}", headers=headers) as response:
            assert (response.status, (await response.json(content_type=None))["code"]) == (401, code)


@pytest.mark.parametrize("name", ["nowhere", "stampcard", "..", "shop%00"])
async def test_a_connection_that_vouches_for_nobody_is_as_unknown_as_any(api: Any, name: str) -> None:
    status, _, _ = await ask(api, "GET", "/me", name=name)
    assert status in {401, 404}


async def test_somebody_whom_the_shop_knows_and_we_do_not_is_no_member(api: Any) -> None:
    status, body, _ = await ask(api, "GET", "/me", customer="77")
    assert (status, body["code"]) == (404, "not_a_member")


async def test_nobody_sees_or_takes_what_is_anothers(served: Any) -> None:
    await served.prepare()
    await served.rich()
    await served.rich(reference="2")
    _, taken, _ = await ask(served, "POST", "/redemptions", {"reward": "own", "key": "k"})

    theirs = await ask(served, "GET", f"/redemptions/{taken['id']}", customer="2")
    nobodys = await ask(served, "GET", "/redemptions/r_nobodys", customer="2")
    same_key = await ask(served, "POST", "/redemptions", {"reward": "own", "key": "k"}, customer="2")

    assert theirs[0] == nobodys[0] == 404
    assert theirs[1].keys() == nobodys[1].keys()
    assert same_key[1]["id"] != taken["id"]
    assert (await ask(served, "GET", "/redemptions", customer="2"))[1]["items"] == [same_key[1]]


@served_on_sqlite
async def test_a_link_opens_the_members_own_page_for_a_quarter_of_an_hour(served: Any) -> None:
    member_id = await served.rich()
    made = await served.call("POST", f"/members/{member_id}/links")
    token = {"authorization": f"Bearer {made.body['token']}"}

    async def look(name: str = "stampcard", **headers: str) -> int:
        async with served.session.get(f"{served.address}/shopper/{name}/me", headers=headers) as response:
            return int(response.status)

    assert made.status == 201
    assert await look(**token) == 200
    assert await look("shop", **token) == 401
    for broken in (made.body["token"][:-2] + "AA", "st_", "st_%%%", made.body["token"] + "A" * 4000):
        assert await look(authorization=f"Bearer {broken}") == 401
    served.clock.advance(timedelta(minutes=16))
    assert await look(**token) == 401


@served_on_sqlite
async def test_a_link_of_another_merchant_shows_that_merchants_member(served: Any) -> None:
    made = await served.call("POST", "/members", {"attributes": {}}, merchant="other")
    link = await served.call("POST", f"/members/{made.body['id']}/links", merchant="other")
    refused = await served.call("POST", f"/members/{made.body['id']}/links")
    headers = {"authorization": f"Bearer {link.body['token']}"}
    async with served.session.get(f"{served.address}/shopper/stampcard/me", headers=headers) as response:
        assert (await response.json())["balances"]["points"]["active"] == 10
    assert refused.status == 404


async def test_a_shopper_who_leaves_is_forgotten(served: Any) -> None:
    member_id = await served.rich(first_name="Ann")
    unsure = await ask(served, "POST", "/erase", {"confirm": False})
    gone = await ask(served, "POST", "/erase", {"confirm": True})

    assert (unsure[0], gone[0]) == (422, 204)
    assert (await ask(served, "GET", "/me"))[0] == 404
    (row,) = await served.read(select(member).where(member.c.id == member_id))
    assert (row.attributes_sealed, row.erased_at is not None) == (None, True)


async def test_an_erasure_also_deletes_what_was_answered_and_the_codes(served: Any) -> None:
    await served.prepare()
    await served.rich()
    await ask(served, "POST", "/redemptions", {"reward": "own", "key": "k"})
    await ask(served, "POST", "/erase", {"confirm": True})
    answers = await served.read(select(idempotency).where(idempotency.c.path == "/redemptions"))
    assert [row.answer_sealed for row in answers] == [None]
    (row,) = await served.read(select(redemption))
    assert (row.voucher_sealed, row.status) == (None, "issued")


async def test_browsers_may_ask_from_the_shops_own_pages_alone(api: Any) -> None:
    await api.rich()

    async def preflight(origin: str) -> Any:
        headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        async with api.session.options(f"{api.address}/shopper/shop/redemptions", headers=headers) as response:
            return response.status, response.headers.get("Access-Control-Allow-Origin")

    assert await preflight("https://shop.example") == (204, "https://shop.example")
    assert await preflight("https://evil.example") == (403, None)
    for origin, allowed in (("https://shop.example", "https://shop.example"), ("https://evil.example", None)):
        _, _, headers = await ask(api, "GET", "/me", Origin=origin)
        assert headers.get("Access-Control-Allow-Origin") == allowed
    status, _, headers = await ask(api, "GET", "/redemptions/r_x", Origin="https://shop.example")
    assert (status, headers["Access-Control-Allow-Origin"]) == (404, "https://shop.example")


async def test_haste_is_slowed_down_for_each_shopper_alone(api: Any) -> None:
    await api.rich()
    await api.rich(reference="2")
    statuses = [(await ask(api, "POST", "/redemptions", {"reward": "none", "key": str(n)}))[0] for n in range(8)]
    assert statuses.count(404) == 5
    assert statuses.count(429) == 3
    status, _, headers = await ask(api, "POST", "/redemptions", {"reward": "none", "key": "x"})
    assert (status, int(headers["Retry-After"]) >= 1) == (429, True)
    assert (await ask(api, "POST", "/redemptions", {"reward": "none", "key": "x"}, customer="2"))[0] == 404


async def test_haste_of_one_who_is_no_member_is_slowed_down_as_well(api: Any) -> None:
    statuses = [(await ask(api, "GET", "/me", customer="404"))[0] for _ in range(40)]
    assert set(statuses) == {404, 429}


async def test_strangers_are_slowed_down_too(api: Any) -> None:
    statuses = set()
    for _ in range(30):
        async with api.session.get(f"{api.address}/shopper/shop/me") as response:
            statuses.add(response.status)
    assert statuses == {401, 429}


async def test_a_wish_that_cannot_be_read_says_what_is_wrong(api: Any) -> None:
    await api.rich()
    status, body, _ = await ask(api, "POST", "/redemptions", {"reward": "own"})
    assert (status, body["errors"][0]["path"]) == (422, "key")
    assert (await ask(api, "GET", "/history?limit=0"))[0] == 422


async def test_a_shopper_agrees_takes_it_back_and_sees_both(api: Any) -> None:
    await api.rich()
    yes = {"channel": "email", "purpose": "marketing", "state": "given", "text": "v3"}
    assert (await ask(api, "POST", "/consents", yes))[1]["current"] == {"email.marketing": "given"}
    status, body, _ = await ask(api, "POST", "/consents", {**yes, "state": "withdrawn"})
    assert (status, body["current"]) == (200, {"email.marketing": "withdrawn"})
    _, seen, _ = await ask(api, "GET", "/consents")
    assert [(one["state"], one["source"]) for one in seen["items"]] == [("withdrawn", "shop"), ("given", "shop")]
    assert (await ask(api, "POST", "/consents", {**yes, "state": "pending"}))[0] == 422


async def test_a_shopper_gets_everything_that_is_stored_of_them_and_nothing_of_others(api: Any) -> None:
    mine = await api.rich()
    other = await api.rich(reference="2")
    status, body, _ = await ask(api, "GET", "/export")
    assert (status, body["member"]) == (200, mine)
    assert other not in str(body)


async def test_a_shopper_sees_tiers_in_their_own_page(api: Any) -> None:
    await api.rich()
    _, me, _ = await ask(api, "GET", "/me")
    assert me["tiers"] == []


async def test_who_asks_for_their_link_is_answered_before_anybody_is_looked_for(served: Any, monkeypatch: Any) -> None:
    await served.rich(email="ann@example.com")
    held, done = asyncio.Event(), asyncio.Barrier(3)
    write = served.application.database.write

    async def later(work: Any) -> None:
        await held.wait()
        await write(work)
        await done.wait()

    monkeypatch.setattr(served.application.database, "write", later)
    for address in ("ann@example.com", "nobody@example.com"):
        url = f"{served.address}/shopper/stampcard/link"
        async with served.session.post(url, json={"email": address}) as answer:
            assert (answer.status, await answer.read()) == (202, b"{}")
    assert await served.read(select(message)) == []
    held.set()
    await done.wait()
    assert [one.name for one in await served.read(select(message))] == ["link"]


async def test_a_link_that_was_asked_for_is_still_mailed_when_the_server_stops(serve: Any, sqlite_url: str) -> None:
    served = await serve(sqlite_url)
    await served.rich(email="ann@example.com")
    told = {"email": "ann@example.com"}
    async with (
        serving(served.application) as address,
        served.session.post(f"{address}/shopper/stampcard/link", json=told) as answer,
    ):
        assert answer.status == 202
    assert [one.name for one in await served.read(select(message))] == ["link"]


@pytest.mark.parametrize("origin", ["https://shop.example", "https://SHOP.example:443"])
async def test_an_origin_counts_however_the_page_of_the_program_is_written(api: Any, origin: str) -> None:
    await api.prepare(CLUB)
    headers = {"Origin": origin, "Access-Control-Request-Method": "GET"}
    async with api.session.options(f"{api.address}/shopper/stampcard/me", headers=headers) as response:
        assert (response.status, response.headers.get("Access-Control-Allow-Origin")) == (204, origin)
    for other in ("null", "", "http://shop.example", "https://shop.example:444"):
        headers["Origin"] = other
        async with api.session.options(f"{api.address}/shopper/stampcard/me", headers=headers) as response:
            assert response.status == 403
