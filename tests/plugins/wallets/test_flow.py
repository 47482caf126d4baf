"""A card as its holder has it: put into a phone by a link, told of by a push, fetched, and gone with whoever is erased."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import stampcard_pocket
from aiohttp import web
from aiohttp.test_utils import TestServer

from stampcard.app import Application
from stampcard.domain.scopes import ADMIN
from stampcard.sealing import new_key_text
from stampcard.settings import DeliverSettings, HttpSettings, SecuritySettings, Settings
from stampcard.storage.keys import create_key
from stampcard.testing.waiting import eventually
from stampcard_webhooks.server import serving

PROGRAM = """
program: main
name: Beans
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
rules:
  - {id: purchase, on: purchase, award: 1 per 1 EUR}
  - {id: saved, on: card_saved, award: 25}
card: {name: {en: Bean Card}, fields: [points]}
"""
PUBLIC, TYPE = "https://points.example", "pass.example.card"


@dataclass
class PushService:
    """Knows which phones it told, and what with."""

    told: list[tuple[str, bytes]] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)

    async def push(self, request: web.Request) -> web.Response:
        assert request.headers["apns-topic"] == TYPE
        self.told.append((request.match_info["token"], await request.read()))
        return web.Response(status=410 if request.match_info["token"] in self.gone else 200)


@dataclass
class Club:
    """An installation whose members have cards in phones."""

    address: str
    session: aiohttp.ClientSession
    key: str
    pushes: PushService
    heard: int = 0

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        url, headers = f"{self.address}/api/v1{path}", {"Authorization": f"Bearer {self.key}"}
        async with self.session.request(method, url, json=body, headers=headers) as answer:
            return await answer.json(content_type=None)

    async def gift(self, member: str, points: int) -> None:
        gift = {"wallet": "points", "points": points, "reason": "a gift"}
        await self.ask("POST", f"/members/{member}/adjustments", gift)

    async def pushed(self) -> None:
        """Wait until a phone is told of something that it was not yet."""

        async def told() -> bool:
            return len(self.pushes.told) > self.heard

        await eventually("a phone is told", told)
        self.heard = len(self.pushes.told)

    async def points(self, member: str) -> int:
        return int((await self.ask("GET", f"/members/{member}"))["balances"]["points"]["active"])

    async def at_desk(
        self, method: str, path: str, proof: str = "", body: Any = None, **headers: str
    ) -> tuple[int, Any, str]:
        """What a phone or browser gets: the status, the body, and the tag."""
        headers = {**headers, **({"Authorization": f"ApplePass {proof}"} if proof else {})}
        url = f"{self.address}/connections/pocket/{path}"
        async with self.session.request(method, url, json=body, headers=headers) as answer:
            told = await answer.json() if answer.content_type == "application/json" else None
            return answer.status, told, answer.headers.get("ETag", "")


@pytest.fixture
async def club(tmp_path: Path) -> AsyncIterator[Club]:
    pushes, vendor = PushService(), web.Application()
    vendor.router.add_post("/3/device/{token}", pushes.push)
    (tmp_path / "program.yaml").write_text(PROGRAM)
    (tmp_path / "key").touch(mode=0o600)
    (tmp_path / "key").write_text(new_key_text())
    async with TestServer(vendor) as server:
        api_url = str(server.make_url("")).rstrip("/")
        pocket = {"plugin": "pocket", "pass_key": "a-key-of-the-passes", "push_token": "a-token", "api_url": api_url}
        settings = Settings(
            database=f"sqlite:///{tmp_path / 'stampcard.db'}",
            programs=(str(tmp_path / "program.yaml"),),
            key_file=tmp_path / "key",
            http=HttpSettings(port=0, public_url=PUBLIC),
            security=SecuritySettings(outbound_allow=(api_url.removeprefix("http://"),)),
            deliver=DeliverSettings(coalesce=0),
            connections={"pocket": pocket},
        )
        async with (
            Application(settings, plugins={"pocket": stampcard_pocket}) as application,
            serving(application) as address,
            aiohttp.ClientSession() as session,
        ):
            merchant, now = application.setting.merchant, application.clock.now()
            _, key = await application.database.write(
                lambda connection: create_key(connection, merchant, "test", (ADMIN,), None, now)
            )
            yield Club(address, session, key, pushes)


async def put_in(club: Club) -> tuple[str, str, str]:
    """A member with 100 points whose card is in a phone; the member, the serial, and what proves that it is theirs."""
    member = str((await club.ask("POST", "/members", {"attributes": {"first_name": "Ann"}}))["id"])
    await club.gift(member, 100)
    made = await club.ask("POST", f"/members/{member}/passes", {"connection": "pocket"})
    assert made["url"].startswith(f"{PUBLIC}/connections/pocket/cards/{made['serial']}/")
    _, card, _ = await club.at_desk("GET", made["url"].removeprefix(f"{PUBLIC}/connections/pocket/"))
    assert card["webServiceURL"] == f"{PUBLIC}/connections/pocket"
    assert card["storeCard"]["primaryFields"][0]["value"] == "100"
    return member, card["serialNumber"], card["authenticationToken"]


async def test_a_card_is_put_into_a_phone_told_of_and_fetched(club: Club) -> None:
    member, serial, proof = await put_in(club)
    place, fetched = f"v1/devices/d1/registrations/{TYPE}", f"v1/passes/{TYPE}/{serial}"

    assert (await club.at_desk("POST", f"{place}/{serial}", "a guess", {"pushToken": "p1"}))[0] == 401
    for status in (201, 200):
        assert (await club.at_desk("POST", f"{place}/{serial}", proof, {"pushToken": "p1"}))[0] == status

    async def earned() -> bool:
        return await club.points(member) == 125

    await eventually("what saving a card earns, once", earned)

    await club.pushed()
    assert {*club.pushes.told} == {("p1", b"{}")}
    status, card, tag = await club.at_desk("GET", fetched, proof)
    assert status == 200
    assert card["storeCard"]["primaryFields"][0] == {
        "key": "points", "label": "Points", "value": "125", "changeMessage": "%@",
    }  # fmt: skip
    assert (await club.at_desk("GET", fetched, proof, **{"If-None-Match": tag}))[0] == 304
    assert (await club.at_desk("GET", fetched))[0] == 401

    status, new, _ = await club.at_desk("GET", f"{place}?passesUpdatedSince=0")
    assert (status, new["serialNumbers"]) == (200, [serial])
    assert (await club.at_desk("GET", f"{place}?passesUpdatedSince={new['lastUpdated']}"))[0] == 204
    assert (await club.at_desk("DELETE", f"{place}/{serial}", proof))[0] == 200
    assert (await club.at_desk("GET", place))[0] == 204


async def test_a_card_of_whoever_is_erased_shows_nothing_in_the_phone_any_more(club: Club) -> None:
    member, serial, proof = await put_in(club)
    place, fetched = f"v1/devices/d1/registrations/{TYPE}", f"v1/passes/{TYPE}/{serial}"
    assert (await club.at_desk("POST", f"{place}/{serial}", proof, {"pushToken": "p1"}))[0] == 201
    await club.pushed()
    await club.ask("DELETE", f"/members/{member}")

    async def over() -> bool:
        await club.pushed()
        _, card, _ = await club.at_desk("GET", fetched, proof)
        return bool(card and card["voided"])

    await eventually("the phone is told that the card is over", over)
    _, card, _ = await club.at_desk("GET", fetched, proof)
    assert (card["storeCard"], card.get("barcodes")) == ({}, None)
    assert (await club.at_desk("POST", f"{place}/{serial}", proof, {"pushToken": "p1"}))[0] == 404


async def test_a_phone_that_is_gone_is_told_of_nothing_more(club: Club) -> None:
    member, serial, proof = await put_in(club)
    place = f"v1/devices/d1/registrations/{TYPE}"
    assert (await club.at_desk("POST", f"{place}/{serial}", proof, {"pushToken": "p1"}))[0] == 201
    club.pushes.gone.add("p1")
    await club.pushed()

    async def forgotten() -> bool:
        return (await club.at_desk("GET", place))[0] == 204

    await eventually("the phone is forgotten", forgotten)
    assert (await club.at_desk("POST", f"{place}/{serial}", proof, {"pushToken": "p2"}))[0] == 201
    await club.gift(member, 1)
    await club.pushed()
    assert [token for token, _ in club.pushes.told] == ["p1", "p2"]
