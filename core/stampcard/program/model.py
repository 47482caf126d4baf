"""What a program says, once its file has been understood."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from stampcard.domain.members import BUILT_IN_ATTRIBUTES
from stampcard.program.amounts import (
    AwardField,
    DaysField,
    FixedAward,
    LatenessField,
    PeriodField,
    RateAward,
    read_lateness,
)

FieldType = Literal["string", "integer", "number", "boolean", "date"]

#: Events that every program knows; others are declared under `events`.
PURCHASE = "purchase"
SIGN_UP = "sign_up"
BUILT_IN_EVENTS = (PURCHASE, SIGN_UP)

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
FieldName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Fields = Annotated[
    Mapping[FieldName, FieldType],
    BeforeValidator(
        lambda written: {} if written is None else written, json_schema_input_type=Mapping[FieldName, FieldType] | None
    ),
]


def _known_zone(name: str) -> str:
    known = available_timezones()
    if name not in known:
        close = get_close_matches(name, sorted(known), n=1)
        hint = f", did you mean {close[0]!r}?" if close else ", write one such as 'Europe/Berlin'"
        message = f"unknown time zone {name!r}{hint}"
        raise ValueError(message)
    return name


Zone = Annotated[str, AfterValidator(_known_zone)]


class Part(BaseModel):
    """A section of the program file; refuses what it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class RefundTerms(Part):
    """What happens to points when the order that earned them is refunded."""

    policy: Literal["only_pending", "within_balance", "unlimited"] = Field(
        default="within_balance",
        description="how far points are taken back: only what is still pending, what the balance has, or into debt",
    )
    restock_without_money: Literal["count", "ignore"] = Field(
        default="count", description="whether lines that came back without money take their points with them"
    )


class WalletTerms(Part):
    """How one points currency counts, lives and dies."""

    scale: int = Field(default=0, ge=0, le=6, strict=True, description="decimal places")
    rounding: Literal["down", "up", "half-up", "half-even"] = Field(
        default="down", description="how fractions beyond the scale are rounded"
    )
    round_per: Literal["order", "line"] = Field(default="order", description="what is rounded as one")
    expire: PeriodField = Field(
        default=None, description="how long points live once they are usable: none, or days, months, years (12 months)"
    )
    pending: DaysField = Field(
        default=None, description="how long points wait before they are usable: none, or days (14 days)"
    )
    refunds: RefundTerms = Field(default=RefundTerms(), description="what a refund does to the points")
    returned_to_dead_lot: Literal["expire", "renew"] = Field(
        default="expire", description="points that a cancelled redemption returns after their lot has expired"
    )


class Base(Part):
    """Which part of an order's money earns."""

    discount: Literal["after", "before"] = Field(default="after", description="amounts after or before discounts")
    tax: Literal["excluded", "included"] = Field(default="excluded", description="the tax on what earns")
    shipping: Literal["excluded", "included"] = Field(default="excluded", description="what was paid for shipping")
    gift_cards: Literal["excluded", "included"] = Field(default="excluded", description="gift cards that are bought")


class Rule(Part):
    """One way to earn."""

    id: Name = Field(description="the rule's id; its awards keep it for good")
    on: str = Field(description="purchase, sign_up, or an event that the program declares")
    when: str | None = Field(default=None, description="a condition in CEL; without one the rule always applies")
    award: AwardField
    wallet: str = Field(default="", description="the wallet that receives; by default the only one")
    base: Base = Field(default=Base(), description="which part of a purchase earns")


