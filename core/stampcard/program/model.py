"""What a program says, once its file has been understood."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from functools import cache, cached_property
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from stampcard.domain.members import BUILT_IN_ATTRIBUTES
from stampcard.program.agreeing import faults_of
from stampcard.program.campaigns import Campaign, Ending, Group, State
from stampcard.program.cards import Card
from stampcard.program.combinations import Stacking
from stampcard.program.enrolment import Enrolment, EnrolmentField
from stampcard.program.events import BUILT_IN_EVENTS, OWN_EVENTS, REPORTED, FieldType
from stampcard.program.messages import MessageTerms, Sending
from stampcard.program.parts import FieldName, Name, Part
from stampcard.program.periods import LatenessField, read_lateness
from stampcard.program.perks import Perk
from stampcard.program.plans import Plan
from stampcard.program.proofs import ProofTerms
from stampcard.program.rewards import ForSome, Reward
from stampcard.program.rules import Rule, Who
from stampcard.program.segments import Segment
from stampcard.program.tiers import Tiers
from stampcard.program.tills import CounterTerms
from stampcard.program.wallets import WalletTerms

Fields = Annotated[
    Mapping[FieldName, FieldType],
    BeforeValidator(
        lambda written: {} if written is None else written, json_schema_input_type=Mapping[FieldName, FieldType] | None
    ),
]


@cache
def _zones() -> frozenset[str]:
    # A walk through some hundreds of files: longer than it takes to understand the rest of a program.
    return frozenset(available_timezones())


def _known_zone(name: str) -> str:
    known = _zones()
    if name not in known:
        close = get_close_matches(name, sorted(known), n=1)
        hint = f", did you mean {close[0]!r}?" if close else ", write one such as 'Europe/Berlin'"
        message = f"unknown time zone {name!r}{hint}"
        raise ValueError(message)
    return name


Zone = Annotated[str, AfterValidator(_known_zone)]
#: From which day on which rate counts; the first also counts before its day.
Rates = Mapping[date, Decimal]


def _rates(written: Any) -> Rates:
    dated = written if isinstance(written, Mapping) else {date.min: written}
    try:
        rates = {
            day if isinstance(day, date) else date.fromisoformat(day): Decimal(str(rate)) for day, rate in dated.items()
        }
    except (ArithmeticError, TypeError, ValueError):
        rates = {}
    if not rates or any(not rate.is_finite() or rate <= 0 for rate in rates.values()):
        message = "write how much of the program's currency one unit is, such as 0.92, or such rates by first day"
        raise ValueError(message)
    return dict(sorted(rates.items()))


_NUMBER = {"type": "number", "exclusiveMinimum": 0}
RatesField = Annotated[
    Rates,
    PlainValidator(_rates),
    PlainSerializer(lambda rates: {day.isoformat(): float(rate) for day, rate in rates.items()}, return_type=dict),
    WithJsonSchema({"anyOf": [_NUMBER, {"type": "object", "additionalProperties": _NUMBER, "minProperties": 1}]}),
]
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$")]


class Program(Part):
    """A loyalty program."""

    program: Name = Field(description="the program's id")
    name: str = Field(default="", max_length=200, description="the name that people see")
    state: State = Field(
        default="live",
        description="draft: nobody takes part; test: only the named members; soft: only the audience; live; "
        "ending: until the days of `ending`; ended",
    )
    audience: Who | None = Field(default=None, description="who may take part; without it everybody")
    ending: Ending | None = Field(default=None, description="the last days, once the state is ending")
    currency: Currency = Field(description="ISO 4217 code of the shop's money")
    timezone: Zone = Field(description="IANA time zone in which the program's days begin")
    accept_late: LatenessField = Field(
        default=read_lateness("60 days"),
        json_schema_extra={"default": "60 days"},
        description="N days: an order that is first seen later than this awards nothing",
    )
    rates: Mapping[Currency, RatesField] = Field(
        default={}, description="how much of `currency` one unit of another is: USD: 0.92; or by first day"
    )
    enrolment: EnrolmentField = Field(
        default=Enrolment(), description="how people become members: automatic, first purchase, request, segment NAME"
    )
    wallets: Mapping[Name, WalletTerms] = Field(min_length=1, description="points currencies by name")
    attributes: Fields = Field(default={}, description="what conditions may read of a member")
    events: Mapping[FieldName, Fields] = Field(default={}, description="the merchant's own events with their fields")
    groups: Mapping[Name, Group] = Field(default={}, description="limits that several rules share")
    campaigns: Mapping[Name, Campaign] = Field(default={}, description="rules that begin and end together")
    rules: tuple[Rule, ...] = Field(default=(), description="the ways to earn; every rule that matches pays")
    rewards: Mapping[Name, Reward] = Field(default={}, description="what members get for their points, by name")
    tiers: Tiers | None = Field(default=None, description="levels that members rise to; without it there are none")
    segments: Mapping[Name, Segment] = Field(default={}, description="groups of members, by a condition or by hand")
    proofs: Mapping[Name, ProofTerms] = Field(default={}, description="what members can be verified as, by name")
    plans: Mapping[Name, Plan] = Field(
        default={}, description="paid memberships, by name; the first that is had counts"
    )
    perks: Mapping[Name, Perk] = Field(default={}, description="what members are entitled to, by name")
    stacking: Stacking = Field(default=Stacking(), description="how rewards go together in one cart")
    messages: Mapping[Name, MessageTerms] = Field(
        default={}, description="what members are told, by name; each may also stand in a file of its own"
    )
    sending: Sending = Field(default=Sending(), description="what all messages have in common")
    counter: CounterTerms = Field(default=CounterTerms(), description="what people at the counter may do")
    card: Card = Field(default=Card(), description="the card in members' phones, and what its code is")

    @cached_property
    def zone(self) -> ZoneInfo:
        """The program's time zone."""
        return ZoneInfo(self.timezone)

    @cached_property
    def attribute_types(self) -> Mapping[str, FieldType]:
        """Every attribute that conditions may read: the built-in ones and those declared."""
        return {**dict.fromkeys(BUILT_IN_ATTRIBUTES, "string"), **self.attributes}

    def event_fields(self, event: str) -> Mapping[str, FieldType] | None:
        """The fields of an event that carries any: reported by somebody, declared, or our own; None for any other."""
        if event in OWN_EVENTS:
            return OWN_EVENTS[event]
        if event not in self.events and event not in REPORTED:
            return None
        return {**REPORTED.get(event, {}), **self.events.get(event, {})}

    @property
    def known_events(self) -> tuple[str, ...]:
        """Every event that a rule may be on."""
        return tuple(dict.fromkeys((*BUILT_IN_EVENTS, *REPORTED, *self.events)))

    @property
    def names_members(self) -> bool:
        """Whether anything in it is for members whom it names, so that their identities must be known."""
        holders: tuple[Campaign | Rule | Reward, ...] = (*self.campaigns.values(), *self.rules, *self.rewards.values())
        everybody = (self.audience, *(of.who for of in holders), *(of.who for of in self.messages.values()))
        return any(who is not None and who.members for who in everybody)

    @property
    def asks_for_zones(self) -> bool:
        """Whether anything in it goes by the member's clock."""
        holders: list[Campaign | Rule | Reward | ForSome | Perk] = [*self.campaigns.values(), *self.rules]
        holders += self.perks.values()
        for reward in self.rewards.values():
            holders += [reward, *reward.prices, *reward.values]
        return any(of.during is not None and of.during.zone == "member" for of in holders)

    @model_validator(mode="before")
    @classmethod
    def _name_the_only_wallet(cls, written: Any) -> Any:
        wallets = written.get("wallets") if isinstance(written, dict) else None
        if not (isinstance(wallets, dict) and len(wallets) == 1):
            return written
        (only,) = wallets

        def named(part: Any) -> Any:
            return {"wallet": only, **part} if isinstance(part, dict) else part

        rules, rewards, tiers = written.get("rules"), written.get("rewards"), written.get("tiers")
        if isinstance(tiers, dict) and str(tiers.get("by")) in {"points", "balance"}:
            written = {**written, "tiers": named(tiers)}
        if isinstance(rules, list | tuple):
            written = {**written, "rules": [named(rule) for rule in rules]}
        if isinstance(rewards, dict):
            written = {**written, "rewards": {name: named(reward) for name, reward in rewards.items()}}
        return written

    @model_validator(mode="after")
    def _agree(self) -> Self:
        faults = faults_of(self)
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
