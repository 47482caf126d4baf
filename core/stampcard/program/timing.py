"""Dates and times of a program that are over, never come, or do not go together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time

from stampcard.program.lifetimes import Expiry, ForDays, Pending, Rolling, Sliding, UntilEvent
from stampcard.program.model import Program
from stampcard.program.parsing import Path
from stampcard.program.periods import Period
from stampcard.program.remarks import Remark
from stampcard.program.windows import Days, During

#: Every day of the year meets every weekday within so many years, in ours and the coming century.
_YEARS = 12
_YEAR = 366
_NOON = time(12)


def remarks_on_time(program: Program, today: date) -> Iterator[Remark]:
    """Everything; `today` in the program's zone."""
    for name, campaign in program.campaigns.items():
        yield from _of_windows([campaign.during], today, ("campaigns", name, "during"))
    for index, rule in enumerate(program.rules):
        of = program.campaigns.get(rule.campaign)
        yield from _of_windows([rule.during, of.during if of else None], today, ("rules", index, "during"))
    yield from _of_ending(program, today)
    yield from _of_waiting(program)


def _of_windows(windows: Sequence[During | None], today: date, place: Path) -> Iterator[Remark]:
    own, given = windows[0], [during for during in windows if during is not None]
    # What is open by different clocks may meet at the seam of two days.
    if own is None or len({during.zone for during in given}) > 1:
        return
    if not any(_fits(given, datetime.combine(date.min, moment), hours_only=True) for moment in _moments(given)):
        yield Remark("never_open", place, "is never open: its hours and its campaign's have no time in common")
        return
    coming, past = _days(given, today)
    if any(_is_day(given, day) for day in coming):
        return
    if any(_is_day(given, day) for day in past):
        yield Remark("over", place, "is over: its days are past")
    else:
        what = "its days and its campaign's" if len(given) > 1 else "its days and its weekdays"
        yield Remark("never_open", place, f"is never open: {what} have no day in common")


def _fits(windows: Sequence[During], at: datetime, *, hours_only: bool) -> bool:
    if hours_only:
        return all(not of.hours or any(span.contains(at.time()) for span in of.hours) for of in windows)
    return all(of.contains(at) for of in windows)


def _is_day(windows: Sequence[During], day: date) -> bool:
    plain = [during.model_copy(update={"hours": ()}) if during.hours else during for during in windows]
    return _fits(plain, datetime.combine(day, _NOON), hours_only=False)


def _moments(windows: Sequence[During]) -> list[time]:
    """Times of day of which one lies in all windows if any does: where a span begins."""
    return [span.first for during in windows for span in during.hours] or [_NOON]


def _days(windows: Sequence[During], today: date) -> tuple[list[date], list[date]]:
    """Days of which one lies in all windows if any does: those to come, and those that are past."""
    known = _around(today, -_YEAR, _YEARS * _YEAR)
    for during in windows:
        for span in during.dates:
            if isinstance(span, Days):
                known |= _around(span.first, 0, _YEAR) if span.first else set()
                known |= _around(span.last, -_YEAR, 1) if span.last else set()
    return sorted(day for day in known if day >= today), [day for day in known if day < today]


def _around(day: date, before: int, after: int) -> set[date]:
    """The days from so many before up to so many after, as far as the calendar goes."""
    middle = day.toordinal()
    first, end = max(date.min.toordinal(), middle + before), min(date.max.toordinal() + 1, middle + after)
    return set(map(date.fromordinal, range(first, end)))


def _of_ending(program: Program, today: date) -> Iterator[Remark]:
    ending = program.ending
    if ending is None:
        return
    said = {
        "last_earn": (ending.last_earn, "nothing is earned any more"),
        "last_redeem": (ending.last_redeem, "nothing can be spent any more"),
    }
    for key, (day, what) in said.items():
        if day < today:
            yield Remark("ended", ("ending", key), f"{day} is past: {what}")
            return


def _of_waiting(program: Program) -> Iterator[Remark]:
    for name, terms in program.wallets.items():
        yield from _compared(terms.pending, terms.expire, ("wallets", name, "pending"))
    for index, rule in enumerate(program.rules):
        if rule.overrides:
            terms = program.wallets[rule.wallet]
            pending = rule.pending if "pending" in rule.overrides else terms.pending
            expire = rule.expire if "expire" in rule.overrides else terms.expire
            key = "pending" if "pending" in rule.overrides else "expire"
            yield from _compared(pending, expire, ("rules", index, key))


def _compared(pending: Pending | None, expire: Expiry | None, place: Path) -> Iterator[Remark]:
    if not isinstance(pending, ForDays | UntilEvent) or not isinstance(expire, Rolling | Sliding):
        return
    start = date(2025, 1, 1)
    if isinstance(expire, Sliding) or not expire.end:
        waits, lives = pending.period.after(start) - start, expire.period.after(start) - start
        if waits > lives:
            text = f"points wait longer ({_told(pending.period)}) than they can be used ({_told(expire.period)})"
            yield Remark("waits_too_long", place, text)


def _told(period: Period) -> str:
    return str(period).removesuffix("s") if period.count == 1 else str(period)
