"""Points in and out at somebody's word: spends, their cancelling, adjustments by hand."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from stampcard.applying import requests, spending
from stampcard.applying.requests import Answer
from stampcard.applying.unit import Unit
from stampcard.domain.wallets import balance_of
from stampcard.engine.requesting import PendingAction
from stampcard.engine.spending import Debit
from stampcard_webhooks.asking import MOST_POINTS, Asked, Moment, Name, Points, Query, Words
from stampcard_webhooks.routing import Call, Route, given
from stampcard_webhooks.showing import BalanceView, balance_view

#: What can be done about points that wait.
_PENDING: Mapping[PendingAction, str] = {
    "activate": "Let points that wait be used",
    "cancel": "Cancel points that wait",
    "reschedule": "Let points wait until another moment",
}
OrderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}:.{1,200}$")]
Reference = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,100}$")]


class NewSpend(Asked):
    """Points to spend."""

    wallet: Name
    points: Points = Field(description="In the wallet's smallest unit.")
    reference: Reference | None = Field(
        default=None, description="Your own name for the spend, such as a receipt's number; used once by a merchant."
    )
    order: OrderName | None = Field(
        default=None, description="The order it pays for, as CONNECTION:REFERENCE: its refund may give the points back."
    )
    note: Words = ""


class Cancelling(Asked):
    """Why a spend is cancelled."""

    note: Words = ""


class NewAdjustment(Asked):
    """Points to add (above 0) or to take (below 0)."""

    wallet: Name
    points: int = Field(ge=-MOST_POINTS, le=MOST_POINTS, description="In the wallet's smallest unit.")
    reason: Words = Field(description="The member will see it.")
    pending_until: Moment | None = Field(default=None, description="Until when added points wait; by default not.")


class Waiting(Asked):
    """What to do about points that wait, and why."""

    until: Moment | None = Field(default=None, description="The new end of their waiting, to reschedule them.")
    note: Words = ""


class PendingView(BaseModel):
    """The wallet after something was done about points that wait."""

    member: str
    wallet: str
    lot: int
    balance: BalanceView


class SpendView(BaseModel):
    """A spend, and the wallet after it."""

    key: str = Field(description="Cancels the spend.")
    member: str
    wallet: str
    points: int
    cancelled: bool
    balance: BalanceView


class AdjustmentView(BaseModel):
    """An adjustment, and the wallet after it."""

    key: str
    member: str
    wallet: str
    points: int
    balance: BalanceView


async def spend_points(call: Call[Query, NewSpend]) -> Answer:
    """Spend; raises InsufficientPoints, or Conflict for a reference that was used."""
    wanted, member = call.body, call.path["id"]
    key = wanted.reference or f"s_{secrets.token_hex(12)}"
    order: tuple[str, str] | None = None
    if wanted.order is not None:
        connection, _, reference = wanted.order.partition(":")
        order = call.source(connection), reference

    def work(unit: Unit) -> Answer:
        debit = spending.spend(unit, member, wanted.wallet, wanted.points, key, wanted.note, order)
        return _spent(unit, debit)

    return await call.write(work)


async def cancel_spend(call: Call[Query, Cancelling]) -> Answer:
    """Put a spend's points back; raises Conflict if that was done before."""
    return await call.write(lambda unit: _spent(unit, spending.cancel_spend(unit, call.path["key"], call.body.note)))


def _spent(unit: Unit, debit: Debit) -> Answer:
    view = SpendView(
        key=debit.key,
        member=debit.member,
        wallet=debit.wallet,
        points=debit.amount,
        cancelled=debit.cancelled,
        balance=_balance(unit, debit.member, debit.wallet),
    )
    return given(view, debit.member, 200 if debit.cancelled else 201)


async def adjust_points(call: Call[Query, NewAdjustment]) -> Answer:
    """Add or take points by hand."""
    wanted, member, key = call.body, call.path["id"], f"a_{secrets.token_hex(12)}"

    def work(unit: Unit) -> Answer:
        requests.adjust(unit, member, wanted.wallet, wanted.points, key, wanted.reason, wanted.pending_until)
        view = AdjustmentView(
            key=key,
            member=member,
            wallet=wanted.wallet,
            points=wanted.points,
            balance=_balance(unit, member, wanted.wallet),
        )
        return given(view, member, 201)

    return await call.write(work)


def _changing(action: PendingAction) -> Callable[[Call[Query, Waiting]], Awaitable[Answer]]:
    async def change_pending(call: Call[Query, Waiting]) -> Answer:
        member, wallet, lot = call.path["id"], call.path["wallet"], call.number("number", "lot")

        def work(unit: Unit) -> Answer:
            requests.change_pending(unit, member, wallet, lot, action, call.body.until, call.body.note)
            view = PendingView(member=member, wallet=wallet, lot=lot, balance=_balance(unit, member, wallet))
            return given(view, member)

        return await call.write(work)

    # The name is the operation's in the REST description, where each is told by it.
    change_pending.__name__ = f"{action}_pending"
    return change_pending


def _balance(unit: Unit, member: str, wallet: str) -> BalanceView:
    return balance_view(balance_of(unit.wallets[member, wallet].sums, unit.scale_of(wallet)))


ROUTES = (
    Route(
        method="POST",
        path="/members/{id}/spends",
        scope="points:write",
        summary="Spend points",
        handler=spend_points,
        takes=NewSpend,
        gives=SpendView,
        status=201,
    ),
    Route(
        method="POST",
        path="/spends/{key}/cancel",
        scope="points:write",
        summary="Cancel a spend",
        handler=cancel_spend,
        takes=Cancelling,
        gives=SpendView,
    ),
    Route(
        method="POST",
        path="/members/{id}/adjustments",
        scope="points:write",
        summary="Adjust points by hand",
        handler=adjust_points,
        takes=NewAdjustment,
        gives=AdjustmentView,
        status=201,
    ),
    *(
        Route(
            method="POST",
            path=f"/members/{{id}}/lots/{{wallet}}/{{number}}/{action}",
            scope="points:write",
            summary=summary,
            handler=_changing(action),
            takes=Waiting,
            gives=PendingView,
        )
        for action, summary in _PENDING.items()
    ),
)
