"""Members who are one person: merged, listed, and parted again."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field
from sqlalchemy import Connection

from stampcard.applying import matching, merging
from stampcard.applying.requests import Answer
from stampcard.applying.unit import Unit
from stampcard.clock import to_micros
from stampcard.domain.merges import Merge
from stampcard.errors import NotFound
from stampcard.storage.addressing import Duplicate, duplicates_before
from stampcard.storage.merging import load_merge, merge_of, merges_before
from stampcard_webhooks.asking import Asked, Nothing, Query, Words
from stampcard_webhooks.paging import Number, Page, PageQuery, Text, cut, position
from stampcard_webhooks.routing import Call, Route, given


class MergeView(BaseModel):
    """One merge: all that `source` had is `target`'s, until it is undone."""

    id: str
    source: str
    target: str
    at: datetime
    by: str = Field(description="The key, the connection or the command that said so.")
    note: str
    undone_at: datetime | None
    undone_by: str


class MergePage(Page[MergeView]):
    """Merges, the newest first."""


class MergesQuery(PageQuery):
    """Which merges."""

    member: str | None = Field(default=None, description="Only those of one member, as source or target.")


class NewMerge(Asked):
    """Into whom."""

    into: str = Field(min_length=1, max_length=200, description="The member who has everything afterwards.")
    note: Words | None = Field(default=None, description="Why; kept until the person is erased.")


class Parted(BaseModel):
    """What the undoing of a merge brought."""

    merge: MergeView
    spent: dict[str, int] = Field(
        description="Wallet → points of the source that the target had spent meanwhile; they stay spent."
    )
    orders: int = Field(description="Orders since the merge that the source had placed, and that went back with it.")


def merge_view(one: Merge) -> MergeView:
    """A merge as it is shown."""
    return MergeView(
        id=one.id,
        source=one.source,
        target=one.target,
        at=one.at,
        by=one.by,
        note=one.note,
        undone_at=one.undone_at,
        undone_by=one.undone_by,
    )


async def list_merges(call: Call[MergesQuery, Nothing]) -> MergePage:
    """All, or one member's."""
    query = call.query

    def work(connection: Connection) -> MergePage:
        place = position(query, "merges", tuple[Number, Text])
        found = merges_before(connection, call.merchant, query.member, place, query.limit + 1)
        shown, following = cut(found, query, "merges", lambda one: (to_micros(one.at), one.id))
        return MergePage(items=[merge_view(one) for one in shown], next=following)

    return await call.read(work)


async def show_merge(call: Call[Query, Nothing]) -> MergeView:
    """One."""
    id_ = call.path["id"]

    def work(connection: Connection) -> MergeView:
        row = load_merge(connection, call.merchant, id_)
        if row is None:
            raise NotFound("merge", id_)
        return merge_view(merge_of(row))

    return await call.read(work)


async def merge(call: Call[Query, NewMerge]) -> Answer:
    """Merge a member into another."""
    source, wanted = call.path["id"], call.body

    def work(unit: Unit) -> Answer:
        done = merging.merge(unit, source, wanted.into, by=call.key.name, note=wanted.note or "")
        return given(merge_view(done), wanted.into, 201)

    return await call.write(work)


async def unmerge(call: Call[Query, Nothing]) -> Answer:
    """Undo a merge."""
    id_ = call.path["id"]

    def work(unit: Unit) -> Answer:
        apart = merging.unmerge(unit, id_, by=call.key.name)
        body = Parted(merge=merge_view(apart.merge), spent=dict(apart.spent), orders=apart.orders)
        return given(body, apart.merge.target)

    return await call.write(work)


class DuplicateView(BaseModel):
    """Two members who may be one person."""

    first: str
    second: str
    kind: str = Field(description="The kind of address that they share: email or phone.")
    reason: str = Field(description="Why they were not merged by themselves.")
    found_at: datetime


class DuplicatePage(Page[DuplicateView]):
    """Pairs that somebody should look at, the newest first."""


class NewPair(Asked):
    """Two members who are two people."""

    first: str = Field(min_length=1, max_length=200)
    second: str = Field(min_length=1, max_length=200)


class KeptApart(BaseModel):
    """Two members who are not merged by themselves and not listed any more."""

    first: str
    second: str


async def list_duplicates(call: Call[PageQuery, Nothing]) -> DuplicatePage:
    """Those that nobody has decided."""
    query = call.query

    def work(connection: Connection) -> DuplicatePage:
        place = position(query, "duplicates", tuple[Number, Text, Text])
        found = duplicates_before(connection, call.merchant, "doubtful", place, query.limit + 1)
        shown, following = cut(found, query, "duplicates", lambda one: (to_micros(one.found_at), one.first, one.second))
        return DuplicatePage(items=[duplicate_view(one) for one in shown], next=following)

    return await call.read(work)


def duplicate_view(one: Duplicate) -> DuplicateView:
    """A pair as it is shown."""
    return DuplicateView(first=one.first, second=one.second, kind=one.kind, reason=one.reason, found_at=one.found_at)


async def keep_apart(call: Call[Query, NewPair]) -> Answer:
    """Say that two members are two people."""
    first, second = call.body.first, call.body.second

    def work(unit: Unit) -> Answer:
        matching.keep_apart(unit, first, second)
        return given(KeptApart(first=first, second=second), first)

    return await call.write(work)


ROUTES = (
    Route(
        method="GET",
        path="/duplicates",
        scope="members:read",
        summary="List members who may be one person",
        handler=list_duplicates,
        query=PageQuery,
        gives=DuplicatePage,
    ),
    Route(
        method="POST",
        path="/duplicates/apart",
        scope="members:write",
        summary="Say that two members are two people",
        handler=keep_apart,
        takes=NewPair,
        gives=KeptApart,
    ),
    Route(
        method="POST",
        path="/members/{id}/merge",
        scope="members:write",
        summary="Merge a member into another, who is the same person",
        handler=merge,
        takes=NewMerge,
        gives=MergeView,
        status=201,
    ),
    Route(
        method="GET",
        path="/merges",
        scope="members:read",
        summary="List merges of members",
        handler=list_merges,
        query=MergesQuery,
        gives=MergePage,
    ),
    Route(
        method="GET",
        path="/merges/{id}",
        scope="members:read",
        summary="Show a merge",
        handler=show_merge,
        gives=MergeView,
    ),
    Route(
        method="DELETE",
        path="/merges/{id}",
        scope="members:write",
        summary="Undo a merge: what is left of the source goes back",
        handler=unmerge,
        gives=Parted,
    ),
)
