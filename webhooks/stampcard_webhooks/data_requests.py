"""People who asked for what is stored of them: who waits, and that somebody answered."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from stampcard.applying.requests import Answer
from stampcard.applying.unit import Unit
from stampcard.storage.data_requests import DataRequest, answer_request, list_data_requests, place_of
from stampcard_webhooks.asking import Asked, Nothing, Words
from stampcard_webhooks.paging import Number, Page, PageQuery, Text, cut, position
from stampcard_webhooks.routing import Call, Route, given


class DataRequestsQuery(PageQuery):
    """Which."""

    answered: bool = Field(default=False, description="Also those that were answered.")


class DataRequestView(BaseModel):
    """Somebody who asked a shop for what is stored of them."""

    connection: str
    request: str = Field(description="The shop's own number of it.")
    member: str | None = Field(description="Whose data it is about; null for somebody who is unknown here.")
    asked_at: datetime
    answered_at: datetime | None
    answered_by: str
    note: str


class DataRequestPage(Page[DataRequestView]):
    """Requests, the longest ago first."""


class Answered(Asked):
    """How it was answered."""

    note: Words = ""


async def list_requests(call: Call[DataRequestsQuery, Nothing]) -> DataRequestPage:
    """Who waits for their data; `GET /members/{id}/export` says what is stored of one."""
    query = call.query
    place = position(query, "data-requests", tuple[Number, Text, Text])
    found = await call.read(
        lambda c: list_data_requests(c, call.merchant, answered=query.answered, after=place, limit=query.limit + 1)
    )
    shown, following = cut(found, query, "data-requests", place_of)
    return DataRequestPage(items=list(map(_view, shown)), next=following)


async def answer_one(call: Call[PageQuery, Answered]) -> Answer:
    """Write down that somebody got what is stored of them; raises Conflict for one that was answered before."""
    name, request, note, by = call.path["name"], call.path["request"], call.body.note, call.key.name

    def work(unit: Unit) -> Answer:
        one = answer_request(unit.connection, call.merchant, name, request, unit.now, by, note)
        return given(_view(one), one.member)

    return await call.write(work)


def _view(one: DataRequest) -> DataRequestView:
    return DataRequestView(
        connection=one.connection,
        request=one.request,
        member=one.member,
        asked_at=one.asked_at,
        answered_at=one.answered_at,
        answered_by=one.answered_by,
        note=one.note,
    )


ROUTES = (
    Route(
        method="GET",
        path="/data-requests",
        scope="members:read",
        summary="List people who asked for what is stored of them",
        handler=list_requests,
        query=DataRequestsQuery,
        gives=DataRequestPage,
    ),
    Route(
        method="POST",
        path="/data-requests/{name}/{request}/answer",
        scope="members:write",
        summary="Write down that somebody got what is stored of them",
        handler=answer_one,
        takes=Answered,
        gives=DataRequestView,
    ),
)
