"""What a dry run is asked: an order or an event that did not happen, and what to take for granted."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import Field, StringConstraints, model_validator

from stampcard.applying.setting import Setting
from stampcard.applying.trying import Question
from stampcard.domain.events import CustomEvent, OrderSeen
from stampcard.domain.orders import OrderLine, OrderSnapshot, Stamp
from stampcard.engine.world import NO_FACTS, Facts
from stampcard.errors import ProgramError
from stampcard.program.model import Program
from stampcard.program.reading import read_program
from stampcard_webhooks.asking import Asked, Moment, Name, Scalar
from stampcard_webhooks.editing import ConnectionName
from stampcard_webhooks.problems import Refused

Money = Annotated[Decimal, Field(ge=0, lt=10**12, max_digits=18, decimal_places=6)]
Word = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00]*$")]
_ZERO = Decimal(0)
#: What an order or event is called that nobody gave a name.
_UNNAMED = "dry-run"


class TriedLine(Asked):
    """A line of an order."""

    sku: Word = ""
    product: Word = ""
    vendor: Word = ""
    quantity: int = Field(default=1, ge=1, le=10**6)
    price: Money = Field(description="Of one item, before discounts.")
    discount: Money = Field(default=_ZERO, description="On the whole line.")
    tax: Money = Field(default=_ZERO, description="On the whole line.")
    gift_card: bool = False
    collections: list[Word] = Field(default=[])
    tags: list[Word] = Field(default=[])


class TriedSubject(Asked):
    """Whom it is about: the connection's `customer`, or the `member` by our id."""

    connection: ConnectionName
    customer: Name | None = Field(default=None, description="One who is not known yet counts as new.")
    member: Name | None = None
    occurred_at: Moment | None = Field(default=None, description="By default `now`.")

    @model_validator(mode="after")
    def _one_name(self) -> Self:
        if self.customer is not None and self.member is not None:
            raise ValueError("name the customer or the member, not both")
        return self


class TriedOrder(TriedSubject):
    """An order as a shop would tell it; `reference` makes it an edit of an order that is known."""

    reference: Name | None = None
    currency: Annotated[str, StringConstraints(pattern="^[A-Z]{3}$")] | None = Field(
        default=None, description="By default the program's."
    )
    total: Money | None = Field(
        default=None, description="By default lines, shipping and what tax they do not contain."
    )
    lines: list[TriedLine] = Field(min_length=1, max_length=500)
    shipping: Money = _ZERO
    shipping_tax: Money = _ZERO
    tax_included: bool = Field(default=False, description="Whether prices and shipping contain their tax.")
    paid: bool = True
    paid_with_points: Money = _ZERO
    channel: Word = ""
    tags: list[Word] = Field(default=[])
    fulfilled_at: Moment | None = None
    utc_offset: int | None = Field(
        default=None, ge=-1440, le=1440, description="Minutes the shop's clock is ahead of UTC."
    )


class TriedEvent(TriedSubject):
    """An event that the program knows."""

    name: Name
    data: dict[Name, Scalar] = Field(default={})


class DryRun(Asked):
    """A question: an order or an event, and what to take for granted."""

    order: TriedOrder | None = None
    event: TriedEvent | None = None
    program: str | None = Field(
        default=None,
        max_length=60_000,
        description="The text of a program file, to be asked instead of the valid one; it counts as always valid.",
    )
    now: Moment | None = Field(
        default=None, description="The time to pretend; by default the present, or `occurred_at`."
    )
    attributes: dict[Name, Scalar] = Field(
        default={}, description="Taken for the member's, beside those that are known."
    )
    facts: dict[Name, Any] | None = Field(
        default=None, description="What plugins would know; by default they are asked."
    )

    @model_validator(mode="after")
    def _one_question(self) -> Self:
        if (self.order is None) is (self.event is None):
            raise ValueError("ask about an order or about an event")
        return self

    @property
    def subject(self) -> TriedOrder | TriedEvent:
        """What is asked about."""
        about = self.order or self.event
        assert about is not None
        return about


def question_of(asked: DryRun, source: str, setting: Setting, now: datetime) -> Question:
    """The question in the engine's words; raises Refused for a program that is wrong."""
    subject, program = asked.subject, _program(asked.program)
    now = asked.now or max(now, subject.occurred_at or now)
    at = subject.occurred_at or now
    currencies = [program.currency] if program else [live.program.currency for live in setting.programs.current(now)]
    event = _order(asked.order, at, now, next(iter(currencies), "")) if asked.order else _event(asked.event, at)
    return Question(
        event=event,
        source=source,
        now=now,
        customer=subject.customer,
        member=subject.member,
        attributes=asked.attributes,
        facts=NO_FACTS if asked.facts is None else Facts(known=asked.facts),
        program=program,
    )


def _program(text: str | None) -> Program | None:
    if text is None:
        return None
    try:
        return read_program(text, "program")
    except ProgramError as error:
        errors = [{"path": f"program:{one.line}:{one.column}", "message": one.message} for one in error.problems]
        raise Refused(422, "the program is wrong", code="program", errors=errors) from None


def _event(asked: TriedEvent | None, at: datetime) -> CustomEvent:
    assert asked is not None
    return CustomEvent(
        name=asked.name, customer=asked.customer or "", key=_UNNAMED, occurred_at=at, data=dict(asked.data)
    )


def _order(asked: TriedOrder, at: datetime, now: datetime, currency: str) -> OrderSeen:
    lines = tuple(
        OrderLine(
            reference=str(number),
            quantity=line.quantity,
            gross=line.price * line.quantity,
            discount=line.discount,
            tax=line.tax,
            gift_card=line.gift_card,
            product=line.product,
            sku=line.sku,
            vendor=line.vendor,
            collections=tuple(line.collections),
            tags=tuple(line.tags),
        )
        for number, line in enumerate(asked.lines, start=1)
    )
    amounts = sum((line.gross - line.discount for line in lines), asked.shipping)
    taxes = _ZERO if asked.tax_included else sum((line.tax for line in lines), asked.shipping_tax)
    reference = asked.reference or _UNNAMED
    snapshot = OrderSnapshot(
        stamp=Stamp(at=now, digest=_UNNAMED),
        number=f"#{reference}",
        occurred_at=at,
        currency=asked.currency or currency,
        total=amounts + taxes if asked.total is None else asked.total,
        paid=asked.paid,
        customer=asked.customer or asked.member,
        tax_included=asked.tax_included,
        lines=lines,
        shipping=asked.shipping,
        shipping_tax=asked.shipping_tax,
        channel=asked.channel,
        tags=tuple(asked.tags),
        paid_with_points=asked.paid_with_points,
        fulfilled_at=asked.fulfilled_at,
        utc_offset=asked.utc_offset,
    )
    return OrderSeen(reference=reference, snapshot=snapshot)
