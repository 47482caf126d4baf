"""Short forms of the program file for amounts: "1 per 1 EUR", "2 per item", "x1.5", "5 EUR", "30 %"."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, PlainSerializer, PlainValidator, WithJsonSchema

MOST_POINTS = Decimal(1_000_000_000)
MOST_TIMES = Decimal(100)
WHOLE = Decimal(100)

NUMBER = r"[0-9]{1,12}(?:\.[0-9]{1,6})?"
_FIXED = re.compile(NUMBER)
_RATE = re.compile(rf"({NUMBER}) +per +({NUMBER}) +([A-Z]{{3}})")
_ITEM = re.compile(rf"({NUMBER}) +per +item")
_TIMES = re.compile(rf"x *({NUMBER})")
_FORMULA = re.compile(r"formula +([a-z][a-z0-9_-]{0,39})")
_REWARD = re.compile(r"reward +([a-z][a-z0-9_-]{0,39})")
_WORTH = re.compile(rf"({NUMBER}) +([A-Z]{{3}}) +per +({NUMBER})")
_SHARE = re.compile(rf"({NUMBER}) *%")


class Short(BaseModel):
    """A value that the program file writes in a short form."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FixedAward(Short):
    """The same number of points each time."""

    points: Decimal

    def __str__(self) -> str:
        return f"{self.points:f}"


class RateAward(Short):
    """`points` for each `per` of money, in the program's currency."""

    points: Decimal
    per: Decimal
    currency: str

    def __str__(self) -> str:
        return f"{self.points:f} per {self.per:f} {self.currency}"


class ItemAward(Short):
    """`points` for each item of the lines that count."""

    points: Decimal

    def __str__(self) -> str:
        return f"{self.points:f} per item"


class Multiplier(Short):
    """What the other rules pay into the wallet, so many times in all; its own award is what that is more."""

    times: Decimal

    def __str__(self) -> str:
        return f"x{self.times:f}"


class Formula(Short):
    """Points that a plugin works out."""

    name: str

    def __str__(self) -> str:
        return f"formula {self.name}"


class RewardAward(Short):
    """A reward itself, issued at once."""

    reward: str

    def __str__(self) -> str:
        return f"reward {self.reward}"


Award = FixedAward | RateAward | ItemAward | Multiplier | Formula | RewardAward


class Worth(Short):
    """`money` for each `points`: what the points of a wallet are a liability of."""

    money: Decimal
    currency: str
    points: Decimal

    def __str__(self) -> str:
        return f"{self.money:f} {self.currency} per {self.points:f}"


def _times(found: re.Match[str]) -> Multiplier:
    times = Decimal(found[1])
    if not 1 < times <= MOST_TIMES:
        message = f"x{found[1]} is out of range: more than x1, at most x{MOST_TIMES:f}"
        raise ValueError(message)
    return Multiplier(times=times)


_FORMS: Mapping[re.Pattern[str], Callable[[re.Match[str]], Award]] = {
    _RATE: lambda found: RateAward(points=_positive(found[1]), per=_positive(found[2]), currency=found[3]),
    _ITEM: lambda found: ItemAward(points=_positive(found[1])),
    _TIMES: _times,
    _FORMULA: lambda found: Formula(name=found[1]),
    _REWARD: lambda found: RewardAward(reward=found[1]),
}


def read_award(written: Any) -> Award:
    """The award that "1 per 1 EUR", "2 per item", "x1.5", "formula NAME" or a plain number means; raises ValueError."""
    if isinstance(written, Award):
        return written
    text = str(written).strip() if isinstance(written, int | float | Decimal | str) else ""
    if _FIXED.fullmatch(text) and not isinstance(written, bool):
        return FixedAward(points=_positive(text))
    for form, made in _FORMS.items():
        if found := form.fullmatch(text):
            return made(found)
    message = "write a number of points, or '1 per 1 EUR', '2 per item', 'x2', 'formula NAME' or 'reward NAME'"
    raise ValueError(message)


def read_worth(written: Any) -> Worth | None:
    """What points are worth: "1 EUR per 100"; raises ValueError."""
    if written is None or isinstance(written, Worth):
        return written
    found = _WORTH.fullmatch(written.strip()) if isinstance(written, str) else None
    if found is None:
        message = "write money per points, such as '1 EUR per 100'"
        raise ValueError(message)
    return Worth(money=_positive(found[1]), currency=found[2], points=_positive(found[3]))


def read_share(written: Any) -> Decimal | None:
    """The share, in percent, that "30 %" means; raises ValueError."""
    if written is None or isinstance(written, Decimal):
        return written
    found = _SHARE.fullmatch(written.strip()) if isinstance(written, str) else None
    share = Decimal(found[1]) if found else None
    if share is None or not 0 < share <= WHOLE:
        message = "write a share above 0 and up to 100, such as '30 %'"
        raise ValueError(message)
    return share


def _positive(text: str) -> Decimal:
    number = Decimal(text)
    if not 0 < number <= MOST_POINTS:
        message = f"{text} is out of range: more than 0, at most {MOST_POINTS:f}"
        raise ValueError(message)
    return number


def schema(pattern: str, description: str, *others: dict[str, Any]) -> WithJsonSchema:
    """The JSON Schema of a text of this form, or of what else may be written."""
    text = {"type": "string", "pattern": f"^(?:{pattern})$"}
    return WithJsonSchema({"description": description} | ({"anyOf": [*others, text]} if others else text))


#: How a short form is written out again.
AS_WRITTEN = PlainSerializer(lambda value: "none" if value is None else str(value), return_type=str)

AwardField = Annotated[
    Award,
    PlainValidator(read_award),
    AS_WRITTEN,
    schema(
        "|".join(form.pattern for form in _FORMS),
        "a number of points, or 1 per 1 EUR, 2 per item, x2, formula NAME, reward NAME",
        {"type": "number", "exclusiveMinimum": 0, "maximum": int(MOST_POINTS)},
    ),
]
WorthField = Annotated[
    Worth | None,
    PlainValidator(read_worth),
    PlainSerializer(lambda value: None if value is None else str(value), return_type=str | None),
    schema(_WORTH.pattern, "money per points: 1 EUR per 100", {"type": "null"}),
]
ShareField = Annotated[
    Decimal | None,
    PlainValidator(read_share),
    PlainSerializer(lambda share: None if share is None else f"{share:f} %", return_type=str | None),
    schema(_SHARE.pattern, "a share in percent: 30 %", {"type": "null"}),
]
