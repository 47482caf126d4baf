"""What time alone brings due is booked by a loop; a reader folds the same way, so its being late is never seen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import partial

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from stampcard.applying.celebrating import OF_THE_CALENDAR, celebrate, celebrated
from stampcard.applying.dating import count_wallets, date_points, switched_on
from stampcard.applying.judging import count_judged, judge_all
from stampcard.applying.mailing import MAILING, mail, mailing_of
from stampcard.applying.matching import STEP, match
from stampcard.applying.recounting import changed_tiers, count_members, recount
from stampcard.applying.redeeming import end_overdue
from stampcard.applying.reminding import remind, reminder_days
from stampcard.applying.setting import Setting, Stale
from stampcard.applying.settling import end_lasting, move_tiers, settle_due
from stampcard.calling.leases import Lease
from stampcard.clock import Clock
from stampcard.domain.decisions import Change
from stampcard.engine.announcing import reminders
from stampcard.engine.dating import midnight
from stampcard.engine.versions import LiveProgram
from stampcard.engine.wording import alert_words
from stampcard.engine.world import Facts
from stampcard.errors import Unavailable
from stampcard.inbox.working import Surroundings
from stampcard.storage.alerting import look, tell
from stampcard.storage.cards import forget_moments
from stampcard.storage.commanding import forget_commands
from stampcard.storage.database import Database
from stampcard.storage.inboxing import forget_answers, forget_bodies
from stampcard.storage.jobs import begin_job, forget_jobs, forget_jobs_below, move_job, open_jobs
from stampcard.storage.tills import forget_unknown

log = structlog.get_logger()

BATCH = 500
#: Fewest wallets of a batch, and how long (seconds) it may hold up webhooks that want to be stored.
LEAST, TARGET = 10, 0.015
#: One step of a long job: how many rows, behind which to go on, and what changed.
Step = Callable[[Connection, Setting, datetime], tuple[int, str, list[Change]]]
#: The next members behind `after`, up to `limit`; answers as a step does.
OverMembers = Callable[..., tuple[int, str, list[Change]]]
REST = 1.0
#: How long it is remembered here which reminders of a day are done; the jobs themselves are kept.
KNOWN = timedelta(days=60)
#: How often bodies whose time of keeping is over, and what somebody should know, are looked for.
TIDYING = timedelta(hours=1)
#: How long it is remembered which codes of cards were shown: a till may have been without us for as long.
SHOWN = timedelta(days=7)
#: How long the answer to a request with an Idempotency-Key is kept.
ANSWERS = timedelta(days=7)


class Timer:
    """Books due wallets and forgets old bodies, in whichever process holds the lease."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        owner: str,
        surroundings: Surroundings,
        told: Callable[[Sequence[Change]], Awaitable[None]],
        keep: tuple[timedelta, timedelta],
    ) -> None:
        """`keep`: how long the bodies of applied and of quarantined deliveries stay."""
        self._database = database
        self._clock = clock
        self._around = surroundings
        self._told = told
        self._keep = keep
        self._lease = Lease(database, clock, surroundings.setting.merchant, "timers", owner)
        self._stop = asyncio.Event()
        self._tidied_at: datetime | None = None
        self.ticked_at: datetime | None = None
        self._size = LEAST
        self._celebrated: dict[tuple[str, str], date] = {}
        self._dated: set[str] = set()
        self._judged: dict[str, tuple[int, date]] = {}
        self._reminded: set[tuple[str, str, date]] = set()

    async def run(self) -> None:
        """Tick until `stop`."""
        while not self._stop.is_set():
            busy = 0
            try:
                if await self._lease.hold() is not None:
                    busy = await self.tick()
                self.ticked_at = self._clock.now()
            except (Unavailable, SQLAlchemyError) as error:
                log.warning("timers_wait", error=type(error).__name__)
            if not busy:
                await self._rest()
        await self._lease.give_back()

    def stop(self) -> None:
        """End after the batch at hand."""
        self._stop.set()

    async def tick(self) -> int:
        """Book one batch of due wallets; answers how many there were."""
        now = self._clock.now()
        while True:
            setting = self._around.setting
            try:
                booked, changes, took = await self._database.write(_booking(setting, now, self._size))
                break
            except Stale:
                await self._around.refresh()
        due = booked >= self._size
        if booked:
            # A midnight may bring a million wallets: batches as large as others can wait for.
            self._size = max(LEAST, min(BATCH, int(self._size * min(2.0, TARGET / max(took, 0.001)))))
        await self._told(changes)
        if due:
            # As long again for whoever waits: a backlog must not starve what comes in.
            await asyncio.sleep(min(took, 0.1))
            return booked
        await self._repeat(_ending)
        await self._repeat(_tiering)
        if setting.matching:
            await self._repeat(_matching, STEP)
        if setting.programs.lasting:
            await self._repeat(_lasting)
        await self._keep_calendar(now)
        await self._write(now)
        await self._mail(now)
        if self._tidied_at is None or now - self._tidied_at > TIDYING:
            self._tidied_at = now
            done, quarantined = self._keep
            await self._database.write(
                lambda connection: forget_bodies(connection, setting.merchant, now - done, now - quarantined)
            )
            await self._database.write(lambda connection: forget_answers(connection, setting.merchant, now - ANSWERS))
            await self._forget_commands(now - done)
            await self._forget_counters(now, quarantined)
            await self._look(now)
        return booked

    async def _look(self, now: datetime) -> None:
        """Tell what somebody should know of the day."""
        setting, names = self._around.setting, tuple(self._around.connections)
        seen = await self._database.read(lambda connection: look(connection, setting.merchant, names, now))
        if seen.alerts or seen.counts:
            await self._database.write(
                lambda connection: tell(connection, setting.merchant, setting.numbering, seen, now)
            )
        for alert in seen.alerts:
            log.warning("alert", kind=alert.kind, words=alert_words(alert))

    async def _forget_commands(self, before: datetime) -> None:
        """Let go of what was told long ago."""
        merchant, count = self._around.setting.merchant, 1
        while count and not self._stop.is_set():
            count = await self._database.write(lambda connection: forget_commands(connection, merchant, before))

    async def _forget_counters(self, now: datetime, quarantined: timedelta) -> None:
        """Let go of which codes were shown, and of what was said of people who are no members."""
        merchant, count = self._around.setting.merchant, BATCH
        while count >= BATCH and not self._stop.is_set():
            count = await self._database.write(
                lambda connection: forget_moments(connection, merchant, now - SHOWN, BATCH)
            )
        await self._database.write(lambda connection: forget_unknown(connection, merchant, now - quarantined))

    async def _repeat(self, step: Step, batch: int = 0) -> None:
        """Batch after batch until nothing is due; those who wait for the database go in between."""
        batch = batch or BATCH
        count = batch
        while count >= batch and not self._stop.is_set():
            started = time.monotonic()
            count, _, changes = await self._step(step)
            await self._told(changes)
            if count >= batch:
                await asyncio.sleep(min(time.monotonic() - started, 0.1))

    async def _keep_calendar(self, now: datetime) -> None:
        """Pay birthdays and anniversaries of every day since the last, and date points whose expiry was switched on."""
        for live in self._around.setting.programs.current(now):
            today = now.astimezone(live.program.zone).date()
            for on in OF_THE_CALENDAR:
                if on in live.conditions and self._celebrated.get((live.name, on)) != today:
                    await self._celebrate(live, on, today)
                    self._celebrated[live.name, on] = today
        for live, wallet in switched_on(self._around.setting.programs, now):
            name = f"date:{live.name}:{wallet}:{live.number}"
            if name not in self._dated:
                await self._date(live, wallet, name)
                self._dated.add(name)
        for live in self._around.setting.programs.current(now):
            # Without a condition, time changes nothing: a new version alone may have given up a segment.
            # A program that is ending does so one day, and its perks with it.
            timed = live.segment_conditions.ids or live.perk_conditions.ids or live.program.state == "ending"
            today = now.astimezone(live.program.zone).date() if timed else live.valid_from.date()
            if self._follows(live) and self._judged.get(live.name) != (live.number, today):
                await self._judge(live, today)
                self._judged[live.name] = (live.number, today)
        for live in changed_tiers(self._around.setting.programs, now):
            name = f"tiers:{live.name}:{live.number}"
            if name not in self._dated:
                await self._recount(live, name)
                self._dated.add(name)

    async def _write(self, now: datetime) -> None:
        """Write down the messages of every day that is due."""
        for live in self._around.setting.programs.current(now):
            for name, terms in reminders(live):
                for day in reminder_days(terms, live, now):
                    await self._remind(live, name, day)

    async def _mail(self, now: datetime) -> None:
        """Go on with messages that people send to everybody; one whose program or message is gone ends there."""
        merchant = self._around.setting.merchant
        for name in await self._database.read(lambda connection: open_jobs(connection, merchant, MAILING)):
            program, message, mailing = mailing_of(name)
            live = next((live for live in self._around.setting.programs.current(now) if live.name == program), None)
            if live is None:
                await self._database.write(_moved(merchant, name, "", 0, now))
            else:
                await self._long_job(name, 0, partial(mail, live=live, name=message, mailing=mailing))

    async def _remind(self, live: LiveProgram, name: str, day: date) -> None:
        """Once for each day and message; a job of that name says how far it came, also in another process."""
        key = (live.name, name, day)
        if key in self._reminded:
            return
        before = f"remind:{live.name}:{name}:"
        await self._long_job(f"{before}{day}", 0, partial(remind, live=live, name=name, day=day))
        merchant, oldest = self._around.setting.merchant, f"{before}{day - KNOWN}"
        await self._database.write(lambda connection: forget_jobs_below(connection, merchant, before, oldest))
        self._reminded = {one for one in self._reminded if one[2] >= day - KNOWN} | {key}

    def _follows(self, live: LiveProgram) -> bool:
        """Whether a program has or had segments, perks or plans."""
        versions = self._around.setting.programs.versions[live.name]
        return any(of.program.segments or of.program.perks or of.program.plans for of in versions)

    async def _celebrate(self, live: LiveProgram, on: str, today: date) -> None:
        """Catch up day by day; a program that just began has its first day today."""
        name, merchant = f"calendar:{live.name}:{on}", self._around.setting.merchant
        yesterday = (today - timedelta(days=1)).isoformat()
        known = await self._database.write(
            lambda connection: begin_job(connection, merchant, name, 0, self._clock.now(), yesterday)
        )
        day_text, _, place = known.place.partition("/")
        day, done = date.fromisoformat(day_text), known.done
        if not place:
            day += timedelta(days=1)
        day = max(day, today - live.program.accept_late)
        while day <= today and not self._stop.is_set():
            who = await self._database.read(_whose_day(self._around.setting, live, on, day, place))
            if not who:
                await self._database.write(_moved(merchant, name, day.isoformat(), done))
                day, place = day + timedelta(days=1), ""
                continue
            facts = await self._around.gather_day(self._around.setting, on, midnight(day, live.program.zone), who)
            count, place, changes = await self._step(_celebrating(live, on, day, place, facts, name, done))
            done += count
            await self._told(changes)

    async def _date(self, live: LiveProgram, wallet: str, name: str) -> None:
        merchant = self._around.setting.merchant
        total = await self._database.read(lambda connection: count_wallets(connection, merchant, wallet))
        await self._long_job(name, total, partial(date_points, live=live, wallet=wallet))

    async def _recount(self, live: LiveProgram, name: str) -> None:
        merchant = self._around.setting.merchant
        total = await self._database.read(lambda connection: count_members(connection, merchant, live.name))
        await self._long_job(name, total, partial(recount, live=live))

    async def _judge(self, live: LiveProgram, today: date) -> None:
        """Once a day, and once for each version: who is in which segment, and has which perk, by now."""
        merchant, name = self._around.setting.merchant, f"segments:{live.name}:{live.number}:{today}"
        total = await self._database.read(lambda connection: count_judged(connection, merchant, live))
        await self._long_job(name, total, partial(judge_all, live=live))
        before = f"segments:{live.name}:"
        await self._database.write(lambda connection: forget_jobs(connection, merchant, before, name))

    async def _long_job(self, name: str, total: int, work: OverMembers) -> None:
        """Go on where it stopped, step by step, until nothing is left; a job that has ended stays so."""
        merchant = self._around.setting.merchant
        known = await self._database.write(
            lambda connection: begin_job(connection, merchant, name, total, self._clock.now())
        )
        place, done, count = known.place, known.done, 0 if known.ended_at else 1
        while count and not self._stop.is_set():
            started = time.monotonic()
            count, place, changes = await self._step(_keeping_place(work, place, name, done))
            done += count
            await self._told(changes)
            if count >= BATCH:  # as long again for whoever waits for the database
                await asyncio.sleep(min(time.monotonic() - started, 0.1))
        if not known.ended_at and not self._stop.is_set():
            await self._database.write(_moved(merchant, name, place, done, self._clock.now()))

    async def _step(self, step: Step) -> tuple[int, str, list[Change]]:
        """One step in one transaction, prepared again if the program changed meanwhile."""
        while True:
            setting, now = self._around.setting, self._clock.now()
            try:
                return await self._database.write(lambda connection: step(connection, setting, now))  # noqa: B023 - runs before the next turn
            except Stale:
                await self._around.refresh()

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(REST):
                await self._stop.wait()
        except TimeoutError:
            pass


