"""A club whose members are written to by a server that is killed on the way, and what may have reached whom."""

from __future__ import annotations

import asyncio
import json
import random
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from sqlalchemy import Connection, Row, select
from tests.mailboxes import Mailbox

from stampcard.app import Application
from stampcard.applying.consenting import record_consent
from stampcard.applying.mailing import MAILING, mailing_name
from stampcard.applying.requests import create_member
from stampcard.applying.unit import Unit
from stampcard.clock import SystemClock
from stampcard.domain.consents import Consent, ConsentState
from stampcard.errors import Unavailable
from stampcard.outbox.dispatching import FLIGHTS
from stampcard.sealing import new_key_text
from stampcard.settings import load_settings
from stampcard.storage.jobs import begin_job, open_jobs
from stampcard.storage.switching import start, stop
from stampcard.storage.tables import message
from stampcard.testing.demonstration import prepare_database
from stampcard_smtp.sending import EmailChannel
from stampcard_twilio.sending import SmsChannel
from stampcard_twilio.simulator import TwilioSimulator

PROGRAM = """
program: club
name: Bean Club
currency: USD
timezone: America/Toronto
wallets: {points: {}}
rules:
  - {id: buy, on: purchase, award: 1 per 1 USD}
sending: {quiet: {sms: none}, address: "Bean Club, 1 Bean Street"}
messages:
  news:
    on: by_hand
    channels: [CHANNEL]
    texts: {en: {subject: News for you, text: "Bean Club: we roast again, {{ member.first_name }}."}}
"""
NEWS = "message:club/news"
#: Of so many members one was never asked, and one takes back what they said.
PEOPLE = 8
#: Members that one transaction makes.
AT_ONCE = 200
T = TypeVar("T")
LEFT = frozenset({"queued", "sent", "delivered"})


class Post(ABC):
    """Whoever brings messages to members, in this process."""

    channel: str
    batch: int

    @abstractmethod
    async def open(self, stack: AsyncExitStack) -> None:
        """Begin to take messages, until the stack ends."""

    @property
    @abstractmethod
    def section(self) -> Mapping[str, object]:
        """The settings of the connection, as fast as the plugin lets it be."""

    @property
    @abstractmethod
    def where(self) -> str:
        """Host and port."""

    @property
    @abstractmethod
    def received(self) -> Sequence[str]:
        """To whom each message went that was taken, the latest last."""

    @property
    @abstractmethod
    def count(self) -> int:
        """How many those are."""

    @abstractmethod
    def attributes(self, number: int) -> dict[str, str]:
        """What a member is reached by."""


class Mails(Post):
    """A mail server; nobody can ask it later what it took."""

    channel, batch = "email", EmailChannel.batch_size

    def __init__(self) -> None:
        self.mailbox = Mailbox()

    async def open(self, stack: AsyncExitStack) -> None:
        await stack.enter_async_context(self.mailbox)

    @property
    def section(self) -> Mapping[str, object]:
        told = {"sender": "loyalty@shop.example", "per_second": 1000, **self.mailbox.settings}
        return {"plugin": "smtp", **told}

    @property
    def where(self) -> str:
        return self.mailbox.where

    @property
    def received(self) -> Sequence[str]:
        return [mail.recipients[0] for mail in self.mailbox.mails]

    @property
    def count(self) -> int:
        return len(self.mailbox.mails)

    def attributes(self, number: int) -> dict[str, str]:
        return {"email": f"c{number}@example.com"}


class Texts(Post):
    """Twilio, which tells what it took."""

    channel, batch = "sms", SmsChannel.batch_size

    def __init__(self) -> None:
        self.twilio = TwilioSimulator(7)

    async def open(self, stack: AsyncExitStack) -> None:
        await self.twilio.start()
        stack.push_async_callback(self.twilio.stop)

    @property
    def section(self) -> Mapping[str, object]:
        return {"plugin": "twilio", "segments_per_second": 1000, **self.twilio.settings()}

    @property
    def where(self) -> str:
        return urlsplit(self.twilio.api_url).netloc

    @property
    def received(self) -> Sequence[str]:
        return [text.to for text in self.twilio.messages]

    @property
    def count(self) -> int:
        return len(self.twilio.messages)

    def attributes(self, number: int) -> dict[str, str]:
        return {"phone": f"+1416{number:07d}"}


