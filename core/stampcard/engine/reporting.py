"""A report as it is asked for, and as it is told."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

from stampcard.domain.value import Value
from stampcard.engine.columns import Report
from stampcard.engine.spanning import Span
from stampcard.engine.versions import LiveProgram, Programs
from stampcard.errors import Conflict, NotFound, RequestRefused


class Asked(Value, frozen=True):
    """What is asked of a report: whose, about which program and days, as of now."""

    merchant: str
    programs: Programs
    live: LiveProgram
    span: Span
    now: datetime
    wallet: str = ""
    #: Members were merged, whose entries stand with who they were.
    merged: bool = False

    @property
    def wallets(self) -> tuple[str, ...]:
        """The wallets that it is about: the one that is asked for, or all that the program ever had."""
        return (self.wallet,) if self.wallet else wallets_of(self.programs, self.live.name)

    def scale(self, wallet: str) -> int:
        """Decimal places of a wallet's points."""
        live = self.programs.of_wallet(wallet)
        return live.program.wallets[wallet].scale if live is not None else 0

    def value(self, wallet: str, at: datetime) -> Decimal | None:
        """What a point is worth at a moment, by the version that was valid then; nothing where it says nothing."""
        live = self.programs.valid_at(self.live.name, at)
        terms = live.program.wallets.get(wallet) if live is not None else None
        if terms is None or terms.value is None:
            return None
        return terms.value.money / terms.value.points


class Told(Value, frozen=True):
    """A report as it was asked for; figures are as of `now`, or of the end of its days where that is earlier."""

    report: Report
    asked: Asked
    rows: list[dict[str, Any]]

    @property
    def head(self) -> Mapping[str, Any]:
        """What the rows are about."""
        span = self.asked.span
        return {
            "report": self.report.name,
            "program": self.asked.live.name,
            "from": span.first,
            "to": span.last,
            "by": span.by or None,
            "timezone": self.asked.live.program.timezone,
            "currency": self.asked.live.program.currency,
            "as_of": min(self.asked.now, span.moments[-1]),
        }


def program_of(programs: Programs, name: str, now: datetime) -> LiveProgram:
    """The program that is meant, as it is now or will be; raises NotFound, or Conflict where there are several or none."""
    found = {one: of for one, of in programs.versions.items() if name in {"", one}}
    if not programs.versions:
        raise Conflict("no_program", "there is no program yet, so there is nothing to report: stampcard program apply")
    if not found:
        raise NotFound("program", name, close_to(name, programs.versions))
    if len(found) > 1:
        raise Conflict("several_programs", f"there are several programs, say which: {', '.join(found)}")
    ((one, versions),) = found.items()
    return programs.valid_at(one, now) or versions[-1]


def wallets_of(programs: Programs, program: str) -> tuple[str, ...]:
    """Every wallet that a program has or had."""
    return tuple(dict.fromkeys(name for live in programs.versions[program] for name in live.program.wallets))


def check(report: Report, programs: Programs, live: LiveProgram, wallet: str, by: str) -> None:
    """Raise RequestRefused for what a report cannot be asked, NotFound for a wallet that the program never had."""
    if by and not report.splits:
        raise RequestRefused("no_periods", f"the report {report.name} is not split into periods: leave `by` out")
    if wallet and not report.by_wallet:
        raise RequestRefused("no_wallets", f"the report {report.name} is not about one wallet: leave `wallet` out")
    known = wallets_of(programs, live.name)
    if wallet and wallet not in known:
        raise NotFound("wallet", wallet, close_to(wallet, known))


def close_to(name: str, known: Iterable[str]) -> str:
    """The name that may have been meant, if any is like it."""
    return next(iter(get_close_matches(name, list(known), 1)), "")


def as_csv(told: Told) -> str:
    """The rows for a spreadsheet, under the names of the columns; what is nothing stays empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(column.name for column in told.report.columns)
    writer.writerows(row.values() for row in told.rows)
    return text.getvalue()
