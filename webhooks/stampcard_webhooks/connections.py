"""Connections: which there are, how they are, and their switch."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, Field
from sqlalchemy import Connection as DatabaseConnection

from stampcard.applying.requests import Answer
from stampcard.applying.unit import Unit
from stampcard.clock import from_micros
from stampcard.errors import Conflict, NotFound, RequestRefused
from stampcard.host.connecting import Connection
from stampcard.plugin.capabilities import Health
from stampcard.storage.depths import Depths, load_depths
from stampcard.storage.listing import last_received, silent_for
from stampcard.storage.reconciling import look_back
from stampcard.storage.rows import moment
from stampcard.storage.stating import load_states, set_state
from stampcard_webhooks.asking import Asked, Nothing, Query, Words
from stampcard_webhooks.keys import WELLBEING
from stampcard_webhooks.paging import Page
from stampcard_webhooks.routing import Call, Route, given
from stampcard_webhooks.wellbeing import silence

State = Literal["active", "paused", "ended", "failed"]


class ConnectionItem(BaseModel):
    """A connection, whether it works, and what waits for it."""

    name: str
    plugin: str
    state: State
    reason: str = Field(description="Why it is paused or ended.")
    since: datetime | None = Field(description="Since when it is paused or ended.")
    problem: str = Field(description="Why it could not be connected.")
    due: int = Field(description="Pushes and commands on their way.")
    oldest_due_at: datetime | None = Field(description="Since when the oldest of these pushes is due.")
    dead: int = Field(description="Pushes and commands that were given up.")


class ConnectionPage(Page[ConnectionItem]):
    """All connections, by name."""


class SinkView(BaseModel):
    """The line to the vendor for one kind of thing, as this process knows it."""

    kind: str
    breaker: Literal["closed", "open", "half_open"] = Field(description="`open`: nothing is sent for a while.")
    calls: int
    last_success_at: datetime | None


class HealthView(BaseModel):
    """What the connection says of itself."""

    ok: bool
    problem: str
    open: str = Field(description="The address that a person opens in a browser to set it right; mostly empty.")


class ConnectionView(ConnectionItem):
    """A connection with its health."""

    health: HealthView | None = Field(description="Null when its plugin has no check.")
    sinks: list[SinkView]
    last_received_at: datetime | None


class Switching(Asked):
    """Why."""

    reason: Words = ""


class LookingBack(Asked):
    """How far."""

    since: AwareDatetime = Field(description="All orders that changed since then are looked at again.")


class LookingBackView(BaseModel):
    """Since when orders are looked at again; maybe longer ago than was asked for."""

    connection: str
    since: datetime


Standing = Mapping[str, tuple[State, str, datetime | None]]


async def list_connections(call: Call[Query, Nothing]) -> ConnectionPage:
    """All of them."""
    states, depths = await call.read(lambda connection: _known(connection, call.merchant))
    return ConnectionPage(items=[ConnectionItem(**_item(one, states, depths)) for one in _ours(call).values()])


async def show_connection(call: Call[Query, Nothing]) -> ConnectionView:
    """One, asked how it is."""
    one = _named(call)
    states, depths = await call.read(lambda connection: _known(connection, call.merchant))
    last = await call.read(lambda connection: last_received(connection, call.merchant, one.name))
    health = await call.server[WELLBEING].ask(one)
    most = timedelta(hours=call.application.settings.http.silent_hours)
    silent = await call.read(lambda c: silent_for(c, call.merchant, one.name, call.now, most))
    if silent is not None and (health is None or health.ok):
        health = Health(ok=False, problem=silence(one.name, silent))
    return ConnectionView(
        **_item(one, states, depths),
        health=HealthView(ok=health.ok, problem=health.problem, open=health.open) if health else None,
        sinks=_sinks(call, one.name),
        last_received_at=moment(last),
    )


def _ours(call: Call[Any, Any]) -> Mapping[str, Connection]:
    connections = call.application.connections if call.is_at_home else {}
    return dict(sorted(connections.items()))


def _named(call: Call[Any, Any]) -> Connection:
    name = call.path["name"]
    found = _ours(call).get(name)
    if found is None:
        raise NotFound("connection", name)
    return found


def _known(connection: DatabaseConnection, merchant: str) -> tuple[Standing, Depths]:
    states = load_states(connection, merchant)
    standing: Any = {row.connection: (row.state, row.reason, from_micros(row.since)) for row in states}
    return standing, load_depths(connection, merchant)


def _item(one: Connection, states: Standing, depths: Depths) -> dict[str, Any]:
    state, reason, since = states.get(one.name, ("active", "", None))
    if one.capabilities is None and state == "active":
        state = "failed"
    return {
        "name": one.name,
        "plugin": one.plugin,
        "state": state,
        "reason": reason,
        "since": since,
        "problem": one.problem,
        "due": depths.pending.get(one.name, 0),
        "oldest_due_at": depths.oldest.get(one.name),
        "dead": depths.dead.get(one.name, 0),
    }


def _sinks(call: Call[Any, Any], name: str) -> list[SinkView]:
    dispatcher = call.application.dispatchers.get(name)
    lines = [job.line for job in dispatcher.jobs] if dispatcher else []
    now = time.monotonic()
    return [
        SinkView(
            kind=line.sink.kind,
            breaker=line.state,
            calls=line.calls,
            last_success_at=None
            if line.last_success_at is None
            else call.now - timedelta(seconds=now - line.last_success_at),
        )
        for line in lines
    ]


async def pause_connection(call: Call[Query, Switching]) -> Answer:
    """Take in, but neither apply nor send, until somebody resumes it; raises Conflict for one that ended."""
    return await _switch(call, "paused")


async def resume_connection(call: Call[Query, Switching]) -> Answer:
    """Let it work again."""
    return await _switch(call, "active")


async def reconcile_connection(call: Call[Query, LookingBack]) -> Answer:
    """Let the vendor be asked for orders of which no webhook told: a running server begins within a minute."""
    one = _named(call)
    if one.capabilities is None or one.capabilities.orders is None:
        raise RequestRefused("no_orders", one.problem or f"the plugin {one.plugin!r} cannot list orders")

    def work(unit: Unit) -> Answer:
        since = look_back(unit.connection, call.merchant, one.name, min(call.body.since, call.now))
        return given(LookingBackView(connection=one.name, since=since), status=202)

    return await call.write(work)


async def _switch(call: Call[Query, Switching], state: State) -> Answer:
    one, clock = _named(call), call.application.clock

    def work(unit: Unit) -> Answer:
        before = {row.connection: row.state for row in load_states(unit.connection, call.merchant)}
        if state == "paused" and before.get(one.name) == "ended":
            raise Conflict("connection_ended", f"the connection {one.name!r} ended, so there is nothing to pause")
        set_state(unit.connection, call.merchant, one.name, state, call.body.reason, clock)
        return given(ConnectionItem(**_item(one, *_known(unit.connection, call.merchant))))

    answer = await call.write(work)
    await call.application.refresh()
    call.application.wake()
    return answer


ROUTES = (
    Route(
        method="GET",
        path="/connections",
        scope="connections:read",
        summary="List connections",
        handler=list_connections,
        gives=ConnectionPage,
    ),
    Route(
        method="GET",
        path="/connections/{name}",
        scope="connections:read",
        summary="Show a connection with its health",
        handler=show_connection,
        gives=ConnectionView,
    ),
    Route(
        method="POST",
        path="/connections/{name}/pause",
        scope="connections:write",
        summary="Pause a connection",
        handler=pause_connection,
        takes=Switching,
        gives=ConnectionItem,
    ),
    Route(
        method="POST",
        path="/connections/{name}/resume",
        scope="connections:write",
        summary="Resume a connection",
        handler=resume_connection,
        takes=Switching,
        gives=ConnectionItem,
    ),
    Route(
        method="POST",
        path="/connections/{name}/reconcile",
        scope="connections:write",
        summary="Ask the vendor for orders of which no webhook told",
        handler=reconcile_connection,
        takes=LookingBack,
        gives=LookingBackView,
        status=202,
    ),
)
