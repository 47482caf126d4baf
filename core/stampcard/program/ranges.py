"""What values a name of a condition can have, and what a comparison leaves of them."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import NamedTuple, Self

_ONE = Decimal(1)
#: Parts of a moment: from, to, and how they are counted. `now` and member.joined_at have them.
_OF_MOMENTS = {
    "getDayOfWeek": (0, 6, "0 for Sunday to 6 for Saturday"),
    "getMonth": (0, 11, "0 for January to 11 for December"),
    "getDate": (1, 31, "1 to 31"),
    "getDayOfMonth": (0, 30, "0 to 30: getDate() counts from 1"),
    "getDayOfYear": (0, 365, "0 to 365"),
    "getHours": (0, 23, "0 to 23"),
    "getMinutes": (0, 59, "0 to 59"),
    "getSeconds": (0, 59, "0 to 59"),
}
_OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_MOMENTS = ("now", "member.joined_at")


class Compared(NamedTuple):
    """One name compared with one constant, which is a number or a text."""

    name: str
    sign: str
    constant: str
    number: Decimal | None

    @property
    def is_text(self) -> bool:
        """Whether it is compared with a text."""
        return self.number is None

    def __str__(self) -> str:
        return f"{self.name} {self.sign} {repr(self.constant) if self.is_text else self.constant}"


class Natural(NamedTuple):
    """Between what a number always lies; None: nobody knows."""

    low: Decimal | None = None
    high: Decimal | None = None
    whole: bool = False
    words: str = ""


def natural(name: str) -> Natural:
    """Between what a name's numbers lie."""
    of, _, part = name.partition("(")[0].rpartition(".")
    if of in _MOMENTS and part in _OF_MOMENTS:
        low, high, words = _OF_MOMENTS[part]
        return Natural(Decimal(low), Decimal(high), whole=True, words=words)
    if name == "member.days" or name.startswith(("history.orders.", "history.redemptions.")):
        return Natural(Decimal(0), whole=True, words="0 or more")
    if name == "order.total" or name.startswith(("history.spend.", "history.redeemed.")):
        return Natural(Decimal(0), words="0 or more")
    return Natural(whole=name == "order.items")


def holds(compared: Compared) -> bool:
    """Whether a comparison with a number holds for every value of its name."""
    if compared.is_text:
        return False
    against = compared._replace(sign=_OPPOSITE[compared.sign])
    return not Range.of(compared.name).narrowed(against).is_possible


class Range(NamedTuple):
    """What a name may still be; an `open` end is not itself inside. `texts`: one of these; None: any."""

    low: Decimal | None = None
    high: Decimal | None = None
    low_open: bool = False
    high_open: bool = False
    whole: bool = False
    but: frozenset[Decimal | str] = frozenset()
    texts: frozenset[str] | None = None

    @classmethod
    def of(cls, name: str) -> Self:
        """All that a name can be."""
        known = natural(name)
        return cls(low=known.low, high=known.high, whole=known.whole)

    @classmethod
    def exactly(cls, text: str) -> Self:
        """One text."""
        return cls(texts=frozenset({text}))

    def narrowed(self, compared: Compared) -> Range:
        """What a comparison leaves."""
        number, sign = compared.number, compared.sign
        if sign == "!=":
            return self._replace(but=self.but | {compared.constant if number is None else number})
        if number is None:
            if sign != "==":
                return self
            one = frozenset({compared.constant})
            return self._replace(texts=one if self.texts is None else self.texts & one)
        if sign in {"<", "<="}:
            return self._below(number, is_open=sign == "<")
        above = self._above(number, is_open=sign == ">")
        return above.narrowed(compared._replace(sign="<=")) if sign == "==" else above

    @property
    def is_possible(self) -> bool:
        """Whether anything is left."""
        if self.texts is not None:
            return bool(self.texts - self.but)
        if self.low is None or self.high is None:
            return True
        if self.low == self.high:
            return not (self.low_open or self.high_open or self.low in self.but)
        return self.low < self.high

    def _above(self, number: Decimal, *, is_open: bool) -> Range:
        if self.whole:
            up = number.to_integral_value(ROUND_CEILING)
            number, is_open = (up + _ONE if is_open and up == number else up), False
        if self.low is not None and (self.low, self.low_open) >= (number, is_open):
            return self
        return self._replace(low=number, low_open=is_open)

    def _below(self, number: Decimal, *, is_open: bool) -> Range:
        if self.whole:
            down = number.to_integral_value(ROUND_FLOOR)
            number, is_open = (down - _ONE if is_open and down == number else down), False
        if self.high is not None and (-self.high, self.high_open) >= (-number, is_open):
            return self
        return self._replace(high=number, high_open=is_open)
