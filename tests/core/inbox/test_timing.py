"""Days of the calendar are paid once however late the timers are, and a long job goes on where it stopped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from tests.core.shops import START, Around
from tests.databases import on_sqlite

from stampcard.applying import requests
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Unit
from stampcard.domain.decisions import Alert, Change
from stampcard.domain.events import DayCame
from stampcard.engine.versions import assembled, compiled
from stampcard.inbox import timing
from stampcard.inbox.timing import Timer
from stampcard.program.reading import read_program
from stampcard.storage.alerting import list_alerts
from stampcard.storage.chronicling import Heard, timeline
from stampcard.storage.database import Database
from stampcard.storage.jobs import load_job
from stampcard.storage.reading import balances
from stampcard.storage.tables import award, lot
from stampcard.storage.verifying import verify
from stampcard.testing.building import LONG_AGO
from stampcard.testing.clock import FakeClock

PROGRAM = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
attributes: {birthday: date}
rules:
  - {id: party, on: birthday, award: 50}
  - {id: thanks, on: anniversary, award: 20, when: member.days >= 360}
  - {id: hello, on: sign_up, award: 10}
"""


class Shop:
    """One merchant with members, and a timer that ticks when it is told to."""

    def __init__(self, database: Database, setting: Setting, *texts: str) -> None:
        versions = [
            compiled(read_program(text, "test"), number, LONG_AGO if number == 1 else START + timedelta(days=30))
            for number, text in enumerate(texts, start=1)
        ]
        self.database, self.clock = database, FakeClock(START)
        self.setting = replace(setting, programs=assembled(versions, 0))
        self.changes: list[Change] = []
        self.timer = self.new_timer()

    def new_timer(self) -> Timer:
        async def told(changes: Sequence[Change]) -> None:
            self.changes += changes

        keep = (timedelta(days=30), timedelta(days=14))
        return Timer(self.database, self.clock, "me", Around(self.setting), told, keep)

    def join(self, name: str, **attributes: Any) -> str:
        def work(unit: Unit) -> requests.Answer:
            member = requests.create_member(unit, ("shop", name), attributes)
            return requests.Answer(status=201, body={"id": member})

        now = self.clock.now()
        given, _ = self.database.write_now(
            lambda connection: requests.answer(connection, self.setting, None, now, work)
        )
        return str(given.body["id"])

    def active(self, member: str) -> int:
        now = self.clock.now()
        return self.database.read_now(
            lambda c: balances(c, "main", [member], self.setting.programs, now)[member]["points"].active
        )

    def verified(self) -> bool:
        found = self.database.read_now(lambda connection: verify(connection, "main"))
        return not found.findings and not found.total


@on_sqlite
async def test_a_birthday_pays_once_a_year_at_the_programs_midnight(database: Database, setting: Setting) -> None:
    shop = Shop(database, setting, PROGRAM)
    ann, ben = shop.join("1", birthday="1990-03-12"), shop.join("2", birthday="1990-03-13")
    await shop.timer.tick()
    assert (shop.active(ann), shop.active(ben)) == (10, 10)

    shop.clock.advance(timedelta(days=1, hours=11, minutes=1))  # past midnight in Berlin
    for _ in range(3):
        await shop.timer.tick()
    assert (shop.active(ann), shop.active(ben)) == (60, 10)
    assert [change.member for change in shop.changes] == [ann]

    shop.clock.advance(timedelta(days=365))
    for _ in range(2):
        await shop.timer.tick()
    # A day that is further back than accept_late is not caught up with.
    assert (shop.active(ann), shop.active(ben)) == (130, 30)
    assert shop.verified()


@on_sqlite
async def test_what_a_day_paid_or_why_it_did_not_stands_among_what_happened(
    database: Database, setting: Setting
) -> None:
    shop = Shop(database, setting, PROGRAM.replace("award: 50", "award: 50, when: member.days > 5"))
    ann = shop.join("1", birthday="1990-03-12")
    await shop.timer.tick()
    shop.clock.advance(timedelta(days=1, hours=11, minutes=1))
    await shop.timer.tick()

    happened = database.read_now(lambda connection: timeline(connection, "main", ann, None, 10))

    (day,) = (one.what for one in happened if isinstance(one.what, Heard) and isinstance(one.what.event, DayCame))
    assert [(reason.rule, reason.code) for reason in day.reasons] == [("party", "condition")]


async def test_somebody_is_told_within_the_hour_of_a_day_that_paid_nothing(
    database: Database, setting: Setting
) -> None:
    shop = Shop(database, setting, PROGRAM)
    await shop.timer.tick()
    for day in range(9):
        shop.join(str(day))  # each is welcomed with 10 points
        shop.clock.advance(timedelta(days=1))
        await shop.timer.tick()
    assert not database.read_now(lambda connection: list_alerts(connection, "main"))

    shop.clock.advance(timedelta(days=1))
    await shop.timer.tick()
    await shop.timer.tick()

    (told,) = database.read_now(lambda connection: list_alerts(connection, "main"))
    assert told.alert == Alert(kind="unusual_day", program="main", period="2026-03-19", share=0)


