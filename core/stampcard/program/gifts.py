"""Short forms of the program file for what a reward is: "5 EUR off", "10 % off, at most 30 EUR", "free shipping"."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import PlainValidator

from stampcard.domain.rewards import RewardKind
from stampcard.program.amounts import AS_WRITTEN, MOST_POINTS, NUMBER, WHOLE, Short, schema

_NAME = r"[a-z][a-z0-9_-]{0,39}"
_WORTH = rf"(?: *, *worth +(?P<worth>{NUMBER}) +(?P<of>[A-Z]{{3}}))?"
#: Kind → how it is written. `money` and `percent`, `cap`, `points`, `name` and `names` are what the forms hold.
_FORMS: dict[RewardKind, re.Pattern[str]] = {
    "amount_off": re.compile(rf"(?P<money>{NUMBER}) +(?P<currency>[A-Z]{{3}}) +off"),
    "percent_off": re.compile(
        rf"(?P<percent>{NUMBER}) *% +off(?: *, *at +most +(?P<cap>{NUMBER}) +(?P<currency>[A-Z]{{3}}))?"
    ),
    "free_shipping": re.compile("free +shipping"),
    "free_product": re.compile(rf"free +product{_WORTH}"),
    "gift_card": re.compile(rf"gift +card +(?P<money>{NUMBER}) +(?P<currency>[A-Z]{{3}})"),
    "store_credit": re.compile(rf"store +credit +(?P<money>{NUMBER}) +(?P<currency>[A-Z]{{3}})"),
    "cash_out": re.compile(rf"cash +(?P<money>{NUMBER}) +(?P<currency>[A-Z]{{3}})"),
    "experience": re.compile(rf"experience{_WORTH}"),
    "merchandise": re.compile(rf"merchandise{_WORTH}"),
    "points": re.compile(rf"(?P<points>{NUMBER}) +to +(?P<name>{_NAME})"),
    "choice": re.compile(rf"choice +of +(?P<names>{_NAME}(?: *, *{_NAME})+){_WORTH}"),
    "custom": re.compile(rf"custom +(?P<name>{_NAME}){_WORTH}"),
}
#: And how it is written out again.
_TEXTS: dict[RewardKind, str] = {
    "amount_off": "{money} off",
    "percent_off": "{percent} % off{cap}",
    "free_shipping": "free shipping",
    "free_product": "free product{worth}",
    "gift_card": "gift card {money}",
    "store_credit": "store credit {money}",
    "cash_out": "cash {money}",
    "experience": "experience{worth}",
    "merchandise": "merchandise{worth}",
    "points": "{points} to {name}",
    "choice": "choice of {choices}{worth}",
    "custom": "custom {name}{worth}",
}
_FORM = (
    "write what it gives, such as '5 EUR off', '10 % off, at most 30 EUR', 'free shipping', 'free product, worth 12 EUR', "
    "'gift card 25 EUR', 'store credit 5 EUR', 'cash 10 EUR', 'experience', 'merchandise', '200 to miles', "
    "'choice of mug, cap' or 'custom NAME'"
)


class Gift(Short):
    """What a reward gives.

    `money` in `currency` is what it takes off, is loaded with or pays out, and for the others what it is worth where that
    is said; `percent` out of 100, capped at `money`. `points` go to the wallet `name`; `name` is also a plugin's word for
    a kind of its own; `choices` are the rewards that its holder picks one of.
    """

    kind: RewardKind
    money: Decimal | None = None
    currency: str = ""
    percent: Decimal | None = None
    points: Decimal | None = None
    name: str = ""
    choices: tuple[str, ...] = ()

    def __str__(self) -> str:
        money = "" if self.money is None else f"{self.money:f} {self.currency}"
        return _TEXTS[self.kind].format(
            money=money,
            percent="" if self.percent is None else f"{self.percent:f}",
            points="" if self.points is None else f"{self.points:f}",
            cap=f", at most {money}" if money else "",
            worth=f", worth {money}" if money else "",
            name=self.name,
            choices=", ".join(self.choices),
        )


def read_gift(written: Any) -> Gift:
    """What a text gives; raises ValueError."""
    if isinstance(written, Gift):
        return written
    text = written.strip() if isinstance(written, str) else ""
    for kind, form in _FORMS.items():
        if found := form.fullmatch(text):
            return _gift(kind, found.groupdict())
    raise ValueError(_FORM)


def _gift(kind: RewardKind, parts: dict[str, str | None]) -> Gift:
    money = parts.get("money") or parts.get("cap") or parts.get("worth")
    percent, points, names = parts.get("percent"), parts.get("points"), parts.get("names")
    gift = Gift(
        kind=kind,
        money=_above_0(money) if money else None,
        currency=parts.get("currency") or parts.get("of") or "",
        percent=_above_0(percent) if percent else None,
        points=_above_0(points) if points else None,
        name=parts.get("name") or "",
        choices=tuple(name.strip() for name in names.split(",")) if names else (),
    )
    if gift.percent is not None and gift.percent > WHOLE:
        message = f"{gift.percent} % is more than all: at most 100 %"
        raise ValueError(message)
    return gift


def _above_0(text: str) -> Decimal:
    number = Decimal(text)
    if not 0 < number <= MOST_POINTS:
        message = f"{text} is out of range: more than 0, at most {MOST_POINTS:f}"
        raise ValueError(message)
    return number


GiftField = Annotated[
    Gift,
    PlainValidator(read_gift),
    AS_WRITTEN,
    schema(
        "|".join(re.sub(r"\(\?P<\w+>", "(?:", form.pattern) for form in _FORMS.values()),
        "5 EUR off; 10 % off, at most 30 EUR; free shipping; free product, worth 12 EUR; gift card 25 EUR; store credit "
        "5 EUR; cash 10 EUR; experience; merchandise; 200 to miles; choice of mug, cap; custom NAME",
    ),
]