class Program(Part):
    """A loyalty program."""

    program: Name = Field(description="the program's id")
    name: str = Field(default="", max_length=200, description="the name that people see")
    currency: str = Field(pattern="^[A-Z]{3}$", description="ISO 4217 code of the shop's money")
    timezone: Zone = Field(description="IANA time zone in which the program's days begin")
    accept_late: LatenessField = Field(
        default=read_lateness("60 days"),
        json_schema_extra={"default": "60 days"},
        description="N days: an order that is first seen later than this awards nothing",
    )
    wallets: Mapping[Name, WalletTerms] = Field(min_length=1, description="points currencies by name")
    attributes: Fields = Field(default={}, description="what conditions may read of a member")
    events: Mapping[FieldName, Fields] = Field(default={}, description="the merchant's own events with their fields")
    rules: tuple[Rule, ...] = Field(default=(), description="the ways to earn; every rule that matches pays")

    @property
    def zone(self) -> ZoneInfo:
        """The program's time zone."""
        return ZoneInfo(self.timezone)

    @property
    def attribute_types(self) -> Mapping[str, FieldType]:
        """Every attribute that conditions may read: the built-in ones and those declared."""
        return {**dict.fromkeys(BUILT_IN_ATTRIBUTES, "string"), **self.attributes}

    @model_validator(mode="before")
    @classmethod
    def _name_the_only_wallet(cls, written: Any) -> Any:
        wallets = written.get("wallets") if isinstance(written, dict) else None
        rules = written.get("rules") if isinstance(written, dict) else None
        if not (isinstance(wallets, dict) and len(wallets) == 1 and isinstance(rules, list | tuple)):
            return written
        (only,) = wallets
        return {**written, "rules": [{"wallet": only, **rule} if isinstance(rule, dict) else rule for rule in rules]}

    @model_validator(mode="after")
    def _agree(self) -> Self:
        faults = [
            *_faults_of_names(self),
            *(fault for index in range(len(self.rules)) for fault in _faults(self, index)),
        ]
        if faults:
            raise ValidationError.from_exception_data(
                "Program",
                [
                    InitErrorDetails(
                        type=PydanticCustomError("program", "{message}", {"message": message}), loc=place, input=None
                    )
                    for place, message in faults
                ],
            )
        return self


Fault = tuple[tuple[str | int, ...], str]


def _faults_of_names(program: Program) -> list[Fault]:
    """Declared names that contradict what every program has."""
    faults: list[Fault] = [
        (("events", event), f"{event} is built in and cannot be declared")
        for event in program.events
        if event in BUILT_IN_EVENTS
    ]
    faults += [
        (("attributes", name), f"{name} is built in and always a string")
        for name, declared in program.attributes.items()
        if name in BUILT_IN_ATTRIBUTES and declared != "string"
    ]
    return faults


def _faults(program: Program, index: int) -> list[Fault]:
    """What a rule says against the rest of the program."""
    rule = program.rules[index]
    found = {
        "id": _fault_of_id(program, index),
        "on": _fault_of_name("event", rule.on, (*BUILT_IN_EVENTS, *program.events)),
        "wallet": _fault_of_wallet(program, rule),
        "award": _fault_of_award(program, rule),
        "base": "only a purchase has a base" if rule.on != PURCHASE and rule.base != Base() else "",
    }
    return [(("rules", index, key), message) for key, message in found.items() if message]


def _fault_of_id(program: Program, index: int) -> str:
    earlier = [rule.id for rule in program.rules[:index]]
    rule_id = program.rules[index].id
    return f"another rule is called {rule_id!r} already" if rule_id in earlier else ""


def _fault_of_wallet(program: Program, rule: Rule) -> str:
    if not rule.wallet:
        return f"name one of the wallets: {', '.join(program.wallets)}"
    return _fault_of_name("wallet", rule.wallet, tuple(program.wallets))


def _fault_of_award(program: Program, rule: Rule) -> str:
    match rule.award:
        case RateAward() if rule.on != PURCHASE:
            return "only a purchase has an amount to earn on: award a number of points"
        case RateAward(currency=currency) if currency != program.currency:
            return f"the program's currency is {program.currency}, not {currency}"
        case FixedAward(points=points) if (terms := program.wallets.get(rule.wallet)) is not None:
            exact = points == round(points, terms.scale)
            return "" if exact else f"{points} is finer than wallet {rule.wallet!r}, which has scale {terms.scale}"
    return ""


def _fault_of_name(what: str, name: str, known: tuple[str, ...]) -> str:
    if name in known:
        return ""
    close = get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there is: {', '.join(known)}"
    return f"unknown {what} {name!r}, {hint}"
