"""What members agree to, with the evidence; and everything that is stored of one."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field, StringConstraints
from sqlalchemy import Connection

from stampcard.applying.consenting import record_consent
from stampcard.applying.requests import Answer
from stampcard.applying.unit import Unit
from stampcard.domain.consents import Consent, ConsentState, current
from stampcard.domain.value import replace
from stampcard.storage.consenting import load_consents
from stampcard.storage.exporting import export_member
from stampcard_webhooks.asking import Asked, Moment, Nothing, Query
from stampcard_webhooks.paging import Page
from stampcard_webhooks.routing import Call, Route, given
from stampcard_webhooks.showing import check_member

ConsentName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Evidence = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00]*$")]


class NewConsent(Asked):
    """What a member said about being addressed."""

    channel: ConsentName = Field(description="Such as email, sms, post.")
    purpose: ConsentName = Field(description="Such as marketing.")
    state: ConsentState = Field(description="pending: asked for, and not confirmed yet.")
    at: Moment | None = Field(default=None, description="When it was said; by default now.")
    source: Evidence = Field(description="Where it was said: checkout, a form, a call.")
    text: Evidence = Field(default="", description="Which version of which words they saw.")
    ip: Evidence = Field(default="", description="From which address, as evidence; stored sealed.")
    confirmed: bool = Field(
        default=False,
        strict=True,
        description="You asked back already: a yes counts at once, also where the program wants it confirmed.",
    )


class ConsentView(BaseModel):
    """What was said once, with the evidence."""

    channel: str
    purpose: str
    state: ConsentState
    at: datetime
    recorded_at: datetime
    source: str
    text: str
    ip: str
    author: str


class ConsentPage(Page[ConsentView]):
    """Everything that a member said, the latest first, and what counts now."""

    current: dict[str, ConsentState] = Field(description="By channel.purpose.")


class ExportView(BaseModel):
    """Everything that is stored of one member: rows by table, opened where they are sealed."""

    member: str
    exported_at: datetime
    tables: dict[str, list[dict[str, Any]]]


async def show_consents(call: Call[Query, Nothing]) -> ConsentPage:
    """All of a member."""
    return await call.read(lambda connection: consent_page(connection, call, call.path["id"]))


def consent_page(
    connection: Connection, call: Call[Any, Any], member: str, *, for_shopper: bool = False
) -> ConsentPage:
    """What a member said, for shoppers without who wrote it down; raises NotFound."""
    check_member(connection, call.setting, member)
    known = load_consents(connection, call.merchant, [member], call.setting.sealer, evidence=True).get(member, [])
    return ConsentPage(
        items=[_view(replace(one, author="") if for_shopper else one) for one in reversed(known)],
        current={name: one.state for name, one in sorted(current(known).items())},
    )


def _view(one: Consent) -> ConsentView:
    return ConsentView(
        channel=one.channel,
        purpose=one.purpose,
        state=one.state,
        at=one.at,
        recorded_at=one.recorded_at,
        source=one.source,
        text=one.text,
        ip=one.ip,
        author=one.author,
    )


async def add_consent(call: Call[Query, NewConsent]) -> Answer:
    """Write down what a member said."""
    said, member, now = call.body, call.path["id"], call.now

    def work(unit: Unit) -> Answer:
        one = Consent(
            channel=said.channel,
            purpose=said.purpose,
            state=said.state,
            at=said.at or now,
            recorded_at=now,
            source=said.source,
            text=said.text,
            ip=said.ip,
            author=call.key.name,
        )
        record_consent(unit, member, one, confirmed=said.confirmed)
        return given(consent_page(unit.connection, call, member), member, 201)

    return await call.write(work)


async def export(call: Call[Query, Nothing]) -> ExportView:
    """Everything of one member."""
    return await call.read(lambda connection: export_view(connection, call, call.path["id"]))


def export_view(connection: Connection, call: Call[Any, Any], member: str, *, for_shopper: bool = False) -> ExportView:
    """Everything of one member; raises NotFound."""
    check_member(connection, call.setting, member)
    tables = export_member(connection, call.merchant, call.setting.sealer, member, for_shopper=for_shopper)
    return ExportView(member=member, exported_at=call.now, tables=tables)


ROUTES = (
    Route(
        method="GET",
        path="/members/{id}/consents",
        scope="members:read",
        summary="Show what a member agreed to, with evidence and history",
        handler=show_consents,
        gives=ConsentPage,
    ),
    Route(
        method="POST",
        path="/members/{id}/consents",
        scope="members:write",
        summary="Write down what a member said about being addressed",
        handler=add_consent,
        takes=NewConsent,
        gives=ConsentPage,
        status=201,
    ),
    Route(
        method="GET",
        path="/members/{id}/export",
        scope="members:read",
        summary="Export everything that is stored of a member",
        handler=export,
        gives=ExportView,
    ),
)
