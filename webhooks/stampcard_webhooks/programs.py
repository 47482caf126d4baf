"""The programs that are valid."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel

from stampcard_webhooks.asking import Nothing, Query
from stampcard_webhooks.paging import Page
from stampcard_webhooks.routing import Call, Route


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


ROUTES = (
    Route(
        method="GET",
        path="/programs",
        scope="programs:read",
        summary="List programs",
        handler=list_programs,
        gives=ProgramPage,
    ),
)
