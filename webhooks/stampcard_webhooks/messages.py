"""Messages to members: what was sent and what became of it, previews and tests, sending to many, addresses that get none."""

from __future__ import annotations

import secrets
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, Field, StringConstraints
from sqlalchemy import Connection

from stampcard.app import Application
from stampcard.applying.mailing import Estimate, estimate, mailing_name, named_message, preview, send_test, way_of
from stampcard.applying.messaging import Fate, hold_back, reach_print, settle_messages
from stampcard.applying.requests import Answer
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Unit
from stampcard.clock import from_micros, to_micros
from stampcard.domain.addresses import normal_email, normal_phone
from stampcard.domain.messages import MessageState
from stampcard.engine.announcing import connection_for
from stampcard.engine.versions import LiveProgram
from stampcard.errors import Conflict, NotFound, RequestRefused
from stampcard.program.occasions import BY_HAND
from stampcard.storage.correspondence import (
    Sought,
    Suppression,
    messages_before,
    one_message,
    release,
    suppressions_before,
)
from stampcard.storage.jobs import begin_job, load_job
from stampcard.storage.messages import load_messages, postpone, settle_command, steps_of
from stampcard.storage.rows import moment, open_object
from stampcard_webhooks.asking import Asked, Nothing, Query
from stampcard_webhooks.paging import Number, Page, PageQuery, cut, position
from stampcard_webhooks.routing import Call, Route, given
from stampcard_webhooks.showing import check_member

ChannelName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
#: Members of one step of an estimate.
STEP = 500


class MessageView(BaseModel):
    """One message to one member by one channel."""

    id: str
    program: str
    name: str
    member: str
    channel: str
    connection: str
    purpose: str
    language: str = Field(description="Empty until it leaves.")
    state: MessageState
    reason: str = Field(description="Why it was dropped or waits on: no_consent, quiet_hours, cap, stopped, too_late …")
    created_at: datetime
    due_at: datetime
    attempted_at: datetime | None
    parts: int
    test: bool


class StepView(BaseModel):
    """Something that was told of a message."""

    state: str
    at: datetime
    code: str = Field(description="The vendor's.")
    detail: str


class OneMessageView(MessageView):
    """A message with everything that was told of it."""

    steps: list[StepView]
    reference: str = Field(description="The vendor's name of it.")
    score: int | None = Field(description="What its question was answered.")
    choice: str
    words: str


class MessagePage(Page[MessageView]):
    """Messages, the newest first."""


class MessagesQuery(PageQuery):
    """Which messages; what is left out does not matter."""

    program: str = Field(default="", max_length=100)
    name: str = Field(default="", max_length=100)
    channel: str = Field(default="", max_length=40)
    state: str = Field(default="", max_length=20)
    member: str = Field(default="", max_length=100)


class Trying(Asked):
    """Whom a message is looked at as."""

    member: str = Field(min_length=1, max_length=100, description="A member; nothing is sent to them.")
    channel: ChannelName = "email"
    language: str = Field(default="", max_length=20, description="Without it the member's.")


class TestSending(Trying):
    """Where a message is tried."""

    to: str = Field(min_length=3, max_length=320, description="The one address that it goes to.")


class ContentView(BaseModel):
    """A message as a member would get it, with made-up facts."""

    language: str
    direction: Literal["ltr", "rtl"]
    to: str = Field(description="The member's address; empty where there is none.")
    subject: str
    text: str
    html: str


class SentView(BaseModel):
    """A message that is on its way."""

    id: str


class EstimateView(BaseModel):
    """What sending a message to everybody whom it is for would come to."""

    audience: int = Field(description="Members whom it is for.")
    reached: dict[str, int] = Field(description="How many would get it, by channel.")
    dropped: dict[str, int] = Field(description="How many would not, by the reason.")
    parts: int = Field(description="Parts of texts, each of which is charged.")
    cost: Decimal | None = Field(description="In the program's currency; null where no connection says its price.")
    currency: str


class NewMailing(Asked):
    """That a message is to be sent to everybody whom it is for."""

    confirm: Literal[True] = Field(description="That the estimate was read.")


class MailingView(BaseModel):
    """A message that is being written down for everybody whom it is for; what leaves stands among the messages."""

    mailing: str
    program: str
    message: str
    looked_at: int = Field(description="Members that were looked at so far.")
    ended: bool


class Settling(Asked):
    """What a person found out about a message of unknown outcome."""

    left: bool = Field(description="true: it left; false: it did not, and leaves now unless it is too late.")


