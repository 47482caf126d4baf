"""Rewards of a plugin's own kind, at its own price and with its say, from the request over HTTP to the taxi and back."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import stampcard_perks
from aiohttp import web
from aiohttp.test_utils import TestServer

from stampcard.app import Application
from stampcard.domain.scopes import ADMIN
from stampcard.plugin import PluginManifest, PluginSettings, RetryPolicy, Veto, hookimpl
from stampcard.sealing import new_key_text
from stampcard.settings import HttpSettings, SecuritySettings, Settings
from stampcard.storage.keys import create_key
from stampcard.testing.waiting import eventually
from stampcard_webhooks.server import serving

PROGRAM = """
program: main
currency: EUR
timezone: Europe/Berlin
attributes: {student: boolean, blocked: boolean}
wallets: {points: {}}
rules:
  - {id: purchase, on: purchase, award: 1 per 1 EUR}
  - {id: greeting, on: greeting, award: reward tea}
  - {id: treat, on: treat, award: reward pick}
events: {greeting: {}, treat: {}}
rewards:
  tea: {gives: merchandise}
  pick: {gives: 'choice of cake, tea'}
  cake: {gives: merchandise}
  lamp: {gives: merchandise, price: 1000, automatic: 1}
  ride: {name: A ride, gives: custom ride, price: formula happy, valid: 30 days}
  cruise: {gives: custom cruise, price: 1}
  mug: {gives: merchandise, price: 1}
  strange: {gives: merchandise, price: formula sad}
"""
TOKEN, SECRET = "a-token-of-the-taxi", "a-secret-of-the-app"
#: Nobody waits for a vendor here.
QUICK = RetryPolicy(waits=(0.01,) * 5)


class Taxi:
    """The vendor: gives rides codes of its own, by the address under which they are asked for."""

    def __init__(self) -> None:
        self.rides: dict[str, str] = {}
        self.riders: list[str] = []
        self.lost = 0

    async def put(self, request: web.Request) -> web.Response:
        assert request.headers["authorization"] == f"Bearer {TOKEN}"
        self.riders.append((await request.json())["rider"])
        code = self.rides.setdefault(request.match_info["key"], f"TAXI-{len(self.rides) + 1}")
        if self.lost:
            self.lost -= 1
            return web.Response(status=502)
        return web.json_response({"code": code, "valid": True})

    async def delete(self, request: web.Request) -> web.Response:
        return web.json_response({"code": self.rides.pop(request.match_info["key"], ""), "valid": False})


class Moody:
    """Another plugin, whose say fails as soon as it is asked about a mug."""

    @hookimpl
    def plugin_manifest(self) -> PluginManifest:
        return PluginManifest(name="moody", summary="fails", settings=PluginSettings)

    @hookimpl
    def redemption_veto(self, reward: str) -> Veto | None:
        if reward == "mug":
            raise ZeroDivisionError
        return None


class Club:
    """Those who ask over HTTP: the merchant with a key, and members in the taxi's app."""

    def __init__(self, application: Application, address: str, session: aiohttp.ClientSession, key: str) -> None:
        self.application, self.address, self.session, self.key = application, address, session, key

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {self.key}"}
        async with self.session.request(method, f"{self.address}/api/v1{path}", json=body, headers=headers) as answer:
            return await answer.json(content_type=None)

    async def in_the_app(self, told: str, path: str = "/me") -> Any:
        signed = base64.b64encode(hmac.digest(SECRET.encode(), told.encode(), hashlib.sha256)).decode()
        headers = {"Authorization": f"Bearer {told}.{signed}"}
        async with self.session.get(f"{self.address}/shopper/taxi{path}", headers=headers) as answer:
            return await answer.json(content_type=None)

    async def rich(self, reference: str, **attributes: bool) -> str:
        """A member whom the taxi knows, with 500 points."""
        identity = {"connection": "taxi", "reference": reference}
        member = str((await self.ask("POST", "/members", {"identity": identity, "attributes": attributes}))["id"])
        gift = {"wallet": "points", "points": 500, "reason": "a gift"}
        await self.ask("POST", f"/members/{member}/adjustments", gift)
        return member

    async def redeem(self, member: str, reward: str) -> Any:
        return await self.ask("POST", f"/members/{member}/redemptions", {"reward": reward})

    async def becomes(self, redemption: Any, status: str) -> Any:
        """The redemption once it has that status."""
        path = f"/redemptions/{redemption['id']}"

        async def has_become() -> bool:
            return bool((await self.ask("GET", path))["status"] == status)

        await eventually(f"the redemption is {status}", has_become)
        return await self.ask("GET", path)

    async def happens(self, reference: str, name: str) -> None:
        """Something of the program's own happens to a member."""
        event = {"name": name, "connection": "taxi", "customer": reference, "key": f"{name}-{reference}"}
        await self.ask("POST", "/events", event)

    async def rewards(self, member: str) -> list[Any]:
        return list((await self.ask("GET", f"/members/{member}/redemptions"))["items"])

    async def active(self, member: str) -> int:
        return int((await self.ask("GET", f"/members/{member}"))["balances"]["points"]["active"])


@pytest.fixture
async def taxi() -> AsyncIterator[tuple[Taxi, str]]:
    vendor, application = Taxi(), web.Application()
    application.router.add_put("/rides/{key}", vendor.put)
    application.router.add_delete("/rides/{key}", vendor.delete)
    async with TestServer(application) as server:
        yield vendor, str(server.make_url("")).rstrip("/")


