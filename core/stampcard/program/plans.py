"""Plans: paid memberships, bought as a product or begun by an event."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, PlainSerializer, PlainValidator

from stampcard.domain.plans import RefundPolicy
from stampcard.program.amounts import schema
from stampcard.program.events import BUILT_IN_EVENTS
from stampcard.program.faults import Fault, fault_of_name
from stampcard.program.parts import Part
from stampcard.program.periods import PERIOD, Period, read_period
from stampcard.program.rewards import Money, MoneyField
from stampcard.program.rules import Texts
from stampcard.program.tiers import DaysField

if TYPE_CHECKING:
    from stampcard.program.model import Program


def _read_lasts(written: Any) -> Period | None:
    return None if written is None or written == "for good" else read_period(written)


LastsField = Annotated[
    Period | None,
    PlainValidator(_read_lasts),
    PlainSerializer(lambda lasts: "for good" if lasts is None else str(lasts), return_type=str),
    schema(f"for good|{PERIOD.replace('(', '(?:')}", "1 year; 3 months; 30 days; for good", {"type": "null"}),
]


class Plan(Part):
    """A paid membership."""

    name: str = Field(default="", max_length=200, description="the name that people see")
    skus: Texts = Field(default=(), description="the products that it is bought as, by SKU: PLUS-YEAR")
    on: Texts = Field(
        default=(), description="events that begin and renew it: subscription_started, subscription_renewed"
    )
    lasts: LastsField = Field(
        default=read_period("1 year"),
        json_schema_extra={"default": "1 year"},
        description="how long one purchase lasts; a renewal before the end is added to it",
    )
    price: MoneyField = Field(default=None, description="what one purchase costs now: 49 EUR")
    renewal_price: MoneyField = Field(
        default=None, description="what a renewal costs now, where that is not the price: 39 EUR"
    )
    price_kept: Literal["until renewal", "until lapse"] = Field(
        default="until renewal",
        description="until when the price that a member began with stays theirs: their next renewal, or until they lapse",
    )
    trial: DaysField = Field(default=None, description="for so many days a member can try it once, without paying")
    grace: DaysField = Field(
        default=None, description="so many days longer it is had, and a renewal goes on from the end"
    )
    refund: RefundPolicy = Field(
        default="ends",
        description="what the refund of a purchase does: it ends; it ends unless a perk of the plan was used; the member keeps it",
    )

    @property
    def renewal(self) -> Money | None:
        """What a renewal costs now."""
        return self.renewal_price or self.price


def faults_of_plans(program: Program) -> Iterable[Fault]:
    """What plans say against the rest of the program."""
    seen: dict[str, str] = {}
    known = [name for name in program.known_events if name not in BUILT_IN_EVENTS]
    for name, plan in program.plans.items():
        place = ("plans", name)
        for index, sku in enumerate(plan.skus):
            if seen.setdefault(sku, name) != name:
                yield (*place, "skus", index), f"another plan is bought as {sku!r} already: {seen[sku]}"
        for index, event in enumerate(plan.on):
            fault = fault_of_name("event", event, known)
            if fault:
                yield (*place, "on", index), fault
        for field, money in (("price", plan.price), ("renewal_price", plan.renewal_price)):
            if money is not None and money.currency != program.currency:
                yield (*place, field), f"the program's currency is {program.currency}, not {money.currency}"
        if plan.renewal_price is not None and plan.price_kept == "until lapse":
            yield (
                (*place, "renewal_price"),
                "the price is kept until lapse, and that is what a renewal costs: leave it out",
            )
        if plan.lasts is None and plan.grace is not None:
            yield (*place, "grace"), "what lasts for good has no end that a grace could follow"
    yield from _faults_of_uses(program)


def _faults_of_uses(program: Program) -> Iterable[Fault]:
    for name, perk in program.perks.items():
        for index, plan_name in enumerate(perk.plans):
            fault = fault_of_name("plan", plan_name, tuple(program.plans))
            if fault:
                yield ("perks", name, "plans", index), fault
