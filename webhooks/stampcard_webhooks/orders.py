"""Orders: what they earned, and why."""

from __future__ import annotations

from datetime import datetime

import msgspec
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from stampcard.clock import from_micros
from stampcard.domain.decisions import Reason
from stampcard.domain.orders import Refund, exceeds, standing_refunds
from stampcard.errors import NotFound
from stampcard.storage.explaining import Explanation, Told, explain
from stampcard.storage.listing import orders_after
from stampcard.storage.reading import scale_of
from stampcard_webhooks.asking import Nothing, Query
from stampcard_webhooks.members import LotView, lot_view
from stampcard_webhooks.paging import Page, PageQuery, Text, cut, position
from stampcard_webhooks.routing import Call, Route
from stampcard_webhooks.wording import sentences

_UNDECIDED = msgspec.json.Decoder(list[str])


class OrdersQuery(PageQuery):
    """All orders, or those that wait for a person."""

    undecided: bool = Field(default=False, description="Only orders with a rule whose condition failed.")


class OrderItem(BaseModel):
    """An order in a list."""

    source: str
    reference: str
    member: str | None
    first_seen_at: datetime
    updated_at: datetime
    undecided: list[str] = Field(description="Rules whose condition failed, as `program/rule`.")


class OrderPage(Page[OrderItem]):
    """Orders by source and reference."""


class ReasonView(BaseModel):
    """Why a rule did what it did; points in the wallet's smallest unit."""

    rule: str
    outcome: str
    code: str
    detail: str
    due: int
    granted: int
    taken: int
    written_off: int


class StateView(BaseModel):
    """The order as placed or edited, before refunds; amounts are decimal text in `currency`."""

    number: str
    occurred_at: datetime
    currency: str
    total: str
    paid: bool
    cancelled: bool
    lines: int


class PinView(BaseModel):
    """The program version that decides the order for good, or why the program never awards it."""

    program: str
    version: int | None
    refused: str | None


class RefundView(BaseModel):
    """A refund: `counted`, `refused` (it exceeds the order) or `withdrawn` (its source lists it no more)."""

    reference: str
    occurred_at: datetime
    money: str
    status: str


class AwardView(BaseModel):
    """What a rule owes for the order, and what was done about it: due = granted − taken − written_off."""

    member: str
    program: str
    rule: str
    wallet: str
    granted: int
    taken: int
    written_off: int
    due: int
    scale: int


class OrderLotView(LotView):
    """A lot of the order with whose it is."""

    member: str


class OrderEventView(BaseModel):
    """An event as it was applied, with what was decided."""

    id: str
    kind: str
    occurred_at: datetime
    applied_at: datetime
    connection: str | None
    delivery: str | None
    reasons: list[ReasonView]


class ExplanationView(BaseModel):
    """Everything about one order, in words and in figures."""

    source: str
    reference: str
    member: str | None
    first_seen_at: datetime
    updated_at: datetime
    words: list[str]
    state: StateView | None = Field(description="Null while only refunds of the order are known.")
    pins: list[PinView]
    decision: list[ReasonView] = Field(description="The newest.")
    undecided: list[str]
    awards: list[AwardView]
    lots: list[OrderLotView]
    refunds: list[RefundView]
    history: list[OrderEventView] = Field(description="The newest hundred, newest first.")


async def list_orders(call: Call[OrdersQuery, Nothing]) -> OrderPage:
    """A page of orders."""

    def work(connection: Connection) -> OrderPage:
        query = call.query
        name = "undecided" if query.undecided else "orders"
        place = position(query, name, tuple[Text, Text])
        found = orders_after(connection, call.merchant, place, query.limit + 1, undecided=query.undecided)
        shown, following = cut(found, query, name, lambda row: (row.source, row.reference))
        items = [
            OrderItem(
                source=row.source,
                reference=row.reference,
                member=row.member,
                first_seen_at=from_micros(row.first_seen_at),
                updated_at=from_micros(row.updated_at),
                undecided=_UNDECIDED.decode(row.undecided),
            )
            for row in shown
        ]
        return OrderPage(items=items, next=following)

    return await call.read(work)


