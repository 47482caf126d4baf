"""Reports: figures of a program, as JSON or as a spreadsheet; nothing of one member."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from stampcard.engine.reporting import Told, as_csv
from stampcard.engine.reports import REPORTS
from stampcard.storage.reporting import Question, tell
from stampcard_webhooks.asking import Nothing, Query
from stampcard_webhooks.paging import Page
from stampcard_webhooks.routing import CSV, Call, Route, Sheet


class ReportQuery(Query):
    """Which program and days."""

    program: str = Field(default="", max_length=100, description="Without it the only one.")
    first: str = Field(
        default="",
        alias="from",
        max_length=20,
        description="The first day, as 2026-10-01; without it the first of the month.",
    )
    last: str = Field(default="", alias="to", max_length=20, description="The last day; without it today.")
    by: Literal["", "day", "week", "month"] = Field(default="", description="A row for each of these.")
    wallet: str = Field(default="", max_length=100, description="Only this wallet.")
    format: Literal["", "json", "csv"] = Field(default="", description="Without it what Accept asks for.")


class ReportView(BaseModel):
    """A report; what its rows hold: docs/reference/reports.md."""

    report: str
    program: str
    first: date = Field(serialization_alias="from")
    last: date = Field(serialization_alias="to")
    by: str | None
    timezone: str = Field(description="Of the program: its days are meant.")
    currency: str
    as_of: datetime = Field(description="Up to when it counts.")
    rows: list[dict[str, Any]] = Field(description="Points in the wallet's smallest unit; money and shares as text.")


class ReportItem(BaseModel):
    """A report that there is."""

    report: str
    about: str
    columns: list[str]


class ReportPage(Page[ReportItem]):
    """Every report."""


async def list_reports(_: Call[Query, Nothing]) -> ReportPage:
    """All of them."""
    return ReportPage(
        items=[
            ReportItem(report=one.name, about=one.about, columns=[column.name for column in one.columns])
            for one in REPORTS.values()
        ]
    )


async def show_report(call: Call[ReportQuery, Nothing]) -> ReportView | Sheet:
    """One of them."""
    asked, programs, now = call.query, call.setting.programs, call.now
    question = Question(
        report=call.path["report"],
        program=asked.program,
        first=asked.first,
        last=asked.last,
        by=asked.by,
        wallet=asked.wallet,
    )
    told = await call.read(lambda connection: tell(connection, call.merchant, programs, question, now))
    if asked.format == "csv" or (not asked.format and CSV in call.accepts):
        head = told.head
        return Sheet(text=as_csv(told), name=f"{head['report']}_{head['program']}_{head['from']}_{head['to']}.csv")
    return _view(told)


def _view(told: Told) -> ReportView:
    head = dict(told.head)
    return ReportView(first=head.pop("from"), last=head.pop("to"), **head, rows=told.rows)


ROUTES = (
    Route(
        method="GET",
        path="/reports",
        scope="reports:read",
        summary="List the reports",
        handler=list_reports,
        gives=ReportPage,
    ),
    Route(
        method="GET",
        path="/reports/{report}",
        scope="reports:read",
        summary="Show a report",
        handler=show_report,
        query=ReportQuery,
        gives=ReportView,
        as_csv=True,
    ),
)
