"""What plugins know of the world is asked for days of the calendar, too, before their unit of work."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from tests.core.shops import START, Around
from tests.databases import on_sqlite

from stampcard.applying import requests
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Unit
from stampcard.domain.decisions import Change, Reason
from stampcard.domain.events import CustomEvent, DayCame, Event
from stampcard.domain.members import Member
from stampcard.engine.versions import assembled, compiled
from stampcard.engine.world import Facts
from stampcard.host.connecting import Connection
from stampcard.inbox.gathering import Gatherer
from stampcard.inbox.timing import Timer
from stampcard.plugin.capabilities import Capabilities, FactSource
from stampcard.program.reading import read_program
from stampcard.storage.chronicling import Heard, timeline
from stampcard.storage.database import Database
from stampcard.testing.building import LONG_AGO
from stampcard.testing.clock import FakeClock

PROGRAM = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
attributes: {birthday: date, country: string}
rules:
  - {id: party, on: birthday, award: 50, when: facts.weather.raining}
  - {id: cake, on: birthday, award: 5}
"""


class Weather(FactSource):
    """Knows the weather of some places, and who asked within a transaction."""

    name, keep = "weather", timedelta(minutes=10)

    def __init__(self, database: Database) -> None:
        self.database = database
        self.asked: list[str] = []
        self.events: list[Event] = []

    def key(self, event: Event, member: Member | None) -> str | None:
        self.events.append(event)
        return None if member is None else member.attributes.get("country")

    async def facts(self, key: str) -> Mapping[str, Any]:
        # Whoever writes meanwhile must not have to wait for a vendor.
        await self.database.write(lambda connection: connection.exec_driver_sql("SELECT 1"))
        self.asked.append(key)
        if key == "ES":
            raise ConnectionError
        return {"raining": key == "GB"}


class Asking(Around):
    """An application with one connection that knows the weather."""

    def __init__(self, setting: Setting, database: Database, clock: FakeClock) -> None:
        super().__init__(replace(setting, active=frozenset({"weather"})))
        self.weather = Weather(database)
        known = Connection(name="weather", plugin="weather", capabilities=Capabilities(facts=(self.weather,)))
        self.gatherer = Gatherer(database, clock, {"weather": known})

    async def gather_day(
        self, setting: Setting, on: str, at: datetime, members: Collection[str]
    ) -> Mapping[str, Facts]:
        return await self.gatherer.facts_on(setting, on, at, members)


class Shop:
    """One merchant, and a timer with an application that may ask for the weather."""

    def __init__(self, database: Database, setting: Setting, text: str = PROGRAM) -> None:
        self.database, self.clock = database, FakeClock(START)
        programs = assembled([compiled(read_program(text, "test"), 1, LONG_AGO)], 0)
        self.setting = replace(setting, programs=programs)
        self.around = Asking(self.setting, database, self.clock)

        async def told(_changes: Collection[Change]) -> None:
            pass

        keep = (timedelta(days=30), timedelta(days=14))
        self.timer = Timer(database, self.clock, "me", self.around, told, keep)

    def join(self, name: str, country: str, birthday: str = "1990-03-12") -> str:
        def work(unit: Unit) -> requests.Answer:
            attributes = {"birthday": birthday, **({"country": country} if country else {})}
            return requests.Answer(status=201, body={"id": requests.create_member(unit, ("shop", name), attributes)})

        now = self.clock.now()
        given, _ = self.database.write_now(
            lambda connection: requests.answer(connection, self.setting, None, now, work)
        )
        return str(given.body["id"])

    async def next_day(self) -> None:
        await self.timer.tick()
        self.clock.advance(timedelta(days=1, hours=11, minutes=1))  # past midnight in Berlin
        await self.timer.tick()

    def said(self, member: str) -> dict[str, Reason]:
        """What was said of the member's day, by rule."""
        happened = self.database.read_now(lambda connection: timeline(connection, "main", member, None, 10))
        days = (one.what for one in happened if isinstance(one.what, Heard) and isinstance(one.what.event, DayCame))
        return {reason.rule: reason for day in days for reason in day.reasons}


async def test_a_birthday_is_paid_by_the_weather_at_the_members_place(database: Database, setting: Setting) -> None:
    shop = Shop(database, setting)
    ann, ben = shop.join("1", "GB"), shop.join("2", "PT")

    await shop.next_day()

    assert {rule: reason.due for rule, reason in shop.said(ann).items()} == {"party": 50, "cake": 5}
    assert shop.said(ben)["party"].code == "condition"
    assert sorted(shop.around.weather.asked) == ["GB", "PT"]
    event = shop.around.weather.events[0]
    assert isinstance(event, CustomEvent)
    assert (event.name, event.customer) == ("birthday", "")


@on_sqlite
async def test_a_birthday_rule_says_which_fact_was_not_known_and_the_others_pay(
    database: Database, setting: Setting
) -> None:
    shop = Shop(database, setting)
    cleo, dan = shop.join("1", "ES"), shop.join("2", "")

    await shop.next_day()

    said = [shop.said(member)["party"] for member in (cleo, dan)]
    assert [reason.outcome for reason in said] == ["undecided", "undecided"]
    assert said[0].detail == "the fact 'weather' is not known: weather could not tell: ConnectionError"
    assert said[1].detail == "the fact 'weather' is not known: there was nothing to ask by"
    assert [shop.said(member)["cake"].due for member in (cleo, dan)] == [5, 5]


@on_sqlite
async def test_nobody_is_asked_where_no_rule_for_the_day_wants_to_know(database: Database, setting: Setting) -> None:
    shop = Shop(database, setting, PROGRAM.replace(", when: facts.weather.raining", ""))
    shop.join("1", "GB")

    await shop.next_day()

    assert shop.around.weather.events == []


@on_sqlite
async def test_who_has_a_birthday_only_since_the_plugins_were_asked_is_paid_next(
    database: Database, setting: Setting
) -> None:
    shop = Shop(database, setting)
    ann = shop.join("1", "GB")
    late: list[str] = []
    ask = shop.around.gather_day

    async def meanwhile(setting: Setting, on: str, at: datetime, members: Collection[str]) -> Mapping[str, Facts]:
        known = await ask(setting, on, at, members)
        if not late:
            late.append(shop.join("2", "GB"))
        return known

    shop.around.gather_day = meanwhile  # type: ignore[method-assign]

    await shop.next_day()

    assert [shop.said(member)["party"].due for member in (ann, *late)] == [50, 50]