async def show_explanation(call: Call[Query, Nothing]) -> ExplanationView:
    """Why an order stands where it stands."""
    source, reference = call.source(call.path["source"]), call.path["reference"]
    known = await call.read(lambda connection: explain(connection, call.merchant, source, reference, call.now))
    if known is None:
        raise NotFound("order", f"{source}:{reference}")
    return _explanation(call, known)


def _explanation(call: Call[Query, Nothing], known: Explanation) -> ExplanationView:
    order = known.order
    return ExplanationView(
        source=order.source,
        reference=order.reference,
        member=order.member,
        first_seen_at=order.first_seen_at,
        updated_at=known.updated_at,
        words=sentences(known, call.setting.programs),
        state=_state(known),
        pins=[
            PinView(program=name, version=pin.version or None, refused=pin.refused or None)
            for name, pin in sorted(order.pins.items())
        ],
        decision=_reasons(known.newest),
        undecided=list(order.undecided),
        awards=_awards(call, known),
        lots=[
            OrderLotView(
                member=one.member,
                **lot_view(one.wallet, one.lot, scale_of(call.setting.programs, one.wallet)).model_dump(),
            )
            for one in known.lots
        ],
        refunds=_refunds(known),
        history=[_event(told) for told in known.history],
    )


def _state(known: Explanation) -> StateView | None:
    snapshot = known.order.state.snapshot
    if snapshot is None:
        return None
    return StateView(
        number=snapshot.number,
        occurred_at=snapshot.occurred_at,
        currency=snapshot.currency,
        total=f"{snapshot.total:f}",
        paid=snapshot.paid,
        cancelled=snapshot.cancelled,
        lines=len(snapshot.lines),
    )


def _awards(call: Call[Query, Nothing], known: Explanation) -> list[AwardView]:
    return [
        AwardView(
            member=award.member,
            program=award.program,
            rule=award.rule,
            wallet=award.wallet,
            granted=award.granted,
            taken=award.taken,
            written_off=award.written_off,
            due=award.due,
            scale=scale_of(call.setting.programs, award.wallet),
        )
        for award in known.awards
    ]


def _refunds(known: Explanation) -> list[RefundView]:
    state = known.order.state
    standing = {refund.reference for refund in standing_refunds(state)}

    def status(refund: Refund) -> str:
        if refund.reference not in standing:
            return "withdrawn"
        return "refused" if state.snapshot and exceeds(refund, state.snapshot) else "counted"

    return [
        RefundView(
            reference=refund.reference,
            occurred_at=refund.occurred_at,
            money=f"{refund.money:f}",
            status=status(refund),
        )
        for _, refund in sorted(state.refunds.items())
    ]


def _reasons(reasons: tuple[Reason, ...]) -> list[ReasonView]:
    return [ReasonView(**msgspec.structs.asdict(reason)) for reason in reasons]


def _event(told: Told) -> OrderEventView:
    return OrderEventView(
        id=str(told.id),
        kind=told.kind,
        occurred_at=told.occurred_at,
        applied_at=told.applied_at,
        connection=told.connection,
        delivery=None if told.delivery is None else str(told.delivery),
        reasons=_reasons(told.reasons),
    )


ROUTES = (
    Route(
        method="GET",
        path="/orders",
        scope="orders:read",
        summary="List orders, or those with undecided rules",
        handler=list_orders,
        query=OrdersQuery,
        gives=OrderPage,
    ),
    Route(
        method="GET",
        path="/orders/{source}/{reference}/explanation",
        scope="orders:read",
        summary="Explain what an order earned",
        handler=show_explanation,
        gives=ExplanationView,
    ),
)
