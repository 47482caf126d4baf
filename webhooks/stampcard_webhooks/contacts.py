"""People as CRMs know them: looked through, linked, parted, and where both sides said different things."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field
from sqlalchemy import Connection

from stampcard.applying import linking
from stampcard.applying.requests import Answer
from stampcard.applying.unit import Unit
from stampcard.domain.commands import CONTACT
from stampcard.errors import Conflict, NotFound, RequestRefused
from stampcard.storage import contacts
from stampcard.storage.contacts import Contact, Dispute
from stampcard.storage.sweeping import Sweep, begin_sweep, load_sweep, stop_sweep
from stampcard_webhooks.asking import Asked, Nothing, Query
from stampcard_webhooks.paging import Number, Page, PageQuery, Text, cut, position
from stampcard_webhooks.routing import Call, Route, given

State = Literal["linked", "doubtful", "skipped", "gone"]


class ContactView(BaseModel):
    """A contact of a CRM, and whose it is."""

    connection: str
    reference: str = Field(description="The CRM's id of the contact.")
    state: State
    why: str = Field(
        description="Why it is not linked: nobody, excluded, erased, by_hand, undone, or, for people to decide, several, "
        "unverified, another_contact."
    )
    member: str | None
    candidates: list[str] = Field(description="Members whom it may be.")
    made: str = Field(
        description="`there`: it was made for the member; `here`: the member was made for it; else empty."
    )
    since: datetime = Field(description="Since when it is so.")


class ContactPage(Page[ContactView]):
    """Contacts in a state, by reference."""


class ContactsQuery(PageQuery):
    """Which contacts."""

    connection: str = Field(description="Of which CRM.", max_length=100)
    state: State = Field(default="doubtful", description="In which state.")
    why: str = Field(default="", description="For which reason only.", max_length=40)


class ConflictView(BaseModel):
    """A field of which both sides said something of their own."""

    connection: str
    reference: str
    member: str
    field: str = Field(description="Our name of the field.")
    ours: str = Field(description="What was said here.")
    theirs: str = Field(description="What was said in the CRM.")
    rule: str = Field(description="The owner that decided, or unreadable.")
    kept: str = Field(description="Whose value counts: ours, theirs or neither.")
    at: datetime


class ConflictPage(Page[ConflictView]):
    """Conflicts, the newest first."""


class ConflictsQuery(PageQuery):
    """Which conflicts."""

    connection: str = Field(default="", description="Of one CRM only.", max_length=100)
    member: str = Field(default="", description="Of one member only.", max_length=200)


class SweepQuery(Query):
    """Which look."""

    why: Literal["sync", "compare"] = Field(
        default="sync", description="The one that people wanted, or that of each night."
    )


class Linking(Asked):
    """Whose a contact is."""

    member: str = Field(min_length=1, max_length=200, description="The member.")


class Counted(BaseModel):
    """How many contacts are in a state."""

    state: str
    why: str
    made: str
    contacts: int


class SweepView(BaseModel):
    """How far a look at all contacts of a CRM is, and what is known of them."""

    connection: str
    why: str = Field(description="sync, or compare: the one of each night.")
    phase: str = Field(description="preparing, reading, applying, showing, sending, ended or undone.")
    stopped: bool
    read: int = Field(description="Contacts that were read.")
    of: int | None = Field(description="About how many there are, where the vendor says so.")
    different: int = Field(description="Contacts that were not known as they are.")
    missing: int = Field(description="Known contacts that were not found, and were asked for one by one.")
    shown: int = Field(description="Members who were to be shown there.")
    waiting: int = Field(description="Members who are still to be shown; 1000 stands for more.")
    given_up: int = Field(description="Members who could not be shown; why: outbox list --status dead.")
    trouble: str = Field(description="Why the last try brought nothing; it is tried again.")
    started_at: datetime
    ended_at: datetime | None
    contacts: list[Counted]


def contact_view(connection: Connection, merchant: str, one: Contact) -> ContactView:
    """A contact as it is shown."""
    open_ = one.state in {"doubtful", "skipped"}
    return ContactView(
        connection=one.connection,
        reference=one.reference,
        state=one.state,
        why=one.why,
        member=one.member,
        candidates=contacts.candidates_of(connection, merchant, one.key) if open_ else [],
        made=one.made,
        since=one.at,
    )


def conflict_view(one: Dispute) -> ConflictView:
    """A conflict as it is shown."""
    return ConflictView(
        connection=one.connection,
        reference=one.reference,
        member=one.member,
        field=one.field,
        ours=one.ours,
        theirs=one.theirs,
        rule=one.rule,
        kept=one.kept,
        at=one.at,
    )


def sweep_view(connection: Connection, merchant: str, one: Sweep) -> SweepView:
    """A sweep, with what is known of the contacts."""
    counted = contacts.count_contacts(connection, merchant, one.connection)
    return SweepView(
        connection=one.connection,
        why=one.why,
        phase=one.progress.phase,
        stopped=one.progress.stopped,
        read=one.done,
        of=one.total or None,
        different=one.progress.different,
        missing=one.progress.missing,
        shown=one.progress.shown,
        waiting=contacts.wait_for_pushes(connection, merchant, one.connection, CONTACT, 1000),
        given_up=contacts.count_given_up(connection, merchant, one.connection, CONTACT),
        trouble=one.progress.trouble,
        started_at=one.started_at,
        ended_at=one.ended_at,
        contacts=[
            Counted(state=state, why=why, made=made, contacts=number)
            for (state, why, made), number in sorted(counted.items())
        ],
    )


async def list_contacts(call: Call[ContactsQuery, Nothing]) -> ContactPage:
    """Contacts in a state: without any other wish those that people have to decide about."""
    query = call.query

    def work(connection: Connection) -> ContactPage:
        (after,) = position(query, "contacts", tuple[Text]) or ("",)
        found = contacts.contacts_after(
            connection, call.merchant, query.connection, query.state, query.why, after, query.limit + 1
        )
        shown, following = cut(found, query, "contacts", lambda one: (one.reference,))
        return ContactPage(items=[contact_view(connection, call.merchant, one) for one in shown], next=following)

    return await call.read(work)


async def list_conflicts(call: Call[ConflictsQuery, Nothing]) -> ConflictPage:
    """Where both sides said different things, and what came of it."""
    query = call.query

    def work(connection: Connection) -> ConflictPage:
        place = position(query, "conflicts", tuple[Number])
        before = place[0] if place is not None else None
        found = contacts.disputes_before(
            connection, call.merchant, call.setting.sealer, query.connection, query.member, before, query.limit + 1
        )
        shown, following = cut(found, query, "conflicts", lambda one: (one.id,))
        return ConflictPage(items=list(map(conflict_view, shown)), next=following)

    return await call.read(work)


async def link(call: Call[Query, Linking]) -> Answer:
    """Say whose a contact is."""
    key, member = (call.path["name"], call.path["reference"]), call.body.member

    def work(unit: Unit) -> Answer:
        one = linking.link(unit, key, member)
        return given(contact_view(unit.connection, call.merchant, one), member)

    return await call.write(work)


async def part(call: Call[Query, Nothing]) -> Answer:
    """Say that a contact is nobody here."""
    key = (call.path["name"], call.path["reference"])
    return await call.write(lambda unit: given(contact_view(unit.connection, call.merchant, linking.part(unit, key))))


async def begin_sync(call: Call[Query, Nothing]) -> Answer:
    """Look at everybody, and show every member; what is under way goes on."""
    name = call.path["name"]
    one = call.application.connections.get(name) if call.is_at_home else None
    if one is None:
        raise NotFound("connection", name)
    if one.crm is None:
        raise RequestRefused("no_contacts", one.problem or f"the plugin {one.plugin!r} has no contacts")
    if name not in call.application.setting.active:
        raise Conflict("connection_stopped", f"{name} is paused or ended: resume it first")

    def work(unit: Unit) -> Answer:
        contacts.undone_anew(unit.connection, call.merchant, name)
        found = begin_sweep(unit.connection, call.merchant, name, "sync", unit.now)
        return given(sweep_view(unit.connection, call.merchant, found), status=202)

    return await call.write(work)


async def show_sync(call: Call[SweepQuery, Nothing]) -> SweepView:
    """How far the newest is."""
    name, why = call.path["name"], call.query.why

    def work(connection: Connection) -> SweepView:
        return sweep_view(
            connection, call.merchant, _found(load_sweep(connection, call.merchant, name, why), name, why)
        )

    return await call.read(work)


async def stop_sync(call: Call[Query, Nothing]) -> Answer:
    """Read and show nothing more until it is begun again."""
    name = call.path["name"]

    def work(unit: Unit) -> Answer:
        found = _found(stop_sweep(unit.connection, call.merchant, name, "sync"), name)
        return given(sweep_view(unit.connection, call.merchant, found))

    return await call.write(work)


def _found(sweep: Sweep | None, name: str, why: str = "sync") -> Sweep:
    if sweep is None:
        raise NotFound(f"{why} of the connection", name)
    return sweep


ROUTES = (
    Route(
        method="GET",
        path="/contacts",
        scope="members:read",
        summary="List contacts of a CRM: linked, doubtful, skipped or gone",
        handler=list_contacts,
        query=ContactsQuery,
        gives=ContactPage,
    ),
    Route(
        method="GET",
        path="/contacts/conflicts",
        scope="members:read",
        summary="List fields of which both sides said different things",
        handler=list_conflicts,
        query=ConflictsQuery,
        gives=ConflictPage,
    ),
    Route(
        method="POST",
        path="/contacts/{name}/{reference}/link",
        scope="members:write",
        summary="Say whose a contact is",
        handler=link,
        takes=Linking,
        gives=ContactView,
    ),
    Route(
        method="POST",
        path="/contacts/{name}/{reference}/part",
        scope="members:write",
        summary="Say that a contact is nobody here",
        handler=part,
        gives=ContactView,
    ),
    Route(
        method="POST",
        path="/connections/{name}/sync",
        scope="connections:plug",
        summary="Look at all contacts of a CRM, and show every member there",
        handler=begin_sync,
        gives=SweepView,
        status=202,
    ),
    Route(
        method="GET",
        path="/connections/{name}/sync",
        scope="connections:read",
        summary="Show how far the look at all contacts is",
        handler=show_sync,
        query=SweepQuery,
        gives=SweepView,
    ),
    Route(
        method="DELETE",
        path="/connections/{name}/sync",
        scope="connections:plug",
        summary="Stop the look at all contacts",
        handler=stop_sync,
        gives=SweepView,
    ),
)
