"""Perks: who has which, whether one can be used now, using it, and giving or taking it by hand."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field
from sqlalchemy import Connection

from stampcard.applying import using
from stampcard.applying.requests import Answer
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Unit
from stampcard.domain.perks import PerkUse
from stampcard.engine.entitling import PerkStanding
from stampcard.engine.wording import window_words
from stampcard.storage.entitling import count_perks, load_uses, members_with
from stampcard.storage.numbering import new_use_key
from stampcard_webhooks.asking import Asked, Moment, Nothing, Query, Words
from stampcard_webhooks.paging import Page, PageQuery, Text, cut, position
from stampcard_webhooks.routing import Call, Route, given
from stampcard_webhooks.segments import InsidePage, InsideView
from stampcard_webhooks.showing import check_member

KEY = r"^[A-Za-z0-9._:#-]{1,100}$"


class OfferedPerkView(BaseModel):
    """One perk of a program with how many have it."""

    program: str
    perk: str
    name: str
    tiers: list[str]
    segments: list[str]
    plans: list[str]
    when: str | None = Field(description="The condition; null: tiers, segments, plans or people say who has it.")
    uses: str | None = Field(description="How often it can be used; null: without a limit.")
    tag: str
    members: int


class OfferedPerkPage(Page[OfferedPerkView]):
    """Every perk, by program."""


class PerkView(BaseModel):
    """A perk as it stands for one member now."""

    program: str
    perk: str
    name: str
    has: bool
    usable: bool = Field(description="Whether it can be used now.")
    code: str = Field(
        description="Why it cannot: not_theirs, not_now, used_up, on_hold, stopped, draft, program_ended, not_a_member, "
        "not_enrolled, not_confirmed, membership_frozen, membership_closed; empty: it can."
    )
    detail: str
    since: datetime | None
    until: datetime | None = Field(description="When the member has it no more; null: it has no end.")
    uses: str | None = Field(description="How often it can be used: `4 per year`; null: without a limit.")
    used: int = Field(description="In the period of now.")
    left: int | None
    period: str = Field(description="Such as 2026 or 2026-03; empty: for good.")
    during: str | None = Field(description="When it can be used; null: always.")
    tag: str
    hand: str = Field(description="`given` or `taken` by hand; empty: as the program says.")
    reason: str = Field(description="Why somebody gave or took it.")
    error: str = Field(description="Why its condition could not be decided, so that nothing changes; empty: it was.")


class PerkPage(Page[PerkView]):
    """Every perk for one member."""


class MyPerkView(BaseModel):
    """A perk that a shopper has."""

    program: str
    perk: str
    name: str
    usable: bool
    code: str
    until: datetime | None
    uses: str | None
    left: int | None
    period: str
    during: str | None


class UseView(BaseModel):
    """One use."""

    key: str
    used_at: datetime
    cancelled_at: datetime | None = Field(description="It counts no more; null: it counts.")
    source: str
    note: str


class UsePage(Page[UseView]):
    """The uses of one perk, the newest first."""


class OfProgram(Query):
    """Which program's, where several have a perk of that name."""

    program: str = Field(default="", max_length=100, pattern=r"^[^\x00]*$")


class NewUse(Asked):
    """One use of a perk."""

    program: str = Field(default="", max_length=100)
    key: str = Field(
        default="",
        pattern=r"^(?:[A-Za-z0-9._:#-]{1,100})?$",
        description="The same key counts once, such as an order's; made up if left out.",
    )
    note: Words = ""


class NewHand(Asked):
    """A perk that is given or taken by hand."""

    program: str = Field(default="", max_length=100)
    hand: Literal["given", "taken", ""] = Field(description="Empty: as the program says again.")
    until: Moment | None = Field(default=None, description="Without it for good.")
    reason: Words = Field(default="", description="For your own people; the member does not see it.")


class UsedView(PerkView):
    """The perk behind a use, and the use's key."""

    key: str


async def list_perks(call: Call[Query, Nothing]) -> OfferedPerkPage:
    """All."""
    counts = await call.read(lambda connection: count_perks(connection, call.merchant))
    return OfferedPerkPage(
        items=[
            OfferedPerkView(
                program=live.name,
                perk=name,
                name=perk.name or name,
                tiers=list(perk.tiers),
                segments=list(perk.segments),
                plans=list(perk.plans),
                when=perk.when,
                uses=str(perk.uses) if perk.uses is not None else None,
                tag=perk.tag,
                members=counts.get((live.name, name), 0),
            )
            for live in call.setting.programs.current(call.now)
            for name, perk in live.program.perks.items()
        ]
    )


async def list_having(call: Call[PageQuery, Nothing]) -> InsidePage:
    """The members who have one."""
    query, program, perk = call.query, call.path["program"], call.path["name"]
    using.named_perk(call.setting.programs.current(call.now), program, perk)

    def work(connection: Connection) -> InsidePage:
        after = position(query, "perk", Text) or ""
        found = members_with(connection, call.merchant, program, perk, after, query.limit + 1)
        shown, following = cut(found, query, "perk", lambda id_: id_)
        return InsidePage(items=[InsideView(member=id_) for id_ in shown], next=following)

    return await call.read(work)


async def show_perks(call: Call[Query, Nothing]) -> PerkPage:
    """A member's."""
    return await call.read(
        lambda connection: PerkPage(items=list(map(perk_view, _standings(connection, call, call.path["id"]))))
    )


