"""Limits of the program file: "100 points per month", "500 members ever", "30000 EUR ever, in all, reject"."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import PlainValidator

from stampcard.program.amounts import AS_WRITTEN, NUMBER, Short, schema

Measure = Literal["points", "times", "money", "members"]
Per = Literal["order", "day", "week", "month", "year", "ever"]

_LIMIT = re.compile(
    rf"(?P<most>{NUMBER}) +(?P<what>points?|times?|members?|[A-Z]{{3}}) +(?:per +(?P<per>order|day|week|month|year)|ever)"
    r"(?P<all> *, *in all)?(?: *, *(?P<over>trim|reject))?"
)
_MOST = Decimal(1_000_000_000)


class Limit(Short):
    """At most so much in each period, of each member or of all together.

    `money` counts the part of orders that earns, in `currency`; `members` counts distinct members, so it is always of
    all. What goes beyond is left out (`trim`), or all of that award is (`reject`).
    """

    most: Decimal
    measure: Measure
    per: Per
    in_all: bool = False
    over: Literal["trim", "reject"] = "trim"
    currency: str = ""

    def __str__(self) -> str:
        what = self.currency or self.measure
        period = "ever" if self.per == "ever" else f"per {self.per}"
        ending = (", in all" if self.in_all and self.measure != "members" else "") + (
            ", reject" if self.over == "reject" else ""
        )
        return f"{self.most:f} {what} {period}{ending}"

    @property
    def name(self) -> str:
        """What its counter is called within the rule, group or campaign: a limit that only changes counts on."""
        return f"{self.measure}/{self.per}/{'all' if self.in_all else 'member'}"


def read_limit(written: Any) -> Limit:
    """The limit that a text means; raises ValueError."""
    if isinstance(written, Limit):
        return written
    found = _LIMIT.fullmatch(written.strip()) if isinstance(written, str) else None
    if found is None:
        message = (
            "write a number of points, times, members or money and a period, such as '100 points per month', "
            "'500 members ever', '30000 EUR ever, in all'"
        )
        raise ValueError(message)
    most, what, per = Decimal(found["most"]), found["what"], found["per"] or "ever"
    measure = "money" if what.isupper() else f"{what.rstrip('s')}s"
    if not 0 < most <= _MOST:
        message = f"{most} is out of range: more than 0, at most {_MOST:f}"
        raise ValueError(message)
    if measure in {"times", "members"} and most != int(most):
        message = f"{most} {measure}: write a whole number"
        raise ValueError(message)
    if measure == "members" and per == "order":
        message = "an order has one member: count members per day, week, month, year or ever"
        raise ValueError(message)
    in_all = bool(found["all"]) or measure == "members"
    currency = what if measure == "money" else ""
    return Limit(
        most=most, measure=measure, per=per, in_all=in_all, over=found["over"] or "trim", currency=currency
    )  # fmt: skip


LimitField = Annotated[
    Limit,
    PlainValidator(read_limit),
    AS_WRITTEN,
    schema(
        re.sub(r"\(\?P<\w+>", "(?:", _LIMIT.pattern),
        "100 points per month; 1 time per day; 500 members ever; 30000 EUR ever, in all, reject",
    ),
]
