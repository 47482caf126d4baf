"""Campaigns: whether they run, and what is used of their budgets."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from stampcard.storage.campaigning import Standing, standings
from stampcard_webhooks.asking import Nothing, Query
from stampcard_webhooks.paging import Page
from stampcard_webhooks.routing import Call, Route


class BudgetView(BaseModel):
    """A limit over all members, in its present period."""

    limit: str = Field(description="As the program says it.")
    used: str = Field(description="A decimal number, in what the limit counts.")
    share: int = Field(description="Percent of the limit.")


class CampaignItem(BaseModel):
    """One campaign of a program that is valid."""

    program: str
    name: str
    state: Literal["running", "over", "stopped"]
    open: str = Field(description="Its days, as the program says them; `always` without any.")
    budgets: list[BudgetView]


class CampaignPage(Page[CampaignItem]):
    """Every campaign, by program."""


async def list_campaigns(call: Call[Query, Nothing]) -> CampaignPage:
    """All of them."""
    programs, now = call.setting.programs, call.application.clock.now()
    found = await call.read(lambda connection: standings(connection, call.merchant, programs, now))
    return CampaignPage(items=[_view(one) for one in found])


def _view(one: Standing) -> CampaignItem:
    budgets = [BudgetView(limit=of.limit, used=f"{of.used.normalize():f}", share=of.share) for of in one.budgets]
    return CampaignItem(program=one.program, name=one.name, state=one.state, open=one.open, budgets=budgets)


ROUTES = (
    Route(
        method="GET",
        path="/campaigns",
        scope="programs:read",
        summary="List campaigns with what is used of their budgets",
        handler=list_campaigns,
        gives=CampaignPage,
    ),
)