async def show_perk(call: Call[OfProgram, Nothing]) -> PerkView:
    """One of a member's: whether it can be used now."""
    live = using.named_perk(call.setting.programs.current(call.now), call.query.program, call.path["perk"])

    def work(connection: Connection) -> PerkView:
        found = _standings(connection, call, call.path["id"])
        return next(
            (perk_view(one) for one in found if (one.live.name, one.name) == (live.name, call.path["perk"])),
            _stranger(live.name, call.path["perk"]),
        )

    return await call.read(work)


def _stranger(program: str, perk: str) -> PerkView:
    """The perk for somebody who takes no part in its program."""
    return PerkView(
        program=program, perk=perk, name=perk, has=False, usable=False, code="not_a_member",
        detail=f"the member does not take part in {program}", since=None, until=None, uses=None, used=0, left=None,
        period="", during=None, tag="", hand="", reason="", error="",
    )  # fmt: skip


def _standings(connection: Connection, call: Call[Any, Any], member: str) -> list[PerkStanding]:
    return using.perk_standings(Unit(connection, call.setting, call.now), member)


def perk_view(one: PerkStanding) -> PerkView:
    """As people of the merchant see it."""
    known = one.one
    return PerkView(
        program=one.live.name,
        perk=one.name,
        name=one.perk.name or one.name,
        has=one.has,
        usable=not one.code,
        code=one.code,
        detail=one.detail,
        since=known.since if one.has else None,
        until=known.until if one.has else None,
        uses=str(one.perk.uses) if one.perk.uses is not None else None,
        used=one.used,
        left=one.left,
        period=one.period,
        during=window_words(one.perk.during) if one.perk.during is not None else None,
        tag=one.perk.tag,
        hand=known.hand,
        reason=known.reason,
        error=one.error,
    )


def my_perk_views(connection: Connection, setting: Setting, member: str, now: datetime) -> list[MyPerkView]:
    """The perks that a shopper has, as the shopper sees them."""
    found = using.perk_standings(Unit(connection, setting, now), member)
    return [MyPerkView.model_validate(perk_view(one).model_dump()) for one in found if one.has]


async def use_perk(call: Call[Query, NewUse]) -> Answer:
    """Count a use."""
    wanted, member = call.body, call.path["id"]
    key = wanted.key or new_use_key()

    def work(unit: Unit) -> Answer:
        after = using.use_perk(unit, member, wanted.program, call.path["perk"], key, call.key.name, wanted.note)
        return given(UsedView(**perk_view(after).model_dump(), key=key), member, 201)

    return await call.write(work)


async def list_uses(call: Call[OfProgram, Nothing]) -> UsePage:
    """The uses of one perk."""
    perk, member = call.path["perk"], call.path["id"]
    live = using.named_perk(call.setting.programs.current(call.now), call.query.program, perk)

    def work(connection: Connection) -> UsePage:
        check_member(connection, call.setting, member)
        found = load_uses(connection, call.merchant, member, live.name, perk)
        return UsePage(items=list(map(_use_view, found)))

    return await call.read(work)


def _use_view(one: PerkUse) -> UseView:
    return UseView(key=one.key, used_at=one.used_at, cancelled_at=one.cancelled_at, source=one.source, note=one.note)


async def cancel_perk_use(call: Call[OfProgram, Nothing]) -> Answer:
    """Let a use count no more."""
    member, perk, key = call.path["id"], call.path["perk"], call.path["key"]

    def work(unit: Unit) -> Answer:
        return given(perk_view(using.cancel_use(unit, member, call.query.program, perk, key)), member)

    return await call.write(work)


async def give_perk(call: Call[Query, NewHand]) -> Answer:
    """Give a perk, take it, or leave it to the program again."""
    wanted, member = call.body, call.path["id"]

    def work(unit: Unit) -> Answer:
        after = using.give_perk(
            unit, member, wanted.program, call.path["perk"], wanted.hand, wanted.until, wanted.reason
        )
        return given(perk_view(after), member)

    return await call.write(work)


_ONE = "/members/{id}/perks/{perk}"
ROUTES = (
    Route(
        method="GET",
        path="/perks",
        scope="members:read",
        summary="List every perk with how many have it",
        handler=list_perks,
        gives=OfferedPerkPage,
    ),
    Route(
        method="GET",
        path="/perks/{program}/{name}/members",
        scope="members:read",
        summary="List who has a perk",
        handler=list_having,
        query=PageQuery,
        gives=InsidePage,
    ),
    Route(
        method="GET",
        path="/members/{id}/perks",
        scope="members:read",
        summary="List every perk for a member: whether it can be used, and if not, why",
        handler=show_perks,
        gives=PerkPage,
    ),
    Route(
        method="GET",
        path=_ONE,
        scope="members:read",
        summary="Say whether a member can use a perk now",
        handler=show_perk,
        query=OfProgram,
        gives=PerkView,
    ),
    Route(
        method="PUT",
        path=_ONE,
        scope="members:write",
        summary="Give a member a perk by hand, take it, or leave it to the program again",
        handler=give_perk,
        takes=NewHand,
        gives=PerkView,
    ),
    Route(
        method="POST",
        path=f"{_ONE}/use",
        scope="redemptions:write",
        summary="Count a use of a perk, once for each key",
        handler=use_perk,
        takes=NewUse,
        gives=UsedView,
        status=201,
    ),
    Route(
        method="GET",
        path=f"{_ONE}/uses",
        scope="members:read",
        summary="List the uses of a member's perk",
        handler=list_uses,
        query=OfProgram,
        gives=UsePage,
    ),
    Route(
        method="DELETE",
        path=f"{_ONE}/uses/{{key}}",
        scope="redemptions:write",
        summary="Cancel a use, so that it counts no more",
        handler=cancel_perk_use,
        query=OfProgram,
        gives=PerkView,
    ),
)
