"""Events of the merchant's own, reported by whoever saw them."""

from __future__ import annotations

from pydantic import BaseModel, Field

from stampcard.applying.requests import Answer, record_event
from stampcard.applying.unit import Sourced, Unit
from stampcard.domain.events import CustomEvent
from stampcard.errors import Conflict, EventRefused
from stampcard_webhooks.asking import Asked, Moment, Name, Query, Scalar
from stampcard_webhooks.editing import ConnectionName
from stampcard_webhooks.routing import Call, Route, given


class NewEvent(Asked):
    """Something that a customer did, declared under `events` in the program."""

    name: Name
    connection: ConnectionName = Field(description="The connection that calls the customer so.")
    customer: Name = Field(description="The connection's own reference.")
    key: Name = Field(description="Makes the event count once, however often it is reported.")
    occurred_at: Moment | None = Field(default=None, description="By default now.")
    data: dict[Name, Scalar] = Field(default={}, description="The fields that the program declares.")


class EventView(BaseModel):
    """An event that counts."""

    name: str
    key: str
    member: str


async def report_event(call: Call[Query, NewEvent]) -> Answer:
    """Apply an event at once."""
    seen = call.body
    event = CustomEvent(
        name=seen.name,
        customer=seen.customer,
        key=seen.key,
        occurred_at=seen.occurred_at or call.now,
        data=seen.data,
    )

    source = call.source(seen.connection)
    sourced = Sourced(event=event, connection=source, source=source, received_at=call.now)
    (facts,) = await call.application.gatherer.facts_of(call.setting, [sourced])

    def work(unit: Unit) -> Answer:
        try:
            member = record_event(unit, event, source, facts)
        except EventRefused as error:
            if error.code == "conflict":
                raise Conflict("event_exists", error.detail) from None
            raise
        return given(EventView(name=seen.name, key=seen.key, member=member), member)

    return await call.write(work)


ROUTES = (
    Route(
        method="POST",
        path="/events",
        scope="events:write",
        summary="Report an event of your own",
        handler=report_event,
        takes=NewEvent,
        gives=EventView,
    ),
)
