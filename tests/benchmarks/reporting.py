"""Figures in, the table and its JSON out: what is promised, what was measured, whether it reaches its aim."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any, Literal

from stampcard.domain.value import Value

Unit = Literal["/s", "µs", "s", "each", "MB"]


class Aim(Value, frozen=True):
    """What our figure, or its ratio to the floor, should be at least or at most."""

    of: Literal["ours", "ratio"]
    limit: float
    at_least: bool

    def __str__(self) -> str:
        return f"{'' if self.of == 'ours' else '×'}{self.limit:g} at {'least' if self.at_least else 'most'}"

    def is_reached(self, ours: float, ratio: float | None) -> bool:
        figure = ours if self.of == "ours" else ratio
        return figure is not None and (figure >= self.limit if self.at_least else figure <= self.limit)


def ratio_of_at_least(limit: float) -> Aim:
    return Aim(of="ratio", limit=limit, at_least=True)


def ratio_of_at_most(limit: float) -> Aim:
    return Aim(of="ratio", limit=limit, at_least=False)


def at_least(limit: float) -> Aim:
    return Aim(of="ours", limit=limit, at_least=True)


def at_most(limit: float) -> Aim:
    return Aim(of="ours", limit=limit, at_least=False)


class Row(Value, frozen=True):
    """One line of the table: `what` is measured, `against` what; without an aim it is only told."""

    what: str
    against: str
    unit: Unit
    aim: Aim | None = None


_BARE = "bare aiohttp + uvloop answering 200"
_ADDED = "the bare entries counted and added up"
_WRITTEN = "the same rows by hand-written SQL"

ROWS: Mapping[str, Row] = {
    "receive-sqlite": Row(what="receive, SQLite FULL", against=_BARE, unit="/s", aim=ratio_of_at_least(0.55)),
    "receive-postgresql": Row(what="receive, PostgreSQL", against=_BARE, unit="/s", aim=ratio_of_at_least(0.6)),
    "decide": Row(
        what="decide one order, 20 rules", against="the same rules in plain Python", unit="µs", aim=at_most(80)
    ),
    "conditions": Row(what="its conditions, as one CEL list", against="the same in plain Python", unit="µs"),
    "apply-sqlite": Row(what="apply, SQLite FULL", against=_WRITTEN, unit="/s", aim=ratio_of_at_least(0.3)),
    "apply-sqlite-batched": Row(what="apply, SQLite, 200 a batch", against="1 a batch", unit="/s"),
    "apply-sqlite-ranked": Row(what="apply, SQLite, tiers and segments", against="without them", unit="/s"),
    "apply-postgresql": Row(what="apply, PostgreSQL", against=_WRITTEN, unit="/s", aim=ratio_of_at_least(0.3)),
    "apply-postgresql-batched": Row(what="apply, PostgreSQL, 200 a batch", against="1 a batch", unit="/s"),
    "apply-postgresql-two": Row(
        what="apply, PostgreSQL, 2 processes", against="1 process", unit="/s", aim=ratio_of_at_least(1.6)
    ),
    "whole-rate": Row(
        what="webhook to balance at the vendor", against="receive alone", unit="/s", aim=ratio_of_at_least(0.4)
    ),
    "whole-wait": Row(what="200 to pushed, p99 at half load", against="its median", unit="s", aim=at_most(1.0)),
    "deliver-batch": Row(what="balances per call under load", against="of 25 allowed", unit="each", aim=at_least(20)),
    "deliver-coalesce": Row(
        what="pushes for 10 changes within a second", against="changes", unit="each", aim=at_most(1)
    ),
    "start-help": Row(what="stampcard --help", against="python -c pass", unit="s", aim=at_most(0.4)),
    "start-serve": Row(what="stampcard serve to /readyz", against="python -c pass", unit="s", aim=at_most(2.0)),
    "midnight": Row(what="200 at a midnight, p99", against="after it", unit="s", aim=ratio_of_at_most(2.0)),
    "midnight-memory": Row(what="memory at that midnight", against="before it", unit="MB", aim=ratio_of_at_most(1.5)),
    "ending": Row(what="end of a tier, many members", against="few of them", unit="µs", aim=ratio_of_at_most(1.5)),
    "ending-memory": Row(what="memory at that end", against="after a tenth", unit="MB", aim=ratio_of_at_most(1.5)),
    "reminders": Row(what="reminders of a day, SQLite FULL", against=_WRITTEN, unit="/s", aim=ratio_of_at_least(0.1)),
    "reminders-memory": Row(what="memory at that day", against="after a fifth", unit="MB", aim=ratio_of_at_most(1.5)),
    **{
        f"report-{name}": Row(what=f"report {name}, a year{how}", against=_ADDED, unit="s", aim=ratio_of_at_most(25))
        for name, how in (
            ("points", " of days"),
            ("liability", " of days"),
            ("breakage", " of days"),
            ("rules", ""),
            ("campaigns", ""),
            ("rewards", ""),
            ("tiers", ""),
            ("members", " of days"),
            ("orders", " of days"),
            ("cohorts", " of months"),
            ("messages", ""),
            ("answers", ""),
        )
    },
    "report-month": Row(what="report points, the last month", against=_ADDED, unit="s", aim=ratio_of_at_most(3)),
    "growth": Row(what="apply, many members", against="few of them", unit="µs", aim=ratio_of_at_most(1.3)),
}


class Figure(Value, frozen=True):
    """One row measured: (ours, floor) of every round; `also` tells what else was seen, in words."""

    name: str
    rounds: tuple[tuple[float, float], ...]
    also: str = ""

    @property
    def ours(self) -> float:
        return median(ours for ours, _ in self.rounds)

    @property
    def floor(self) -> float:
        return median(floor for _, floor in self.rounds)

    @property
    def ratio(self) -> float | None:
        """The median of the rounds' own ratios: what disturbs the machine disturbs both halves of a round."""
        ratios = [ours / floor for ours, floor in self.rounds if floor]
        return median(ratios) if ratios else None


