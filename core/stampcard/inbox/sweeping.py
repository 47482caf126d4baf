"""Looking at all contacts of a CRM: the first time, whenever people want it, and each night for what was missed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import structlog
from sqlalchemy import Connection as DatabaseConnection

from stampcard.applying.setting import Setting
from stampcard.applying.showing import program_of
from stampcard.calling.leases import Lease
from stampcard.calling.looping import Loop
from stampcard.clock import Clock, to_micros
from stampcard.domain.commands import CONTACT
from stampcard.domain.deliveries import Delivery
from stampcard.domain.events import ContactSeen
from stampcard.domain.value import Value, replace
from stampcard.errors import PluginError, told
from stampcard.host.connecting import Connection
from stampcard.plugin.contacts import ContactPage, Contacts
from stampcard.storage import contacts
from stampcard.storage.database import Database
from stampcard.storage.fetching import want_records
from stampcard.storage.inboxing import count_ready, is_waiting, take_in
from stampcard.storage.listing import members_after
from stampcard.storage.pushing import owe
from stampcard.storage.revising import bump
from stampcard.storage.sweeping import Progress, Sweep, begin_sweep, load_sweep, move_sweep

log = structlog.get_logger()

#: While so many deliveries wait to be applied, or pushes to be sent, nothing more is read or wanted.
FULL, SENDING = 500, 2_000
#: Seconds between two looks for something to do, and for room.
REST, ROOM = 1.0, 0.1
#: Seconds between two pages of what nobody waits for: most of the quota is for what people do now.
SHARE = 0.5
ATTEMPT = 25.0
STEP = 500
#: Longest pause (seconds) between two tries.
PATIENCE = 3600.0
#: After so many tries that brought nothing, it is read from the beginning.
LOST = 10
#: At which hour of the program's zone everybody is looked at, once people have had it done; so long after the last time.
HOUR, REST_BETWEEN = 3, timedelta(hours=12)


class _Read(Value, frozen=True):
    """One page of contacts, each with what it says, and where to go on."""

    pairs: Sequence[tuple[Delivery, ContactSeen]]
    place: str


class Sweeper(Loop):
    """Looks at one CRM's contacts, in whichever process holds its lease."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        owner: str,
        connection: Connection,
        setting: Callable[[], Setting],
        stored: Callable[[], None],
    ) -> None:
        """`stored()` is called when contacts were taken in."""
        super().__init__(Lease(database, clock, setting().merchant, f"sweep:{connection.name}", owner), connection.name)
        self._database, self._clock = database, clock
        self._connection, self._setting, self._stored = connection, setting, stored

    async def turn(self) -> float:
        """Go a step on with what people want, or with what the night is for."""
        able, setting = self._connection.capabilities, self._setting()
        if able is None or able.contacts is None or self._name not in setting.active:
            return REST
        sweep = await self._open()
        if sweep is None or await self._lease.hold() is None:
            return REST
        now, waits = self._clock.now(), sweep.progress.next_at
        if waits is not None and waits > now:
            return min((waits - now).total_seconds(), REST)
        step = {
            "preparing": self._prepare,
            "reading": self._read_on,
            "applying": self._wait_for_inbox,
            "showing": self._show_on,
            "sending": self._wait_for_pushes,
        }[sweep.progress.phase]
        return await step(sweep, able.contacts)

    async def _open(self) -> Sweep | None:
        """The sweep that is under way; the night's begins by itself, a day after the last."""
        merchant = self._setting().merchant
        first = await self._database.read(lambda connection: load_sweep(connection, merchant, self._name, "sync"))
        nightly = await self._database.read(lambda connection: load_sweep(connection, merchant, self._name, "compare"))
        for one in (first, nightly):
            if one is not None and one.goes_on:
                return one
        ended = [one.ended_at for one in (first, nightly) if one is not None and one.ended_at is not None]
        is_synced = first is not None and first.ended_at is not None and first.progress.phase == "ended"
        if is_synced and self._clock.now() >= self._night(max(ended)) and await self._lease.hold() is not None:
            now = self._clock.now()
            return await self._database.write(
                lambda connection: begin_sweep(connection, merchant, self._name, "compare", now)
            )
        return None

    def _night(self, last: datetime) -> datetime:
        """When everybody is looked at again: at night, where the program is, and not twice in one."""
        setting, crm = self._setting(), self._connection.crm
        live = program_of(setting, crm, self._clock.now()) if crm is not None else None
        zone = live.program.zone if live is not None else UTC
        local = (last + REST_BETWEEN).astimezone(zone)
        night = local.replace(hour=HOUR, minute=0, second=0, microsecond=0)
        return night if night >= local else night + timedelta(days=1)

    async def _prepare(self, sweep: Sweep, crm: Contacts) -> float:
        """Make the fields that are missing; from then on every process reads from the CRM and writes to it."""
        known = self._connection.crm
        try:
            async with asyncio.timeout(ATTEMPT):
                made = await crm.prepare(known.pairs if known is not None else ())
        except Exception as error:  # noqa: BLE001 - a plugin's own code; it is asked again later
            log.warning("sweep_failed", connection=self._name, error=told(error))
            failed = self._failed(sweep, told(error))
            await self._database.write(lambda connection: self._move(connection, sweep, failed))
            return REST
        for one in made:
            log.info("made_at_vendor", connection=self._name, what=one)
        prepared = replace(sweep, progress=_well(sweep, phase="reading"))

        def go_on(connection: DatabaseConnection) -> None:
            if self._move(connection, sweep, prepared):
                bump(connection, self._setting().merchant)

        await self._database.write(go_on)
        return 0.0

    async def _read_on(self, sweep: Sweep, crm: Contacts) -> float:
        """Read the next page, and take in what is not known so."""
        setting, now = self._setting(), self._clock.now()
        if (pause := crm.pace()) > 0:
            return min(pause, REST)
        if await self._database.read(lambda connection: count_ready(connection, setting.merchant, now, FULL)) >= FULL:
            return ROOM
        try:
            async with asyncio.timeout(ATTEMPT):
                if not sweep.progress.counted:
                    total = await crm.count()
                    counted = replace(sweep, total=total or 0, progress=_well(sweep, counted=True))
                    await self._database.write(lambda connection: self._move(connection, sweep, counted))
                    return 0.0
                page = self._decoded(await crm.read(sweep.place), sweep)
        except Exception as error:  # noqa: BLE001 - a plugin's own code; the same place is read again later
            log.warning("sweep_failed", connection=self._name, error=told(error))
            failed = self._failed(sweep, told(error))
            await self._database.write(lambda connection: self._move(connection, sweep, failed))
            return REST
        if await self._database.write(partial(self._keep, sweep=sweep, page=page)):
            self._stored()
        return SHARE if sweep.why == "compare" else 0.0

    def _decoded(self, page: ContactPage, sweep: Sweep) -> _Read:
        """The page's contacts; raises PluginError for what leads nowhere or is nobody's."""
        able = self._connection.capabilities
        webhook = able.webhook if able is not None else None
        if webhook is None or (page.place and page.place == sweep.place):
            raise PluginError(self._connection.plugin, "its contacts say that there are more, and not where")
        past = sweep.why == "sync"
        pairs = [
            (replace(delivery, past=past, received_at=self._clock.now()), event)
            for delivery in page.deliveries
            for event in webhook.events(delivery)
            if isinstance(event, ContactSeen)
        ]
        return _Read(pairs=pairs, place=page.place)

    def _keep(self, connection: DatabaseConnection, sweep: Sweep, page: _Read) -> int:
        """Take in what is not known so, and move on, both or neither; answers how much that was."""
        setting, name = self._setting(), self._name
        keys = [(name, event.reference) for _, event in page.pairs]
        known = contacts.load_contacts(connection, setting.merchant, keys)
        fresh = []
        for delivery, event in page.pairs:
            before = known.get((name, event.reference))
            # People look anew after other settings, too: whoever is open is judged once more, and whether all take part.
            is_open = sweep.why == "sync" and before is not None and before.state in {"doubtful", "skipped"}
            is_left_out = before is not None and before.state == "linked" and self._leaves_out(event)
            if before is None or is_open or is_left_out or before.content != contacts.content_of(setting.sealer, event):
                # The same content may have been told before, and something else in between.
                fresh.append(replace(delivery, key=f"{delivery.key}@{to_micros(sweep.started_at)}"))
        after = replace(
            sweep,
            place=page.place,
            done=sweep.done + len(page.pairs),
            progress=_well(
                sweep,
                different=sweep.progress.different + len(fresh),
                phase="reading" if page.place else "applying",
            ),
        )
        if not self._move(connection, sweep, after):
            return 0
        contacts.note_seen(connection, setting.merchant, name, [event.reference for _, event in page.pairs], sweep.mark)
        if fresh:
            take_in(connection, setting.merchant, fresh, setting.sealer, setting.numbering)
        return len(fresh)

    def _leaves_out(self, event: ContactSeen) -> bool:
        crm = self._connection.crm
        return crm is not None and crm.leaves_out(event.fields)

    async def _wait_for_inbox(self, sweep: Sweep, _: Contacts) -> float:
        """Once all is applied, ask after those who were not found, and go on."""
        setting, now = self._setting(), self._clock.now()
        if await self._database.read(lambda connection: is_waiting(connection, setting.merchant, self._name)):
            return ROOM

        def go_on(connection: DatabaseConnection) -> None:
            began = to_micros(sweep.started_at)
            missing = contacts.unseen(connection, setting.merchant, self._name, sweep.mark, began, STEP)
            want_records(connection, setting.merchant, self._name, CONTACT, missing, now)
            contacts.note_seen(connection, setting.merchant, self._name, missing, sweep.mark)
            progress = _well(sweep, missing=sweep.progress.missing + len(missing))
            if len(missing) < STEP:
                progress = replace(progress, phase="showing" if sweep.why == "sync" else "ended")
            ended = now if progress.phase == "ended" else None
            self._move(connection, sweep, replace(sweep, place="", progress=progress, ended_at=ended))

        await self._database.write(go_on)
        return 0.0

    async def _show_on(self, sweep: Sweep, _: Contacts) -> float:
        """Let the next members be shown there, not too many at once."""
        setting, now, name = self._setting(), self._clock.now(), self._name
        waiting = await self._waiting(SENDING)
        if waiting >= SENDING:
            return ROOM

        def go_on(connection: DatabaseConnection) -> None:
            members = members_after(connection, setting.merchant, sweep.place, STEP)
            fresh = contacts.linked_since(connection, setting.merchant, name, members, to_micros(sweep.started_at))
            owe(connection, setting.merchant, name, CONTACT, set(members) - fresh, now)
            progress = _well(sweep, shown=sweep.progress.shown + len(members))
            if not members:
                progress = replace(progress, phase="sending", all_shown_at=now)
            self._move(connection, sweep, replace(sweep, place=members[-1] if members else "", progress=progress))

        await self._database.write(go_on)
        return 0.0

    async def _wait_for_pushes(self, sweep: Sweep, _: Contacts) -> float:
        merchant = self._setting().merchant
        # Whoever changes meanwhile, and whoever the CRM does not take again and again, is not waited for. Pushes are looked
        # at first: what follows of one that is settled is in the inbox by then.
        if await self._waiting(1, sweep.progress.all_shown_at):
            return ROOM
        if await self._database.read(lambda connection: is_waiting(connection, merchant, self._name)):
            return ROOM
        after = replace(sweep, ended_at=self._clock.now(), progress=_well(sweep, phase="ended"))

        def end(connection: DatabaseConnection) -> None:
            if self._move(connection, sweep, after):
                bump(connection, merchant)  # whoever comes from now on comes by themselves

        await self._database.write(end)
        return 0.0

    async def _waiting(self, most: int, until: datetime | None = None) -> int:
        merchant, name = self._setting().merchant, self._name
        latest = None if until is None else to_micros(until)
        return await self._database.read(
            lambda connection: contacts.wait_for_pushes(connection, merchant, name, CONTACT, most, latest)
        )

    def _move(self, connection: DatabaseConnection, before: Sweep, after: Sweep) -> bool:
        return move_sweep(connection, self._setting().merchant, before, after)

    def _failed(self, sweep: Sweep, trouble: str) -> Sweep:
        """The same place, to be read again later; from the beginning where nothing comes from there again and again."""
        tries, now = sweep.progress.tries, self._clock.now()
        pause = min(PATIENCE, 5.0 * 2 ** min(tries, 10)) * random.uniform(0.5, 1.0)
        next_at = now + timedelta(seconds=pause)
        # A place may not be known to the vendor any more. What was read is known, and is only counted anew.
        lost = {"place": "", "done": 0} if sweep.progress.phase == "reading" and tries + 1 == LOST else {}
        progress = replace(sweep.progress, trouble=trouble, tries=tries + 1, next_at=next_at)
        return replace(sweep, progress=progress, **lost)


def _well(sweep: Sweep, **changes: Any) -> Progress:
    """How far it is after a try that brought something."""
    return replace(sweep.progress, trouble="", tries=0, next_at=None, **changes)
