"""What somebody should look at although work goes on: plugins, connections, switches, programs that are only drafts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from sqlalchemy import Connection as DatabaseConnection

from stampcard.app import Application
from stampcard.domain.value import Value
from stampcard.errors import ConfigurationError, ProgramError
from stampcard.storage.listing import silent_for
from stampcard.storage.planning import standing_texts
from stampcard.storage.programming import read_file, stored_versions
from stampcard.storage.switching import Switch, list_switches
from stampcard_webhooks.wellbeing import silence


class Finding(Value, frozen=True):
    """One thing that was looked at; `detail` says what is wrong with it."""

    name: str
    ok: bool
    detail: str = ""


async def examine(application: Application) -> list[Finding]:
    """Look at everything that this process knows."""
    merchant = application.setting.merchant
    versions = await application.database.read(lambda connection: stored_versions(connection, merchant))
    stopped = await application.database.read(lambda connection: list_switches(connection, merchant))
    texts = standing_texts(versions, application.clock.now())
    return [
        *_plugins(application),
        *_connections(application),
        *await application.database.read(lambda connection: list(_silent(connection, application))),
        *map(_switch, stopped),
        *await asyncio.to_thread(lambda: list(_programs(application, texts))),
    ]


def _plugins(application: Application) -> Iterator[Finding]:
    for name in application.table.ready:
        yield Finding(name=f"plugin {name}", ok=True)
    for failed in application.table.failed:
        yield Finding(name=f"plugin {failed.name}", ok=False, detail=failed.reason)


def _connections(application: Application) -> Iterator[Finding]:
    for name, connection in application.connections.items():
        yield Finding(name=f"connection {name}", ok=not connection.problem, detail=connection.problem)


def _silent(connection: DatabaseConnection, application: Application) -> Iterator[Finding]:
    merchant, now = application.setting.merchant, application.clock.now()
    most = timedelta(hours=application.settings.http.silent_hours)
    for name in sorted(application.setting.active):
        span = silent_for(connection, merchant, name, now, most)
        if span is not None:
            yield Finding(name=f"webhooks of {name}", ok=False, detail=silence(name, span))


def _switch(one: Switch) -> Finding:
    by = f" by {one.author}" if one.author else ""
    return Finding(
        name=f"switch {one.target}", ok=False, detail=f"stopped since {one.since.isoformat()}{by}: {one.note}"
    )


def _programs(application: Application, stored: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    for path in application.settings.program_files():
        name = f"program file {path.name}"
        try:
            program, text = read_file(path)
        except (ConfigurationError, ProgramError) as error:
            yield Finding(name=name, ok=False, detail=str(error))
            continue
        same = text in stored.get(program.program, ())
        detail = "" if same else f"differs from what is valid. See: stampcard program diff {path.name}"
        yield Finding(name=name, ok=same, detail=detail)
