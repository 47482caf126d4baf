"""Asking a CRM what changed, beside what its webhooks tell, and who is in those of its lists that mean something here."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from functools import partial

import msgspec
import structlog
from sqlalchemy import Connection as DatabaseConnection

from stampcard.applying.setting import Setting
from stampcard.calling.leases import Lease
from stampcard.calling.looping import Loop
from stampcard.clock import Clock, from_micros, to_micros
from stampcard.domain.commands import CONTACT, OWN
from stampcard.domain.deliveries import Delivery
from stampcard.domain.events import ContactSeen, ContactsListed
from stampcard.domain.value import replace
from stampcard.errors import PluginError, told
from stampcard.host.connecting import Connection
from stampcard.host.contacts import Crm
from stampcard.plugin.contacts import Contacts
from stampcard.storage import contacts
from stampcard.storage.database import Database
from stampcard.storage.fetching import want_records
from stampcard.storage.inboxing import count_ready, take_in
from stampcard.storage.jobs import begin_job, load_job, move_job

log = structlog.get_logger()

REST = 2.0
#: While so many deliveries wait to be applied, nothing more is asked for; seconds between two looks.
FULL, ROOM = 500, 0.2
ATTEMPT = 25.0
#: How much of what was looked at is looked at again, beside the vendor's own lag: clocks differ.
OVERLAP = timedelta(minutes=1)
#: How often lists are read.
LISTS = timedelta(minutes=15)
#: How many contacts one delivery of ours tells of.
CHUNK = 200
PATIENCE = 3600.0


class Poller(Loop):
    """Asks one CRM, in whichever process holds its lease; first it makes the fields that are missing there."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        owner: str,
        connection: Connection,
        setting: Callable[[], Setting],
        stored: Callable[[], None],
    ) -> None:
        """`stored()` is called when something was taken in."""
        super().__init__(Lease(database, clock, setting().merchant, f"poll:{connection.name}", owner), connection.name)
        self._database, self._clock = database, clock
        self._connection, self._setting, self._stored = connection, setting, stored
        self._is_prepared = False
        self._next = self._next_lists = clock.now()
        self._tries = 0

    async def turn(self) -> float:
        """Ask, if it is time to."""
        able, crm, now = self._connection.capabilities, self._connection.crm, self._clock.now()
        setting = self._setting()
        if (
            able is None
            or able.contacts is None
            or crm is None
            or self._name not in setting.active & setting.crms.keys()
        ):
            return REST
        if now < self._next or await self._lease.hold() is None:
            return REST
        try:
            await self._ask(able.contacts, crm)
            self._tries = 0
        except Exception as error:  # noqa: BLE001 - a plugin's own code; it is asked again later
            log.warning("polling_failed", connection=self._name, error=told(error))
            self._tries += 1
            pause = min(PATIENCE, 5.0 * 2 ** min(self._tries, 10)) * random.uniform(0.5, 1.0)
            self._next = self._clock.now() + timedelta(seconds=pause)
        return REST

    async def _ask(self, able: Contacts, crm: Crm) -> None:
        if not self._is_prepared:
            async with asyncio.timeout(ATTEMPT):
                made = await able.prepare(crm.pairs)
            self._is_prepared = True
            for one in made:
                log.info("made_at_vendor", connection=self._name, what=one)
        await self._changed(able)
        if crm.lists_read and self._clock.now() >= self._next_lists:
            self._next_lists = self._clock.now() + LISTS
            for list_id in sorted(crm.lists_read):
                try:
                    await self._read_list(able, crm, list_id)
                except Exception as error:  # noqa: BLE001 - one that is gone there keeps nobody from reading the others
                    log.warning("list_not_read", connection=self._name, list=list_id, error=told(error))

    async def _changed(self, able: Contacts) -> None:
        """Take in every contact that changed since the last time; a page and the place behind it in one transaction."""
        merchant, name = self._setting().merchant, f"poll:{self._name}"
        started = self._clock.now()
        known = await self._database.write(
            lambda connection: begin_job(connection, merchant, name, 0, started, _mark(started, started, ""))
        )
        since, until, place = _marked(known.place)
        if not place:
            until = started
        while True:
            await self._room()
            await self._clock.sleep(able.pace())
            async with asyncio.timeout(ATTEMPT):
                page = await able.changed(since - able.lag - OVERLAP, place)
            if page.place and page.place == place:
                raise PluginError(self._connection.plugin, "what changed says that there is more, and not where")
            place = page.place
            mark = _mark(since, until, place) if place else _mark(until, until, "")
            if await self._database.write(partial(self._keep, name=name, mark=mark, deliveries=page.deliveries)):
                self._stored()
            if not place:
                break
            if self._stopping or await self._lease.hold() is None:
                return
        self._next = self._clock.now() + able.every

    async def _room(self) -> None:
        """Wait while much is to be applied: orders must not stand behind what changed at a CRM."""
        merchant = self._setting().merchant
        while not self._stopping:
            now = self._clock.now()
            if await self._database.read(lambda connection: count_ready(connection, merchant, now, FULL)) < FULL:  # noqa: B023 - runs before the next turn
                return
            await asyncio.sleep(ROOM)

    def _keep(self, connection: DatabaseConnection, name: str, mark: str, deliveries: Sequence[Delivery]) -> int:
        setting = self._setting()
        known = load_job(connection, setting.merchant, name)
        move_job(connection, setting.merchant, name, mark, (known.done if known is not None else 0) + len(deliveries))
        live = self._unknown(connection, deliveries)
        return take_in(connection, setting.merchant, live, setting.sealer, setting.numbering) if live else 0

    def _unknown(self, connection: DatabaseConnection, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Those that say something that is not known: what we wrote ourselves is found as changed, too."""
        setting, able = self._setting(), self._connection.capabilities
        sealer, webhook = setting.sealer, able.webhook if able is not None else None
        told_ = [
            (delivery, event) for delivery in deliveries for event in (webhook.events(delivery) if webhook else ())
        ]
        seen = [event for _, event in told_ if isinstance(event, ContactSeen)]
        keys = [(self._name, event.reference) for event in seen]
        known = contacts.load_contacts(connection, setting.merchant, keys)
        found: dict[str, Delivery] = {}
        crm = self._connection.crm
        for delivery, event in told_:
            before = known.get((self._name, event.reference)) if isinstance(event, ContactSeen) else None
            is_ours = (
                before is not None
                and isinstance(event, ContactSeen)
                and crm is not None
                and not crm.leaves_out(event.fields)
                and contacts.shows_known(sealer, crm.pairs, before, event)
            )
            if not is_ours:
                found[delivery.key] = replace(delivery, past=False)
        return list(found.values())

    async def _read_list(self, able: Contacts, crm: Crm, list_id: str) -> None:
        """Find out who came into a list and who left it since it was last read."""
        inside: set[str] = set()
        place = ""
        while True:
            await self._clock.sleep(able.pace())
            async with asyncio.timeout(ATTEMPT):
                page = await able.in_list(list_id, place)
            if page.place and page.place == place:  # what is left out would count as gone
                raise PluginError(self._connection.plugin, f"the list {list_id} says that there is more, and not where")
            inside |= set(page.references)
            place = page.place
            if not place:
                break
        merchant = self._setting().merchant
        known = await self._database.read(lambda c: contacts.in_list(c, merchant, self._name, list_id))
        come, gone = sorted(inside - known), sorted(known - inside)
        for start in range(0, max(len(come), len(gone)), CHUNK):
            part = (come[start : start + CHUNK], gone[start : start + CHUNK])
            await self._database.write(partial(self._move, crm=crm, list_id=list_id, come=part[0], gone=part[1]))
        if come or gone:
            self._stored()

    def _move(
        self, connection: DatabaseConnection, crm: Crm, list_id: str, come: Collection[str], gone: Collection[str]
    ) -> None:
        """Write who came and who left, and let what follows of it happen."""
        setting, now, name = self._setting(), self._clock.now(), self._name
        contacts.move_in_list(connection, setting.merchant, name, list_id, come, gone)
        if list_id in crm.settings.hold_lists:
            # Whether they are on hold is decided where the contact is read.
            references = [*come, *gone]
            contacts.look_again(connection, setting.merchant, name, references)
            want_records(connection, setting.merchant, name, CONTACT, references, now)
        if list_id in crm.settings.segments.values():
            told_ = ContactsListed(connection=name, list=list_id, occurred_at=now, come=tuple(come), gone=tuple(gone))
            delivery = Delivery(
                connection=OWN,
                key=f"contact:{setting.numbering.next(now)}",
                topic="contacts_listed",
                body=msgspec.json.encode(told_),
                received_at=now,
            )
            take_in(connection, setting.merchant, [delivery], setting.sealer, setting.numbering)


def _mark(since: datetime, until: datetime, place: str) -> str:
    """Since when is asked, up to when all is known once all pages are read, and behind which place to go on."""
    return f"{to_micros(since)} {to_micros(until)} {place}"


def _marked(mark: str) -> tuple[datetime, datetime, str]:
    since, until, place = mark.split(" ", 2)
    return from_micros(int(since)), from_micros(int(until)), place
