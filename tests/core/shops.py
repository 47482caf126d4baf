"""A merchant whose customers buy and return, and a timer that ticks when it is told to."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select

from stampcard.applying.deliveries import Prepared
from stampcard.applying.recounting import counted_anew
from stampcard.applying.requests import answer
from stampcard.applying.setting import Setting
from stampcard.domain.decisions import Change
from stampcard.domain.events import OrderSeen, RefundSeen
from stampcard.domain.tiers import Tier, TierMoved
from stampcard.engine.gauging import measure_of
from stampcard.engine.versions import assembled, compiled
from stampcard.engine.world import NO_FACTS, Facts
from stampcard.host.connecting import Connection
from stampcard.inbox.timing import Timer
from stampcard.program.reading import read_program
from stampcard.storage import loading
from stampcard.storage.chronicling import Heard, timeline
from stampcard.storage.database import Database
from stampcard.storage.reading import balances
from stampcard.storage.tables import member, progress
from stampcard.storage.tiering import load_tiers
from stampcard.storage.verifying import verify
from stampcard.testing.applying import rows, tell
from stampcard.testing.building import LONG_AGO, order, refund
from stampcard.testing.clock import FakeClock

START = datetime(2026, 3, 10, 12, tzinfo=UTC)


class Around:
    """What a timer needs of an application."""

    connections: Mapping[str, Connection] = {}
    sources: Mapping[str, str] = {}

    def __init__(self, setting: Setting) -> None:
        self.setting = setting

    async def refresh(self) -> None:
        """Nothing changes."""

    async def gather(self, _setting: Setting, batch: Sequence[Prepared]) -> Sequence[Prepared]:
        return batch

    async def gather_day(
        self, _setting: Setting, _on: str, _at: datetime, members: Collection[str]
    ) -> Mapping[str, Facts]:
        return dict.fromkeys(members, NO_FACTS)


class Shop:
    """One merchant whose customers buy and return, and a timer that ticks when it is told to."""

    def __init__(self, database: Database, setting: Setting, text: str) -> None:
        self.database, self.clock, self.changes = database, FakeClock(START), list[Change]()
        self.plain, self.texts = setting, [text]
        self._live()

    def applies(self, text: str) -> None:
        """Another version of the program, valid from now on."""
        self.texts.append(text)
        self._live()

    def _live(self) -> None:
        first, *others = self.texts
        versions = [compiled(read_program(first, "test"), 1, LONG_AGO)]
        versions += [
            compiled(read_program(text, "test"), n, self.clock.now()) for n, text in enumerate(others, start=2)
        ]
        self.setting = replace(self.plain, programs=assembled(versions, 0))

        async def told(changes: Sequence[Change]) -> None:
            self.changes += changes

        keep = (timedelta(days=30), timedelta(days=14))
        self.timer = Timer(self.database, self.clock, "me", Around(self.setting), told, keep)

    def anew(self) -> dict[str, int]:
        """What counts, by day, from orders and awards alone."""
        (live,) = self.setting.programs.current(self.clock.now())
        people = [row.id for row in rows(self.database, select(member.c.id))]
        found = self.database.read_now(lambda c: counted_anew(c, "main", live, people))
        return {f"{key.member} {key.measure} {key.day}": amount for key, amount in found.items()}

    def stored(self) -> dict[str, int]:
        """The same as it was counted step by step."""
        (live,) = self.setting.programs.current(self.clock.now())
        assert live.program.tiers is not None
        measure = measure_of(live.program.tiers)
        found = rows(self.database, select(progress).where(progress.c.measure == measure))
        return {f"{row.member} {row.measure} {row.day}": row.amount for row in found if row.amount}

    def buys(self, reference: str, *amounts: Any, customer: str = "ann", **more: Any) -> None:
        snapshot = order(*amounts, customer=customer, **{"at": self.clock.now(), **more})
        self.tell(OrderSeen(reference=reference, snapshot=snapshot))

    def returns(self, reference: str, amount: Any, line: str = "L1") -> None:
        back = refund(f"R-{reference}-{amount}", [(line, amount)], at=self.clock.now())
        self.tell(RefundSeen(order=reference, refund=back))

    def tell(self, *events: Any) -> None:
        assert set(tell(self.database, self.setting, *events, now=self.clock.now())) == {"done"}

    async def on(self, day: str) -> Shop:
        """Let time pass up to that noon, with a timer that looks once a day; long spans it mostly sleeps through."""
        end = datetime.fromisoformat(day).replace(hour=12, tzinfo=UTC)
        while (left := end - self.clock.now()) > timedelta(0):
            self.clock.advance(timedelta(days=7) if left > timedelta(days=21) else min(timedelta(days=1), left))
            await self.timer.tick()
        return self

    def member(self, customer: str = "ann") -> str:
        def read(connection: Any) -> str:
            known = loading.load_identities(connection, "main", [("shop", customer)])
            return str(known["shop", customer].member)

        return self.database.read_now(read)

    def tier(self, customer: str = "ann") -> Tier:
        id_ = self.member(customer)
        return self.database.read_now(lambda c: load_tiers(c, "main", [id_]))[id_]["main"]

    def points(self, customer: str = "ann") -> int:
        member = self.member(customer)
        found = self.database.read_now(lambda c: balances(c, "main", [member], self.setting.programs, self.clock.now()))
        return found[member]["points"].active

    def ways(self, customer: str = "ann") -> list[str]:
        member = self.member(customer)
        happened = self.database.read_now(lambda c: timeline(c, "main", member, None, 100))
        told = [one.what.event for one in happened if isinstance(one.what, Heard)]
        return [f"{one.way} {one.tier or '-'}" for one in reversed(told) if isinstance(one, TierMoved)]

    def act(self, work: Any) -> Any:
        """One unit of work, as a request does it."""
        now = self.clock.now()
        given, changes = self.database.write_now(lambda c: answer(c, self.setting, None, now, work))
        self.changes += changes
        return given.body

    def counted(self) -> dict[str, int]:
        """What counts, by day."""
        return {row.day: row.amount for row in rows(self.database, select(progress)) if row.amount}

    def proves(self) -> None:
        found = self.database.read_now(lambda c: verify(c, "main"))
        assert (found.findings, found.total) == ((), 0)
