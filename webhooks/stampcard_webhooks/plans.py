"""Paid memberships: who has which, what it is made of, trying, giving and ending one."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field
from sqlalchemy import Connection

from stampcard.applying import joining
from stampcard.applying.joining import PlanStanding
from stampcard.applying.requests import Answer
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Unit
from stampcard.domain.plans import Term
from stampcard.engine.subscribing import renewal_price
from stampcard.storage.numbering import new_use_key
from stampcard.storage.subscribing import count_plans
from stampcard_webhooks.asking import Asked, Moment, Nothing, Query, Words
from stampcard_webhooks.paging import Page
from stampcard_webhooks.routing import Call, Route, given


class OfferedPlanView(BaseModel):
    """One plan of a program with how many have it."""

    program: str
    plan: str
    name: str
    skus: list[str]
    on: list[str]
    lasts: str
    price: str | None = Field(description="Decimal text with its currency: `49 EUR`; null: the program does not say.")
    renewal_price: str | None = Field(description="What a renewal costs, where that is not the price.")
    trial: str | None
    members: int


class OfferedPlanPage(Page[OfferedPlanView]):
    """Every plan, by program."""


class MyPlanView(BaseModel):
    """A plan as it stands for a shopper."""

    program: str
    plan: str
    name: str
    active: bool
    since: datetime | None
    paid_until: datetime | None = Field(description="Null for an active one: it has no end.")
    until: datetime | None = Field(description="With the grace behind it.")
    trial: bool
    can_try: bool = Field(description="Whether it can be tried now, without paying.")
    price: str | None = Field(description="What the member pays: `49 EUR`.")
    renewal_price: str | None = Field(description="What the next renewal costs.")


class TermView(BaseModel):
    """One time that a plan was bought, reported, tried, given or ended."""

    key: str
    kind: str
    at: datetime
    lasts: str
    until: datetime | None
    bought: int
    kept: int = Field(description="Units that were not refunded.")
    refund: str = Field(description="What a refund does: `ends`, `unless used`, `keeps`.")
    refunded_at: datetime | None
    price: str | None
    note: str


class PlanView(MyPlanView):
    """A plan as it stands for one member now."""

    terms: list[TermView] = Field(description="What it is made of, in order of time.")


class PlanPage(Page[PlanView]):
    """Every plan for one member."""


class Trying(Asked):
    """A trial to begin."""

    program: str = Field(default="", max_length=100)


class NewGift(Asked):
    """A plan that is given by hand."""

    program: str = Field(default="", max_length=100)
    until: Moment | None = Field(default=None, description="Without it for good.")
    key: str = Field(
        default="",
        pattern=r"^(?:[A-Za-z0-9._:#-]{1,100})?$",
        description="The same key gives it once; made up if left out.",
    )
    note: Words = Field(default="", description="For your own people; the member does not see it.")


class Ending(Asked):
    """A plan that ends now."""

    program: str = Field(default="", max_length=100)
    note: Words = Field(default="", description="For your own people; the member does not see it.")


def _money(amount: Any, currency: str) -> str | None:
    return None if amount is None else f"{amount:f} {currency}"


def my_plan_view(told: PlanStanding) -> MyPlanView:
    """As a shopper sees it."""
    one, plan = told.one, told.live.program.plans[told.name]
    return MyPlanView(
        program=told.live.name,
        plan=told.name,
        name=plan.name or told.name,
        active=one.active,
        since=one.since if one.active else None,
        paid_until=one.paid_until,
        until=one.until,
        trial=one.trial and one.active,
        can_try=told.can_try,
        price=_money(one.price, one.currency) if one.active else None,
        renewal_price=_money(*renewal_price(told.live, one)) if one.active else None,
    )


def plan_view(told: PlanStanding) -> PlanView:
    """As people of the merchant see it."""
    return PlanView(**my_plan_view(told).model_dump(), terms=list(map(_term, told.terms)))


def _term(term: Term) -> TermView:
    return TermView(
        key=term.key,
        kind=term.kind,
        at=term.at,
        lasts=term.lasts or ("for good" if term.until is None and term.kind != "ended" else ""),
        until=term.until,
        bought=term.bought,
        kept=term.kept,
        refund=term.refund,
        refunded_at=term.refunded_at,
        price=_money(term.price, term.currency),
        note=term.note,
    )


def my_plan_views(connection: Connection, setting: Setting, member: str, now: datetime) -> list[MyPlanView]:
    """The plans that a shopper has, had or can try."""
    found = joining.plan_standings(Unit(connection, setting, now), member)
    return [my_plan_view(one) for one in found if one.terms or one.can_try]


async def list_plans(call: Call[Query, Nothing]) -> OfferedPlanPage:
    """All."""
    counts = await call.read(lambda connection: count_plans(connection, call.merchant))
    return OfferedPlanPage(
        items=[
            OfferedPlanView(
                program=live.name,
                plan=name,
                name=plan.name or name,
                skus=list(plan.skus),
                on=list(plan.on),
                lasts="for good" if plan.lasts is None else str(plan.lasts),
                price=None if plan.price is None else str(plan.price),
                renewal_price=None if plan.renewal_price is None else str(plan.renewal_price),
                trial=None if plan.trial is None else str(plan.trial),
                members=counts.get((live.name, name), 0),
            )
            for live in call.setting.programs.current(call.now)
            for name, plan in live.program.plans.items()
        ]
    )


async def show_plans(call: Call[Query, Nothing]) -> PlanPage:
    """A member's."""

    def work(connection: Connection) -> PlanPage:
        found = joining.plan_standings(Unit(connection, call.setting, call.now), call.path["id"])
        return PlanPage(items=list(map(plan_view, found)))

    return await call.read(work)


