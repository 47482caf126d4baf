"""Tiers: what raises members, within which time, how long they stay, and what happens then."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, PlainSerializer, PlainValidator

from stampcard.program.amounts import AS_WRITTEN, Short, schema
from stampcard.program.faults import Fault, fault_of_name
from stampcard.program.lifetimes import ENDS, Dated, Rolling, Sliding, UntilEnd, end_of, read_expiry
from stampcard.program.parts import Name, Part
from stampcard.program.periods import YEAR_DAY, Period, YearDay, clamped, read_days, read_period, read_year_day

if TYPE_CHECKING:
    from stampcard.program.model import Program

_DAY = timedelta(days=1)
Basis = Literal["points", "spend", "orders", "balance", "segment", "proof"]
#: What counts nothing within a time.
TIMELESS = frozenset({"balance", "segment", "proof"})
_CALENDAR = ("month", "quarter", "half-year", "year")
_STARTS = re.compile(rf"year from ({YEAR_DAY})")


class Calendar(Short):
    """The month, quarter, half-year or year of the calendar."""

    unit: Literal["month", "quarter", "half-year", "year"]

    def around(self, day: date) -> tuple[date, date]:
        """Its first day, and the day behind its last."""
        end = end_of(self.unit, day) + _DAY
        months = {"month": 1, "quarter": 3, "half-year": 6, "year": 12}[self.unit]
        first = end.year * 12 + end.month - 1 - months
        return date(first // 12, first % 12 + 1, 1), end

    def __str__(self) -> str:
        return f"calendar {self.unit}"


class YearFrom(Short):
    """A year that begins on a day of its own."""

    day: YearDay

    def around(self, day: date) -> tuple[date, date]:
        """Its first day, and the day behind its last."""
        first = self.day.of(day.year if self.day.of(day.year) <= day else day.year - 1)
        return first, self.day.of(first.year + 1)

    def __str__(self) -> str:
        return f"year from {self.day}"


class Trailing(Short):
    """So long, up to now."""

    period: Period

    def first(self, day: date) -> date:
        """The first day of the window that ends with `day`: the first whose period has not passed on it."""
        return before(self.period, day) + _DAY

    def __str__(self) -> str:
        return str(self.period)


class Since(Short):
    """From something that happened to the member until now, or year by year."""

    what: Literal["ever", "since change", "membership year"]

    def __str__(self) -> str:
        return self.what


Within = Calendar | YearFrom | Trailing | Since


class Until(Short):
    """Up to the end of the window, or of the one behind it."""

    following: bool

    def __str__(self) -> str:
        return "end of next period" if self.following else "end of period"


class Standing(Short):
    """Without an end: for good, or as long as what it takes is there."""

    for_life: bool

    def __str__(self) -> str:
        return "for life" if self.for_life else "while reached"


Held = Until | Standing | Rolling | UntilEnd | Dated
_UNTIL = {str(one): one for one in (Until(following=False), Until(following=True))}
_STANDING = {str(one): one for one in (Standing(for_life=True), Standing(for_life=False))}
FOR_LIFE, WHILE_REACHED = _STANDING["for life"], _STANDING["while reached"]


def before(period: Period, day: date) -> date:
    """The day that lies one period earlier; the 31st becomes the last day of a shorter month."""
    if period.unit == "days":
        return day - timedelta(days=period.count)
    months = day.year * 12 + day.month - 1 - period.count * (12 if period.unit == "years" else 1)
    return clamped(months // 12, months % 12 + 1, day.day)


def read_within(written: Any) -> Within:
    """The window that a text means; raises ValueError."""
    if isinstance(written, Within):
        return written
    text = written.strip() if isinstance(written, str) else ""
    if text.startswith("calendar ") and text.removeprefix("calendar ") in _CALENDAR:
        return Calendar(unit=text.removeprefix("calendar "))
    if found := _STARTS.fullmatch(text):
        return YearFrom(day=read_year_day(found[1]))
    if text in {"ever", "since change", "membership year"}:
        return Since(what=text)
    try:
        return Trailing(period=read_period(text))
    except ValueError as error:
        if "too long" in str(error):
            raise
    message = (
        "write '12 months', 'calendar year' (or month, quarter, half-year), 'year from 04-01', 'membership year', "
        "'since change' or 'ever'"
    )
    raise ValueError(message)


def read_held(written: Any) -> Held | None:
    """How long a tier is kept; raises ValueError."""
    if written is None or isinstance(written, Held):
        return written
    text = written.strip() if isinstance(written, str) else ""
    if text in _UNTIL or text in _STANDING:
        return _UNTIL.get(text) or _STANDING[text]
    try:
        found = read_expiry(text)
    except ValueError:
        found = None
    if found is None or isinstance(found, Sliding):
        message = (
            "write 'end of period', 'end of next period', '12 months', '12 months, end of month', 'end of year', 'on 12-31', "
            "'while reached' or 'for life'"
        )
        raise ValueError(message)
    return found


def _read_some_days(written: Any) -> Period | None:
    return None if written is None or written == "none" else read_days(written)


def _level(written: Any) -> Any:
    return {"from": written} if isinstance(written, int | float | Decimal | str) else written


_PERIOD = r"[1-9][0-9]{0,5} +(?:day|month|year)s?"
WithinField = Annotated[
    Within,
    PlainValidator(read_within),
    AS_WRITTEN,
    schema(
        rf"calendar (?:{'|'.join(_CALENDAR)})|year from {YEAR_DAY}|{_PERIOD}|ever|since change|membership year",
        "12 months; calendar year; year from 04-01; membership year; since change; ever",
    ),
]
HeldField = Annotated[
    Held | None,
    PlainValidator(read_held),
    PlainSerializer(lambda held: None if held is None else str(held), return_type=str | None),
    schema(
        rf"end of (?:next )?period|while reached|for life|{_PERIOD}(?: *, *end of [a-z-]+)?|end of (?:{'|'.join(ENDS)})|on {YEAR_DAY}(?: *, *{YEAR_DAY})*",
        "end of period; end of next period; 12 months; 12 months, end of month; end of year; on 12-31; while reached; for life",
        {"type": "null"},
    ),
]
DaysField = Annotated[
    Period | None,
    PlainValidator(_read_some_days),
    AS_WRITTEN,
    schema("none|[1-9][0-9]{0,5} +days?", "none, or a number of days: 30 days", {"type": "null"}),
]
Least = Annotated[Decimal, Field(ge=0, le=1_000_000_000_000, max_digits=18, decimal_places=6)]


class Level(Part):
    """One tier."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True)

    least: Least | None = Field(
        default=None, alias="from", description="what it takes, in what `by` counts; 0: everybody has it"
    )
    segment: Name | None = Field(default=None, description="whose members have it, where tiers are by segment")
    name: str = Field(default="", max_length=100, description="the name that people see")
    held: HeldField = Field(default=None, description="how long this tier is kept, if not as the others are")


