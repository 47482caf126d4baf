"""A rule pays by the weather at the customer's place; what the weather service cannot tell, the rule says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace as replaced
from pathlib import Path

import pytest
import stampcard_weather
from aiohttp import web
from aiohttp.test_utils import TestServer
from sqlalchemy import Connection

from stampcard.app import Application
from stampcard.applying import redeeming, requests
from stampcard.applying.deliveries import Prepared, decide_all
from stampcard.applying.unit import Sourced, Unit
from stampcard.domain.decisions import Reason
from stampcard.domain.events import OrderSeen
from stampcard.engine.rewarding import Asking
from stampcard.sealing import new_key_text
from stampcard.settings import HttpSettings, SecuritySettings, Settings
from stampcard.storage import loading
from stampcard.storage.explaining import explain
from stampcard.testing.building import order

PROGRAM = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
rules:
  - {id: purchase, on: purchase, award: 1 per 1 EUR}
  - {id: rain, on: purchase, award: x2, when: facts.weather.raining}
rewards:
  umbrella: {gives: merchandise, price: 0, when: facts.weather.raining}
"""


class Service:
    """The weather service: knows two countries, counts who asks, and may be out of order."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.down = False

    async def now(self, request: web.Request) -> web.Response:
        self.asked.append(request.query["country"])
        if self.down:
            return web.Response(status=503)
        return web.json_response({"rain": request.query["country"] == "GB", "degrees": 11})


@pytest.fixture
async def service() -> AsyncIterator[tuple[Service, str]]:
    weather, application = Service(), web.Application()
    application.router.add_get("/now", weather.now)
    async with TestServer(application) as server:
        yield weather, str(server.make_url("")).rstrip("/")


@pytest.fixture
async def application(service: tuple[Service, str], tmp_path: Path) -> AsyncIterator[Application]:
    _, api_url = service
    (tmp_path / "program.yaml").write_text(PROGRAM)
    (tmp_path / "key").touch(mode=0o600)
    (tmp_path / "key").write_text(new_key_text())
    settings = Settings(
        database=f"sqlite:///{tmp_path / 'stampcard.db'}",
        programs=(str(tmp_path / "program.yaml"),),
        key_file=tmp_path / "key",
        http=HttpSettings(port=0),
        security=SecuritySettings(outbound_allow=(api_url.removeprefix("http://"),)),
        connections={"weather": {"plugin": "weather", "api_url": api_url}},
    )
    running = Application(settings, plugins={"weather": stampcard_weather})
    await running.open(loops=False)
    yield running
    await running.close()


async def member(application: Application, name: str, country: str | None) -> None:
    def work(unit: Unit) -> requests.Answer:
        attributes = {"country": country} if country else {}
        return requests.Answer(status=200, body={"id": requests.create_member(unit, ("shop", name), attributes)})

    now = application.clock.now()
    await application.database.write(
        lambda connection: requests.answer(connection, application.setting, None, now, work)
    )


async def buys(application: Application, name: str, *references: str) -> list[Sequence[Reason]]:
    """Orders of 10 by one customer, through gathering and the unit of work; the reasons of each."""
    now = application.clock.now()
    batch = [
        Prepared(
            delivery=0,
            connection="shop",
            source="shop",
            events=(
                Sourced(
                    event=OrderSeen(reference=reference, snapshot=order(10, at=now, customer=name)),
                    connection="shop",
                    source="shop",
                    received_at=now,
                ),
            ),
        )
        for reference in references
    ]
    setting = replaced(application.setting, active=frozenset({"weather"}))
    gathered = await application.gatherer.gather(setting, batch)

    def work(connection: Connection) -> None:
        unit = Unit(connection, setting, now)
        decide_all(unit, gathered)
        unit.save()

    await application.database.write(work)
    found = await application.database.read(
        lambda connection: [explain(connection, "main", "shop", reference, now) for reference in references]
    )
    return [one.newest for one in found if one is not None]


async def test_a_rule_pays_by_the_weather_which_is_asked_once_for_each_place(
    service: tuple[Service, str], application: Application
) -> None:
    await member(application, "wet", "GB")
    await member(application, "dry", "ES")

    wet, again = await buys(application, "wet", "A", "B")
    (dry,) = await buys(application, "dry", "C")

    assert [reason.due for reason in wet] == [reason.due for reason in again] == [10, 10]
    assert {reason.rule: reason.code for reason in dry} == {"rain": "condition", "purchase": "matched"}
    assert service[0].asked == ["GB", "ES"]


async def test_what_the_service_cannot_tell_leaves_the_rule_undecided_with_the_reason_until_it_can(
    service: tuple[Service, str], application: Application
) -> None:
    await member(application, "wet", "GB")
    service[0].down = True
    (reasons,) = await buys(application, "wet", "A")

    undecided = next(reason for reason in reasons if reason.rule == "rain")
    assert undecided.outcome == "undecided"
    assert undecided.detail == "the fact 'weather' is not known: weather could not tell: HTTPStatusError"
    assert next(reason for reason in reasons if reason.rule == "purchase").due == 10

    service[0].down = False
    application.gatherer._told["weather"].clear()  # as if its patience had passed
    (reasons,) = await buys(application, "wet", "A")
    assert {reason.rule: reason.due for reason in reasons} == {"purchase": 10, "rain": 10}


async def test_who_is_new_has_no_place_yet(service: tuple[Service, str], application: Application) -> None:
    (reasons,) = await buys(application, "stranger", "A")

    undecided = next(reason for reason in reasons if reason.rule == "rain")
    assert undecided.detail == "the fact 'weather' is not known: there was nothing to ask by"
    assert service[0].asked == []


async def standing_of_umbrella(application: Application, name: str) -> list[str]:
    """What stands against the reward for a customer, with what plugins know just now."""
    setting = replaced(application.setting, active=frozenset({"weather"}))
    known = await application.database.read(lambda c: loading.load_identities(c, "main", [("shop", name)]))
    id_ = known["shop", name].member
    facts = await application.gatherer.facts_for(setting, id_)

    def work(connection: Connection) -> list[str]:
        unit = Unit(connection, setting, application.clock.now())
        (found,) = redeeming.standings(unit, id_, Asking(facts=facts))
        return [refusal.code for refusal in found.refusals]

    return await application.database.read(work)


async def test_a_reward_is_there_while_it_rains_at_the_members_place(
    application: Application, service: tuple[Service, str]
) -> None:
    for name, country in (("ann", "GB"), ("ben", "ES"), ("cleo", None)):
        await member(application, name, country)
    assert await standing_of_umbrella(application, "ann") == []
    assert await standing_of_umbrella(application, "ben") == ["condition"]
    assert await standing_of_umbrella(application, "cleo") == ["condition_failed"]
    assert sorted(service[0].asked) == ["ES", "GB"]