async def try_plan(call: Call[Query, Trying]) -> Answer:
    """Begin a trial."""
    member, plan, program = call.path["id"], call.path["plan"], call.body.program
    return await call.write(lambda unit: given(plan_view(joining.try_plan(unit, member, program, plan)), member, 201))


async def give_plan(call: Call[Query, NewGift]) -> Answer:
    """Give a plan by hand."""
    member, plan, wanted = call.path["id"], call.path["plan"], call.body
    key = wanted.key or new_use_key()

    def work(unit: Unit) -> Answer:
        told = joining.give_plan(unit, member, wanted.program, plan, wanted.until, key, wanted.note)
        return given(plan_view(told), member, 201)

    return await call.write(work)


async def end_plan(call: Call[Query, Ending]) -> Answer:
    """End a plan now."""
    member, plan, wanted = call.path["id"], call.path["plan"], call.body

    def work(unit: Unit) -> Answer:
        return given(plan_view(joining.end_plan(unit, member, wanted.program, plan, wanted.note)), member)

    return await call.write(work)


_ONE = "/members/{id}/plans/{plan}"
ROUTES = (
    Route(
        method="GET",
        path="/plans",
        scope="members:read",
        summary="List every plan with how many have it",
        handler=list_plans,
        gives=OfferedPlanPage,
    ),
    Route(
        method="GET",
        path="/members/{id}/plans",
        scope="members:read",
        summary="List every plan for a member, and what it is made of",
        handler=show_plans,
        gives=PlanPage,
    ),
    Route(
        method="POST",
        path=f"{_ONE}/trial",
        scope="members:write",
        summary="Let a member try a plan, once",
        handler=try_plan,
        takes=Trying,
        gives=PlanView,
        status=201,
    ),
    Route(
        method="POST",
        path=f"{_ONE}/give",
        scope="members:write",
        summary="Give a member a plan by hand",
        handler=give_plan,
        takes=NewGift,
        gives=PlanView,
        status=201,
    ),
    Route(
        method="POST",
        path=f"{_ONE}/end",
        scope="members:write",
        summary="End a member's plan now",
        handler=end_plan,
        takes=Ending,
        gives=PlanView,
    ),
)