class SuppressionView(BaseModel):
    """An address that gets nothing by a channel."""

    channel: str
    address: str = Field(description="Empty where only its fingerprint is known.")
    reason: str = Field(description="bounced, complained, unsubscribed, address, hand or imported.")
    at: datetime
    source: str
    note: str


class SuppressionPage(Page[SuppressionView]):
    """Addresses that get nothing, the latest first."""


class SuppressionsQuery(PageQuery):
    """Which addresses."""

    channel: str = Field(default="", max_length=40)


class NewSuppression(Asked):
    """An address that is to get nothing."""

    channel: ChannelName
    address: str = Field(min_length=3, max_length=320)
    note: str = Field(default="", max_length=200)


class Release(Asked):
    """Which address gets messages again."""

    channel: ChannelName
    address: str = Field(min_length=3, max_length=320)


def message_view(row: Any) -> MessageView:
    """A row of the table."""
    return MessageView(**_fields(row))


def _fields(row: Any) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "created_at": from_micros(row.created_at),
        "due_at": from_micros(row.due_at),
        "attempted_at": moment(row.attempted_at),
        "test": bool(row.test),
        **{
            name: getattr(row, name)
            for name in (
                "program",
                "name",
                "member",
                "channel",
                "connection",
                "purpose",
                "language",
                "state",
                "reason",
                "parts",
            )
        },
    }


async def list_messages(call: Call[MessagesQuery, Nothing]) -> MessagePage:
    """The newest first."""
    asked = call.query
    check_state(asked.state)
    sought = Sought(**{name: getattr(asked, name) for name in ("program", "name", "channel", "state", "member")})
    before = position(asked, "messages", Number)
    found = await call.read(
        lambda connection: messages_before(connection, call.merchant, sought, before, asked.limit + 1)
    )
    shown, next_ = cut(found, asked, "messages", lambda row: row.id)
    return MessagePage(items=[message_view(row) for row in shown], next=next_)


def check_state(state: str) -> None:
    """Raise RequestRefused for what no message can be; an empty one stands for any."""
    if state and state not in get_args(MessageState):
        raise RequestRefused("unknown_state", f"{state!r} is none of {', '.join(get_args(MessageState))}")


async def show_message(call: Call[Query, Nothing]) -> OneMessageView:
    """One, with its steps."""
    id_ = call.number("id", "message")
    return await call.read(lambda connection: one_view(connection, call, id_))


def one_view(connection: Connection, call: Call[Any, Any], id_: int) -> OneMessageView:
    """One message with everything that is known of it; raises NotFound."""
    row = one_message(connection, call.merchant, id_)
    if row is None:
        raise NotFound("message", str(id_))
    steps = steps_of(connection, call.merchant, [id_]).get(id_, [])
    words = open_object(call.setting.sealer, row.answer_sealed, f"message:{call.merchant}:{id_}")
    return OneMessageView(
        **_fields(row),
        steps=[StepView(state=one.state, at=from_micros(one.at), code=one.code, detail=one.detail) for one in steps],
        reference=row.reference,
        score=row.score,
        choice=row.choice,
        words=str(words.get("text", "")),
    )


async def list_messages_of_member(call: Call[PageQuery, Nothing]) -> MessagePage:
    """Those of one member, the newest first."""
    asked, id_ = call.query, call.path["id"]
    before = position(asked, "member messages", Number)

    def work(connection: Connection) -> Any:
        member = check_member(connection, call.setting, id_)
        return messages_before(connection, call.merchant, Sought(member=member), before, asked.limit + 1)

    shown, next_ = cut(await call.read(work), asked, "member messages", lambda row: row.id)
    return MessagePage(items=[message_view(row) for row in shown], next=next_)


async def preview_message(call: Call[Query, Trying]) -> Answer:
    """As a member would get it."""
    asked = call.body

    def work(connection: Connection) -> ContentView:
        live, terms = named_message(call.setting.programs, call.path["id"], call.path["message"], call.now)
        unit = Unit(connection, call.setting, call.now)
        one = preview(unit, live, call.path["message"], terms, asked.member, asked.channel, asked.language)
        return ContentView(
            language=one.language, direction=one.direction, to=one.to, subject=one.subject, text=one.text, html=one.html
        )

    return given(await call.read(work), asked.member)


async def try_message(call: Call[Query, TestSending]) -> Answer:
    """Send it to one address, whatever anybody agreed to."""
    asked = call.body

    def work(unit: Unit) -> Answer:
        live, terms = named_message(unit.setting.programs, call.path["id"], call.path["message"], unit.now)
        name = call.path["message"]
        check_address(unit, live, asked.channel, asked.to)
        id_ = send_test(unit, live, name, terms, asked.member, asked.channel, asked.to, asked.language)
        return given(SentView(id=str(id_)), asked.member, 202)

    answer = await call.write(work)
    call.application.wake()
    return answer


