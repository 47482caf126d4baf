"""A webhook that nobody sent: proven, read and decided as it would be, and then forgotten."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Self

import msgspec
from pydantic import BaseModel, Field, StringConstraints, model_validator

from stampcard.app import Application
from stampcard.applying.resolving import customer_of
from stampcard.applying.trying import Question, Triable
from stampcard.applying.unit import Sourced
from stampcard.domain.deliveries import Delivery
from stampcard.domain.events import (
    ConnectionEnded,
    CustomerErased,
    CustomerSeen,
    CustomersMerged,
    CustomEvent,
    DataRequested,
    Event,
    OrderSeen,
    Refetch,
    RefundSeen,
    SetAside,
    SourceErased,
    plain_numbers,
)
from stampcard.errors import CannotVerify, EventRefused, InvalidSignature, MalformedPayload, NotFound, RequestRefused
from stampcard.host.connecting import Connection
from stampcard.plugin.capabilities import WebhookSource
from stampcard.plugin.requests import Reply, UnverifiedRequest, VerifiedRequest
from stampcard_webhooks.asking import Asked, Query
from stampcard_webhooks.routing import Call, Route
from stampcard_webhooks.trying import DryRunView, dry_run

#: What became of a rehearsal; only the first two are what one hopes for.
Outcome = Literal["understood", "answered", "ignored", "refused", "malformed"]
Line = Annotated[str, StringConstraints(max_length=8192, pattern=r"^[^\x00\r\n]*$")]


class Rehearsal(Asked):
    """A webhook as it would come in."""

    body: str | None = Field(default=None, description="The body as text.")
    body_base64: str | None = Field(default=None, description="Or its bytes, where they are no UTF-8.")
    headers: dict[Line, Line] = Field(default={}, description="The request's headers, with the signature.")
    unsigned: bool = Field(default=False, description="true: look at no signature.")

    @model_validator(mode="after")
    def _one_body(self) -> Self:
        if (self.body is None) is (self.body_base64 is None):
            raise ValueError("give either body or body_base64")
        try:
            base64.b64decode(self.body_base64 or "", validate=True)
        except (ValueError, binascii.Error):
            raise ValueError("body_base64 is not base64") from None
        return self

    @property
    def raw(self) -> bytes:
        """The body's bytes."""
        return (
            (self.body or "").encode(errors="replace")
            if self.body_base64 is None
            else base64.b64decode(self.body_base64)
        )


class RehearsedEvent(BaseModel):
    """One thing that the body tells, and what would come of it."""

    kind: str = Field(description="What it is here: `order_seen`, `refund_seen`, `custom_event` …")
    event: dict[str, Any] = Field(description="All that was understood of it.")
    about: str = Field(description="The same in a few words.")
    would: DryRunView | None = Field(description="What it would earn; null where it is of a kind that earns nothing.")
    problem: str = Field(description="Why it would be set aside or earn nothing.")


class RehearsalView(BaseModel):
    """What would become of a webhook. Nothing was written, sent or counted."""

    connection: str
    plugin: str
    outcome: Outcome = Field(
        description="`answered`: it is a challenge or a ping. `ignored`: it tells nothing that matters here. "
        "`refused`: its signature is not good. `malformed`: it would be quarantined."
    )
    signature: Literal["good", "refused", "not looked at"]
    problem: str = Field(description="Why it is refused or malformed, and what to look at.")
    topic: str
    key: str = Field(description="By which a repeated delivery is known.")
    events: list[RehearsedEvent]


async def answer_rehearsal(call: Call[Query, Rehearsal]) -> RehearsalView:
    """Prove, read, decide and forget."""
    name, application = call.path["name"], call.application
    connection = application.connections.get(name) if call.is_at_home else None
    if connection is None:
        raise NotFound("connection", name)
    request = request_of(application, name, call.body.headers, call.body.raw)
    return await rehearse(application, connection, request, unsigned=call.body.unsigned, ask=True)


def request_of(application: Application, name: str, headers: Mapping[str, str], body: bytes) -> UnverifiedRequest:
    """The request as the receiver would make it of what comes in now."""
    return UnverifiedRequest(
        url=f"{application.public_url}/webhooks/{name}",
        headers={key.lower(): value for key, value in headers.items()},
        body=body,
        received_at=application.clock.now(),
    )


