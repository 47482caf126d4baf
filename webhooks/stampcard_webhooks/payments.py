"""Paying with points: a part of an order, as far as the wallet's terms let it, tried before or done at once."""

from __future__ import annotations

import secrets
from decimal import Decimal
from typing import Annotated, Self

from pydantic import BaseModel, Field, model_validator
from sqlalchemy import Connection

from stampcard.applying import spending
from stampcard.applying.requests import Answer
from stampcard.applying.unit import Unit
from stampcard.domain.wallets import balance_of
from stampcard.engine.paying import Quote
from stampcard_webhooks.asking import Asked, Name, Points, Query, Words
from stampcard_webhooks.points import OrderName, Reference
from stampcard_webhooks.routing import Call, Route, given
from stampcard_webhooks.showing import BalanceView, balance_view

Money = Annotated[str, Field(pattern=r"^[0-9]{1,9}(\.[0-9]{1,2})?$", description="A decimal number, such as 12.50.")]


class NewPayment(Asked):
    """What is to be paid with points; without `points` and `money`, as much as is allowed."""

    wallet: Name
    total: Money = Field(description="What the order comes to, in the program's currency.")
    points: Points | None = Field(default=None, description="So many points, in the wallet's smallest unit.")
    money: Money | None = Field(default=None, description="Or the points for so much money.")
    reference: Reference | None = Field(
        default=None, description="Your own name for the payment, such as a receipt's number; used once by a merchant."
    )
    order: OrderName | None = Field(
        default=None,
        description="The order, as CONNECTION:REFERENCE: its refund may give the points back, and what it earns may leave "
        "out what points paid.",
    )
    note: Words = ""
    dry_run: bool = Field(default=False, description="true: say what would be paid, and do nothing.")

    @model_validator(mode="after")
    def _says_one(self) -> Self:
        if self.points is not None and self.money is not None:
            raise ValueError("say points or money, not both")
        return self


class PaymentView(BaseModel):
    """A payment, or what it would be."""

    key: str | None = Field(description="Cancels it, as a spend; null for a dry run.")
    member: str
    wallet: str
    points: int
    money: str
    currency: str
    most_points: int = Field(description="The most that could be paid.")
    most_money: str
    least_points: int = Field(description="The fewest points that a payment may have.")
    balance: BalanceView


async def pay(call: Call[Query, NewPayment]) -> Answer | PaymentView:
    """Pay with points; raises InsufficientPoints, or RequestRefused with what the wallet's terms say."""
    wanted, member = call.body, call.path["id"]
    key = wanted.reference or f"p_{secrets.token_hex(12)}"
    order: tuple[str, str] | None = None
    if wanted.order is not None:
        connection, _, reference = wanted.order.partition(":")
        order = call.source(connection), reference
    total, money = Decimal(wanted.total), None if wanted.money is None else Decimal(wanted.money)
    if wanted.dry_run:

        def look(connection: Connection) -> PaymentView:
            unit = Unit(connection, call.setting, call.now)
            found = spending.quote_payment(unit, member, wanted.wallet, total, order, points=wanted.points, money=money)
            return _view(unit, member, wanted.wallet, found, None)

        return await call.read(look)

    def work(unit: Unit) -> Answer:
        found = spending.pay(
            unit, member, wanted.wallet, total, key, wanted.note, order, points=wanted.points, money=money
        )
        return given(_view(unit, member, wanted.wallet, found, key), member, 201)

    return await call.write(work)


def _view(unit: Unit, member: str, wallet: str, found: Quote, key: str | None) -> PaymentView:
    live = unit.setting.programs.of_wallet(wallet, unit.now)
    known = unit.wallets.get((member, wallet))
    return PaymentView(
        key=key,
        member=member,
        wallet=wallet,
        points=found.points,
        money=f"{found.money:f}",
        currency=live.program.currency if live is not None else "",
        most_points=found.most_points,
        most_money=f"{found.most_money:f}",
        least_points=found.least_points,
        balance=balance_view(balance_of(known.sums if known else {}, unit.scale_of(wallet))),
    )


ROUTES = (
    Route(
        method="POST",
        path="/members/{id}/payments",
        scope="points:write",
        summary="Pay a part of an order with points, or try how much that could be",
        handler=pay,
        takes=NewPayment,
        gives=PaymentView,
        status=201,
    ),
)
