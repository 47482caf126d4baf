"""Which texts a property takes, by its type, and in which form HubSpot gives them back."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = 86_400_000
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")
_WHOLE = re.compile(r"-?\d{1,15}")
_EMAIL = re.compile(r"[^@\s;]+@[^@\s;]+\.[^@\s;.]+")
#: The longest text that a property holds.
_LONGEST = 65_536


class Unfit(Exception):
    """A value that its property does not take: the code and HubSpot's words."""

    def __init__(self, code: str, message: str) -> None:
        self.code, self.message = code, message
        super().__init__(message)


def canonical(type_: str, text: str, options: Sequence[str] = (), *, several: bool = False) -> str:
    """The value as HubSpot gives it back; raises Unfit. An empty one clears the property, of whatever type."""
    if not text:
        return ""
    if type_ in {"string", "phone_number"}:
        if len(text) > _LONGEST:
            raise Unfit("PROPERTY_VALUE_TOO_LONG", f"the value is longer than {_LONGEST} characters")
        return text
    if text != text.strip():
        raise Unfit("LEADING_TRAILING_WHITESPACE", f'"{text}" includes leading or trailing whitespace.')
    if type_ == "enumeration":
        return _options(text, options, several=several)
    return _BY_TYPE[type_](text)


def email(text: str) -> str:
    """An e-mail address in lower case; raises Unfit."""
    if text and not _EMAIL.fullmatch(text):
        raise Unfit("INVALID_EMAIL", f"Email address {text} is invalid")
    return text.lower()


def iso(millis: int) -> str:
    """A moment as HubSpot writes it: UTC, with three digits of a second."""
    return (_EPOCH + timedelta(milliseconds=millis)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def millis_of(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def comparable(type_: str, text: str) -> str | Decimal:
    """What a search compares: numbers and moments by their size, texts without regard to case."""
    try:
        if type_ == "number":
            return Decimal(text)
        if type_ == "date":
            return Decimal(millis_of(datetime.fromisoformat(_date(text)).replace(tzinfo=UTC)))
        if type_ == "datetime":
            return Decimal(_moment(text))
    except (ArithmeticError, Unfit):
        pass
    return text.lower()


def _options(text: str, options: Sequence[str], *, several: bool) -> str:
    chosen = text.split(";") if several else [text]
    for one in chosen:
        if one not in options:
            allowed = ", ".join(options)
            raise Unfit("INVALID_OPTION", f"{one} was not one of the allowed options: [{allowed}]")
    return ";".join(dict.fromkeys(chosen))


def _number(text: str) -> str:
    if not _NUMBER.fullmatch(text):
        raise Unfit("INVALID_DOUBLE", f"{text} was not a valid number.")
    plain = format(Decimal(text), "f")
    plain = plain.rstrip("0").rstrip(".") if "." in plain else plain
    return "0" if plain in {"-0", ""} else plain.removeprefix("+")


def _date(text: str) -> str:
    try:
        if _WHOLE.fullmatch(text):
            if int(text) % _DAY:
                raise Unfit("INVALID_DATE", f"{text} is not at midnight UTC.")
            return (_EPOCH + timedelta(milliseconds=int(text))).date().isoformat()
        return date.fromisoformat(text).isoformat()
    except (ValueError, OverflowError) as error:
        raise Unfit("INVALID_DATE", f"{text} was not a valid date.") from error


def _moment(text: str) -> int:
    if _WHOLE.fullmatch(text):
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Unfit("INVALID_DATE", f"{text} was not a valid date.") from error
    return millis_of(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _datetime(text: str) -> str:
    try:
        return iso(_moment(text))
    except OverflowError as error:
        raise Unfit("INVALID_DATE", f"{text} was not a valid date.") from error


def _bool(text: str) -> str:
    if text.lower() not in {"true", "false"}:
        raise Unfit("INVALID_OPTION", f"{text} was not one of the allowed options: [true, false]")
    return text.lower()


_BY_TYPE: Mapping[str, Callable[[str], str]] = {
    "number": _number,
    "date": _date,
    "datetime": _datetime,
    "bool": _bool,
}
