"""A shop that writes to its members, a channel that keeps what it was given, and a dispatcher that is turned by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
from sqlalchemy import select
from tests.core.shops import Shop

from stampcard.applying.consenting import record_consent
from stampcard.applying.requests import Answer
from stampcard.applying.setting import Setting
from stampcard.calling.leases import Lease
from stampcard.calling.lines import Line
from stampcard.domain.consents import Consent
from stampcard.domain.events import CustomerSeen
from stampcard.domain.messages import Need
from stampcard.host.channels import ChannelSink, ways_of
from stampcard.host.connecting import Connection
from stampcard.outbox.messaging import Messaging
from stampcard.plugin import Capabilities, Channel, Delivered, Message, Outcome
from stampcard.storage.database import Database
from stampcard.storage.tables import message, message_step, outbox
from stampcard.testing.applying import apply, prepare, rows, store

PROGRAM = """
program: main
name: Bean Club
currency: EUR
timezone: Europe/Berlin
attributes: {birthday: date}
wallets: {points: {expire: 12 months}}
rules:
  - {id: purchase, on: purchase, award: 1 per 1 EUR}
rewards:
  mug: {name: A mug, gives: merchandise, price: 100}
"""


_NEEDS: dict[str, Need] = {"email": "email", "sms": "phone"}


class Box(Channel):
    """Keeps what it sends; `answers` says what becomes of the next messages, all is well otherwise."""

    batch_size = 5

    def __init__(self, name: str = "email", **traits: Any) -> None:
        self.name = name
        self.form = "mail" if name == "email" else "text"
        self.needs = _NEEDS.get(name, "nothing")
        self.sent: list[Message] = []
        self.answers: list[Outcome | Exception] = []
        self.attempts = 0
        for trait, value in traits.items():
            setattr(self, trait, value)

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        self.attempts += 1
        outcomes: list[Outcome] = []
        for one in messages:
            answer = self.answers.pop(0) if self.answers else Delivered(result={"id": f"v{one.id}"})
            if isinstance(answer, Exception):
                raise answer
            outcomes.append(answer)
            if isinstance(answer, Delivered):
                self.sent.append(one)
        return outcomes


class Letters(Shop):
    """A shop with channels; messages leave when `post` is called."""

    def __init__(
        self, database: Database, setting: Setting, text: str, *channels: Channel, connection: str = "mail"
    ) -> None:
        capabilities = Capabilities(channels=channels)
        standing = Connection(name=connection, plugin="test", capabilities=capabilities)
        self.boxes = {channel.name: channel for channel in channels}
        ways = ways_of({connection: standing})
        super().__init__(database, replace(setting, ways=ways, public_url="https://loyalty.example"), text)
        self.connection = connection
        self.jobs = [
            Messaging(database, self.clock, Line(connection, ChannelSink(channel)), lambda: self.setting, lambda: None)
            for channel in channels
        ]
        self._lease = Lease(database, self.clock, "main", f"connection:{connection}", "me")

    async def post(self) -> int:
        """Let everything leave that may by now; answers how many messages were tried."""
        tried = 0
        for job in self.jobs:
            while commands := await job.due():
                token = await self._lease.hold()
                assert token is not None
                try:
                    tried += len(await job.send(commands, self._lease.name, token))
                finally:
                    job.release(commands)
        return tried

    def joins(self, customer: str = "ann", **attributes: Any) -> str:
        """Somebody becomes a member; answers who."""
        told = {"email": f"{customer}@example.com", **attributes}
        self.tell(CustomerSeen(reference=customer, occurred_at=self.clock.now(), attributes=told))
        return self.member(customer)

    def tell_attributes(self, customer: str, **attributes: Any) -> None:
        """The shop tells something new of a customer."""
        self.clock.advance(timedelta(seconds=1))
        self.tell(CustomerSeen(reference=customer, occurred_at=self.clock.now(), attributes=attributes))

    def tell_past(self, event: Any) -> None:
        """A backfill brings something of long ago."""
        (delivery,) = store(self.database, self.setting, b"{}")
        (settled,) = apply(
            self.database,
            self.setting,
            [msgspec.structs.replace(prepare(delivery, event), past=True)],
            self.clock.now(),
        )
        assert settled.status == "done"

    def says(self, customer: str, channel: str, state: Any = "given", purpose: str = "marketing") -> None:
        """A member says something about being addressed."""
        now, member = self.clock.now(), self.member(customer)
        said = Consent(channel=channel, purpose=purpose, state=state, at=now, recorded_at=now, source="form")

        def work(unit: Any) -> Answer:
            record_consent(unit, member, said)
            return Answer(status=200, body={})

        self.act(work)
        self.clock.advance(timedelta(seconds=1))

    def messages(self) -> list[tuple[str, str, str, str]]:
        """(name, channel, state, reason) of every message, the oldest first."""
        found = rows(self.database, select(message).order_by(message.c.id))
        return [(row.name, row.channel, row.state, row.reason) for row in found]

    def steps(self) -> list[str]:
        """Everything that was told of messages, in order."""
        return [row.state for row in rows(self.database, select(message_step).order_by(message_step.c.at))]

    def commands(self) -> list[str]:
        return [row.status for row in rows(self.database, select(outbox).order_by(outbox.c.id))]


def with_messages(more: str) -> str:
    """The program with these messages."""
    return PROGRAM + more
