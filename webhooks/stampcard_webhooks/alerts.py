"""Alerts: budgets that run low, unusual days, silent connections, what was given up."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from stampcard.engine.wording import alert_words
from stampcard.storage.alerting import Told, list_alerts
from stampcard_webhooks.asking import Nothing
from stampcard_webhooks.paging import Number, Page, PageQuery, cut, position
from stampcard_webhooks.routing import Call, Route

_LIST = "alerts"


class AlertItem(BaseModel):
    """Something that somebody should know; each is told once."""

    at: datetime
    kind: str = Field(description="`budget`, `unusual_day`, `silent` or `dead_letters`.")
    program: str
    scope: str = Field(description="The connection, or `<rule, group or campaign>:<name>:<limit>`.")
    period: str = Field(description="The day, or the period of the limit.")
    share: int = Field(description="Percent of the budget, or of a usual day's points.")
    count: int = Field(description="How many were given up.")
    words: str


class AlertPage(Page[AlertItem]):
    """Alerts, the newest first."""


async def list_told(call: Call[PageQuery, Nothing]) -> AlertPage:
    """A page of them."""
    query = call.query
    before: int | None = position(query, _LIST, Number)
    found = await call.read(
        lambda connection: list_alerts(connection, call.merchant, before=before, limit=query.limit + 1)
    )
    shown, following = cut(found, query, _LIST, lambda one: one.number)
    live = {one.name: one for one in call.setting.programs.current(call.application.clock.now())}

    def view(told: Told) -> AlertItem:
        alert = told.alert
        return AlertItem(
            at=told.at,
            kind=alert.kind,
            program=alert.program,
            scope=alert.scope,
            period=alert.period,
            share=alert.share,
            count=alert.count,
            words=alert_words(alert, live.get(alert.program)),
        )

    return AlertPage(items=[view(told) for told in shown], next=following)


ROUTES = (
    Route(
        method="GET",
        path="/alerts",
        scope="alerts:read",
        summary="List alerts",
        handler=list_told,
        query=PageQuery,
        gives=AlertPage,
    ),
)
