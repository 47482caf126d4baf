"""A connection that goes: what it made and showed at the vendor is taken away first, as far as the vendor lets us."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from stampcard.applying.redeeming import revoke
from stampcard.applying.requests import Answer, answer
from stampcard.applying.setting import Stale
from stampcard.cli.acting import setting_of
from stampcard.domain.rewards import ISSUE, WITHDRAW
from stampcard.engine.enlisting import items_of_leaving
from stampcard.errors import RequestRefused
from stampcard.errors import told as words_of
from stampcard.plugin.outcomes import Delivered, Rejected
from stampcard.storage.audiences import told_after
from stampcard.storage.listing import references_after
from stampcard.storage.plugging import drop_waiting
from stampcard.storage.redemptions import Wanted, list_redemptions
from stampcard.storage.stating import set_state
from stampcard.storage.tables import outbox

if TYPE_CHECKING:
    from stampcard.app import Application
    from stampcard.applying.unit import Unit
    from stampcard.plugin.audiences import AudienceSink
    from stampcard.plugin.capabilities import Cleaner

Told = Callable[[int], None]
#: Rewards that are looked up at once.
CHUNK = 100
#: Seconds without any progress after which a vendor is waited for no longer, and between two looks.
PATIENCE, LOOK = 30.0, 0.2
#: Seconds after which every process has heard that a connection is paused.
HEARD = 2.0
#: How often a page of customers is tried.
TRIES = 5


@dataclass(slots=True)
class Left:
    """What was taken away at the vendor, and why anything stays."""

    codes: int = 0
    codes_waiting: int = 0
    shown: int = 0
    shown_problem: str = ""
    taken_out: int = 0
    audience_problem: str = ""

    def lines(self, what: str) -> Iterator[str]:
        """In words; `what` a plugin takes away from each customer."""
        if self.codes:
            yield f"{self.codes} rewards that were not used yet were taken back, their points with them"
        if self.codes_waiting:
            yield f"Stays: {self.codes_waiting} codes at the vendor that did not get switched off"
        if self.shown:
            yield f"Taken away from {self.shown} customers: {what}"
        if self.shown_problem:
            yield f"Stays with some customers: {what} ({self.shown_problem})"
        if self.taken_out:
            yield f"Taken out of its audiences: {self.taken_out} members"
        if self.audience_problem:
            yield f"Stays: who else is in its audiences ({self.audience_problem})"


async def take_codes_back(application: Application, name: str, left: Left, told: Told) -> None:
    """Take back every reward that the connection made and nobody used yet: points go back, codes are switched off there."""
    database, merchant, setting = application.database, application.setting.merchant, application.setting
    # Whatever switches codes off would take along what makes new ones.
    drop = partial(
        drop_waiting, merchant=merchant, sealer=setting.sealer, numbering=setting.numbering, name=name,
        now=application.clock.now(), kind=ISSUE,
    )  # fmt: skip
    await database.write(drop)
    wanted = Wanted(by=name, status="issued")
    while True:
        find = partial(
            list_redemptions,
            merchant=merchant,
            sealer=application.setting.sealer,
            wanted=wanted,
            before=None,
            limit=CHUNK,
        )
        ids = [one.id for one in await database.read(find)]
        taken = [id_ for id_ in ids if await _is_revoked(application, id_, f"the connection {name} was removed")]
        if not taken:
            break
        left.codes += len(taken)
        told(left.codes)
    left.codes_waiting = await _sent(application, name)


async def _is_revoked(application: Application, id_: str, reason: str) -> bool:
    """Take one back; False for one that somebody used meanwhile."""

    def work(unit: Unit) -> Answer:
        revoke(unit, id_, reason, keep_points=False)
        return Answer(status=200, body={})

    while True:
        setting = await setting_of(application)
        write = partial(answer, setting=setting, once=None, now=application.clock.now(), work=work)
        try:
            _, changes = await application.database.write(write)
        except Stale:
            await application.refresh()
            continue
        except RequestRefused:
            return False
        await application.announce(changes)
        return True


async def _sent(application: Application, name: str) -> int:
    """Let what switches codes off be sent, by us or by a server that is there; answers how much of it is not done."""
    dispatcher = application.dispatchers.get(name)
    before, since = await _waiting(application, name), application.clock.now()
    if not before or dispatcher is None:
        return before
    sending = asyncio.create_task(dispatcher.run())
    try:
        while left := await _waiting(application, name):
            if left < before:
                before, since = left, application.clock.now()
            if (application.clock.now() - since).total_seconds() > PATIENCE:
                return left
            await asyncio.sleep(LOOK)
        return 0
    finally:
        dispatcher.stop()
        await sending


async def _waiting(application: Application, name: str) -> int:
    waiting = (
        select(func.count())
        .select_from(outbox)
        .where(
            outbox.c.merchant == application.setting.merchant,
            outbox.c.connection == name,
            outbox.c.kind == WITHDRAW,
            outbox.c.status.in_(("ready", "attempting", "unknown", "dead")),
        )
    )
    return await application.database.read(lambda connection: connection.execute(waiting).scalar() or 0)


async def take_out(application: Application, name: str, sink: AudienceSink, left: Left) -> None:
    """Take everybody out of a connection's audiences, as far as the vendor lets us; it is paused before."""
    database, merchant, clock = application.database, application.setting.merchant, application.clock
    await _pause(application, name)
    page = partial(told_after, merchant=merchant, sealer=application.setting.sealer, name=name, limit=sink.batch_size)
    place, tries = "", 0
    while told := await database.read(partial(page, after=place)):
        items = [item for id_, of in sorted(told.items()) for item in items_of_leaving(id_, of)]
        problem = ""
        for start in range(0, len(items), sink.batch_size):
            await clock.sleep(sink.pace())
            try:
                outcomes = await sink.deliver(items[start : start + sink.batch_size])
            except Exception as error:  # noqa: BLE001 - a plugin's own code
                problem = words_of(error)
                break
            problem = next((one.reason for one in outcomes if not isinstance(one, Delivered)), problem)
        tries += 1
        if problem and tries < TRIES:
            await clock.sleep(2**tries)
            continue
        if problem:
            left.audience_problem = problem
            return
        left.taken_out += len(told)
        place, tries = max(told), 0


