"""Segments: how many are in each, who, and why one member is in or not."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, Field, model_validator
from sqlalchemy import Connection

from stampcard.applying import judging
from stampcard.applying.requests import Answer
from stampcard.applying.unit import Unit
from stampcard.storage.segmenting import count_segments, members_in
from stampcard_webhooks.asking import Asked, Name, Nothing, Query
from stampcard_webhooks.paging import Page, PageQuery, Text, cut, position
from stampcard_webhooks.routing import Call, Route, given
from stampcard_webhooks.showing import Counted

#: Members that one request puts in or takes out.
MOST = 1_000


class SegmentView(BaseModel):
    """One segment with how many are in it."""

    program: str
    segment: str
    name: str
    when: str | None = Field(description="Its condition; null: people say who is in.")
    members: int


class SegmentPage(Page[SegmentView]):
    """Every segment, by program."""


class InsideView(BaseModel):
    """A member of a segment."""

    member: str


class InsidePage(Page[InsideView]):
    """Who is in a segment, by id."""


class InsightView(BaseModel):
    """A segment as it stands for one member now."""

    program: str
    segment: str
    inside: bool
    when: str | None
    error: str = Field(description="Why the condition could not be decided, so that nothing changes; empty: it was.")


class InsightPage(Page[InsightView]):
    """Every segment for one member."""


class Moving(Asked):
    """Whom to put into a segment that is kept by hand, and whom to take out."""

    add: list[Name] = Field(default=[], max_length=MOST)
    remove: list[Name] = Field(default=[], max_length=MOST)

    @model_validator(mode="after")
    def _names_somebody(self) -> Self:
        if not self.add and not self.remove:
            raise ValueError("name members under add or remove")
        return self


async def list_segments(call: Call[Query, Nothing]) -> SegmentPage:
    """All."""
    counts = await call.read(lambda connection: count_segments(connection, call.merchant))
    return SegmentPage(
        items=[
            SegmentView(
                program=live.name,
                segment=name,
                name=segment.name or name,
                when=segment.when,
                members=counts.get((live.name, name), 0),
            )
            for live in call.setting.programs.current(call.now)
            for name, segment in live.program.segments.items()
        ]
    )


async def list_inside(call: Call[PageQuery, Nothing]) -> InsidePage:
    """The members of one."""
    query, program, segment = call.query, call.path["program"], call.path["name"]
    judging.named(call.setting.programs.current(call.now), program, segment)

    def work(connection: Connection) -> InsidePage:
        after = position(query, "segment", Text) or ""
        found = members_in(connection, call.merchant, program, segment, after, query.limit + 1)
        shown, following = cut(found, query, "segment", lambda id_: id_)
        return InsidePage(items=[InsideView(member=id_) for id_ in shown], next=following)

    return await call.read(work)


async def put(call: Call[Query, Moving]) -> Answer:
    """Put members in, or take them out."""
    wanted, program, segment = call.body, call.path["program"], call.path["name"]

    def work(unit: Unit) -> Answer:
        return given(Counted(count=judging.put(unit, program, segment, wanted.add, wanted.remove)))

    return await call.write(work)


async def explain(call: Call[Query, Nothing]) -> InsightPage:
    """Where a member is in, where not, and why."""

    def work(connection: Connection) -> InsightPage:
        found = judging.insights(Unit(connection, call.setting, call.now), call.path["id"])
        return InsightPage(
            items=[
                InsightView(
                    program=one.program,
                    segment=one.judged.segment,
                    inside=one.judged.inside,
                    when=one.when,
                    error=one.judged.error,
                )
                for one in found
            ]
        )

    return await call.read(work)


ROUTES = (
    Route(
        method="GET",
        path="/segments",
        scope="members:read",
        summary="List every segment with how many are in it",
        handler=list_segments,
        gives=SegmentPage,
    ),
    Route(
        method="GET",
        path="/segments/{program}/{name}/members",
        scope="members:read",
        summary="List who is in a segment",
        handler=list_inside,
        query=PageQuery,
        gives=InsidePage,
    ),
    Route(
        method="POST",
        path="/segments/{program}/{name}/members",
        scope="members:write",
        summary="Put members into a segment that is kept by hand, or take them out",
        handler=put,
        takes=Moving,
        gives=Counted,
    ),
    Route(
        method="GET",
        path="/members/{id}/segments",
        scope="members:read",
        summary="Explain in which segments a member is, and why",
        handler=explain,
        gives=InsightPage,
    ),
)
