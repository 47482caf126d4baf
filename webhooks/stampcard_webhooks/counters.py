"""The counter: whose card is shown, what is done at tills, and what waits for a person."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, Field, StringConstraints, field_validator
from sqlalchemy import Connection

from stampcard.applying import redeeming, selling
from stampcard.applying.promoting import outlooks
from stampcard.applying.recognising import Shown, recognise, suffices
from stampcard.applying.requests import Answer
from stampcard.applying.selling import EXISTS
from stampcard.applying.unit import Unit
from stampcard.domain.tills import Act, ActKind, ActStatus, Booked, Known, SoldLine
from stampcard.engine.rewarding import Asking
from stampcard.engine.world import Facts
from stampcard.errors import Conflict, EventRefused, NotFound, RequestRefused
from stampcard.storage import staffing, tills
from stampcard.storage.loading import load_members
from stampcard.storage.reading import balances
from stampcard.storage.redemptions import Wanted, list_redemptions
from stampcard.storage.tills import ActKey
from stampcard_webhooks.asking import Asked, Moment, Nothing, Query, Words
from stampcard_webhooks.booking import carry_out, facts_of, follow, known_act
from stampcard_webhooks.paging import Number, Page, PageQuery, Text, cut, position
from stampcard_webhooks.redemptions import RedemptionView, view_of
from stampcard_webhooks.rewards import StandingView, standing_views
from stampcard_webhooks.routing import Call, Route, given
from stampcard_webhooks.showing import BalanceView, balance_views

#: Acts that one request tells.
MOST = 200
#: Held rewards that are shown of one member.
_HELD = 20
#: The largest body that tells acts, in bytes: a till that was without us for a day tells many sales with their lines.
LARGEST = 1024 * 1024

TillName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
ActName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}$")]
MONEY = r"^[0-9]{1,9}(\.[0-9]{1,2})?$"
Money = Annotated[str, Field(pattern=MONEY, description="A decimal number, such as 12.50.")]
Brief = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]


class ScanQuery(Query):
    """Which scanning it is."""

    scan: str = Field(
        default="",
        max_length=100,
        pattern=r"^[^\x00]*$",
        description="Your own name for this scanning: a code that is good once may be asked about again by the same name.",
    )


class ShownView(BaseModel):
    """Whoever shows a card at the counter."""

    member: str
    known: Known = Field(description="fresh: a code of just now; scanned: one that lasts; any: a number was typed.")
    first_name: str
    held: bool = Field(description="Is on hold: earns and redeems nothing.")
    tiers: dict[str, str] = Field(description="By program; what has none is left out.")
    balances: dict[str, BalanceView] = Field(description="By wallet.")
    rewards: list[StandingView] = Field(description="What can be had for points, and what stands against it.")
    holds: list[RedemptionView] = Field(
        description="Rewards that the member has already and has not used; their codes only where `may_redeem`."
    )
    may_redeem: bool = Field(description="Whether the card was shown as rewards need it.")


class SoldLineGiven(Asked):
    """A line of a sale."""

    amount: Money
    quantity: int = Field(default=1, ge=1, le=10**6)
    sku: Brief = ""
    product: Brief = ""


class NewAct(Asked):
    """One thing that was done at a till; told again under the same `id` it counts once."""

    id: ActName = Field(description="Your own name for it: a number that is never used again, or a UUID.")
    kind: ActKind
    at: Moment | None = Field(default=None, description="When it happened, by the till's clock; by default now.")
    card: Brief = Field(default="", description="What was scanned or typed: a code, a number, a phone number.")
    member: Brief = Field(default="", description="Or the member, where you know them.")
    scan: Brief = Field(default="", description="The name of the scanning, where you asked about the card before.")
    shift: Brief = Field(default="", description="By default the day.")
    staff: Brief = ""
    receipt: Brief = ""
    amount: Money | None = Field(default=None, description="What was paid; of a return what is given back.")
    currency: Annotated[str, Field(pattern=r"^([A-Z]{3})?$")] = ""
    lines: list[SoldLineGiven] = Field(default=[], max_length=200)
    reward: Brief = ""
    program: Brief = ""
    redemption: Brief = Field(default="", description="To use a reward that is held: its id, or its code.")
    code: Brief = ""
    of: Brief = Field(default="", description="The act that is undone, or whose sale comes back.")
    phone: Brief = ""
    email: Brief = ""
    first_name: Brief = ""
    last_name: Brief = ""
    language: Brief = ""


class NewActs(Asked):
    """What was done at a till, in any order; what was told before is answered again."""

    till: TillName
    acts: list[NewAct] = Field(min_length=1, max_length=MOST)

    @field_validator("acts")
    @classmethod
    def _each_once(cls, acts: list[NewAct]) -> list[NewAct]:
        seen = set[str]()
        for one in acts:
            if one.id in seen:
                raise ValueError(f"two of the acts are called {one.id!r}: each has a name of its own")
            seen.add(one.id)
        return acts


class ActView(BaseModel):
    """An act, and what became of it."""

    till: str
    id: str
    kind: ActKind
    status: ActStatus = Field(
        description="held: it happened, and could not be booked: a person decides; dismissed: they did, against it."
    )
    at: datetime
    received_at: datetime
    member: str | None
    known: Known
    shift: str
    staff: str
    amount: str | None
    reward: str
    points: dict[str, int] = Field(description="Given, or taken (below 0), by wallet, in its smallest unit.")
    redemption: str | None
    of: str | None
    undone_by: str | None
    code: str | None = Field(description="Why it was refused or held.")
    detail: str | None
    note: str


class ActsView(BaseModel):
    """What became of each, in the order in which they were told."""

    items: list[ActView]


class ActPage(Page[ActView]):
    """Acts, the newest first."""


class ActsQuery(PageQuery):
    """Which ones."""

    status: ActStatus | None = None
    till: str = Field(default="", max_length=64, pattern=r"^[^\x00]*$")
    member: str = Field(default="", max_length=100, pattern=r"^[^\x00]*$")


class Reviewing(Asked):
    """What a person says to it."""

    note: Words = ""


async def recognise_card(call: Call[ScanQuery, Nothing]) -> ShownView:
    """Whose card a code is; a code of its moment is good once."""
    text, scan = call.path["code"], call.query.scan or secrets.token_hex(16)
    found: list[Shown] = []

    def work(unit: Unit) -> Answer:
        found.append(recognise(unit.connection, unit.setting, text, scan, call.now, unit.now))
        return Answer(status=200, body={})

    await call.write(work)
    return await shown_view(call, found[-1])


async def shown_view(call: Call[Any, Any], shown: Shown) -> ShownView:
    """What people at the counter see of somebody."""
    id_, facts = shown.member, await call.application.gatherer.facts_for(call.setting, shown.member)
    wanted = Wanted(member=id_, status="issued")

    def look(connection: Connection) -> ShownView:
        setting, merchant = call.setting, call.merchant
        people = load_members(connection, merchant, [id_], setting.sealer, attributes=True, lock=False)
        person = people.get(id_)
        if person is None or not person.is_there:
            raise NotFound("member", id_)
        unit = Unit(connection, setting, call.now)
        levels = outlooks(Unit(connection, setting, call.now), [id_]).get(id_, ())
        live = selling.terms_of(unit)
        may_redeem = suffices(shown.known, live.program.card.redeem)
        held = list_redemptions(connection, merchant, setting.sealer, wanted, None, _HELD)
        return ShownView(
            member=id_,
            known=shown.known,
            first_name=str(person.attributes.get("first_name") or ""),
            held=person.held is not None,
            tiers={one.ladder.program: one.tier.name for one in levels if one.tier.name},
            balances=balance_views(balances(connection, merchant, [id_], setting.programs, call.now)[id_]),
            rewards=standing_views(redeeming.standings(unit, id_, Asking(facts=facts, handed_out=True)), call.now),
            # Whoever only knows a number must not come by a code with it.
            holds=[view_of(call, one).model_copy(update={} if may_redeem else {"code": None}) for one in held],
            may_redeem=may_redeem,
        )

    return await call.read(look)


async def tell_acts(call: Call[Query, NewActs]) -> Answer:
    """Book what was done at a till, each act once, the earliest first."""
    told = [_act(call, one) for one in call.body.acts]
    booked: dict[str, Booked] = {}
    each = replace(call, once=None)  # an act is done once by its own name, whatever the request's
    for act in sorted(told, key=lambda one: (one.at, one.id)):
        booked[act.id] = await carry_out(each, act)
    keys = [ActKey(act.till, act.id) for act in told if booked[act.id].code != EXISTS]
    again = await call.read(lambda connection: _again(connection, call, keys))
    return given(ActsView(items=[act_view(again.get(act.id, booked[act.id])) for act in told]))


def _again(connection: Connection, call: Call[Any, Any], keys: Sequence[ActKey]) -> dict[str, Booked]:
    """What became of acts by now: one may have been held until another came."""
    found = {}
    for key in keys:
        known = known_act(connection, call, key)
        if known is not None:
            found[key.id] = known
    return found


def _act(call: Call[Any, NewActs], one: NewAct) -> Act:
    fields = one.model_dump(exclude={"at", "amount", "lines"})
    return Act(
        till=call.body.till,
        at=one.at or call.now,
        timed=one.at is not None,
        amount=None if one.amount is None else Decimal(one.amount),
        lines=tuple(
            SoldLine(amount=Decimal(line.amount), quantity=line.quantity, sku=line.sku, product=line.product)
            for line in one.lines
        ),
        **fields,
    )


def act_view(one: Booked) -> ActView:
    """An act as shown."""
    act = one.act
    return ActView(
        till=act.till,
        id=act.id,
        kind=act.kind,
        status=one.status,
        at=act.at,
        received_at=one.received_at,
        member=one.member or None,
        known=one.known,
        shift=staffing.shown_shift(act.shift, act.staff),
        staff=act.staff,
        amount=None if act.amount is None else f"{act.amount:f}",
        reward=act.reward,
        points=dict(one.points),
        redemption=one.redemption or None,
        of=act.of or None,
        undone_by=one.undone_by or None,
        code=one.code or None,
        detail=one.detail or None,
        note=one.note,
    )


def _found(connection: Connection, call: Call[Any, Any]) -> Booked:
    key = ActKey(call.path["till"], call.path["id"])
    known = known_act(connection, call, key)
    if known is None:
        raise NotFound("act", f"{key.till}/{key.id}")
    return known


async def show_act(call: Call[Query, Nothing]) -> ActView:
    """One."""
    return act_view(await call.read(lambda connection: _found(connection, call)))


async def list_acts(call: Call[ActsQuery, Nothing]) -> ActPage:
    """All; with `status=held` those that wait for a person."""
    query = call.query
    wanted = {name: value for name in ("status", "till", "member") if (value := getattr(query, name))}
    place = position(query, "acts", tuple[Number, Text, Text])
    found = await call.read(
        lambda connection: tills.acts_before(
            connection, call.merchant, call.setting.sealer, wanted, place, query.limit + 1
        )
    )
    shown, following = cut(found, query, "acts", tills.place_of)
    return ActPage(items=[act_view(one) for one in shown], next=following)


async def accept_act(call: Call[Query, Reviewing]) -> Answer:
    """Book an act that was held, as it would be booked now."""
    held = await call.read(lambda connection: _found(connection, call))
    note = call.body.note or f"accepted by {call.key.name}"
    came: list[Booked] = []

    def accept(unit: Unit, facts: Facts) -> Answer:
        came[:] = [selling.book_held(unit, held, facts, note)]
        return given(act_view(came[0]), came[0].member or None)

    try:
        facts = await facts_of(call, held.act)
        answer = await call.write(lambda unit: accept(unit, facts))
    except EventRefused as error:
        raise RequestRefused(error.code, error.detail) from None
    except NotFound as error:  # of what it is about: the act itself is there
        raise Conflict(error.code, str(error)) from None
    for booked in came:
        await follow(replace(call, once=None), booked)
    return answer


async def dismiss_act(call: Call[Query, Reviewing]) -> Answer:
    """Let an act that was held never be booked."""
    held = await call.read(lambda connection: _found(connection, call))
    note = call.body.note or f"dismissed by {call.key.name}"

    def dismiss(unit: Unit) -> Answer:
        booked = selling.dismiss(unit, held, note)
        return given(act_view(booked), booked.member or None)

    return await call.write(dismiss)


def _reviewing(what: str, summary: str, handler: Callable[[Any], Awaitable[Answer]]) -> Route:
    return Route(
        method="POST",
        path=f"/counter/acts/{{till}}/{{id}}/{what}",
        scope="counter:review",
        summary=summary,
        handler=handler,
        takes=Reviewing,
        gives=ActView,
    )


ROUTES = (
    Route(
        method="GET",
        path="/cards/{code}",
        scope="counter",
        summary="Recognise a card that is shown at the counter",
        handler=recognise_card,
        query=ScanQuery,
        gives=ShownView,
    ),
    Route(
        method="POST",
        path="/counter/acts",
        scope="counter",
        summary="Tell what was done at a till: sales, rewards handed out, and what takes them back",
        handler=tell_acts,
        takes=NewActs,
        gives=ActsView,
        largest=LARGEST,
    ),
    Route(
        method="GET",
        path="/counter/acts",
        scope="counter:review",
        summary="List what was done at tills",
        handler=list_acts,
        query=ActsQuery,
        gives=ActPage,
    ),
    Route(
        method="GET",
        path="/counter/acts/{till}/{id}",
        scope="counter",
        summary="Show what became of an act",
        handler=show_act,
        gives=ActView,
    ),
    _reviewing("accept", "Book an act that was held", accept_act),
    _reviewing("dismiss", "Let an act that was held never be booked", dismiss_act),
)