def _ending(connection: Connection, setting: Setting, now: datetime) -> tuple[int, str, list[Change]]:
    """Release holds that ran out, and let what was not used in time expire."""
    count, changes = end_overdue(connection, setting, now, BATCH)
    return count, "", changes


def _tiering(connection: Connection, setting: Setting, now: datetime) -> tuple[int, str, list[Change]]:
    """Let tiers end, begin and be told of."""
    count, changes = move_tiers(connection, setting, now, BATCH)
    return count, "", changes


def _matching(connection: Connection, setting: Setting, now: datetime) -> tuple[int, str, list[Change]]:
    """Find out who are one person."""
    count, changes = match(connection, setting, now)
    return count, "", changes


def _lasting(connection: Connection, setting: Setting, now: datetime) -> tuple[int, str, list[Change]]:
    """Let perks, plans and verifications end."""
    count, changes = end_lasting(connection, setting, now, BATCH)
    return count, "", changes


def _booking(setting: Setting, now: datetime, limit: int) -> Callable[[Connection], tuple[int, list[Change], float]]:
    def work(connection: Connection) -> tuple[int, list[Change], float]:
        started = time.monotonic()
        booked, changes = settle_due(connection, setting, now, limit)
        return booked, changes, time.monotonic() - started

    return work


def _whose_day(
    setting: Setting, live: LiveProgram, on: str, day: date, after: str
) -> Callable[[Connection], Sequence[str]]:
    return lambda connection: celebrated(connection, setting, live, on, day, after, BATCH)


def _celebrating(
    live: LiveProgram, on: str, day: date, after: str, facts: Mapping[str, Facts], name: str, done: int
) -> Step:
    def step(connection: Connection, setting: Setting, now: datetime) -> tuple[int, str, list[Change]]:
        count, last, changes = celebrate(connection, setting, now, live, on, day, after, facts)
        if count:
            move_job(connection, setting.merchant, name, f"{day.isoformat()}/{last}", done + count)
        return count, last, changes

    return step


def _keeping_place(work: OverMembers, after: str, name: str, done: int) -> Step:
    """A step of a long job over members that notes how far it came in the same transaction."""

    def step(connection: Connection, setting: Setting, now: datetime) -> tuple[int, str, list[Change]]:
        count, last, changes = work(connection, setting, now, after=after, limit=BATCH)
        move_job(connection, setting.merchant, name, last, done + count)
        return count, last, changes

    return step


def _moved(
    merchant: str, name: str, place: str, done: int, ended_at: datetime | None = None
) -> Callable[[Connection], None]:
    return lambda connection: move_job(connection, merchant, name, place, done, ended_at)