@pytest.fixture
async def club(taxi: tuple[Taxi, str], tmp_path: Path) -> AsyncIterator[Club]:
    _, api_url = taxi
    (tmp_path / "program.yaml").write_text(PROGRAM)
    (tmp_path / "key").touch(mode=0o600)
    (tmp_path / "key").write_text(new_key_text())
    settings = Settings(
        database=f"sqlite:///{tmp_path / 'stampcard.db'}",
        programs=(str(tmp_path / "program.yaml"),),
        key_file=tmp_path / "key",
        http=HttpSettings(port=0),
        security=SecuritySettings(outbound_allow=(api_url.removeprefix("http://"),)),
        connections={"taxi": {"plugin": "perks", "token": TOKEN, "app_secrets": [SECRET], "api_url": api_url}},
    )
    async with (
        Application(settings, plugins={"perks": stampcard_perks, "moody": Moody()}) as application,
        serving(application) as address,
        aiohttp.ClientSession() as session,
    ):
        merchant, now = application.setting.merchant, application.clock.now()
        _, key = await application.database.write(
            lambda connection: create_key(connection, merchant, "test", (ADMIN,), None, now)
        )
        yield Club(application, address, session, key)


async def test_a_ride_costs_what_the_plugin_says_and_the_taxi_makes_it_real(club: Club, taxi: tuple[Taxi, str]) -> None:
    ann, ben = await club.rich("7"), await club.rich("8", student=True)

    taken = [await club.redeem(member, "ride") for member in (ann, ben)]
    issued = [await club.becomes(one, "issued") for one in taken]

    assert [one["price"] for one in issued] == [200, 100]
    assert [await club.active(member) for member in (ann, ben)] == [300, 400]
    assert [one["by"] for one in issued] == ["taxi", "taxi"]
    assert {one["id"]: one["code"] for one in issued} == taxi[0].rides
    assert sorted(taxi[0].riders) == ["7", "8"]


async def test_an_answer_that_is_lost_makes_no_second_ride_and_a_revoked_one_is_gone(
    club: Club, taxi: tuple[Taxi, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await club.rich("7")
    for job in club.application.dispatchers["taxi"].jobs:
        monkeypatch.setattr(job.line.sink, "retry", QUICK)
    taxi[0].lost = 1

    taken = await club.becomes(await club.redeem(ann, "ride"), "issued")
    assert (taxi[0].riders, list(taxi[0].rides.values())) == (["7", "7"], ["TAXI-1"])

    await club.ask("POST", f"/redemptions/{taken['id']}/revoke", {"reason": "a mistake"})

    async def gone() -> bool:
        return not taxi[0].rides

    await eventually("the ride is gone", gone)
    assert await club.active(ann) == 500


async def test_whom_the_plugin_refuses_gets_nothing_and_reads_why_and_whose_word_it_is(club: Club) -> None:
    eve = await club.rich("9", blocked=True)

    refused = await club.redeem(eve, "ride")

    assert (refused["status"], refused["code"]) == (422, "vetoed")
    assert "perks: you are blocked: please call us" in refused["detail"]
    assert await club.active(eve) == 500


async def test_whom_the_plugin_refuses_gets_no_reward_by_any_other_way_either(club: Club) -> None:
    eve, ann = await club.rich("9"), await club.rich("7")
    for reference in ("9", "7"):
        await club.happens(reference, "treat")
    (choice,), _ = [await club.rewards(member) for member in (eve, ann)]
    await club.ask("PATCH", f"/members/{eve}", {"attributes": {"blocked": True}})

    picked = await club.ask("POST", f"/redemptions/{choice['id']}/choose", {"reward": "cake"})
    for member, reference in ((eve, "9"), (ann, "7")):
        await club.happens(reference, "greeting")
        gift = {"wallet": "points", "points": 600, "reason": "a gift"}
        await club.ask("POST", f"/members/{member}/adjustments", gift)

    assert (picked["status"], picked["code"]) == (422, "vetoed")
    assert "perks: you are blocked" in picked["detail"]
    assert [one["reward"] for one in await club.rewards(eve)] == ["pick"]
    assert sorted(one["reward"] for one in await club.rewards(ann)) == ["lamp", "pick", "tea"]
    assert [await club.active(member) for member in (eve, ann)] == [1100, 100]
    timeline = str(await club.ask("GET", f"/members/{eve}/timeline"))
    assert "perks: you are blocked: please call us" in timeline


@pytest.mark.parametrize(
    ("reward", "code", "names"),
    [
        ("cruise", "unknown_kind", ["cruise"]),
        ("mug", "plugin_failed", ["moody", "redemption_veto"]),
        ("strange", "no_price", ["sad"]),
    ],
)
async def test_what_no_plugin_knows_and_a_plugin_that_fails_refuse_the_redemption(
    club: Club, reward: str, code: str, names: Sequence[str]
) -> None:
    ann = await club.rich("7")

    refused = await club.redeem(ann, reward)

    assert refused["code"] == code
    assert [name for name in names if name not in refused["detail"]] == []
    assert await club.active(ann) == 500


async def test_the_app_asks_for_whom_it_has_signed_just_now_and_for_nobody_else(club: Club) -> None:
    await club.rich("7")
    now = int(club.application.clock.now().timestamp())

    assert (await club.in_the_app(f"7.{now}"))["balances"]["points"]["active"] == 500
    assert (await club.in_the_app(f".{now}"))["code"] == "not_logged_in"
    for told in (f"7.{now - 90}", "7.soon", "7"):
        assert (await club.in_the_app(told))["code"] == "not_recognised"
