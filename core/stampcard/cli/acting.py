"""What commands that change something start from: the application without its loops, mostly without a way to any vendor.

A server may run on the same database meanwhile; what is marked here is sent by it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from sqlalchemy import Connection

from stampcard.app import Application
from stampcard.applying.requests import Answer, Work, answer
from stampcard.applying.setting import Setting, Stale
from stampcard.cli.invocation import opened
from stampcard.cli.logging import quiet
from stampcard.settings import Settings
from stampcard.storage.pushing import pushed_kinds

T = TypeVar("T")


def acting(settings: Settings, use: Callable[[Application], Awaitable[T]], *, calls: bool = False) -> T:
    """Use the application once, with `calls` also to ask vendors; raises ConfigurationError where there is no database yet."""
    quiet()
    # Opened twice, because this one explains what the application would stumble over.
    with opened(settings):
        return asyncio.run(_use(settings, use, calls=calls))


def act(settings: Settings, work: Work) -> Answer:
    """Do the work in one unit of work, and tell the plugins what it changed."""

    async def use(application: Application) -> Answer:
        clock, database = application.clock, application.database
        while True:
            setting = await setting_of(application)
            try:
                given, changes = await database.write(
                    lambda connection: answer(connection, setting, None, clock.now(), work)  # noqa: B023 - runs before the next turn
                )
                break
            except Stale:
                await application.refresh()
        await application.announce(changes)
        return given

    return acting(settings, use)


def look(settings: Settings, work: Callable[[Connection, Setting], T]) -> T:
    """Look at the database once, with what units of work need."""

    async def use(application: Application) -> T:
        setting = await setting_of(application)
        return await application.database.read(lambda connection: work(connection, setting))

    return acting(settings, use)


async def setting_of(application: Application) -> Setting:
    """What units of work need; a plugin that cannot connect without a call takes what it took before."""
    setting, merchant = application.setting, application.setting.merchant
    targets = dict(setting.targets)
    for name, connection in application.connections.items():
        if connection.capabilities is None:
            targets[name] = await application.database.read(
                lambda database, name=name: pushed_kinds(database, merchant, name)  # type: ignore[misc]
            )
    return replace(setting, targets=targets)


async def _use(settings: Settings, use: Callable[[Application], Awaitable[T]], *, calls: bool) -> T:
    application = Application(settings)
    await application.open(loops=False, calls=calls)
    try:
        return await use(application)
    finally:
        await application.close()
