"""What stands in a cell: points, dates, addresses and numbers as platforms and spreadsheets write them; nothing is guessed."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from stampcard.engine.dating import midnight
from stampcard.errors import RowRefused
from stampcard.importing.presets import DateOrder

#: What separates thousands and can be nothing else: blanks of several widths, apostrophes.
_BLANKS = re.compile("[\\s\u00a0\u2009\u202f'\u2019]")
_NUMBER = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)*")
_SCIENTIFIC = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)?[eE][+-]?[0-9]+")
_GROUPED = re.compile(r"[0-9]{1,3}(?:[.,][0-9]{3})+")
_DAY_FIRST = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})")
_SLASHED = re.compile(r"(\d{1,2})[/-](\d{1,2})[/-](\d{4})")
_MONTH_AND_DAY = re.compile(r"(\d{1,2})[/.-](\d{1,2})\.?")
_CLOCK = re.compile(
    r"(.*?)[T ]+(\d{1,2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?)\s*(Z|UTC|GMT|[+-]\d{2}:?\d{2})?", re.IGNORECASE
)
_EMAIL = re.compile(r"[^@\s,;<>\"]{1,64}@[^@\s,;<>\"]{1,190}\.[^@\s,;<>\".]{2,63}")
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}")
_WORD = re.compile(r"[a-z][a-z0-9_]{0,39}")
_DAY = timedelta(days=1)
#: The most points that a cell may have, in the smallest unit.
_MOST = 10**15
#: Stands for the year of a birthday that is known without; it has a 29 February.
_NO_YEAR = 1004
NEVER = frozenset({"never", "none", "unlimited", "-"})
Decimals = Literal["", ".", ","]


def points_of(text: str, scale: int, decimals: Decimals = "") -> int:
    """Points in the smallest unit. `decimals`: what separates them, where somebody says; raises RowRefused on doubt."""
    found = _BLANKS.sub("", text)
    if _SCIENTIFIC.fullmatch(found):
        raise RowRefused("bad_points", "was shortened by a spreadsheet", "format the column as a number", value=text)
    if not _NUMBER.fullmatch(found):
        raise RowRefused("bad_points", "is no number", "write digits, as 1250", value=text)
    sign, digits = (-1, found[1:]) if found[0] == "-" else (1, found.lstrip("+"))
    whole, part = _split(digits, decimals, text)
    part = part.rstrip("0")
    if len(part) > scale:
        kept = f"has {scale} decimal places" if scale else "counts whole points"
        raise RowRefused("fraction", "is too fine", f"the wallet {kept}", value=text)
    amount = int(whole + part.ljust(scale, "0"))
    if amount > _MOST:
        raise RowRefused("bad_points", "is more than a wallet holds", value=text)
    return sign * amount


def _split(digits: str, decimals: Decimals, text: str) -> tuple[str, str]:
    """Digits before and behind the decimal separator."""
    marks = [one for one in digits if one in ".,"]
    if not marks:
        return digits, ""
    if not decimals and marks[-1] != marks[0]:
        decimals = "," if marks[-1] == "," else "."  # both of them: the last one separates decimals
    elif not decimals and len(marks) > 1:
        decimals = "." if marks[-1] == "," else ","  # the same one twice can only separate thousands
    if not decimals:
        if _GROUPED.fullmatch(digits):
            problem = "may be thousands or decimals"
            raise RowRefused("ambiguous_points", problem, "say which: --decimals . or --decimals ,", value=text)
        decimals = "," if marks[0] == "," else "."
    whole, _, part = digits.partition(decimals)
    other = "." if decimals == "," else ","
    if other in part or decimals in part or (other in whole and not _GROUPED.fullmatch(whole)):
        raise RowRefused("bad_points", "is no number", "write digits, as 1250", value=text)
    return whole.replace(other, ""), part


def moment_of(text: str, zone: ZoneInfo, dates: DateOrder = "") -> datetime:
    """A moment; a day begins it, and without a zone it is in the program's."""
    found = text.strip()
    clock = _CLOCK.fullmatch(found)
    if clock is None:
        return _midnight(day_of(found, dates), zone, text)
    day, time = day_of(clock[1].strip(), dates), clock[2].zfill(5 if clock[2].count(":") == 1 else 8)
    offset = (clock[3] or "").upper().replace("GMT", "Z").replace("UTC", "Z")
    try:
        read = datetime.fromisoformat(f"{day.isoformat()}T{time}{offset}")
        return (read if read.tzinfo else read.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise RowRefused("bad_date", "has no such time", "write it as 2027-12-31 18:30", value=text) from None


def end_of(text: str, zone: ZoneInfo, dates: DateOrder = "") -> datetime:
    """The end of what lasts up to a day, or a moment: the midnight behind the last day, in the program's zone."""
    moment, has_clock = moment_of(text, zone, dates), _CLOCK.fullmatch(text.strip()) is not None
    day = moment.astimezone(zone).date()
    start = midnight(day, zone)
    return start if has_clock and moment == start else _midnight(day, zone, text, _DAY)


def _midnight(day: date, zone: ZoneInfo, text: str, later: timedelta = timedelta(0)) -> datetime:
    try:
        return midnight(day + later, zone)
    except (ValueError, OverflowError):
        raise RowRefused("bad_date", "is too far away", "leave it empty for none", value=text) from None


def day_of(text: str, dates: DateOrder = "") -> date:
    """A day; 31.12.2027 tells the day first, 12/31/2027 is read as `dates` says or as only one way can be."""
    pointed, slashed = _DAY_FIRST.fullmatch(text), _SLASHED.fullmatch(text)
    try:
        if pointed:
            return date(int(pointed[3]), int(pointed[2]), int(pointed[1]))
        if slashed:
            first, second = _ordered(int(slashed[1]), int(slashed[2]), dates, text)
            return date(int(slashed[3]), first, second)
        return date.fromisoformat(text)
    except ValueError:
        raise RowRefused("bad_date", "is no date", "write it as 2027-12-31", value=text) from None


def _ordered(first: int, second: int, dates: DateOrder, text: str) -> tuple[int, int]:
    """Month and day."""
    if dates == "dmy" or (not dates and first > 12 >= second):  # noqa: PLR2004 - months
        return second, first
    if dates or second > 12 or first == second:  # noqa: PLR2004 - months
        return first, second
    problem = "may tell the day or the month first"
    raise RowRefused("ambiguous_date", problem, "say which: --dates dmy or --dates mdy", value=text)


def birthday_of(text: str, dates: DateOrder = "") -> str:
    """A birthday as it is stored; one without its year is of the year 1004."""
    short = _MONTH_AND_DAY.fullmatch(text.strip())
    if short is None:
        return day_of(text.strip(), dates).isoformat()
    pointed = "." in short[0]
    month, day = (int(short[2]), int(short[1])) if pointed else _ordered(int(short[1]), int(short[2]), dates, text)
    try:
        return date(_NO_YEAR, month, day).isoformat()
    except ValueError:
        raise RowRefused("bad_date", "is no birthday", "write it as 1990-12-31, or 12/31", value=text) from None


def word_of(text: str) -> str:
    """A channel or a purpose."""
    found = text.strip().lower()
    if not _WORD.fullmatch(found):
        raise RowRefused("bad_value", "is no name", "small letters, digits and _, as email or marketing", value=text)
    return found


def email_of(text: str) -> str:
    """An address."""
    found = text.strip()
    if not _EMAIL.fullmatch(found):
        raise RowRefused("bad_email", "is no e-mail address", "write it as ann@example.com", value=text)
    return found


def phone_of(text: str) -> str:
    """A number with its country code."""
    found = re.sub(r"[\s\u00a0()./-]", "", text.lstrip("'"))
    if _SCIENTIFIC.fullmatch(text.strip()):
        remedy = "format the column as text in the spreadsheet and export it again"
        raise RowRefused("bad_phone", "was shortened by a spreadsheet", remedy, value=text)
    if found.startswith("00"):
        found = "+" + found[2:]
    if not _PHONE.fullmatch(found):
        remedy = "write it with + and its country code, as +4930123456, or leave the column out: --map COLUMN="
        raise RowRefused("bad_phone", "is no whole phone number", remedy, value=text)
    return found
