"""An import from its file to its end, in steps that each count or do not; and the same looked at without counting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Connection

from stampcard.applying.importing import bring, judge, live_of
from stampcard.applying.setting import Setting, Stale
from stampcard.applying.undoing import begin_undo, send, undo
from stampcard.clock import Clock
from stampcard.domain.decisions import Change
from stampcard.domain.imports import Intake
from stampcard.domain.value import replace
from stampcard.errors import Conflict, RowRefused
from stampcard.importing.cargo import CARGOES
from stampcard.importing.files import Record, Sheet, read
from stampcard.importing.mistakes import write_mistakes
from stampcard.importing.options import Options, manner_of, manners, options_of, supposed
from stampcard.importing.reading import Manner, row_of
from stampcard.importing.trying import Trial, count, count_sifted
from stampcard.storage.database import Database
from stampcard.storage.importing import begin_intake, intakes_of, load_intake, save_intake
from stampcard.storage.numbering import new_intake_id

T = TypeVar("T")
#: Rows, and members, of one step: webhooks never wait long for it.
STEP = 500
MEMBERS = 200
#: Seconds between two steps, at most, for whoever else writes.
PAUSE = 0.1


class Parsed(NamedTuple):
    """Some records: those that were understood, those that were not, and the cells of each by line."""

    rows: list[Any]
    refused: list[RowRefused]
    cells: dict[int, list[str]]


#: What is told of the way: how many rows, or members, are done.
Told = Callable[[int], None]


class Importer:
    """Imports files into one program, from one connection's customers."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        setting: Callable[[], Awaitable[Setting]],
        refresh: Callable[[], Awaitable[None]],
        announce: Callable[[Sequence[Change]], Awaitable[None]],
    ) -> None:
        self._database = database
        self._clock = clock
        self._setting = setting
        self._refresh = refresh
        self._announce = announce

    async def begin(self, file: Path, sheet: Sheet, program: str, source: str, options: Options) -> tuple[Intake, bool]:
        """The import of a file, and whether it is new: the same file twice, read alike, is one import."""
        setting = await self._setting()
        merchant, now = setting.merchant, self._clock.now()
        live_of(setting, program, now)

        def work(connection: Connection) -> tuple[Intake, bool]:
            known = intakes_of(connection, merchant, sheet.fingerprint, program, source)
            same = [one for one in known if manners(options_of(one)) == manners(options)]
            if same:
                return same[0], False
            if known and known[0].state != "ended":
                how = f"go on with it, stampcard import resume {known[0].id}, or undo it"
                raise Conflict("import_begun", f"{file} was begun with other options, as {known[0].id}: {how}")
            fresh = replace(supposed(file, sheet, program, source, options), id=new_intake_id(), started_at=now)
            begin_intake(connection, merchant, fresh)
            return fresh, True

        return await self._database.write(work)

    async def run(self, intake: Intake, sheet: Sheet, told: Told = lambda _: None) -> Intake:
        """Bring in what is left of the file, then let the shop hear of it."""
        options = options_of(intake)
        if intake.state == "reading":
            for records in _chunks(read(sheet, int(intake.place))):
                intake = await self._bring(intake, sheet, options, records)
                told(intake.done)
            intake = await self._finish_reading(intake, options)
        while intake.state == "sending":
            intake = await self._step(_over(send, intake=intake, limit=MEMBERS))
        return intake

    async def _bring(self, intake: Intake, sheet: Sheet, options: Options, records: Sequence[Record]) -> Intake:
        place = str(int(intake.place) + len(records))

        def ready(setting: Setting, now: datetime) -> Callable[[Connection], tuple[Intake, list[Change]]]:
            cargo = CARGOES.get(options.holds)
            understand, take = (cargo.read, cargo.bring) if cargo is not None else (row_of, bring)
            parsed = parse(manner_of(setting, intake.program, sheet, options, now), records, understand)

            def work(connection: Connection) -> tuple[Intake, list[Change]]:
                brought = take(connection, setting, now, intake, parsed.rows, parsed.refused, place)
                path, moved = Path(options.errors), brought.intake
                size = write_mistakes(path, sheet, moved.error_bytes, brought.refused, parsed.cells)
                if size != moved.error_bytes:
                    moved = replace(moved, error_bytes=size)
                    save_intake(connection, setting.merchant, moved)
                return moved, brought.changes

            return work

        moved, changes = await self._step(ready)
        await self._announce(changes)
        return moved

    async def _finish_reading(self, intake: Intake, options: Options) -> Intake:
        now = self._clock.now()
        moved = replace(intake, state="sending", place="")
        if options.quiet:
            moved = replace(moved, state="ended", ended_at=now)
        merchant = (await self._setting()).merchant
        await self._database.write(lambda connection: save_intake(connection, merchant, moved))
        return moved

    async def try_out(self, intake: Intake, sheet: Sheet, told: Told = lambda _: None) -> Trial:
        """Say what an import would do; nothing is written."""
        trial, options, done = Trial(), options_of(intake), 0
        setting, cargo = await self._setting(), CARGOES.get(options.holds)
        for records in _chunks(read(sheet)):
            manner = manner_of(setting, intake.program, sheet, options, self._clock.now())
            parsed = parse(manner, records, cargo.read if cargo is not None else row_of)
            if cargo is not None:
                sift = partial(cargo.sift, setting=setting, intake=intake, rows=parsed.rows)
                count_sifted(trial, await self._database.read(sift), parsed.refused)
            else:
                judged, _ = await self._database.read(lambda c, p=parsed: judge(c, setting, intake, p.rows))  # type: ignore[misc]
                count(trial, judged, parsed.refused)
            done += len(records)
            told(done)
        return trial

    async def undo(self, id_: str, told: Told = lambda _: None, *, quiet: bool = False) -> tuple[Intake, int]:
        """Take an import back, member by member; answers how many members are gone now. A second time changes nothing."""
        intake = await self._step(lambda setting, _: partial(begin_undo, setting=setting, id_=id_))
        gone = done = 0
        while intake.state == "undoing":
            step = await self._step(_over(undo, intake=intake, limit=MEMBERS, quiet=quiet))
            await self._announce(step.changes)
            intake, gone, done = step.intake, gone + step.gone, done + MEMBERS
            told(done)
        return intake, gone

    async def load(self, id_: str) -> Intake:
        """An import; raises NotFound."""
        merchant = (await self._setting()).merchant
        return await self._database.read(lambda connection: load_intake(connection, merchant, id_))

    async def _step(self, ready: Callable[[Setting, datetime], Callable[[Connection], T]]) -> T:
        """One step in one transaction, prepared again if the program changed meanwhile."""
        while True:
            setting, now, started = await self._setting(), self._clock.now(), time.monotonic()
            try:
                done = await self._database.write(ready(setting, now))
            except Stale:
                await self._refresh()
                continue
            if self._database.is_sqlite:
                # Whoever else writes the file looks again every tenth of a second.
                await asyncio.sleep(min(time.monotonic() - started, PAUSE))
            return done


def _over(work: Callable[..., T], **more: object) -> Callable[[Setting, datetime], Callable[[Connection], T]]:
    return lambda setting, now: partial(work, setting=setting, now=now, **more)


def parse(manner: Manner, records: Sequence[Record], understand: Callable[[Manner, Record], Any] = row_of) -> Parsed:
    """Records as rows, and those that are none with their reasons."""
    parsed = Parsed([], [], {record.line: record.cells for record in records})
    for record in records:
        try:
            parsed.rows.append(understand(manner, record))
        except RowRefused as error:
            parsed.refused.append(error)
    return parsed


def _chunks(records: Iterator[Record]) -> Iterator[list[Record]]:
    while chunk := list(islice(records, STEP)):
        yield chunk
