"""Tiers: how many members have which, how one stands, and giving one by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from pydantic import BaseModel, Field
from sqlalchemy import Connection

from stampcard.applying.promoting import give_tier, outlooks
from stampcard.applying.requests import Answer
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Unit
from stampcard.engine.gauging import FINE, Ladder, Rung
from stampcard.engine.tiering import Outlook
from stampcard.storage.tiering import count_tiers
from stampcard_webhooks.asking import Asked, Moment, Name, Nothing, Query
from stampcard_webhooks.paging import Page
from stampcard_webhooks.routing import Call, Route, given
from stampcard_webhooks.showing import check_member


class TierView(BaseModel):
    """The tier that a member has in one program; amounts are decimal text, in what the program counts."""

    program: str
    tier: str = Field(description="Empty: none.")
    name: str = Field(description="As people see it.")
    since: datetime | None
    until: datetime | None = Field(description="When it is looked at again; null: it has no end.")
    by: str = Field(description="What counts: points, spend, orders, balance, proof.")
    amount: str = Field(description="What counts now.")
    to_keep: str = Field(description="What is missing to keep it beyond its end.")
    next: str = Field(description="The tier above; empty: there is none.")
    missing: str = Field(description="What is missing for it.")
    counts_until: datetime | None = Field(description="When what counts begins anew; null: it does not.")
    coming: str = Field(description="The tier that begins with the next period.")
    by_hand: bool


class TierPage(Page[TierView]):
    """The tiers of one member, by program."""


class LevelView(BaseModel):
    """One tier of a program, with how many have it."""

    program: str
    tier: str
    name: str
    least: str = Field(description="What it takes, in what the program counts; by segment, whose members have it.")
    members: int


class LevelPage(Page[LevelView]):
    """Every tier, the lowest first, by program."""


class GivenTier(Asked):
    """A tier that is given by hand, or taken."""

    program: Name
    tier: str = Field(max_length=40, pattern=r"^[a-z0-9_-]*$", description="Empty: take the one that there is.")
    until: Moment | None = Field(default=None, description="Without it as long as the program holds the tier.")


async def list_levels(call: Call[Query, Nothing]) -> LevelPage:
    """All."""
    counts = await call.read(lambda connection: count_tiers(connection, call.merchant))
    return LevelPage(
        items=[
            LevelView(
                program=ladder.program,
                tier=rung.name,
                name=ladder.tiers.levels[rung.name].name or rung.name,
                least=least_text(ladder, rung),
                members=counts.get((ladder.program, rung.name), 0),
            )
            for ladder in call.setting.programs.ladders(call.now)
            for rung in ladder.rungs
        ]
    )


async def show_tiers(call: Call[Query, Nothing]) -> TierPage:
    """A member's."""
    return await call.read(lambda c: TierPage(items=tier_views(c, call.setting, [call.path["id"]], call.now)[0]))


def tier_views(connection: Connection, setting: Setting, ids: Sequence[str], now: datetime) -> list[list[TierView]]:
    """The tiers of each of these members; raises NotFound if it is one only and not there."""
    if len(ids) == 1:
        check_member(connection, setting, ids[0])
    found = outlooks(Unit(connection, setting, now), ids)
    return [[tier_view(one) for one in found.get(id_, ())] for id_ in ids]


def tier_view(told: Outlook) -> TierView:
    """A tier as shown."""
    ladder, tier = told.ladder, told.tier
    level = ladder.tiers.levels.get(tier.name)
    return TierView(
        program=ladder.program,
        tier=tier.name,
        name=(level.name if level is not None else "") or tier.name,
        since=tier.since if tier.name else None,
        until=tier.until,
        by=ladder.tiers.by,
        amount=amount_text(ladder, told.amount),
        to_keep=amount_text(ladder, told.to_keep),
        next=told.next,
        missing=amount_text(ladder, told.missing),
        counts_until=told.by,
        coming=tier.coming,
        by_hand=tier.by_hand,
    )


def least_text(ladder: Ladder, rung: Rung) -> str:
    """What a tier takes: so much of what counts, or the segment whose members have it; nothing for everybody's."""
    if ladder.tiers.by == "segment":
        return ladder.tiers.levels[rung.name].segment or ""
    return amount_text(ladder, rung.least)


def amount_text(ladder: Ladder, amount: int) -> str:
    """What counts, in whole units."""
    exact = (Decimal(amount) / ladder.unit).quantize(
        Decimal("0.01") if ladder.unit == FINE else Decimal(1) / ladder.unit
    )
    return f"{exact:f}"


async def give(call: Call[Query, GivenTier]) -> Answer:
    """Give or take a tier."""
    wanted, member = call.body, call.path["id"]

    def work(unit: Unit) -> Answer:
        give_tier(unit, member, wanted.program, wanted.tier, wanted.until)
        (view,) = [tier_view(one) for one in unit.tiering.outlooks(member) if one.ladder.program == wanted.program]
        return given(view, member)

    return await call.write(work)


ROUTES = (
    Route(
        method="GET",
        path="/tiers",
        scope="members:read",
        summary="List every tier with how many members have it",
        handler=list_levels,
        gives=LevelPage,
    ),
    Route(
        method="GET",
        path="/members/{id}/tiers",
        scope="members:read",
        summary="Show a member's tiers, and what is missing for the next",
        handler=show_tiers,
        gives=TierPage,
    ),
    Route(
        method="POST",
        path="/members/{id}/tiers",
        scope="members:write",
        summary="Give a member a tier by hand, or take it",
        handler=give,
        takes=GivenTier,
        gives=TierView,
    ),
)