async def rehearse(
    application: Application, connection: Connection, request: UnverifiedRequest, *, unsigned: bool, ask: bool
) -> RehearsalView:
    """What would become of a request; with `ask` plugins say what they know. Raises RequestRefused where it takes none."""
    webhook = connection.capabilities.webhook if connection.capabilities is not None else None
    if webhook is None:
        raise RequestRefused("no_webhooks", connection.problem or f"{connection.name} takes no webhooks")
    view = RehearsalView(
        connection=connection.name, plugin=connection.plugin, outcome="refused",
        signature="not looked at" if unsigned else "good", problem="", topic="", key="", events=[],
    )  # fmt: skip
    try:
        verified = webhook.unchecked(request) if unsigned else webhook.verify(request)
    except (InvalidSignature, CannotVerify) as error:
        view.signature = "not looked at" if unsigned else "refused"
        view.problem = str(error)
        return view
    if isinstance(verified, Reply):
        view.outcome = "answered"
        return view
    view.topic, view.key = verified.topic, webhook.delivery_key(verified)
    try:
        events = _events(webhook, _delivery(connection, verified, view.key, request.received_at))
    except MalformedPayload as error:
        view.outcome, view.problem = "malformed", str(error)
        return view
    view.events = [await _rehearsed(application, connection, event, request.received_at, ask=ask) for event in events]
    view.outcome = "understood" if events else "ignored"
    return view


def _delivery(connection: Connection, verified: VerifiedRequest, key: str, received_at: datetime) -> Delivery:
    return Delivery(
        connection=connection.name,
        key=key,
        topic=verified.topic,
        body=verified.body,
        received_at=received_at,
        headers=verified.headers,
    )


def _events(webhook: WebhookSource, delivery: Delivery) -> list[Event | Refetch]:
    return [one if isinstance(one, Refetch) else plain_numbers(one) for one in webhook.events(delivery)]


async def _rehearsed(
    application: Application, connection: Connection, event: Event | Refetch, now: datetime, *, ask: bool
) -> RehearsedEvent:
    view = RehearsedEvent(
        kind=str(event.__struct_config__.tag),
        event=msgspec.to_builtins(event),
        about=about(event),
        would=None,
        problem=event.reason if isinstance(event, SetAside) else "",
    )
    if isinstance(event, Triable):
        try:
            view.would = await _would(application, connection, event, now, ask=ask)
        except (EventRefused, RequestRefused) as error:
            view.problem = str(error)
    return view


async def _would(
    application: Application, connection: Connection, event: Triable, now: datetime, *, ask: bool
) -> DryRunView:
    source = application.sources.get(connection.name, connection.name)
    named = customer_of(Sourced(event=event, connection=connection.name, source=source, received_at=now))
    question = Question(
        event=event, source=source, now=now, customer=named[1] if named is not None else None, as_told=True
    )
    return await dry_run(application, application.setting, question, ask=ask)


def about(event: Event | Refetch) -> str:
    """What an event is about, in a few words."""
    return _ABOUT.get(type(event), lambda _: "it would be set aside")(event)


def _order(event: OrderSeen) -> str:
    order = event.snapshot
    state = "cancelled" if order.cancelled else "paid" if order.paid else "not paid"
    customer = f"customer {order.customer}" if order.customer else "a guest"
    parts = f"lines: {len(order.lines)}, refunds: {len(event.refunds)}"
    return f"order {event.reference}, {order.total} {order.currency}, {state}, {customer}, {parts}"


def _refund(event: RefundSeen) -> str:
    refund = event.refund
    return f"refund {refund.reference} of order {event.order}, {refund.money} paid back, lines: {len(refund.lines)}"


def _customer(event: CustomerSeen) -> str:
    told = ", ".join(sorted(event.attributes)) or "nothing else"
    return f"customer {event.reference}, with {told}"


_ABOUT: Mapping[type, Callable[[Any], str]] = {
    OrderSeen: _order,
    RefundSeen: _refund,
    CustomerSeen: _customer,
    CustomEvent: lambda event: f"event {event.name} of customer {event.customer}, counted once by {event.key}",
    CustomerErased: lambda event: f"customer {event.reference or 'known by address'} would be erased",
    CustomersMerged: lambda event: f"customer {event.gone} would become one with {event.kept}",
    DataRequested: lambda event: f"customer {event.reference} asks for their data: a task for you",
    Refetch: lambda event: f"the {event.kind} {event.reference} would be read at the source first",
    ConnectionEnded: lambda _: "the connection would end: nothing is pushed any more",
    SourceErased: lambda _: "everybody who is known from here alone would be erased",
}


ROUTES = (
    Route(
        method="POST",
        path="/connections/{name}/try",
        scope="dry-run",
        summary="Ask what would become of a webhook; nothing is written",
        handler=answer_rehearsal,
        takes=Rehearsal,
        gives=RehearsalView,
    ),
)