LevelField = Annotated[Level, BeforeValidator(_level, json_schema_input_type=Level | float)]


class Tiers(Part):
    """How members rise and fall."""

    by: Basis = Field(
        description="what counts: points earned, spend, orders, the balance; segment: who is in which segment; proof: people or a "
        "plugin say who has which"
    )
    wallet: Name | Literal[""] = Field(default="", description="whose points count; the only one by default")
    within: WithinField = Field(
        default=Trailing(period=Period(count=12, unit="months")),
        json_schema_extra={"default": "12 months"},
        description="the time in which it counts",
    )
    upgrade: Literal["at once", "next period"] = Field(
        default="at once", description="when a member who has reached a tier has it"
    )
    held: HeldField = Field(
        default=None,
        description="how long a tier is kept; by default up to the end of the next period, as long as the time in which it "
        "counts, or while it is reached",
    )
    downgrade: Literal["reassess", "one level", "none"] = Field(
        default="reassess", description="what a tier that ends is followed by: what was reached, the one below, itself"
    )
    grace: DaysField = Field(default=None, description="so many days longer before a member falls")
    notice: DaysField = Field(
        default=None, description="so many days before a tier ends, say what is missing to keep it"
    )
    levels: dict[Name, LevelField] = Field(min_length=1, max_length=100, description="the tiers, the lowest first")

    def held_by(self, name: str) -> Held:
        """How long a tier is kept."""
        own = self.levels[name].held or self.held
        if own is not None:
            return own
        match self.within:
            case _ if self.by in {"balance", "segment"}:
                return WHILE_REACHED
            case _ if self.by == "proof" or self.within == Since(what="ever"):
                return FOR_LIFE
            case Trailing(period=period):
                return Rolling(period=period)
            case Since(what="since change"):
                return Rolling(period=Period(count=1, unit="years"))
        return Until(following=True)

    @property
    def is_periodic(self) -> bool:
        """Whether the windows follow each other, each with an end of its own."""
        return isinstance(self.within, Calendar | YearFrom) or self.within == Since(what="membership year")


