"""Messages that a shopper reads where they look at their points: an inbox, or a place of a page."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field
from sqlalchemy import Connection

from stampcard.applying.requests import Answer
from stampcard.applying.unit import Unit
from stampcard.clock import to_micros
from stampcard.errors import NotFound
from stampcard.storage.correspondence import Kept, count_unread, kept_messages
from stampcard.storage.messages import StoredMessage, change, load_messages, mark
from stampcard_webhooks.asking import Nothing, Query
from stampcard_webhooks.routing import Call

#: The most that is shown at once.
MOST = 100


class NoteView(BaseModel):
    """A message to read."""

    id: str
    message: str = Field(description="Its name in the program.")
    title: str
    text: str
    link: str = Field(description="Where it leads; empty where nowhere.")
    language: str
    at: datetime
    until: datetime | None = Field(description="How long it is there.")
    read: bool


class NotePage(BaseModel):
    """What is there to read, the newest first."""

    unread: int = Field(description="How many nobody has read, of all that are there.")
    items: list[NoteView]


class NotesQuery(Query):
    """Where it is read."""

    channel: str = Field(default="inbox", pattern=r"^[a-z][a-z0-9_]{0,39}$")
    limit: int = Field(default=50, ge=1, le=MOST)


async def show_notes(call: Call[NotesQuery, Nothing], member: str) -> NotePage:
    """What is there for the shopper now; what expired or was dismissed is not."""
    merchant, channel, limit = call.merchant, call.query.channel, call.query.limit

    def work(connection: Connection) -> NotePage:
        found = kept_messages(connection, merchant, call.setting.sealer, member, channel, call.now, limit)
        unread = count_unread(connection, merchant, member, channel, call.now)
        return NotePage(unread=unread, items=[_view(one) for one in found])

    return await call.read(work)


def _view(one: Kept) -> NoteView:
    return NoteView(
        id=str(one.id),
        message=one.name,
        title=one.title,
        text=one.text,
        link=one.link,
        language=one.language,
        at=one.at,
        until=one.until,
        read=one.read_at is not None,
    )


async def read_note(call: Call[Query, Nothing], member: str) -> Answer:
    """The shopper has read it."""
    id_ = call.number("id", "message")

    def work(unit: Unit) -> Answer:
        one = _mine(unit.connection, call, member, id_)
        mark(unit.connection, call.merchant, one, "opened", unit.now)
        change(unit.connection, call.merchant, id_, read_at=to_micros(unit.now))
        return Answer(status=204, body={})

    return await call.write(work)


async def dismiss_note(call: Call[Query, Nothing], member: str) -> Answer:
    """The shopper wants to see it no more."""
    id_ = call.number("id", "message")

    def work(unit: Unit) -> Answer:
        _mine(unit.connection, call, member, id_)
        change(unit.connection, call.merchant, id_, dismissed_at=to_micros(unit.now))
        return Answer(status=204, body={})

    return await call.write(work)


def _mine(connection: Connection, call: Call[Any, Any], member: str, id_: int) -> StoredMessage:
    """A message of the shopper's; another's is as unknown as one that never was."""
    one = load_messages(connection, call.merchant, [id_], call.setting.sealer, lock=True).get(id_)
    if one is None or one.member != member or one.keep_until is None:
        raise NotFound("message", str(id_))
    return one
