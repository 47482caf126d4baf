"""Members on hold: listed, put there, and let go."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field
from sqlalchemy import Connection

from stampcard.applying import holding
from stampcard.applying.requests import Answer
from stampcard.applying.unit import Unit
from stampcard.storage.listing import held_before
from stampcard_webhooks.asking import Asked, Nothing, Query, Words
from stampcard_webhooks.paging import Number, Page, PageQuery, Text, cut, position
from stampcard_webhooks.routing import Call, Route, given


class HoldView(BaseModel):
    """A member who earns and redeems nothing for now."""

    member: str
    since: datetime
    reason: str


class HoldPage(Page[HoldView]):
    """Members on hold, the newest first."""


class NewHold(Asked):
    """Why a member is put on hold."""

    reason: Words = Field(description="For your own people; the member does not see it.")


class Released(BaseModel):
    """What became of a hold that has ended."""

    member: str
    orders: int = Field(description="Orders that had awarded nothing because of it, and were decided again.")


async def list_holds(call: Call[PageQuery, Nothing]) -> HoldPage:
    """All."""
    query = call.query

    def work(connection: Connection) -> HoldPage:
        place = position(query, "holds", tuple[Number, Text])
        found = held_before(connection, call.merchant, place, query.limit + 1)
        shown, following = cut(found, query, "holds", lambda one: one.place)
        items = [HoldView(member=one.member, since=one.since, reason=one.reason) for one in shown]
        return HoldPage(items=items, next=following)

    return await call.read(work)


async def hold(call: Call[Query, NewHold]) -> Answer:
    """Put a member on hold."""
    member = call.path["id"]

    def work(unit: Unit) -> Answer:
        holding.hold(unit, member, call.body.reason)
        held = unit.members[member].held
        assert held is not None
        return given(HoldView(member=member, since=held.since, reason=held.reason), member, 201)

    return await call.write(work)


async def let_go(call: Call[Query, Nothing]) -> Answer:
    """End a hold."""
    member = call.path["id"]
    return await call.write(lambda unit: given(Released(member=member, orders=holding.let_go(unit, member)), member))


ROUTES = (
    Route(
        method="GET",
        path="/holds",
        scope="members:read",
        summary="List members who are on hold",
        handler=list_holds,
        query=PageQuery,
        gives=HoldPage,
    ),
    Route(
        method="POST",
        path="/members/{id}/hold",
        scope="members:write",
        summary="Put a member on hold: nothing is earned or redeemed",
        handler=hold,
        takes=NewHold,
        gives=HoldView,
        status=201,
    ),
    Route(
        method="DELETE",
        path="/members/{id}/hold",
        scope="members:write",
        summary="End a member's hold, and pay the orders that waited for it",
        handler=let_go,
        gives=Released,
    ),
)