def check_address(unit: Unit, live: LiveProgram, channel: str, to: str) -> None:
    """Raise RequestRefused for what is no address of a channel."""
    needs = way_of(unit.setting, live, channel).needs
    if needs == "email" and normal_email(to) is None:
        raise RequestRefused("no_address", f"{to!r} is no e-mail address")
    if needs == "phone" and normal_phone(to) is None:
        raise RequestRefused("no_address", f"{to!r} is no phone number: write it with its country, +49 30 123456")


def _by_hand(call: Call[Any, Any]) -> tuple[LiveProgram, str]:
    """A message that people send; raises NotFound, Conflict for one that is sent by itself."""
    name = call.path["message"]
    live, terms = named_message(call.setting.programs, call.path["id"], name, call.now)
    if terms.on.event != BY_HAND or name not in live.program.messages:
        raise Conflict("not_by_hand", f"{name} goes by itself, on {terms.on}: only one on {BY_HAND} is sent by people")
    return live, name


async def estimate_message(call: Call[Query, Nothing]) -> EstimateView:
    """What sending it would come to."""
    live, name = _by_hand(call)
    total = await estimated(call.application, call.setting, live, name)
    return EstimateView(
        audience=total.audience,
        reached=dict(total.reached),
        dropped=dict(total.dropped),
        parts=total.parts,
        cost=total.cost,
        currency=live.program.currency,
    )


async def estimated(application: Application, setting: Setting, live: LiveProgram, name: str) -> Estimate:
    """What sending a message to everybody whom it is for would come to, looked at step by step."""
    prices, now = _prices(application, setting, live, name), application.clock.now()
    total, place, count = Estimate(), "", 1
    while count:
        count, place, more = await application.database.read(
            lambda connection: estimate(connection, setting, now, live, name, prices, place, STEP)  # noqa: B023 - runs before the next turn
        )
        total = total.and_(more)
    return total


def _prices(application: Application, setting: Setting, live: LiveProgram, name: str) -> dict[str, Decimal]:
    """What a part costs, by connection, as far as their settings say."""
    found: dict[str, Decimal] = {}
    for one in {connection_for(live, channel, setting.ways) for channel in live.program.messages[name].channels}:
        connection = application.connections.get(one)
        of = connection.capabilities if connection is not None else None
        for channel in of.channels if of is not None else ():
            price = channel.price()
            if price is not None:
                found[one] = price
    return found


async def send_message(call: Call[Query, NewMailing]) -> Answer:
    """Write it down for everybody whom it is for, batch by batch; the switch of the message stops it at once."""
    live, name = _by_hand(call)
    mailing = secrets.token_hex(6)

    def work(unit: Unit) -> Answer:
        job = mailing_name(live.name, name, mailing)
        begin_job(unit.connection, unit.setting.merchant, job, 0, unit.now)
        view = MailingView(mailing=mailing, program=live.name, message=name, looked_at=0, ended=False)
        return given(view, None, 202)

    return await call.write(work)


async def show_mailing(call: Call[Query, Nothing]) -> MailingView:
    """How far it is."""
    program, name, mailing = call.path["id"], call.path["message"], call.path["mailing"]
    job = await call.read(lambda connection: load_job(connection, call.merchant, mailing_name(program, name, mailing)))
    if job is None:
        raise NotFound("mailing", mailing)
    return MailingView(
        mailing=mailing, program=program, message=name, looked_at=job.done, ended=job.ended_at is not None
    )


async def settle_message(call: Call[Query, Settling]) -> Answer:
    """Say what became of a message of unknown outcome; raises Conflict for another."""
    id_, left = call.number("id", "message"), call.body.left

    def work(unit: Unit) -> Answer:
        settle(unit, id_, left=left)
        return given(message_view(one_message(unit.connection, call.merchant, id_)))

    answer = await call.write(work)
    call.application.wake()
    return answer


def settle(unit: Unit, id_: int, *, left: bool) -> None:
    """A person found out whether a message left; raises NotFound, Conflict for one of which that is known."""
    merchant, sealer = unit.setting.merchant, unit.setting.sealer
    one = load_messages(unit.connection, merchant, [id_], sealer, lock=True).get(id_)
    if one is None:
        raise NotFound("message", str(id_))
    if one.state != "unknown":
        raise Conflict("not_unknown", f"the message is {one.state}: there is nothing to find out")
    settle_command(unit.connection, merchant, one, "done" if left else "ready")
    if not left:
        postpone(unit.connection, merchant, one, unit.now, "")
    settle_messages(unit.connection, unit.setting, [Fate(stored=one, state="sent" if left else "")], unit.now)


