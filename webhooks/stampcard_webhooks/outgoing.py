"""What leaves: pushes of state, and commands that are done once."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field
from sqlalchemy import Connection, Row

from stampcard.applying.requests import Answer
from stampcard.applying.unit import Unit
from stampcard.clock import from_micros, to_micros
from stampcard.errors import NotFound, RequestRefused
from stampcard.storage import requeueing
from stampcard.storage.commanding import tell
from stampcard.storage.listing import commands_before, load_command, pushes_after
from stampcard.storage.rows import moment
from stampcard_webhooks.asking import Asked, Moment, Name, Nothing, Query, Words
from stampcard_webhooks.deliveries import ConnectionQuery
from stampcard_webhooks.paging import Number, Page, Text, cut, position
from stampcard_webhooks.routing import Call, Route, given
from stampcard_webhooks.showing import Counted

Key = tuple[Text, Text, Text]
_DEAD = {"due": False, "dead": True, None: None}


class PushesQuery(ConnectionQuery):
    """Which pushes."""

    state: Literal["due", "dead"] | None = Field(default=None, description="`dead` ones were given up.")


class PushItem(BaseModel):
    """A member's state that a connection does not have yet."""

    connection: str
    kind: str
    member: str
    wanted: int = Field(description="The member's version to bring there.")
    sent: int = Field(description="The version that arrived last.")
    due_at: datetime
    attempts: int
    error: str | None
    state: Literal["due", "dead"]


class PushPage(Page[PushItem]):
    """Pushes by connection, kind and member."""


class OutboxQuery(ConnectionQuery):
    """Which commands."""

    status: Literal["ready", "attempting", "unknown", "done", "dead", "dropped"] | None = None


class CommandItem(BaseModel):
    """A thing to be done once at a connection."""

    id: str
    connection: str
    kind: str
    key: str
    member: str
    status: str
    attempts: int
    due_at: datetime
    attempted_at: datetime | None
    created_at: datetime
    error: str | None


class CommandPage(Page[CommandItem]):
    """Commands, newest first."""


class Retrying(Asked):
    """Which pushes; without either all."""

    connection: Name | None = None
    member: Name | None = None


class Replaying(Asked):
    """What was told to a connection since a moment, to be told again under the same ids."""

    connection: Name
    since: Moment
    kind: Name = "webhook"


class Dropping(Asked):
    """Why a command shall never be sent."""

    reason: Words = Field(min_length=1)


class Resync(Asked):
    """Whose state is brought to a connection anew: of everybody known there, or of one."""

    connection: Name
    member: Name | None = None


async def list_pushes(call: Call[PushesQuery, Nothing]) -> PushPage:
    """A page of pushes that have not arrived."""

    def work(connection: Connection) -> PushPage:
        query = call.query
        place, dead = position(query, "pushes", Key), _DEAD[query.state]
        found = pushes_after(connection, call.merchant, query.connection, dead, place, query.limit + 1)
        shown, following = cut(found, query, "pushes", lambda row: (row.connection, row.kind, row.member))
        return PushPage(items=[_push(row) for row in shown], next=following)

    return await call.read(work)


def _push(row: Row[*tuple[Any, ...]]) -> PushItem:
    return PushItem(
        connection=row.connection,
        kind=row.kind,
        member=row.member,
        wanted=row.wanted,
        sent=max(0, row.sent),
        due_at=from_micros(row.due_at),
        attempts=row.attempts,
        error=row.error,
        state="dead" if row.dead else "due",
    )


async def retry_pushes(call: Call[Query, Retrying]) -> Answer:
    """Try again now what was given up or waits for another try."""
    chosen, now = call.body, to_micros(call.now)
    return await call.write_in_steps(
        lambda connection, after: requeueing.retry_pushes(
            connection, call.merchant, chosen.connection, chosen.member, after, now
        ),
        ("", "", ""),
    )


async def replay_commands(call: Call[Query, Replaying]) -> Answer:
    """Send again what arrived, for a receiver that lost it."""
    chosen, now = call.body, to_micros(call.now)
    since = to_micros(chosen.since)
    return await call.write_in_steps(
        lambda connection, after: requeueing.replay_commands(
            connection, call.merchant, chosen.connection, chosen.kind, since, after, now
        ),
        0,
    )


