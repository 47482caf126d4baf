"""Why an order stands where it stands: each rule, each limit, each award and what came of it."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field
from sqlalchemy import Connection

from stampcard.applying.setting import Setting
from stampcard.domain.orders import Refund, exceeds, standing_refunds
from stampcard.engine.versions import LiveProgram
from stampcard.engine.wording import WORDS
from stampcard.errors import NotFound
from stampcard.storage.explaining import Explanation, Told, explain
from stampcard.storage.reading import scale_of
from stampcard.storage.telling import rules_of
from stampcard_webhooks.asking import Nothing, Query
from stampcard_webhooks.awards import AwardView, award_view
from stampcard_webhooks.members import LotView, lot_view
from stampcard_webhooks.reasons import ReasonView, reason_view, reason_views
from stampcard_webhooks.routing import Call, Route
from stampcard_webhooks.wording import sentences


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
    valid_from: datetime | None
    refused: str | None
    stopped: list[str] = Field(description="What was switched off when the program first decided the order.")
    lacking: dict[str, str] = Field(description="Facts that plugins did not know then, each with the reason.")
    words: str


class RuleView(BaseModel):
    """What became of one rule of a pinned version; `reason` is null for one that was not asked."""

    program: str
    version: int
    rule: str
    wallet: str
    scale: int
    reason: ReasonView | None
    words: str


class RefundView(BaseModel):
    """A refund: `counted`, `refused` (it exceeds the order) or `withdrawn` (its source lists it no more)."""

    reference: str
    occurred_at: datetime
    money: str
    status: str


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
    rules: list[RuleView] = Field(description="Every rule that the order could earn by.")
    decision: list[ReasonView] = Field(description="The newest.")
    undecided: list[str]
    awards: list[AwardView]
    lots: list[OrderLotView]
    refunds: list[RefundView]
    history: list[OrderEventView] = Field(description="The newest hundred, newest first.")


async def show_explanation(call: Call[Query, Nothing]) -> ExplanationView:
    """Why an order stands where it stands."""
    source, reference = call.source(call.path["source"]), call.path["reference"]
    return await call.read(lambda connection: order_view(connection, call.setting, source, reference, call.now))


def order_view(connection: Connection, setting: Setting, source: str, reference: str, now: datetime) -> ExplanationView:
    """An order, explained; raises NotFound."""
    known = explain(connection, setting.merchant, source, reference, now)
    if known is None:
        raise NotFound("order", f"{source}:{reference}")
    return _Viewing(known, setting).whole()


class _Viewing:
    """Makes one order's explanation; everything in it is told by the versions that the order is pinned to."""

    def __init__(self, known: Explanation, setting: Setting) -> None:
        self._known = known
        self._order = known.order
        self._programs = setting.programs

    def whole(self) -> ExplanationView:
        known, order, programs = self._known, self._order, self._programs
        history = [self._event(told) for told in known.history]
        return ExplanationView(
            source=order.source,
            reference=order.reference,
            member=order.member,
            first_seen_at=order.first_seen_at,
            updated_at=known.updated_at,
            words=sentences(known, programs),
            state=_state(known),
            pins=[self._pin(name) for name in sorted(order.pins)],
            rules=self._rules(),
            decision=history[0].reasons if history else [],
            undecided=list(order.undecided),
            awards=[award_view(award, order, programs) for award in known.awards],
            lots=[
                OrderLotView(
                    member=one.member, **lot_view(one.wallet, one.lot, scale_of(programs, one.wallet)).model_dump()
                )
                for one in known.lots
            ],
            refunds=_refunds(known),
            history=history,
        )

    def _live(self, program: str) -> LiveProgram | None:
        pin = self._order.pins.get(program)
        return self._programs.numbered(program, pin.version) if pin else None

    def _pin(self, program: str) -> PinView:
        pin, live = self._order.pins[program], self._live(program)
        decides = f"Version {pin.version} of program {program!r} decides it."
        refuses = f"Program {program!r} never awards it: {WORDS.get(pin.refused, pin.refused)}."
        return PinView(
            program=program,
            version=pin.version or None,
            valid_from=live.valid_from if live else None,
            refused=pin.refused or None,
            stopped=list(pin.stopped),
            lacking=dict(pin.lacking),
            words=decides if pin.version else refuses,
        )

    def _rules(self) -> list[RuleView]:
        return [
            RuleView(
                program=told.program,
                version=told.version,
                rule=told.rule,
                wallet=told.wallet,
                scale=told.scale,
                reason=reason_view(told.reason, self._live(told.program)) if told.reason else None,
                words=told.words,
            )
            for told in rules_of(self._known, self._programs)
        ]

    def _event(self, told: Told) -> OrderEventView:
        return OrderEventView(
            id=str(told.id),
            kind=told.kind,
            occurred_at=told.occurred_at,
            applied_at=told.applied_at,
            connection=told.connection,
            delivery=None if told.delivery is None else str(told.delivery),
            reasons=reason_views(told.reasons, self._order, self._programs, told.occurred_at),
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


ROUTES = (
    Route(
        method="GET",
        path="/orders/{source}/{reference}/explanation",
        scope="orders:read",
        summary="Explain what an order earned",
        handler=show_explanation,
        gives=ExplanationView,
    ),
)