async def list_suppressions(call: Call[SuppressionsQuery, Nothing]) -> SuppressionPage:
    """The latest first."""
    asked = call.query
    before = position(asked, "suppressions", tuple[int, str, str])

    def work(connection: Connection) -> list[Suppression]:
        sealer = call.setting.sealer
        return suppressions_before(connection, call.merchant, sealer, asked.channel, before, asked.limit + 1)

    shown, next_ = cut(
        await call.read(work), asked, "suppressions", lambda one: (to_micros(one.at), one.channel, one.print)
    )
    return SuppressionPage(items=[suppression_view(one) for one in shown], next=next_)


def suppression_view(one: Suppression) -> SuppressionView:
    """An address that gets nothing."""
    return SuppressionView(
        channel=one.channel, address=one.address, reason=one.reason, at=one.at, source=one.source, note=one.note
    )


async def add_suppression(call: Call[Query, NewSuppression]) -> Answer:
    """Let an address get nothing more."""
    asked = call.body

    def work(unit: Unit) -> Answer:
        hold_back(unit, asked.channel, asked.address, asked.note, call.key.name)
        view = SuppressionView(
            channel=asked.channel,
            address=asked.address,
            reason="hand",
            at=unit.now,
            source=call.key.name,
            note=asked.note,
        )
        return given(view, None, 201)

    return await call.write(work)


async def remove_suppression(call: Call[Query, Release]) -> Answer:
    """Let an address get messages again; what its owner agreed to counts all the same."""
    asked = call.body

    def work(unit: Unit) -> Answer:
        print_ = reach_print(unit.setting, asked.channel, asked.address)
        if not release(unit.connection, unit.setting.merchant, asked.channel, print_):
            raise NotFound("suppression", asked.address)
        return Answer(status=204, body={})

    return await call.write(work)


ROUTES = (
    Route(
        method="GET",
        path="/messages",
        scope="messages:read",
        summary="List messages and what became of them",
        handler=list_messages,
        query=MessagesQuery,
        gives=MessagePage,
    ),
    Route(
        method="GET",
        path="/messages/{id}",
        scope="messages:read",
        summary="Show a message with everything that was told of it",
        handler=show_message,
        gives=OneMessageView,
    ),
    Route(
        method="POST",
        path="/messages/{id}/settle",
        scope="messages:write",
        summary="Say whether a message of unknown outcome left",
        handler=settle_message,
        takes=Settling,
        gives=MessageView,
    ),
    Route(
        method="GET",
        path="/members/{id}/messages",
        scope="messages:read",
        summary="List the messages of a member",
        handler=list_messages_of_member,
        query=PageQuery,
        gives=MessagePage,
    ),
    Route(
        method="POST",
        path="/programs/{id}/messages/{message}/preview",
        scope="messages:read",
        summary="Show a message as a member would get it",
        handler=preview_message,
        takes=Trying,
        gives=ContentView,
    ),
    Route(
        method="POST",
        path="/programs/{id}/messages/{message}/test",
        scope="messages:write",
        summary="Send a message to one address, to try it",
        handler=try_message,
        takes=TestSending,
        gives=SentView,
        status=202,
    ),
    Route(
        method="GET",
        path="/programs/{id}/messages/{message}/estimate",
        scope="messages:read",
        summary="Estimate what sending a message by hand comes to",
        handler=estimate_message,
        gives=EstimateView,
    ),
    Route(
        method="POST",
        path="/programs/{id}/messages/{message}/mailings",
        scope="messages:write",
        summary="Send a message by hand to everybody whom it is for",
        handler=send_message,
        takes=NewMailing,
        gives=MailingView,
        status=202,
    ),
    Route(
        method="GET",
        path="/programs/{id}/messages/{message}/mailings/{mailing}",
        scope="messages:read",
        summary="Show how far a message sent by hand is",
        handler=show_mailing,
        gives=MailingView,
    ),
    Route(
        method="GET",
        path="/suppressions",
        scope="messages:read",
        summary="List addresses that get no messages",
        handler=list_suppressions,
        query=SuppressionsQuery,
        gives=SuppressionPage,
    ),
    Route(
        method="POST",
        path="/suppressions",
        scope="messages:write",
        summary="Let an address get no messages",
        handler=add_suppression,
        takes=NewSuppression,
        gives=SuppressionView,
        status=201,
    ),
    Route(
        method="POST",
        path="/suppressions/release",
        scope="messages:write",
        summary="Let an address get messages again",
        handler=remove_suppression,
        takes=Release,
        gives=None,
        status=204,
    ),
)
