"""An importer over a database, with files to give it."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from stampcard.applying.setting import Setting
from stampcard.domain.decisions import Change
from stampcard.domain.imports import Intake
from stampcard.domain.wallets import Balance
from stampcard.importing.files import look
from stampcard.importing.options import Options, looked_at, options_of
from stampcard.importing.reconciling import Total, reconcile
from stampcard.importing.running import Importer
from stampcard.storage.database import Database
from stampcard.storage.reading import balances
from stampcard.storage.tables import identity
from stampcard.storage.verifying import verify
from stampcard.testing.applying import rows
from stampcard.testing.building import programs
from stampcard.testing.clock import FakeClock

PROGRAM = """
program: main
currency: EUR
timezone: Europe/Berlin
attributes: {birthday: date}
wallets:
  points: {expire: 12 months}
  miles: {scale: 2, spendable: false}
tiers: {by: spend, within: 12 months, held: 12 months, levels: {bronze: 0, silver: 500, gold: {from: 1500, name: Gold club}}}
segments: {big: {when: "member.tier == 'gold'"}}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR, wallet: points}
  - {id: welcome, on: sign_up, award: 100, wallet: points}
  - {id: risen, on: tier_up, award: 50, wallet: points}
  - {id: big, on: segment_entered, award: 7, wallet: points}
"""
START = datetime(2026, 3, 10, 12, tzinfo=UTC)
_numbers = itertools.count()


class Desk:
    """One merchant who imports files."""

    def __init__(self, database: Database, setting: Setting, folder: Path, text: str = PROGRAM) -> None:
        self.database, self.folder, self.clock = database, folder, FakeClock(START)
        self.setting = dataclasses.replace(setting, merchant=f"desk-{next(_numbers)}", programs=programs(text))
        self.announced: list[Change] = []
        self.errors = folder / f"errors-{next(_numbers)}.csv"

    def importer(self, database: Database | None = None) -> Importer:
        async def current() -> Setting:
            return self.setting

        async def refresh() -> None:
            """Nothing changes."""

        async def announce(changes: Sequence[Change]) -> None:
            self.announced += changes

        return Importer(database or self.database, self.clock, current, refresh, announce)

    def file(self, *lines: str) -> Path:
        path = self.folder / f"file-{next(_numbers)}.csv"
        path.write_text("\n".join(lines) + "\n", encoding="utf8")
        return path

    def options(self, **more: object) -> Options:
        return Options(**{"errors": str(self.errors), "wallet": "points", **more})  # type: ignore[arg-type]

    async def bring(self, *lines: str, **more: object) -> Intake:
        """Import a file with these lines."""
        return await self.take(self.file(*lines), **more)

    async def take(self, path: Path, **more: object) -> Intake:
        options = self.options(**more)
        sheet, importer = await looked_at(path, options), self.importer()
        intake, _ = await importer.begin(path, sheet, "main", "shop", options)
        return await importer.run(intake, sheet)

    def who(self, reference: str) -> str:
        """The member whom the shop calls so."""
        mine = (identity.c.merchant == self.setting.merchant, identity.c.reference == reference)
        (row,) = rows(self.database, identity.select().where(*mine))
        return str(row.member)

    def balance(self, member: str, wallet: str = "points") -> Balance:
        merchant, live, now = self.setting.merchant, self.setting.programs, self.clock.now()
        return self.database.read_now(lambda c: balances(c, merchant, [member], live, now))[member][wallet]

    def reconciled(self, intake: Intake) -> dict[str, Total]:
        (live,), merchant = self.setting.programs.current(self.clock.now()), self.setting.merchant
        sheet = look(Path(intake.file), options_of(intake).encoding, options_of(intake).delimiter)
        return self.database.read_now(lambda c: reconcile(c, merchant, live, intake, sheet))

    def mistakes(self) -> list[str]:
        """The lines of the file of errors."""
        return self.errors.read_text(encoding="utf8").splitlines()

    def check(self) -> None:
        """The ledger agrees with itself."""
        found = self.database.read_now(lambda connection: verify(connection, self.setting.merchant))
        assert (found.findings, found.total) == ((), 0)