def faults_of_tiers(program: Program) -> Iterable[Fault]:
    """What the tiers say against each other and against the rest of the program."""
    tiers, place = program.tiers, ("tiers",)
    if tiers is not None:
        yield from (((*place, key), message) for key, message in _faults_of_basis(program, tiers) if message)
        yield from (((*place, *path), message) for path, message in _faults_of_levels(program, tiers))
    named = [((*where, "tier"), tier) for where, tier in _uses(program) if tier is not None]
    known = tuple(tiers.levels) if tiers is not None else ()
    for where, tier in named:
        fault = fault_of_name("tier", tier, known)
        if fault:
            yield where, fault
    for name, terms in program.wallets.items():
        if terms.when_tier_changes == "follow" and not terms.expire_by_tier:
            yield (
                ("wallets", name, "when_tier_changes"),
                "no tier's points live otherwise: say which, in expire_by_tier",
            )
        for tier in terms.expire_by_tier:
            fault = fault_of_name("tier", tier, known)
            if fault:
                yield ("wallets", name, "expire_by_tier", tier), fault


def _uses(program: Program) -> Iterable[tuple[tuple[str | int, ...], str | None]]:
    for index, rule in enumerate(program.rules):
        for number, value in enumerate(rule.values):
            yield ("rules", index, "values", number), value.tier
    for name, reward in program.rewards.items():
        for section, options in (("prices", reward.prices), ("values", reward.values)):
            for number, option in enumerate(options):
                yield ("rewards", name, section, number), option.tier


def _faults_of_basis(program: Program, tiers: Tiers) -> Iterable[tuple[str, str]]:
    of_points = tiers.by in {"points", "balance"}
    if of_points:
        fault = fault_of_name("wallet", tiers.wallet, tuple(program.wallets)) if tiers.wallet else ""
        yield "wallet", fault or ("" if tiers.wallet else f"name one of the wallets: {', '.join(program.wallets)}")
    if tiers.by in TIMELESS and "within" in tiers.model_fields_set:
        yield "within", f"tiers by {tiers.by} count nothing within a time: leave it out"
    if tiers.upgrade == "next period" and not tiers.is_periodic:
        yield "upgrade", "only windows that follow each other have a next one: within calendar year, or year from 04-01"
    if tiers.by in {"balance", "segment"} and tiers.upgrade == "next period":
        yield "upgrade", f"tiers by {tiers.by} follow the {tiers.by}"


def _faults_of_levels(program: Program, tiers: Tiers) -> Iterable[tuple[tuple[str | int, ...], str]]:
    last: Decimal | None = None
    for number, (name, level) in enumerate(tiers.levels.items()):
        place = ("levels", name)
        if level.segment is not None and tiers.by != "segment":
            yield (*place, "segment"), f"tiers by {tiers.by} have no segment: leave it out"
        if tiers.by in {"proof", "segment"}:
            if level.least is not None:
                words = "given, not reached" if tiers.by == "proof" else "those of segments"
                yield (*place, "from"), f"tiers by {tiers.by} are {words}: leave from out"
            if tiers.by == "segment" and level.segment is None and number:
                yield place, "say whose members have it: segment; only the lowest tier may be everybody's"
            fault = (
                fault_of_name("segment", level.segment, tuple(program.segments)) if level.segment is not None else ""
            )
            if fault:
                yield (*place, "segment"), fault
        elif level.least is None:
            yield place, "say from how much on: from"
        elif last is not None and level.least <= last:
            yield (*place, "from"), f"the tiers rise: this must be more than {last:f}"
        else:
            last = level.least
        held = tiers.held_by(name)
        if isinstance(held, Until) and (not tiers.is_periodic or tiers.by in TIMELESS):
            yield (
                (*place, "held"),
                f"{held} needs windows that follow each other: within calendar year, or year from 04-01",
            )
