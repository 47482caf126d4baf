"""Programs: what is valid and planned, and changing a whole one; a change names the version that it was made from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field, StringConstraints
from sqlalchemy import Connection

from stampcard.applying.requests import Answer
from stampcard.applying.unit import Unit
from stampcard.errors import RequestRefused
from stampcard.program.beginning import read_beginning
from stampcard.program.comparing import changes
from stampcard.program.reading import read_program
from stampcard.storage.planning import StoredVersion, check_base, planned_versions, valid_version
from stampcard.storage.programming import (
    find_version,
    store_version,
    stored_versions,
    unknown_program,
    withdraw_version,
)
from stampcard_webhooks.asking import Asked, Nothing, Query, Words
from stampcard_webhooks.paging import Page
from stampcard_webhooks.routing import Call, Route, given

Beginning = Annotated[str, StringConstraints(min_length=1, max_length=40)]
Base = Annotated[int, Field(ge=0, le=2**31, description="The version that the change was made from.")]
FROM = "From when on: 2026-12-01 or 2026-12-01T08:00, in the program's time zone; now, without it."


class ProgramItem(BaseModel):
    """A program's newest version."""

    id: str
    name: str
    version: int
    valid_from: datetime
    currency: str
    timezone: str
    wallets: list[str]


class ProgramPage(Page[ProgramItem]):
    """All programs, by id."""


class VersionItem(BaseModel):
    """A version of a program."""

    version: int
    valid_from: datetime
    author: str
    note: str


class ProgramView(VersionItem):
    """A program with its text, and what is planned for it."""

    id: str
    text: str
    planned: list[VersionItem] = Field(description="Versions that are valid only later, in that order.")


class VersionQuery(Query):
    """Which version."""

    version: int | None = Field(default=None, ge=1, le=2**31, description="By default the one that is valid now.")


class Change(Asked):
    """What every change says: from which version, from when on, and why."""

    base_version: Base
    from_: Beginning | None = Field(default=None, alias="from", description=FROM)
    note: Words = ""


class NewText(Change):
    """A whole program as its file has it; `base_version` is 0 for one that is not there yet."""

    text: str


class ChangeView(BaseModel):
    """What a change came to."""

    id: str
    version: int
    valid_from: datetime
    changed: bool = Field(description="False where the newest version says just that already.")
    changes: list[str] = Field(description="In words, what is different now.")


async def list_programs(call: Call[Query, Nothing]) -> ProgramPage:
    """The newest version of each."""
    items = [
        ProgramItem(
            id=live.program.program,
            name=live.program.name,
            version=live.number,
            valid_from=live.valid_from,
            currency=live.program.currency,
            timezone=live.program.timezone,
            wallets=list(live.program.wallets),
        )
        for live in call.setting.programs.current(call.now)
    ]
    return ProgramPage(items=items)


async def show_program(call: Call[VersionQuery, Nothing]) -> ProgramView:
    """One, as it is valid now or as a version was."""
    version, ours = await shown_version(call)
    planned = [_item(one) for one in planned_versions(ours, call.now)]
    return ProgramView(**_item(version).model_dump(), id=version.program, text=version.source, planned=planned)


async def shown_version(call: Call[VersionQuery, Nothing]) -> tuple[StoredVersion, Sequence[StoredVersion]]:
    """The version that is asked for, or is valid now, or will be first; with all of its program. Raises NotFound."""
    id_, number = call.path["id"], call.query.version
    ours = await call.read(lambda connection: _ours(connection, call.merchant, id_))
    if number is not None:
        return await call.read(lambda connection: find_version(connection, call.merchant, id_, number)), ours
    return valid_version(ours, call.now) or ours[0], ours


async def apply_program(call: Call[Query, NewText]) -> Answer:
    """A whole text as the newest version."""

    def work(unit: Unit) -> Answer:
        if call.body.base_version:
            _ours(unit.connection, call.merchant, call.path["id"])
        return store(unit, call, call.body, call.body.text)

    return await refreshed(call, await call.write(work))


async def withdraw_planned(call: Call[Query, Nothing]) -> Answer:
    """Take back a version that is planned."""
    number = call.number("version", "version")

    def work(unit: Unit) -> Answer:
        withdraw_version(unit.connection, call.merchant, call.path["id"], number, call.key.name, unit.now)
        return Answer(status=204, body={})

    return await refreshed(call, await call.write(work))


def change_text(unit: Unit, call: Call[Any, Any], change: Change, edit: Callable[[str], str]) -> Answer:
    """Store the newest text as `edit` makes it; raises Conflict where the change was made from another."""
    ours = _ours(unit.connection, call.merchant, call.path["id"])
    check_base(ours, change.base_version, unit.now)
    return store(unit, call, change, edit(ours[-1].source))


def store(unit: Unit, call: Call[Any, Any], change: Change, text: str) -> Answer:
    """Store a text as the newest version of the program that the path names."""
    connection, merchant, id_ = unit.connection, call.merchant, call.path["id"]
    program = read_program(text, id_)
    if program.program != id_:
        raise RequestRefused("other_program", f"the text is of the program {program.program!r}, not of {id_!r}")
    begins = read_beginning(change.from_, program.zone) if change.from_ is not None else None
    before = [one for one in stored_versions(connection, merchant) if one.program == id_][-1:]
    number = store_version(
        connection,
        merchant,
        program,
        text,
        call.key.name,
        change.note,
        unit.now,
        valid_from=begins,
        base=change.base_version,
    )
    old = read_program(before[0].source, before[0].told) if before else None
    return given(
        ChangeView(
            id=id_,
            version=number,
            valid_from=find_version(connection, merchant, id_, number).valid_from,
            changed=not before or before[0].number != number,
            changes=changes(old, program),
        )
    )


async def refreshed(call: Call[Any, Any], answer: Answer) -> Answer:
    """The answer, once this process too has what it tells of."""
    await call.application.refresh()
    call.application.wake()
    return answer


def _ours(connection: Connection, merchant: str, id_: str) -> Sequence[StoredVersion]:
    everything = stored_versions(connection, merchant)
    ours = [version for version in everything if version.program == id_]
    if not ours:
        raise unknown_program(id_, everything)
    return ours


def _item(version: StoredVersion) -> VersionItem:
    return VersionItem(version=version.number, valid_from=version.valid_from, author=version.author, note=version.note)


ROUTES = (
    Route(
        method="GET",
        path="/programs",
        scope="programs:read",
        summary="List programs",
        handler=list_programs,
        gives=ProgramPage,
    ),
    Route(
        method="GET",
        path="/programs/{id}",
        scope="programs:read",
        summary="Show a program's text and what is planned",
        handler=show_program,
        query=VersionQuery,
        gives=ProgramView,
    ),
    Route(
        method="POST",
        path="/programs/{id}/versions",
        scope="programs:write",
        summary="Apply a whole text, from now or a later moment on",
        handler=apply_program,
        takes=NewText,
        gives=ChangeView,
    ),
    Route(
        method="DELETE",
        path="/programs/{id}/versions/{version}",
        scope="programs:write",
        summary="Take back a version that is planned",
        handler=withdraw_planned,
        gives=None,
        status=204,
    ),
)