def assemble(figures: Iterable[Figure], about: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The table as text, and the same as a JSON object; `about` says what machine it was, and how busy."""
    rows = [_told(figure) for figure in figures]
    return _table(rows), {"about": dict(about), "rows": rows}


def _told(figure: Figure) -> dict[str, Any]:
    row = ROWS[figure.name]
    return {
        "name": figure.name,
        "what": row.what,
        "unit": row.unit,
        "ours": figure.ours,
        "against": row.against,
        "floor": figure.floor,
        "ratio": figure.ratio,
        "aim": str(row.aim) if row.aim else None,
        "reached": row.aim.is_reached(figure.ours, figure.ratio) if row.aim else None,
        "rounds": [list(pair) for pair in figure.rounds],
        "also": figure.also,
    }


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = [("what", "ours", "measured against", "", "ratio", "aim", "")]
    lines += [
        (
            row["what"],
            _number(row["ours"], row["unit"]),
            row["against"],
            _number(row["floor"], row["unit"]),
            "" if row["ratio"] is None else f"×{row['ratio']:.2f}",
            row["aim"] or "told",
            {True: "reached", False: "MISSED", None: ""}[row["reached"]],
        )
        for row in rows
    ]
    widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
    text = [_line(line, widths) for line in lines]
    text.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join([*text, *(f"{row['name']}: {row['also']}" for row in rows if row["also"])]) + "\n"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    numbers = {1, 3, 4}
    return "  ".join(
        cell.rjust(width) if place in numbers else cell.ljust(width)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ).rstrip()


def _number(figure: float, unit: Unit) -> str:
    if unit == "each":
        return f"{figure:.1f}"
    return (
        f"{figure:.3f} {unit}" if unit == "s" else f"{figure:,.0f} {unit}" if figure >= 100 else f"{figure:.1f} {unit}"
    )