async def _pause(application: Application, name: str) -> None:
    """Let every process send nothing more to a connection."""
    pause = partial(
        set_state,
        merchant=application.setting.merchant,
        name=name,
        state="paused",
        reason="it is being removed",
        clock=application.clock,
    )
    await application.database.write(pause)
    await application.clock.sleep(HEARD)


async def clean(application: Application, name: str, cleaner: Cleaner, left: Left, told: Told) -> None:
    """Take away what each customer shows; the connection is paused before, so that nothing is shown anew meanwhile."""
    database, merchant, clock = application.database, application.setting.merchant, application.clock
    await _pause(application, name)
    place, tries = "", 0
    while True:
        find = partial(references_after, merchant=merchant, name=name, of=None, after=place, limit=cleaner.batch_size)
        references = [row.reference for row in await database.read(find)]
        if not references:
            return
        await clock.sleep(cleaner.pace())
        try:
            outcomes = await cleaner.clean(references)
        except Exception as error:  # noqa: BLE001 - a plugin's own code
            outcomes, problem = (), words_of(error)
        else:
            problem = next((one.reason for one in outcomes if not isinstance(one, Delivered)), "")
        tries += 1
        passing = not all(isinstance(one, Delivered | Rejected) for one in outcomes) or not outcomes
        if problem and passing and tries < TRIES:
            await clock.sleep(2**tries)
            continue
        if problem and passing:
            left.shown_problem = problem
            return
        left.shown_problem = left.shown_problem or problem
        left.shown += sum(isinstance(one, Delivered) for one in outcomes)
        told(left.shown)
        place, tries = references[-1], 0
