"""A shop whose segments are told to an advertiser in memory, which knows people by hashes alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Literal

from sqlalchemy import select
from tests.core.letters import Letters

from stampcard.applying.erasing import erase_members
from stampcard.applying.merging import merge, unmerge
from stampcard.applying.requests import Answer
from stampcard.applying.setting import Setting
from stampcard.calling.leases import Lease
from stampcard.calling.lines import Line
from stampcard.domain.audiences import Place, hashes_of
from stampcard.domain.commands import AUDIENCE
from stampcard.engine.versions import assembled
from stampcard.host.connecting import Connection
from stampcard.outbox.enlisting import Enlisting
from stampcard.plugin import (
    AudiencePush,
    AudienceSettings,
    AudienceSink,
    Capabilities,
    Delivered,
    HashKind,
    Outcome,
    Rejected,
    RetryLater,
    RetryPolicy,
    Unknown,
)
from stampcard.storage.database import Database
from stampcard.storage.tables import audience_member, push
from stampcard.testing.applying import rows

PROGRAM = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
segments:
  spenders: {when: history.spend.ever >= 100}
  staff: {}
rules: [{id: buy, on: purchase, award: 1 per 1 EUR}]
"""
KINDS: tuple[HashKind, ...] = ("email", "phone")
#: well: each is taken; lost: it is, and nobody hears of it; busy, refused: nothing is; crash: it is, and the process ends.
Mood = Literal["well", "lost", "busy", "refused", "crash"]


class Board(AudienceSink):
    """An advertiser in memory: which hashes are in which audience; it remembers what it was told."""

    hashes = KINDS
    retry = RetryPolicy(waits=(1.0, 1.0))

    def __init__(self, batch_size: int = 100) -> None:
        self.batch_size = batch_size
        self.people: set[Place] = set()
        self.calls: list[list[AudiencePush]] = []
        self.moods: list[Mood] = []

    async def deliver(self, items: Sequence[AudiencePush]) -> Sequence[Outcome]:
        assert 0 < len(items) <= self.batch_size
        self.calls.append(list(items))
        moved = [place for item in items for place in (*item.joining, *item.leaving)]
        assert len(moved) == len(set(moved)), "whoever does it in another order comes to another end"
        return [self._take(item) for item in items]

    def _take(self, item: AudiencePush) -> Outcome:
        mood: Mood = self.moods.pop(0) if self.moods else "well"
        match mood:
            case "busy":
                return RetryLater(reason="busy")
            case "refused":
                return Rejected(reason="no")
        # Whoever leaves by one hash is the person whom the advertiser knows by it.
        self.people = (self.people - item.leaving) | item.joining
        if mood == "crash":
            raise asyncio.CancelledError
        return Unknown(reason="no answer") if mood == "lost" else Delivered()

    def told(self) -> list[tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]]:
        """Of everything since the last time: who joins, who leaves, by which kinds of hashes."""
        calls, self.calls = self.calls, []
        return [(one.joins, one.leaves, tuple(sorted(one.hashes))) for items in calls for one in items]


class Advertiser(Letters):
    """A shop that advertises; audiences are told when `enlists` is called."""

    def __init__(
        self, database: Database, setting: Setting, text: str = PROGRAM, batch_size: int = 100, **settings: Any
    ) -> None:
        targets = {"shop": ("balance",), "ads": (AUDIENCE,)}
        super().__init__(database, replace(setting, targets=targets), text)
        self.board = Board(batch_size)
        self.set(**{"audiences": {"spenders": "a1"}, **settings})
        self._holder = Lease(database, self.clock, "main", "connection:ads", "me")

    def set(self, **settings: Any) -> None:
        """The connection has other settings from now on."""
        read = AudienceSettings.model_validate(settings)
        able = Capabilities(sinks=(self.board,))
        connection = Connection(name="ads", plugin="board", settings=read, capabilities=able)
        line = Line("ads", self.board)
        self.enlisting = Enlisting(self.database, self.clock, line, connection, lambda: self.setting)

    async def enlists(self, *moods: Mood, patient: bool = True) -> None:
        """Let everybody be told of what is due by now, and, if `patient`, of all that is to be tried again."""
        self.board.moods = list(moods)
        for _ in range(60):
            token = await self._holder.hold()
            assert token is not None
            batch = await self.enlisting.due()
            try:
                if batch:
                    await self.enlisting.send(batch, "connection:ads", token)
            except asyncio.CancelledError:  # another process goes on
                self.board.moods = []
            finally:
                self.enlisting.release(batch)
            if not batch and (not patient or not self.waiting()):
                return
            self.clock.advance(timedelta(seconds=5 if patient else 0))
        raise AssertionError(f"it does not come to rest: {self.waiting()}")

    def waiting(self) -> dict[str, str | None]:
        """Member → why they wait, as far as they were not given up."""
        found = rows(self.database, select(push).where(push.c.wanted > push.c.sent, push.c.kind == AUDIENCE))
        return {row.member: row.error for row in found if not row.dead}

    def kept(self) -> list[Any]:
        return list(rows(self.database, select(audience_member)))

    def stops(self, *targets: str) -> None:
        versions = [live for of in self.setting.programs.versions.values() for live in of]
        self.setting = replace(self.setting, programs=assembled(versions, 0, frozenset(targets)))

    def erases(self, member: str) -> None:
        self._does(lambda unit: erase_members(unit, [member]))

    def merges(self, source: str, target: str) -> str:
        found: list[str] = []
        self._does(lambda unit: found.append(merge(unit, source, target, by="me").id))
        return found[0]

    def parts(self, id_: str) -> None:
        self._does(lambda unit: unmerge(unit, id_, by="me"))

    def _does(self, work: Any) -> None:
        def done(unit: Any) -> Answer:
            work(unit)
            return Answer(status=200, body={})

        self.act(done)


def hashed(email: str = "", phone: str = "", audience: str = "a1") -> set[Place]:
    """Where somebody with these addresses is."""
    return {Place(audience, kind, text) for kind, text in hashes_of(email, phone, KINDS).items()}
