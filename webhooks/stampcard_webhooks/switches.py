"""Switches: what is stopped for now, and stopping and starting it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field, StringConstraints

from stampcard.applying.requests import Answer
from stampcard.applying.unit import Unit
from stampcard.storage.switching import (
    GOES_ON,
    Switch,
    find_target,
    known_targets,
    list_switches,
    start,
    stop,
    switch_of,
)
from stampcard_webhooks.asking import Asked, Nothing, Query, Words
from stampcard_webhooks.paging import Page
from stampcard_webhooks.routing import Call, Route, given


class SwitchItem(BaseModel):
    """Something that is stopped."""

    kind: str
    id: str = Field(description="Its name; that of a rule or campaign is PROGRAM/NAME.")
    since: datetime
    author: str
    note: str = Field(description="Why.")


class SwitchPage(Page[SwitchItem]):
    """Everything that is stopped, by kind and name."""


class SwitchView(BaseModel):
    """How a switch stands now."""

    kind: str
    id: str
    stopped: bool
    changed: bool = Field(description="False where it stood so already.")
    since: datetime | None = Field(description="Since when it is stopped.")
    author: str
    note: str
    goes_on: str = Field(description="What goes on although it is stopped.")


class Stopping(Asked):
    """Why it is stopped."""

    note: Annotated[Words, StringConstraints(min_length=1)]


class Starting(Asked):
    """Starting needs no reason."""

    note: Words = ""


async def list_stopped(call: Call[Query, Nothing]) -> SwitchPage:
    """All of them."""
    found = await call.read(lambda connection: list_switches(connection, call.merchant))
    return SwitchPage(
        items=[
            SwitchItem(kind=one.kind, id=one.name, since=one.since, author=one.author, note=one.note) for one in found
        ]
    )


async def stop_switch(call: Call[Query, Stopping]) -> Answer:
    """Stop something; what is stopped already stays as it is."""

    def work(unit: Unit) -> Answer:
        target, clock = _target(unit, call), call.application.clock
        changed = stop(unit.connection, call.merchant, target, call.body.note, call.key.name, clock)
        return given(_view(target, switch_of(unit.connection, call.merchant, target), changed=changed))

    return await _switched(call, await call.write(work))


async def start_switch(call: Call[Query, Starting]) -> Answer:
    """Start something again; what is not stopped stays as it is."""

    def work(unit: Unit) -> Answer:
        target = _target(unit, call)
        changed = start(unit.connection, call.merchant, target, call.application.clock)
        return given(_view(target, None, changed=changed))

    return await _switched(call, await call.write(work))


def _target(unit: Unit, call: Call[Any, Any]) -> str:
    """What the path names; plugins and connections are only the merchant's who is configured here."""
    application, merchant = call.application, call.merchant
    failed = [one.name for one in application.table.failed]
    plugins = [*application.table.ready, *failed] if call.is_at_home else []
    known = known_targets(unit.setting.programs, plugins, application.connections if call.is_at_home else ())
    # What is gone since it was stopped can still be started.
    known |= {one.target for one in list_switches(unit.connection, merchant)}
    return find_target(call.path["kind"], call.path["id"], known)


def _view(target: str, found: Switch | None, *, changed: bool) -> SwitchView:
    kind, _, name = target.partition(":")
    return SwitchView(
        kind=kind,
        id=name,
        stopped=found is not None,
        changed=changed,
        since=found.since if found else None,
        author=found.author if found else "",
        note=found.note if found else "",
        goes_on=GOES_ON[kind] if found else "",
    )


async def _switched(call: Call[Any, Any], answer: Answer) -> Answer:
    await call.application.refresh()
    call.application.wake()
    return answer


ROUTES = (
    Route(
        method="GET",
        path="/switches",
        scope="switches:read",
        summary="List what is stopped",
        handler=list_stopped,
        gives=SwitchPage,
    ),
    Route(
        method="POST",
        path="/switches/{kind}/{id:.+}/stop",
        scope="switches:write",
        summary="Stop a program, campaign, rule, reward, message, plugin or connection",
        handler=stop_switch,
        takes=Stopping,
        gives=SwitchView,
    ),
    Route(
        method="POST",
        path="/switches/{kind}/{id:.+}/start",
        scope="switches:write",
        summary="Start again what was stopped",
        handler=start_switch,
        takes=Starting,
        gives=SwitchView,
    ),
)