class Club:
    """The members by their addresses, and those of them who must get nothing."""

    def __init__(self, application: Application, post: Post) -> None:
        self.post = post
        self._application = application
        self._agreed: dict[str, str] = {}
        self._silent: dict[str, str] = {}
        self._chance = random.Random(7)
        #: How many took back what they said, and how often the database was too busy with the server to be written to.
        self.withdrawn = self.refused = 0

    @property
    def most_at_once(self) -> int:
        """How many may be under way at once: of these nobody knows where the process is killed."""
        return FLIGHTS * self.post.batch

    async def grow(self, members: int) -> None:
        """Let so many join; most agree to advertising, one in eight says nothing, one in eight thinks better of it."""
        for begin in range(0, members, AT_ONCE):
            numbers = range(begin, min(begin + AT_ONCE, members))
            found = await self._application.database.write(lambda c: [self._join(c, number) for number in numbers])  # noqa: B023 - runs before the next turn
            for number, (address, member) in zip(numbers, found, strict=True):
                (self._silent if number % PEOPLE < 2 else self._agreed)[address] = member

    async def write(self, mailing: str) -> None:
        """Write to everybody, as `stampcard message send` does; whoever serves does it."""
        now, job = self._application.clock.now(), mailing_name("club", "news", mailing)
        await self._write(lambda c: begin_job(c, "main", job, 0, now))

    async def withdraw(self) -> None:
        """One member, any, takes back what they said; what was not attempted by then must not reach them."""
        if not self._agreed:
            return
        address = self._chance.choice(sorted(self._agreed))
        member = self._agreed[address]

        def work(connection: Connection) -> bool:
            unit = self._unit(connection)
            record_consent(unit, member, self._said(unit, "withdrawn"))
            unit.save()
            attempted = select(message.c.attempted_at).where(message.c.merchant == "main", message.c.member == member)
            return any(at is not None for at in connection.execute(attempted).scalars())

        self.withdrawn += 1
        if not await self._write(work):
            self._silent[address] = self._agreed.pop(address)

    async def halt(self) -> None:
        """Switch the message off."""
        await self._write(lambda c: stop(c, "main", NEWS, "a trial", "me", SystemClock()))

    async def resume(self) -> None:
        """Switch it on again."""
        await self._write(lambda c: start(c, "main", NEWS, SystemClock()))

    async def rows(self) -> Sequence[Row[Any]]:
        """All messages."""
        return await self._application.database.read(lambda c: c.execute(select(message).order_by(message.c.id)).all())

    async def is_over(self) -> bool:
        """Whether everything is written down, and of each message it is known what became of it, or that nobody knows."""
        if await self._application.database.read(lambda c: open_jobs(c, "main", MAILING)):
            return False
        return not any(row.state in {"waiting", "attempting"} for row in await self.rows())

    async def faults(self, mailings: int, kills: int) -> list[str]:
        """What is wrong with what reached whom, once all is over; nothing if all is well."""
        rows, counted = await self.rows(), Counter(self.post.received)
        addresses = {member: address for of in (self._agreed, self._silent) for address, member in of.items()}
        left = Counter(addresses[row.member] for row in rows if row.state in LEFT)
        open_ = Counter(addresses[row.member] for row in rows if row.state == "unknown")
        reasonless = [row.id for row in rows if row.state == "dropped" and not row.reason]
        attempted = {row.member for row in rows if row.attempted_at is not None} & set(self._silent.values())
        most = kills * self.most_at_once
        wrong = {
            "reached more often than they were written to": [one for one, count in counted.items() if count > mailings],
            "reached who agreed to nothing": sorted(counted.keys() & self._silent.keys()),
            "attempted for who agreed to nothing": sorted(attempted),
            "said to have left and never came": sorted((left - counted).keys()),
            "came and are not said to have left": sorted((counted - left - open_).keys()),
            "dropped for no reason": reasonless,
            "not one message for each member and mailing": []
            if len(rows) == mailings * len(addresses)
            else [len(rows), mailings, len(addresses)],
            f"unknown, of {most} at most": [open_.total()] if open_.total() > most else [],
            "in a state that is no end": [row.state for row in rows if row.state not in LEFT | {"unknown", "dropped"}],
        }
        return [f"{what}: {found[:5]} ({len(found)})" for what, found in wrong.items() if found]

    async def told(self) -> Mapping[str, int]:
        """How many messages are in which state, and why they were dropped."""
        return Counter(f"{row.state} {row.reason}".strip() for row in await self.rows())

    async def _write(self, work: Callable[[Connection], T]) -> T:
        """Write as a command does that people give again where it was refused."""
        while True:
            try:
                return await self._application.database.write(work)
            except Unavailable:
                self.refused += 1

    def _join(self, connection: Connection, number: int) -> tuple[str, str]:
        reached = self.post.attributes(number)
        unit = self._unit(connection)
        member = create_member(unit, None, {"first_name": f"Name {number}", **reached})
        unit.save()
        for state in _said_by(number):
            unit = self._unit(connection)
            record_consent(unit, member, self._said(unit, state))
            unit.save()
        (address,) = reached.values()
        return address, member

    def _unit(self, connection: Connection) -> Unit:
        return Unit(connection, self._application.setting, self._application.clock.now())

    def _said(self, unit: Unit, state: ConsentState) -> Consent:
        now, channel = unit.now, self.post.channel
        return Consent(channel=channel, purpose="marketing", state=state, at=now, recorded_at=now, source="form")


def _said_by(number: int) -> tuple[ConsentState, ...]:
    match number % PEOPLE:
        case 0:
            return ()
        case 1:
            return ("given", "withdrawn")
    return ("given",)


@asynccontextmanager
async def club(folder: Path, url: str, post: Post) -> AsyncIterator[tuple[Club, Path]]:
    """An installation that writes by this post, and its settings file; nothing serves yet."""
    async with AsyncExitStack() as stack:
        await post.open(stack)
        await asyncio.to_thread(
            prepare_database, url, "main", PROGRAM.replace("CHANNEL", post.channel), SystemClock().now()
        )
        key_file = folder / "stampcard.key"
        key_file.touch(mode=0o600)
        key_file.write_text(new_key_text(), encoding="utf8")
        config = folder / "stampcard.toml"
        config.write_text(_toml(url, post), encoding="utf8")
        application = Application(load_settings(config))
        await application.open(loops=False, calls=False)
        stack.push_async_callback(application.close)
        yield Club(application, post), config


def _toml(url: str, post: Post) -> str:
    tables: dict[str, Mapping[str, object]] = {
        "http": {"port": 0, "public_url": "https://loyalty.example"},
        "security": {"outbound_allow": [post.where]},
        "connections.post": post.section,
    }
    lines = [f"database = {json.dumps(url)}", "programs = []"]
    for name, table in tables.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"
