"""Reading a connection's past: begun, watched and stopped over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from pydantic import AwareDatetime, BaseModel, Field
from sqlalchemy import Connection

from stampcard.applying.requests import Answer
from stampcard.applying.unit import Unit
from stampcard.errors import Conflict, NotFound, RequestRefused
from stampcard.storage.backfilling import Backfill, begin_backfill, load_backfill, outcomes, stop_backfill
from stampcard_webhooks.asking import Asked, Nothing, Query
from stampcard_webhooks.routing import Call, Route, given


class Beginning(Asked):
    """How far back to read."""

    since: AwareDatetime | None = Field(
        default=None, description="Orders that were placed since then; null: all that the vendor gives."
    )
    anew: bool = Field(
        default=False, description="Not on from where it stopped, but from the beginning, with this `since`."
    )


class BackfillView(BaseModel):
    """How far the reading of a connection's past is."""

    connection: str
    state: str = Field(description="reading, stopped or ended.")
    since: datetime | None
    orders: int = Field(description="Orders that were read; one that is read again counts again.")
    of: int | None = Field(description="About how many there are, where the vendor says so.")
    waiting: int = Field(description="Orders that were read and are still to be applied.")
    applied: int
    quarantined: int
    note: str = Field(description="What the vendor is doing.")
    trouble: str = Field(description="Why the last try brought nothing; it is tried again.")
    next_at: datetime | None = Field(description="When it is tried again, or the vendor is asked again.")
    started_at: datetime
    ended_at: datetime | None


def backfill_view(connection: Connection, merchant: str, found: Backfill) -> BackfillView:
    """A backfill, with what became of what it brought."""
    counts = outcomes(connection, merchant, found)
    return BackfillView(
        connection=found.connection,
        state=found.state,
        since=found.terms.since,
        orders=found.done,
        of=found.total or None,
        waiting=counts.get("ready", 0),
        applied=counts.get("done", 0),
        quarantined=counts.get("quarantined", 0),
        note=found.terms.note,
        trouble=found.terms.trouble,
        next_at=found.terms.next_at,
        started_at=found.started_at,
        ended_at=found.ended_at,
    )


async def begin(call: Call[Query, Beginning]) -> Answer:
    """Begin it, or let it go on; what is being read already goes on."""
    name, body = call.path["name"], call.body
    one = call.application.connections.get(name) if call.is_at_home else None
    if one is None:
        raise NotFound("connection", name)
    if one.capabilities is None or one.capabilities.history is None:
        raise RequestRefused("no_history", one.problem or f"the plugin {one.plugin!r} cannot read orders of the past")
    if name not in call.application.setting.active:
        raise Conflict("connection_stopped", f"{name} is paused or ended: resume it first")

    def work(unit: Unit) -> Answer:
        found = begin_backfill(unit.connection, call.merchant, name, unit.now, body.since, anew=body.anew)
        return given(backfill_view(unit.connection, call.merchant, found), status=202)

    return await call.write(work)


async def show(call: Call[Query, Nothing]) -> BackfillView:
    """How far the newest is."""
    return await call.read(_found(call, load_backfill))


async def stop(call: Call[Query, Nothing]) -> Answer:
    """Read nothing more; what was read stays and is applied."""
    found = _found(call, stop_backfill)
    return await call.write(lambda unit: given(found(unit.connection)))


def _found(
    call: Call[Query, Nothing], take: Callable[[Connection, str, str], Backfill | None]
) -> Callable[[Connection], BackfillView]:
    name = call.path["name"]

    def work(connection: Connection) -> BackfillView:
        found = take(connection, call.merchant, name)
        if found is None:
            raise NotFound("backfill of the connection", name)
        return backfill_view(connection, call.merchant, found)

    return work


ROUTES = (
    Route(
        method="POST",
        path="/connections/{name}/backfill",
        scope="connections:plug",
        summary="Read a connection's orders of the past",
        handler=begin,
        takes=Beginning,
        gives=BackfillView,
        status=202,
    ),
    Route(
        method="GET",
        path="/connections/{name}/backfill",
        scope="connections:read",
        summary="Show how far the reading of the past is",
        handler=show,
        gives=BackfillView,
    ),
    Route(
        method="DELETE",
        path="/connections/{name}/backfill",
        scope="connections:plug",
        summary="Stop the reading of the past",
        handler=stop,
        gives=BackfillView,
    ),
)