async def list_commands(call: Call[OutboxQuery, Nothing]) -> CommandPage:
    """A page of the outbox."""

    def work(connection: Connection) -> CommandPage:
        query = call.query
        place = position(query, "outbox", Number)
        found = commands_before(connection, call.merchant, query.status, query.connection, place, query.limit + 1)
        shown, following = cut(found, query, "outbox", lambda row: row.id)
        return CommandPage(items=[_command(row) for row in shown], next=following)

    return await call.read(work)


def _command(row: Row[*tuple[Any, ...]]) -> CommandItem:
    return CommandItem(
        id=str(row.id),
        connection=row.connection,
        kind=row.kind,
        key=row.key,
        member=row.member,
        status=row.status,
        attempts=row.attempts,
        due_at=from_micros(row.due_at),
        attempted_at=moment(row.attempted_at),
        created_at=from_micros(row.created_at),
        error=row.error,
    )


async def retry_command(call: Call[Query, Nothing]) -> Answer:
    """Send a command again; for one of unknown outcome that is a person's decision."""
    id_ = call.number("id", "command")

    def work(unit: Unit) -> Answer:
        requeueing.retry_command(unit.connection, call.merchant, id_, to_micros(unit.now))
        return _known(unit, id_)

    answer = await call.write(work)
    call.application.wake()
    return answer


async def drop_command(call: Call[Query, Dropping]) -> Answer:
    """Never send a command."""
    id_ = call.number("id", "command")

    def work(unit: Unit) -> Answer:
        told = requeueing.drop_command(unit.connection, call.merchant, id_, call.body.reason, unit.now)
        if told is not None:
            setting = unit.setting
            tell(unit.connection, call.merchant, setting.sealer, setting.numbering, [told])
        return _known(unit, id_)

    answer = await call.write(work)
    call.application.wake()
    return answer


def _known(unit: Unit, id_: int) -> Answer:
    row = load_command(unit.connection, unit.setting.merchant, id_)
    assert row is not None
    return given(_command(row), row.member)


async def resync(call: Call[Query, Resync]) -> Answer:
    """Push the newest state of everybody whom a connection knows, even if it was sent before."""
    wanted, now = call.body, to_micros(call.now)
    kinds = call.setting.targets.get(wanted.connection)
    if kinds is None:
        raise NotFound("connection", wanted.connection)
    if not kinds:
        raise RequestRefused("nothing_pushed", f"the connection {wanted.connection!r} takes no balances")
    return await call.write_in_steps(
        lambda connection, after: requeueing.push_anew(
            connection, call.merchant, wanted.connection, kinds, wanted.member, after, now
        ),
        "",
    )


ROUTES = (
    Route(
        method="GET",
        path="/pushes",
        scope="outbox:read",
        summary="List pushes that have not arrived",
        handler=list_pushes,
        query=PushesQuery,
        gives=PushPage,
    ),
    Route(
        method="POST",
        path="/pushes/retry",
        scope="outbox:write",
        summary="Try pushes again now",
        handler=retry_pushes,
        takes=Retrying,
        gives=Counted,
    ),
    Route(
        method="GET",
        path="/outbox",
        scope="outbox:read",
        summary="List commands",
        handler=list_commands,
        query=OutboxQuery,
        gives=CommandPage,
    ),
    Route(
        method="POST",
        path="/outbox/replay",
        scope="outbox:write",
        summary="Send again what arrived",
        handler=replay_commands,
        takes=Replaying,
        gives=Counted,
    ),
    Route(
        method="POST",
        path="/outbox/{id}/retry",
        scope="outbox:write",
        summary="Send a command again",
        handler=retry_command,
        gives=CommandItem,
    ),
    Route(
        method="POST",
        path="/outbox/{id}/drop",
        scope="outbox:write",
        summary="Never send a command",
        handler=drop_command,
        takes=Dropping,
        gives=CommandItem,
    ),
    Route(
        method="POST",
        path="/resync",
        scope="outbox:write",
        summary="Bring a connection up to date anew",
        handler=resync,
        takes=Resync,
        gives=Counted,
    ),
)