async def test_days_that_passed_while_nothing_ran_are_paid_by_the_next_process(
    database: Database, setting: Setting
) -> None:
    shop = Shop(database, setting, PROGRAM)
    members = [shop.join(str(day), birthday=f"1980-03-{day}") for day in range(10, 20)]
    await shop.timer.tick()
    shop.clock.advance(timedelta(days=6))
    shop.timer = shop.new_timer()
    await shop.timer.tick()
    # Who has a birthday today, when the program's calendar begins, is paid too.
    assert [shop.active(member) for member in members] == [60] * 7 + [10] * 3


async def test_who_was_born_on_29_february_has_it_on_the_28th_in_other_years(
    database: Database, setting: Setting
) -> None:
    shop = Shop(database, setting, PROGRAM)
    leap = shop.join("1", birthday="2000-02-29")
    await shop.timer.tick()
    shop.clock.advance(datetime(2027, 2, 28, 12, tzinfo=UTC) - START)
    await shop.timer.tick()
    assert shop.active(leap) == 60
    shop.clock.advance(timedelta(days=1))
    await shop.timer.tick()
    assert shop.active(leap) == 60


@on_sqlite
async def test_an_anniversary_pays_from_the_first_year_on_and_an_erased_member_gets_nothing(
    database: Database, setting: Setting
) -> None:
    shop = Shop(database, setting, PROGRAM)
    ann = shop.join("1")
    await shop.timer.tick()
    shop.clock.advance(timedelta(days=365))
    await shop.timer.tick()
    assert shop.active(ann) == 30


async def test_a_birthday_that_is_changed_moves_and_pays_no_second_time(database: Database, setting: Setting) -> None:
    shop = Shop(database, setting, PROGRAM)
    ann = shop.join("1", birthday="1990-03-10")
    await shop.timer.tick()
    assert shop.active(ann) == 60
    now = shop.clock.now()

    def work(unit: Unit) -> requests.Answer:
        requests.change_attributes(unit, ann, {"birthday": "1990-03-11"})
        return requests.Answer(status=200, body={})

    database.write_now(lambda connection: requests.answer(connection, shop.setting, None, now, work))
    shop.clock.advance(timedelta(days=1))
    await shop.timer.tick()
    assert shop.active(ann) == 60
    found = database.read_now(
        lambda c: c.execute(select(award.c.subject).where(award.c.rule == "party")).scalars().all()
    )
    assert list(found) == ["birthday:2026"]


async def test_a_long_job_is_done_in_steps_and_goes_on_where_it_stopped(
    database: Database, setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "BATCH", 3)
    bare = PROGRAM.partition("  - {id: party")[0] + "  - {id: hello, on: sign_up, award: 10}\n"
    shop = Shop(database, setting, bare, bare.replace("points: {}", "points: {expire: 1 month}"))
    members = [shop.join(str(number)) for number in range(8)]
    await shop.timer.tick()
    undated = select(func.count()).select_from(lot).where(lot.c.expires_at.is_(None))
    assert database.read_now(lambda c: c.execute(undated).scalar()) == 8

    shop.clock.advance(timedelta(days=31))
    real, steps = Timer._step, 0

    async def dies(self: Timer, step: Any) -> Any:
        nonlocal steps
        steps += 1
        if steps == 4:  # the first two look for redemptions and tiers whose time is over
            raise KeyboardInterrupt
        return await real(self, step)

    with monkeypatch.context() as patched:
        patched.setattr(Timer, "_step", dies)
        with pytest.raises(KeyboardInterrupt):
            await shop.timer.tick()
    job = database.read_now(lambda c: load_job(c, "main", "date:main:points:2"))
    assert job is not None
    assert (job.done, job.total, job.ended_at) == (3, 8, None)

    shop.timer = shop.new_timer()
    await shop.timer.tick()
    job = database.read_now(lambda c: load_job(c, "main", "date:main:points:2"))
    assert job is not None
    assert (job.done, job.ended_at is not None) == (8, True)
    assert database.read_now(lambda c: c.execute(undated).scalar()) == 0
    # Switched on at noon on 9 April: the last valid day is 9 May.
    shop.clock.advance(datetime(2026, 5, 9, 21, 59, tzinfo=UTC) - shop.clock.now())
    assert shop.active(members[0]) == 10
    shop.clock.advance(timedelta(minutes=1))
    assert shop.active(members[0]) == 0
    assert shop.verified()
